package forge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Bounds on what a forge may ask for and send.
const (
	maxWait   = 2 * time.Minute // one wait
	maxWaits  = 4               // waits for one request
	maxAnswer = 32 << 20        // bytes of an answer
)

// A session adds the credential to requests to the forge's own host, and obeys
// its rate limits. GitHub answers 403 as well as 429 to too many requests, with
// Retry-After for the secondary limit and a reset instant for the primary one
// (docs.github.com, "Rate limits for the REST API"); 429 and 503 below the
// bounds are repeated by the transport underneath.
type session struct {
	next  http.RoundTripper
	host  string
	token string
	clock fleet.Clock
}

// RoundTrip sends one request. An exhausted limit that is not worth waiting for
// is a *limitError.
func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	if s.token != "" && req.URL.Host == s.host {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	for waits := 0; ; waits++ {
		resp, err := s.next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		wait, limited := s.limited(resp)
		if !limited {
			// go-github keeps a memory of limits and compares it with the
			// machine's clock; the only clock here is the one we were given.
			for name := range resp.Header {
				if strings.HasPrefix(name, "X-Ratelimit-") {
					resp.Header.Del(name)
				}
			}
			resp.Body = &capped{ReadCloser: resp.Body, left: maxAnswer}
			return resp, nil
		}
		resp.Body.Close()
		if waits >= maxWaits || wait > maxWait || req.Body != nil && req.GetBody == nil {
			return nil, &limitError{until: s.clock.Now().Add(wait)}
		}
		if err := s.clock.Sleep(req.Context(), wait); err != nil {
			return nil, err
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// limited reports whether the answer says that too much was asked, and how long
// to wait. The body is read for it and put back.
func (s *session) limited(resp *http.Response) (time.Duration, bool) {
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusTooManyRequests {
		return 0, false
	}
	if n, err := strconv.ParseInt(resp.Header.Get("Retry-After"), 10, 32); err == nil && n >= 0 {
		return time.Duration(n) * time.Second, true
	}
	if resp.Header.Get("X-RateLimit-Remaining") == "0" {
		if n, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			return max(time.Unix(n, 0).Sub(s.clock.Now()), 0), true
		}
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what breaks off is no limit's text
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
	if resp.StatusCode == http.StatusTooManyRequests || bytes.Contains(bytes.ToLower(body), []byte("rate limit")) {
		return time.Minute, true // what GitHub advises when it names no time
	}
	return 0, false
}

// A limitError says that the forge takes no more requests for a while.
type limitError struct{ until time.Time }

func (e *limitError) Error() string {
	return fmt.Sprintf("the forge takes no more requests before %s", e.until.UTC().Format(time.RFC3339))
}

// capped fails once more than left bytes were read.
type capped struct {
	io.ReadCloser
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, fmt.Errorf("the forge's answer is larger than %d bytes", maxAnswer)
	}
	return n, err
}
