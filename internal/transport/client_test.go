package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

var start = time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)

func get(t *testing.T, c *Client, ctx context.Context, address string) (string, error) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(ctx, req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// TestRetry drives a server that answers from a script and checks how many
// requests were made and how long the clock says was waited.
func TestRetry(t *testing.T) {
	answer := func(status int, header ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			fmt.Fprint(w, "body")
		}
	}
	drop := func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }
	inDate := start.Add(7 * time.Second).Format(http.TimeFormat)
	for _, tt := range []struct {
		name     string
		method   string
		mark     bool
		script   []func(http.ResponseWriter)
		requests int
		waited   time.Duration
		status   int // of the StatusError, 0 for success, -1 for another error
	}{
		{"first time", "GET", false, []func(http.ResponseWriter){answer(200)}, 1, 0, 0},
		{"exponential", "GET", false, []func(http.ResponseWriter){answer(502), answer(503), answer(504), answer(200)}, 4, 7 * time.Second, 0},
		{"used up", "GET", false, []func(http.ResponseWriter){answer(503), answer(503), answer(503), answer(503), answer(200)}, 4, 7 * time.Second, 503},
		{"after seconds", "GET", false, []func(http.ResponseWriter){answer(429, "Retry-After", "20"), answer(200)}, 2, 20 * time.Second, 0},
		{"after date", "GET", false, []func(http.ResponseWriter){answer(429, "Retry-After", inDate), answer(200)}, 2, 7 * time.Second, 0},
		{"after too long", "GET", false, []func(http.ResponseWriter){answer(429, "Retry-After", "3600")}, 1, 0, 429},
		{"not found", "GET", false, []func(http.ResponseWriter){answer(404)}, 1, 0, 404},
		{"internal error stands", "GET", false, []func(http.ResponseWriter){answer(500)}, 1, 0, 500},
		{"lost connection", "GET", false, []func(http.ResponseWriter){drop, answer(200)}, 2, time.Second, 0},
		{"post after 429", "POST", false, []func(http.ResponseWriter){answer(429), answer(200)}, 2, time.Second, 0},
		{"post after 502", "POST", false, []func(http.ResponseWriter){answer(502)}, 1, 0, 502},
		{"post after lost connection", "POST", false, []func(http.ResponseWriter){drop}, 1, 0, -1},
		{"repeatable post", "POST", true, []func(http.ResponseWriter){drop, answer(502), answer(200)}, 3, 3 * time.Second, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var requests atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method == "POST" && string(body) != "sent" {
					t.Errorf("request %d: body %q was not replayed", requests.Load()+1, body)
				}
				tt.script[min(int(requests.Add(1)), len(tt.script))-1](w)
			}))
			defer srv.Close()
			clock := fleet.NewManualClock(start)
			c := New(Options{Clock: clock, AllowLoopback: true})
			ctx := t.Context()
			if tt.mark {
				ctx = Repeatable(ctx)
			}
			var body io.Reader
			if tt.method == "POST" {
				body = strings.NewReader("sent")
			}
			req, _ := http.NewRequest(tt.method, srv.URL, body)
			resp, err := c.Do(ctx, req)
			if resp != nil {
				resp.Body.Close()
			}
			if (err == nil) != (tt.status == 0) || tt.status > 0 && StatusOf(err) != tt.status {
				t.Errorf("error = %v, want status %d", err, tt.status)
			}
			if int(requests.Load()) != tt.requests {
				t.Errorf("%d requests, want %d", requests.Load(), tt.requests)
			}
			if waited := clock.Now().Sub(start); waited != tt.waited {
				t.Errorf("waited %v, want %v", waited, tt.waited)
			}
		})
	}
}

func TestStatusErrorTellsWhatTheServerAsked(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint(start.Add(time.Hour).Unix()))
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "no more for ghp_abcdefghijklmnopqrst%s", strings.Repeat("x", 100<<10))
	}))
	defer srv.Close()
	c := New(Options{Clock: fleet.NewManualClock(start), AllowLoopback: true})
	_, err := get(t, c, t.Context(), srv.URL+"/a?sig=s3cret&x=1")
	var status *StatusError
	if !errors.As(err, &status) {
		t.Fatalf("error = %v, want a StatusError", err)
	}
	if !status.RateLimited() || status.RetryAfter != time.Hour {
		t.Errorf("rate limited %v, retry after %v", status.RateLimited(), status.RetryAfter)
	}
	if len(status.Body) > maxErrorBody || strings.Contains(string(status.Body), "abcdefghijklm") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("body of %d bytes or a secret in %.120s", len(status.Body), err)
	}
}

func TestBodyCap(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
		}
		fmt.Fprint(w, strings.Repeat("x", 100))
	}))
	defer srv.Close()
	c := New(Options{AllowLoopback: true})
	for _, path := range []string{"/sized", "/chunked"} {
		var large *TooLargeError
		if _, err := get(t, c.Limit(99), t.Context(), srv.URL+path); !errors.As(err, &large) {
			t.Errorf("%s: error = %v, want TooLargeError", path, err)
		}
		if body, err := get(t, c.Limit(100), t.Context(), srv.URL+path); err != nil || len(body) != 100 {
			t.Errorf("%s: a body of exactly the limit gave %d bytes, %v", path, len(body), err)
		}
	}
}

func TestSilentServerIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "start")
		w.(http.Flusher).Flush()
		<-release
	}))
	defer srv.Close()
	defer close(release)
	c := New(Options{AllowLoopback: true, Idle: 20 * time.Millisecond})
	if body, err := get(t, c, t.Context(), srv.URL); !errors.Is(err, errIdle) {
		t.Errorf("read %q, %v; want errIdle", body, err)
	}
}

func TestRedirects(t *testing.T) {
	var hops []string
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	mux.HandleFunc("/a", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/b", http.StatusFound) })
	mux.HandleFunc("/b", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/c", http.StatusFound) })
	mux.HandleFunc("/c", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "there") })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	c := New(Options{AllowLoopback: true, Redirect: func(from, to *url.URL) error {
		hops = append(hops, from.Path+">"+to.Path)
		return nil
	}})
	if body, err := get(t, c, t.Context(), srv.URL+"/a"); err != nil || body != "there" || strings.Join(hops, " ") != "/a>/b /b>/c" {
		t.Errorf("got %q, %v by %v", body, err, hops)
	}
	var refused *RedirectError
	ctx := WithRedirect(t.Context(), func(from, to *url.URL) error { return errors.New("not this host") })
	for name, call := range map[string]func() (string, error){
		"by callback": func() (string, error) { return get(t, c, ctx, srv.URL+"/a") },
		"loop":        func() (string, error) { return get(t, c, t.Context(), srv.URL+"/loop") },
		"scheme":      func() (string, error) { return get(t, c, t.Context(), srv.URL+"/file") },
	} {
		if _, err := call(); !errors.As(err, &refused) {
			t.Errorf("%s: error = %v, want RedirectError", name, err)
		}
	}
}

func TestUnfollowed(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	}))
	defer srv.Close()
	req, err := http.NewRequest(http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := New(Options{AllowLoopback: true}).Do(Unfollowed(t.Context()), req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "file:///etc/passwd" || asked != 1 {
		t.Errorf("status %d, Location %q after %d requests", resp.StatusCode, resp.Header.Get("Location"), asked)
	}
}

func TestRedirectNeverGoesDownToHTTP(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://vendor.example/x", http.StatusFound)
	}))
	defer srv.Close()
	c := New(Options{Transport: srv.Client().Transport})
	var refused *RedirectError
	if _, err := get(t, c, t.Context(), srv.URL); !errors.As(err, &refused) {
		t.Errorf("error = %v, want RedirectError", err)
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := get(t, New(Options{AllowLoopback: true}), ctx, srv.URL); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want deadline exceeded", err)
	}
}

// TestHTTPKeepsStatuses checks the view that libraries take: every status is an
// answer, retries happen below.
func TestHTTPKeepsStatuses(t *testing.T) {
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer srv.Close()
	resp, err := New(Options{Clock: fleet.NewManualClock(start), AllowLoopback: true}).HTTP().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound || n.Load() != 2 {
		t.Errorf("status %d after %d requests", resp.StatusCode, n.Load())
	}
}

// TestWhile: what may change something is sent, and sent again, only while it may
// be; reads are not held up.
func TestWhile(t *testing.T) {
	over := errors.New("it is over")
	for _, tt := range []struct {
		method   string
		lasts    time.Duration
		requests int32
		ends     bool
	}{
		{"DELETE", 0, 0, true}, {"POST", 0, 0, true}, {"DELETE", 2 * time.Second, 2, true},
		{"DELETE", time.Hour, 3, false}, {"GET", 0, 3, false},
	} {
		var requests atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		clock := fleet.NewManualClock(start)
		ctx := fleet.While(t.Context(), func() error {
			if clock.Now().After(start.Add(tt.lasts)) || tt.lasts == 0 {
				return over
			}
			return nil
		})
		req, _ := http.NewRequest(tt.method, srv.URL, strings.NewReader("sent"))
		resp, err := New(Options{Clock: clock, AllowLoopback: true}).Do(ctx, req)
		if resp != nil {
			resp.Body.Close()
		}
		if errors.Is(err, over) != tt.ends || (err != nil) != tt.ends || requests.Load() != tt.requests {
			t.Errorf("%s for %s: %d requests, %v", tt.method, tt.lasts, requests.Load(), err)
		}
		srv.Close()
	}
}
