package graph

import (
	"net/http"
	"time"
)

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
