package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

const (
	firstWait = time.Second
	lastWait  = 30 * time.Second
)

// retrier is the RoundTripper that repeats attempts. It sits below the
// redirects, so that each hop is repeated by itself.
type retrier struct {
	base    http.RoundTripper
	clock   fleet.Clock
	agent   string
	retries int
	maxWait time.Duration
	idle    time.Duration
}

// RoundTrip sends the request until an answer stands or attempts are used up.
func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", r.agent)
	}
	for attempt := 0; ; attempt++ {
		if err := allowed(req); err != nil {
			return nil, err
		}
		resp, err := r.base.RoundTrip(req)
		if err == nil {
			resp.Body = &idleBody{ReadCloser: resp.Body, idle: r.idle}
		}
		again, wait := r.judge(req, resp, err, attempt)
		if !again {
			return resp, err
		}
		if resp != nil {
			// Reading the rest lets the connection be used again.
			_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
			resp.Body.Close()
		}
		if err := r.clock.Sleep(req.Context(), wait); err != nil {
			return nil, err
		}
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			req.Body = body
		}
	}
}

// allowed refuses what may change something once the context's fence has fallen
// (fleet.While): before each attempt, since waits between them may be long.
func allowed(req *http.Request) error {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	err := fleet.Still(req.Context())
	if err != nil && req.Body != nil {
		req.Body.Close() // as whoever sends it would
	}
	return err
}

// judge says whether another attempt follows, and after which wait.
func (r *retrier) judge(req *http.Request, resp *http.Response, err error, attempt int) (bool, time.Duration) {
	if attempt >= r.retries || (req.Body != nil && req.Body != http.NoBody && req.GetBody == nil) {
		return false, 0
	}
	backoff := min(firstWait<<min(attempt, 10), lastWait)
	if err != nil {
		return passing(req.Context(), err) && repeatable(req), backoff
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		if !repeatable(req) {
			return false, 0
		}
	default:
		return false, 0
	}
	if asked, ok := retryAfter(resp.Header, r.clock.Now()); ok {
		return asked <= r.maxWait, asked
	}
	return backoff <= r.maxWait, backoff
}

// repeatable follows RFC 9110, section 9.2.2.
func repeatable(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	marked, _ := req.Context().Value(repeatableKey).(bool)
	return marked
}

// passing reports whether a network error may be gone the next time: not one
// of ours, and neither an unknown name nor a certificate that does not verify.
func passing(ctx context.Context, err error) bool {
	var guard *GuardError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	switch {
	case ctx.Err() != nil, errors.As(err, &guard), errors.As(err, &cert), errors.As(err, &authority):
		return false
	case errors.As(err, &dns):
		return !dns.IsNotFound
	}
	return true
}

// retryAfter reads Retry-After as seconds or as a date (RFC 9110, section
// 10.2.3), else the reset instant GitHub sends with an exhausted quota.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if n, err := strconv.ParseInt(v, 10, 32); err == nil && n >= 0 {
			return time.Duration(n) * time.Second, true
		}
		if t, err := http.ParseTime(v); err == nil {
			return max(t.Sub(now), 0), true
		}
	}
	if h.Get("X-RateLimit-Remaining") == "0" {
		if n, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			return max(time.Unix(n, 0).Sub(now), 0), true
		}
	}
	return 0, false
}
