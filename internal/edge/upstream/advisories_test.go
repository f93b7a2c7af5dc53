package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/bump"
)

const (
	kevAt  = "https://kev.example/kev.json"
	epssAt = "https://epss.example/data/v1/epss"
	oneKEV = `{"catalogVersion": "2026.11.17", "dateReleased": "2026-11-17T18:00:00Z", "count": 1, "vulnerabilities": [{"cveID": "CVE-2026-10001", "vendorProject": "Acme", "product": "Tool", "dateAdded": "2026-11-17"}]}`
)

// asking is a client whose requests are answered by a function, and the addresses
// that were asked.
func asking(answer func(req *http.Request) (status int, body string)) (*Client, *[]string) {
	var mu sync.Mutex
	var asked []string
	return New(Config{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		mu.Lock()
		asked = append(asked, req.URL.String())
		mu.Unlock()
		status, body := answer(req)
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
	})}), &asked
}

// TestKEVOnce: however many packages need the catalog, it is asked for once, and
// so is one that does not answer.
func TestKEVOnce(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		good   bool
	}{{200, oneKEV, true}, {404, "", false}, {200, "<html>", false}, {200, strings.Replace(oneKEV, `"count": 1`, `"count": 2`, 1), false}} {
		c, asked := asking(func(*http.Request) (int, string) { return tt.status, tt.body })
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				kev, err := c.KEV(t.Context(), kevAt)
				if (err == nil) != tt.good || tt.good != (len(kev.Listed["CVE-2026-10001"]) == 1) {
					t.Errorf("%d %.20q: %+v, %v", tt.status, tt.body, kev, err)
				}
			})
		}
		group.Wait()
		if len(*asked) != 1 {
			t.Errorf("%d %.20q: asked %d times", tt.status, tt.body, len(*asked))
		}
	}
}

// TestKEVConditional asks a second run's catalog for changes only.
func TestKEVConditional(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, oneKEV)
	}))
	defer srv.Close()
	config := Config{Mirror: srv.URL, CacheDir: t.TempDir()}
	for run := range 2 {
		c := New(config)
		kev, err := c.KEV(t.Context(), kevAt)
		if err != nil || len(kev.Listed) != 1 || c.Summary().NotModified != run {
			t.Errorf("run %d: %+v, %v, %+v", run, kev, err, c.Summary())
		}
		if err := c.Keep(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAdvisoriesGuarded: sources are asked behind the guard of all addresses from
// files, and lead to no other host.
func TestAdvisoriesGuarded(t *testing.T) {
	c, asked := asking(func(req *http.Request) (int, string) { return 200, oneKEV })
	c.guarded = New(Config{}).guarded
	for _, address := range []string{"https://127.0.0.1/kev.json", "https://169.254.169.254/latest", "https://10.0.0.1/kev.json"} {
		if _, err := c.KEV(t.Context(), address); err == nil {
			t.Errorf("%s was asked", address)
		}
		if _, err := c.EPSS(t.Context(), address, []string{"CVE-2026-10001"}); err == nil {
			t.Errorf("%s was asked for scores", address)
		}
		c.epss.failed = nil
	}
	moved := New(Config{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(oneKEV)), Request: req}
		if req.URL.Host != "elsewhere.example" {
			resp.StatusCode = http.StatusFound
			resp.Header.Set("Location", "https://elsewhere.example/kev.json")
		}
		return resp, nil
	})})
	if _, err := moved.KEV(t.Context(), kevAt); err == nil {
		t.Error("another host's catalog was taken")
	}
	if len(*asked) != 0 {
		t.Errorf("asked %q", *asked)
	}
}

// scored answers with a score for each id that is asked for, and one for an id
// that is not.
func scored(req *http.Request) (int, string) {
	var rows []string
	for _, id := range append(strings.Split(req.URL.Query().Get("cve"), ","), "CVE-2020-0001") {
		rows = append(rows, fmt.Sprintf(`{"cve": %q, "epss": "0.5", "percentile": "0.5", "date": "2026-11-17"}`, id))
	}
	return 200, `{"status": "OK", "data": [` + strings.Join(rows, ",") + `]}`
}

// TestEPSSBatches asks about many in few questions, about each once, and about
// nothing that is no id.
func TestEPSSBatches(t *testing.T) {
	c, asked := asking(scored)
	var ids []string
	for i := range 150 {
		ids = append(ids, fmt.Sprintf("CVE-2026-%05d", i))
	}
	long := "CVE-2026-" + strings.Repeat("1", 19)
	ids = append(ids, ids[0], long, "CVE-2026-1", "x&date=2020-01-01", "", "CVE-2026-10001#")
	got, err := c.EPSS(t.Context(), epssAt, ids)
	if err != nil || len(got) != 151 || got[long].Probability != 0.5 {
		t.Errorf("%d scores, %v", len(got), err)
	}
	if again, err := c.EPSS(t.Context(), epssAt, ids[:3]); err != nil || len(again) != 3 {
		t.Errorf("again: %d scores, %v", len(again), err)
	}
	if more, err := c.EPSS(t.Context(), epssAt, []string{ids[0], "CVE-2025-10001"}); err != nil || len(more) != 2 {
		t.Errorf("one more: %d scores, %v", len(more), err)
	}
	if len(*asked) != 3 {
		t.Errorf("%d questions: %q", len(*asked), *asked)
	}
	for _, address := range *asked {
		_, cve, _ := strings.Cut(address, "?cve=")
		if n := strings.Count(cve, ",") + 1; n > epssMost || len(cve) > epssText || strings.ContainsAny(cve, "&#%") {
			t.Errorf("%d ids in %d characters: %s", n, len(cve), address)
		}
	}
	if none, err := c.EPSS(t.Context(), epssAt, []string{"CVE-2020-0001x"}); err != nil || len(none) != 0 || len(*asked) != 3 {
		t.Errorf("nothing to ask: %v, %v", none, err)
	}
	if unasked, err := c.EPSS(t.Context(), epssAt+"?scope=time-series#x", []string{"CVE-2024-10001"}); err != nil || len(unasked) != 1 || !slices.Contains(*asked, epssAt+"?cve=CVE-2024-10001") {
		t.Errorf("an address with a query: %v, %v, %q", unasked, err, *asked)
	}
}

func TestBatches(t *testing.T) {
	id := "CVE-2026-" + strings.Repeat("1", 19)
	many := slices.Repeat([]string{id}, 201)
	total := 0
	for _, b := range batches(many) {
		if n := len(strings.Join(b, ",")); n > epssText || len(b) > epssMost || len(b) == 0 {
			t.Errorf("%d ids in %d characters", len(b), n)
		}
		total += len(b)
	}
	if total != len(many) || batches(nil) != nil {
		t.Errorf("%d ids in all", total)
	}
}

// TestEPSSFails: one failure, and nobody asks again in the run; a run that is
// broken off is none.
func TestEPSSFails(t *testing.T) {
	c, asked := asking(func(*http.Request) (int, string) { return 404, "" })
	for range 3 {
		if got, err := c.EPSS(t.Context(), epssAt, []string{"CVE-2026-10001"}); err == nil {
			t.Errorf("%v", got)
		}
	}
	if len(*asked) != 1 {
		t.Errorf("asked %d times", len(*asked))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	good, _ := asking(scored)
	if _, err := good.EPSS(ctx, epssAt, []string{"CVE-2026-10001"}); !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: %v", err)
	}
	if got, err := good.EPSS(t.Context(), epssAt, []string{"CVE-2026-10002"}); err != nil || len(got) != 1 {
		t.Errorf("after that: %v, %v", got, err)
	}
}

// TestKnownOfNotes: what is known of a version is asked with the notes of that
// version, and of young ones alone.
func TestKnownOfNotes(t *testing.T) {
	c, _ := asking(func(*http.Request) (int, string) {
		return 200, `[{"tag_name": "1.3", "body": "three", "published_at": "2026-11-18T05:30:00Z"}, {"tag_name": "1.2", "body": "two", "published_at": "2026-11-18T01:00:00Z"},
			{"tag_name": "1.1", "body": "one", "published_at": "2026-11-01T00:00:00Z"}, {"tag_name": "1.0", "body": "zero", "published_at": "2026-10-01T00:00:00Z"}]`
	})
	c.config.Clock = fleet.NewManualClock(time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC))
	hours := func(n int) fleet.Duration { return fleet.Duration(time.Duration(n) * time.Hour) }
	short := hours(4)
	p := fleet.Package{Releases: map[string]fleet.Release{"1.0": {Counter: 1}}, Upstream: &fleet.Upstream{
		Scheme: "windows", From: fleet.Feed{GitHubReleases: &fleet.GitHubReleases{Repository: "acme/tool"}}, MinimumReleaseAge: fleet.ReleaseAge{Default: hours(72), Security: &short}}}
	var asked []string
	found, err := c.Find(t.Context(), p, nil, func(version, notes string) bump.Known {
		asked = append(asked, version+" "+notes)
		return bump.Known{Fixes: notes == "two"}
	})
	if err != nil || found.Version != "1.2" || found.Newest != "1.3" || found.Notes != "two" || !slices.Equal(asked, []string{"1.3 three", "1.2 two"}) {
		t.Errorf("%+v, %v, asked %q", found, err, asked)
	}
}
