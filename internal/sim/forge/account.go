package forge

import (
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// roles orders roles; an unknown one is 0.
var roles = map[string]int{Read: 1, Write: 2, Admin: 3}

// may reports whether the request's user has at least the role.
func (r *request) may(role string) bool { return roles[r.user.Role] >= roles[role] }

// signedIn is the user whose token the request carries: as bearer, in GitHub's
// older form "token", or as password of any user name.
func (s *Server) signedIn(r *http.Request) (User, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "bearer", "token":
	case "basic":
		_, token, _ = r.BasicAuth()
	default:
		return User{}, false
	}
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	for _, u := range s.o.Users {
		want := sha256.Sum256([]byte(u.Token))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 {
			return u, true
		}
	}
	return User{}, false
}

// A rate is what a user has used up.
type rate struct {
	Reset  time.Time `json:"reset"` // when the hour ends
	Used   int       `json:"used"`
	Minute time.Time `json:"minute"` // when the minute of writes ends
	Writes int       `json:"writes"`
}

const defaultPerHour = 15000

// limit counts the request and refuses it when its user has none left. Callers
// hold the lock.
func (s *Server) limit(header http.Header, r *request) (reply, bool) {
	limit := s.o.Limits.PerHour
	if limit == 0 {
		limit = defaultPerHour
	}
	used := s.rates[r.user.Login]
	if used == nil {
		used = &rate{}
		s.rates[r.user.Login] = used
	}
	if !r.now.Before(used.Reset) {
		used.Reset, used.Used = r.now.Add(time.Hour), 0
	}
	if !r.now.Before(used.Minute) {
		used.Minute, used.Writes = r.now.Add(time.Minute), 0
	}
	write := r.Method != http.MethodGet
	over := used.Used >= limit
	slow := !over && write && s.o.Limits.WritesPerMinute > 0 && used.Writes >= s.o.Limits.WritesPerMinute
	if !over && !slow && r.URL.Path != apiRoot+"/rate_limit" {
		used.Used++
		if write {
			used.Writes++
		}
		if err := writeJSON(s.ratesPath(), s.rates); err != nil {
			return broken(err), true
		}
	}
	header.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	header.Set("X-RateLimit-Remaining", strconv.Itoa(limit-used.Used))
	header.Set("X-RateLimit-Used", strconv.Itoa(used.Used))
	header.Set("X-RateLimit-Reset", strconv.FormatInt(used.Reset.Unix(), 10))
	header.Set("X-RateLimit-Resource", "core")
	switch {
	case over && r.URL.Path != apiRoot+"/rate_limit":
		return failed(http.StatusForbidden, "API rate limit exceeded for user ID "+strconv.FormatInt(r.user.ID, 10)+"."), true
	case slow:
		header.Set("Retry-After", strconv.Itoa(int(used.Minute.Sub(r.now).Seconds())+1))
		return failed(http.StatusForbidden, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."), true
	}
	return reply{}, false
}

func (s *Server) getRateLimit(r *request) reply {
	limit := s.o.Limits.PerHour
	if limit == 0 {
		limit = defaultPerHour
	}
	used := s.rates[r.user.Login]
	core := object{"limit": limit, "used": used.Used, "remaining": limit - used.Used, "reset": used.Reset.Unix()}
	none := object{"limit": 0, "used": 0, "remaining": 0, "reset": used.Reset.Unix()}
	return ok(object{"resources": object{"core": core, "search": none}, "rate": core})
}

func (s *Server) getUser(r *request) reply {
	u := r.at.user(r.user)
	profile := object{
		"user_view_type": "public", "name": r.user.Name, "company": nil, "blog": nil, "location": nil, "email": nil, "hireable": nil, "bio": nil,
		"public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
		"created_at": instant(s.state.Created), "updated_at": instant(s.state.Created),
	}
	maps.Copy(u, profile)
	return ok(u)
}
