package transport

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
)

const maxErrorBody = 64 << 10

// A StatusError is an answer of 400 and above.
type StatusError struct {
	Method     string
	URL        string // redacted
	Status     int
	Header     http.Header   // of the answer, without cookies
	Body       []byte        // at most 64 KiB, redacted
	RetryAfter time.Duration // what the server asked for; 0 when it did not
}

// Error is method, address and status with the first line of the body.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s %s: %d %s", e.Method, e.URL, e.Status, http.StatusText(e.Status))
	line, _, _ := strings.Cut(strings.TrimSpace(string(e.Body)), "\n")
	if line == "" || strings.HasPrefix(line, "<") {
		return text
	}
	if len(line) > 200 {
		line = strings.ToValidUTF8(line[:200], "") + "…"
	}
	return text + ": " + line
}

// RateLimited reports whether the server refused because too much was asked:
// 429, or 403 with an exhausted quota as GitHub answers.
func (e *StatusError) RateLimited() bool {
	return e.Status == http.StatusTooManyRequests ||
		e.Status == http.StatusForbidden && (e.Header.Get("X-RateLimit-Remaining") == "0" || e.Header.Get("Retry-After") != "")
}

// StatusOf is the status of the StatusError in err's chain, 0 without one.
func StatusOf(err error) int {
	var e *StatusError
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func statusError(req *http.Request, resp *http.Response, now time.Time) error {
	defer resp.Body.Close()
	// A body that breaks off still tells something: its error is of no interest.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	wait, _ := retryAfter(resp.Header, now)
	header := resp.Header.Clone()
	header.Del("Set-Cookie")
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	return &StatusError{
		Method: method, URL: RedactURL(resp.Request.URL), Status: resp.StatusCode,
		Header: header, Body: []byte(Redact(string(body))), RetryAfter: wait,
	}
}

// A TooLargeError is a body past the client's cap.
type TooLargeError struct {
	URL   string // redacted
	Limit int64  // bytes
}

// Error names address and limit.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s: answer is larger than %d bytes", e.URL, e.Limit)
}

// cappedBody fails once more than its limit was read. The byte past the limit
// is asked for, so that a body of exactly the limit passes.
type cappedBody struct {
	body io.ReadCloser
	left int64
	err  error
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		b.left = 0
		return n, b.err
	}
	b.left -= int64(n)
	return n, err
}

func (b *cappedBody) Close() error { return b.body.Close() }

var errIdle = errors.New("the server stopped sending")

// idleBody closes a body that stays silent for too long.
type idleBody struct {
	io.ReadCloser
	idle time.Duration
}

func (b *idleBody) Read(p []byte) (int, error) {
	var fired atomic.Bool
	timer := time.AfterFunc(b.idle, func() { fired.Store(true); b.ReadCloser.Close() })
	n, err := b.ReadCloser.Read(p)
	timer.Stop()
	if err != nil && fired.Load() {
		return n, errIdle
	}
	return n, err
}

// redactError takes the address out of the standard library's errors, which
// quote it with its query.
func redactError(req *http.Request, err error) error {
	var wrapped *url.Error
	if !errors.As(err, &wrapped) {
		return err
	}
	at := RedactURL(req.URL)
	if u, parseErr := url.Parse(wrapped.URL); parseErr == nil {
		at = RedactURL(u)
	}
	return &url.Error{Op: wrapped.Op, URL: at, Err: wrapped.Err}
}

// secretParams are the query parameters that carry credentials.
var secretParams = []string{"sig", "token", "access_token", "signature", "x-amz-signature", "x-amz-security-token", "x-amz-credential", "key", "code", "client_secret", "password"}

const redacted = "REDACTED"

// RedactURL is the address without its user and with the values of query
// parameters that carry credentials (a SAS address's sig, for example) masked.
func RedactURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	v := *u
	if v.User != nil {
		v.User = url.User(redacted)
	}
	if v.RawQuery != "" {
		parts := strings.Split(v.RawQuery, "&")
		for i, part := range parts {
			name, _, found := strings.Cut(part, "=")
			for _, secret := range secretParams {
				if found && strings.EqualFold(name, secret) {
					parts[i] = name + "=" + redacted
				}
			}
		}
		v.RawQuery = strings.Join(parts, "&")
	}
	v.Fragment, v.RawFragment = "", ""
	return v.String()
}

var secretText = regexp.MustCompile(`(?i)((?:^|[?&"'\s])(?:sig|access_token|refresh_token|id_token|client_secret|token|password)["']?\s*[=:]\s*["']?)[^&"'\s<>,}]+` +
	`|((?:bearer|basic|token)\s+)[A-Za-z0-9._~+/=-]{8,}` +
	`|(gh[pousr]_|github_pat_|npm_)[A-Za-z0-9_]{16,}` +
	`|(eyJ)[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*` +
	`|(://)[^/@\s]+@`)

// Redact masks what looks like a credential in text: signed queries, bearer
// tokens, forge and registry tokens, JSON web tokens, users in addresses.
func Redact(text string) string {
	return secretText.ReplaceAllStringFunc(text, func(match string) string {
		for _, group := range secretText.FindStringSubmatch(match)[1:] {
			if group != "" {
				tail := ""
				if group == "://" {
					tail = "@"
				}
				return group + redacted + tail
			}
		}
		return redacted
	})
}
