package graph

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// TokenOf is an access token of another application than the one that Token and
// the token endpoint know: limits count each by itself.
func (s *Server) TokenOf(directory, application string) string {
	head, rest, _ := strings.Cut(s.Token(directory), ".")
	c := decodeClaims(rest)
	c.App = s.guid("application", application)
	data, err := json.Marshal(c)
	if err != nil {
		panic("graph: claims have no JSON form: " + err.Error())
	}
	return head + "." + base64.RawURLEncoding.EncodeToString(data) + "."
}

// bearerClaims are the claims of the token that a request carries, or none.
func bearerClaims(r *http.Request) claims {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), ".")
	return decodeClaims(rest)
}

func decodeClaims(text string) (c claims) {
	text, _, _ = strings.Cut(text, ".")
	if data, err := base64.RawURLEncoding.DecodeString(text); err == nil {
		_ = json.Unmarshal(data, &c) // what cannot be read claims nothing
	}
	return c
}

func applicationOf(r *http.Request) string { return bearerClaims(r).App }

// withdrew reports whether the token of a request is one that is no longer taken
// though it has not ended.
func (t *tenant) withdrew(r *http.Request) bool { return bearerClaims(r).Serial < t.revoked.Load() }

// A sent is a request that counts for the rate limit.
type sent struct {
	at          time.Time
	application string
	write       bool
}

// throttle refuses every n-th request, with and without Retry-After in turn,
// and those beyond the rate.
func (t *tenant) throttle(application string, write bool) error {
	now := t.s.o.Now()
	t.requests++
	tooMany := func(seconds int) error {
		f := fail(http.StatusTooManyRequests, "TooManyRequests", "Too many requests.")
		f.retryAfter = seconds
		return f
	}
	if n := t.s.o.Throttle; n > 0 && t.requests%n == 0 {
		if t.requests/n%2 == 1 {
			return tooMany(2)
		}
		return tooMany(0)
	}
	if n := t.s.o.Pitfalls.MuteThrottle; n > 0 && t.requests%n == 0 {
		return tooMany(0)
	}
	limit := t.s.o.Limit
	if limit.Window <= 0 {
		return nil
	}
	for len(t.recent) > 0 && now.Sub(t.recent[0].at) >= limit.Window {
		t.recent = t.recent[1:]
	}
	var own, all struct{ requests, writes int }
	for _, r := range t.recent {
		all.requests++
		if r.write {
			all.writes++
		}
		if r.application != application {
			continue
		}
		own.requests++
		if r.write {
			own.writes++
		}
	}
	over := func(n, most int) bool { return most > 0 && n >= most }
	if over(own.requests, limit.Requests) || over(all.requests, limit.TenantRequests) ||
		write && (over(own.writes, limit.Writes) || over(all.writes, limit.TenantWrites)) {
		return tooMany(int(limit.Window / time.Second))
	}
	t.recent = append(t.recent, sent{now, application, write})
	return nil
}
