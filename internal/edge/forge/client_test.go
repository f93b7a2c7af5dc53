package forge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const token = "s3cr3t-canary"

var start = time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)

// serve is a client of a server that answers by h, and its clock.
func serve(t *testing.T, h http.HandlerFunc) (*Client, *fleet.ManualClock) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	clock := fleet.NewManualClock(start)
	c, err := New(Options{
		BaseURL: srv.URL + "/api/v3", Owner: "o", Name: "n", Token: token, Login: "mill",
		HTTP: transport.New(transport.Options{Clock: clock, AllowLoopback: true}), Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, clock
}

func wantKind(t *testing.T, err error, kind fleet.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one of kind %s", kind)
	}
	if got := fleet.KindOf(err); got != kind {
		t.Errorf("kind %s, want %s: %v", got, kind, err)
	}
	var e *fleet.Error
	hint := ""
	if errors.As(err, &e) {
		hint = e.Hint
	}
	for _, w := range words {
		if !strings.Contains(err.Error()+"\n"+hint, w) {
			t.Errorf("error %q with hint %q does not say %q", err, hint, w)
		}
	}
	if strings.Contains(err.Error()+hint, token) {
		t.Errorf("the token is in the error: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []Options{
		{BaseURL: "", Owner: "o", Name: "n"}, {BaseURL: "ftp://x/", Owner: "o", Name: "n"}, {BaseURL: "https://u:" + token + "@x/", Owner: "o", Name: "n"},
		{BaseURL: "https://x/", Owner: "", Name: "n"}, {BaseURL: "https://x/", Owner: "o", Name: "../n"}, {BaseURL: "https://x/", Owner: "o", Name: "n?x"},
	} {
		o.HTTP, o.Clock = transport.New(transport.Options{}), fleet.NewManualClock(start)
		_, err := New(o)
		wantKind(t, err, fleet.Invalid)
	}
}

// TestErrors maps each answer to a kind and a hint. A server may repeat the
// token in what it says; it must not come further.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		kind   fleet.Kind
		says   string
	}{
		{401, `{"message":"Bad credentials"}`, fleet.Refused, "expired"},
		{401, `not JSON, but ` + token, fleet.Refused, "expired"},
		{403, `{"message":"Resource not accessible by integration"}`, fleet.Refused, "write access"},
		{404, `{"message":"Not Found"}`, fleet.Invalid, "o/n"},
		{410, `{"message":"Gone"}`, fleet.Invalid, "o/n"},
		{409, `{"message":"Conflict"}`, fleet.Waiting, "moved"},
		{422, `{"message":"Validation Failed","errors":[{"resource":"PullRequest","field":"head","code":"invalid"}]}`, fleet.Invalid, "head: invalid"},
		{422, `{"message":"Unprocessable Entity","errors":["Can not approve your own pull request"]}`, fleet.Refused, "another person"},
		{405, `{"message":"At least 1 approving review is required"}`, fleet.Waiting, "review"},
		{405, `{"message":"Pull Request is not mergeable"}`, fleet.Stalled, "rebase"},
		{405, `{"message":"Merge conflict"}`, fleet.Stalled, "rebase"},
		{500, `{"message":"token ` + token + `"}`, fleet.Internal, "500"},
		{200, `{"half":`, fleet.Internal, "reachable"},
	} {
		t.Run(fmt.Sprint(c.status, " ", c.body), func(t *testing.T) {
			client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := client.Pulls(t.Context(), "open")
			wantKind(t, err, c.kind, c.says)
		})
	}
}

// TestLimits waits as the forge asks, on the clock it was given, and gives up
// when that would take too long.
func TestLimits(t *testing.T) {
	reset := func(d time.Duration) string { return fmt.Sprint(start.Add(d).Unix()) }
	for name, c := range map[string]struct {
		headers map[string]string
		body    string
		times   int // refused this often
		waited  time.Duration
		fails   bool
	}{
		"secondary, told":     {map[string]string{"Retry-After": "40"}, `{"message":"slow down"}`, 2, 80 * time.Second, false},
		"secondary, not told": {nil, `{"message":"You have exceeded a secondary rate limit."}`, 1, time.Minute, false},
		"primary, soon":       {map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset(90 * time.Second)}, `{}`, 1, 90 * time.Second, false},
		"primary, past":       {map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset(-time.Second)}, `{}`, 1, 0, false},
		"primary, late":       {map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset(50 * time.Minute)}, `{}`, 1, 0, true},
		"without end":         {map[string]string{"Retry-After": "10"}, `{}`, 100, 40 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			client, clock := serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls++
				if body, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(body), `"APPROVE"`) {
					t.Errorf("call %d came with body %q, %v", calls, body, err)
				}
				if calls <= c.times {
					for k, v := range c.headers {
						w.Header().Set(k, v)
					}
					w.WriteHeader(403)
					_, _ = io.WriteString(w, c.body)
					return
				}
				_, _ = io.WriteString(w, `{"id":1}`)
			})
			err := client.Approve(t.Context(), 1, strings.Repeat("1", 40))
			if got := clock.Now().Sub(start); got != c.waited {
				t.Errorf("waited %s, want %s", got, c.waited)
			}
			if c.fails {
				wantKind(t, err, fleet.Waiting, "no more requests before")
				return
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestExhaustedQuotaIsNoMemory makes sure that an answer which used up the
// quota does not make go-github refuse the next call by the machine's clock.
func TestExhaustedQuotaIsNoMemory(t *testing.T) {
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "60")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", "99999999999")
		_, _ = io.WriteString(w, `[]`)
	})
	for range 2 {
		if _, err := client.Pulls(t.Context(), "open"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMergeTriesAgainThenGivesUp(t *testing.T) {
	merges := 0
	client, clock := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"number":1,"title":"T","body":"B\r\n\r\nRisk: low","state":"open","head":{"sha":"abc"}}`)
			return
		}
		merges++
		body, err := io.ReadAll(r.Body)
		if want := `{"commit_message":"B\n\nRisk: low","commit_title":"T (#1)","merge_method":"merge","sha":"abc"}`; err != nil || strings.TrimSpace(string(body)) != want {
			t.Errorf("merge asked with %s, want %s", body, want)
		}
		w.WriteHeader(405)
		_, _ = io.WriteString(w, `{"message":"Base branch was modified. Review and try the merge again."}`)
	})
	_, err := client.Merge(t.Context(), 1, "abc")
	wantKind(t, err, fleet.Waiting, "try the merge again")
	if merges != mergeTries || clock.Now().Sub(start) != 63*time.Second {
		t.Errorf("%d tries in %s", merges, clock.Now().Sub(start))
	}
}

func TestTokenGoesNowhereElse(t *testing.T) {
	var elsewhere []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere = append(elsewhere, r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, `[]`)
	}))
	defer other.Close()
	own := ""
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		own = r.Header.Get("Authorization")
		http.Redirect(w, r, other.URL+"/x", http.StatusTemporaryRedirect)
	})
	if _, err := client.Pulls(t.Context(), "open"); err != nil {
		t.Fatal(err)
	}
	if own != "Bearer "+token || !slices.Equal(elsewhere, []string{""}) {
		t.Errorf("sent %q to the forge and %q elsewhere", own, elsewhere)
	}
}

func TestUnknownRulesAreKept(t *testing.T) {
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v3/repos/o/n/rules/branches/main" {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = io.WriteString(w, `[{"type":"deletion","ruleset_id":5},{"type":"rule_of_tomorrow","parameters":{"a":[1]},"ruleset_id":6}]`)
	})
	found, err := client.BranchRules(t.Context(), "main")
	if err != nil || len(found) != 2 || found[1].Type != "rule_of_tomorrow" || string(found[1].Parameters) != `{"a":[1]}` || found[0].Ruleset != 5 {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestBounds(t *testing.T) {
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `[{"title":"`)
		for range maxAnswer/(1<<20) + 1 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		}
		_, _ = io.WriteString(w, `"}]`)
	})
	_, err := client.Pulls(t.Context(), "open")
	wantKind(t, err, fleet.Internal, "larger than")

	pages := 0
	client, _ = serve(t, func(w http.ResponseWriter, r *http.Request) {
		pages++
		w.Header().Set("Link", fmt.Sprintf(`<http://%s/x?page=%d>; rel="next"`, r.Host, pages+1))
		_, _ = io.WriteString(w, `[]`)
	})
	_, err = client.Pulls(t.Context(), "open")
	wantKind(t, err, fleet.Internal, "pages")
	if pages != maxPages {
		t.Errorf("%d pages were read", pages)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Pulls(ctx, "open"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call: %v", err)
	}
}

func TestLabelChanges(t *testing.T) {
	for _, c := range []struct{ have, want, add, remove []string }{
		{nil, nil, nil, nil},
		{nil, []string{"a", "a"}, []string{"a"}, nil},
		{[]string{"a", "mine"}, []string{"a"}, nil, nil},
		{[]string{"risk: low", "risk: odd", "mine"}, []string{"risk: high"}, []string{"risk: high"}, []string{"risk: low", "risk: odd"}},
		{[]string{"risk: low", "risk"}, []string{"risk: low", "class: cve"}, []string{"class: cve"}, nil},
	} {
		add, remove := labelChanges(c.have, c.want)
		if !slices.Equal(add, c.add) || !slices.Equal(remove, c.remove) {
			t.Errorf("have %q, want %q: add %q, remove %q", c.have, c.want, add, remove)
		}
	}
}

// TestLostRace opens a pull request that another run opens at the same moment.
func TestLostRace(t *testing.T) {
	opened := false
	const pull = `{"number":3,"title":"T","body":"B","state":"open","head":{"ref":"bump/x","sha":"abc","repo":{"full_name":"O/N"}},"base":{"ref":"main"}}`
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			if opened {
				// A fork of the same owner comes first and must not be taken.
				_, _ = io.WriteString(w, `[{"number":2,"head":{"ref":"bump/x","repo":{"full_name":"o/other"}}},`+pull+`]`)
				return
			}
			_, _ = io.WriteString(w, `[]`)
		case http.MethodPost:
			opened = true
			w.WriteHeader(422)
			_, _ = io.WriteString(w, `{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists for o:bump/x."}]}`)
		case http.MethodPatch:
			_, _ = io.WriteString(w, pull)
		}
	})
	got, changed, err := client.EnsurePull(t.Context(), fleet.PullSpec{Branch: "bump/x", Base: "main", Title: "T", Body: "B"})
	if err != nil || !changed || got.Number != 3 {
		t.Errorf("%+v, %v, %v", got, changed, err)
	}
}
