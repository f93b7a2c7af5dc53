package graph_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

// The fault campaign lets every call of an upload, of a publication and of an
// assignment, of apps, configurations and update profiles, fail in every way that it can, once and for good, and kills the client before and
// after it. However it went, the tenant ends up as if nothing had happened: the
// same apps, contents, assignments, groups and markers, no object twice, no file
// left over, and everything that is not packmill's unchanged to the byte.

// fewestCombinations is how many combinations of work, call and fault the
// campaign has at least.
const fewestCombinations = 300

// leaver is a package that the tenant has before the first job.
const leaver = fleet.PackageID("acme/leaver")

// settle brings a package into both slots.
func settle(w *world) {
	w.t.Helper()
	for _, slot := range []string{fleet.Candidate, fleet.Stable} {
		app, content := release(w.t, slot, "24.08", 2000)
		app.Package = leaver
		c := w.client(nordic)
		if _, err := c.Publish(w.t.Context(), app, content); err != nil {
			w.t.Fatal(err)
		}
		group, err := c.Group(w.t.Context(), "leaving-"+slot, nil)
		if err == nil {
			err = c.Assign(w.t.Context(), leaver, slot, []fleet.Target{{Intent: "required", Group: group}})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// A job is what one run of packmill does in a tenant; it starts from the tenant
// as the jobs before it left it.
type job struct {
	name string
	do   func(ctx context.Context, w *world, devices []string, vip string) error
	then func(w *world, vip string) // what happens in the tenant before the next job; nothing when nil
}

func jobs() []job {
	dogfood := func(ctx context.Context, w *world, version string, devices []string, targets func(group string) []fleet.Target) error {
		c := w.client(nordic)
		app, content := release(w.t, fleet.Candidate, version, 2000)
		if version == "24.09" {
			app.Generation = 2
		}
		if _, err := c.Publish(ctx, app, content); err != nil {
			return err
		}
		group, err := c.Group(ctx, "dogfood", devices)
		if err != nil {
			return err
		}
		return c.Assign(ctx, pkg, fleet.Candidate, targets(group))
	}
	return []job{
		{name: "leaving", do: func(ctx context.Context, w *world, devices []string, vip string) error {
			c := w.client(nordic)
			for _, slot := range []string{fleet.Candidate, fleet.Stable} {
				if err := c.Stop(ctx, leaver, slot); err != nil {
					return err
				}
			}
			return c.Remove(ctx, leaver, 0)
		}},
		{name: "first", do: func(ctx context.Context, w *world, devices []string, vip string) error {
			return dogfood(ctx, w, "24.08", devices[:2], func(group string) []fleet.Target {
				return []fleet.Target{{Intent: "required", Group: group, Opens: monday, Deadline: monday.AddDate(0, 0, 1), Notify: "hideAll"}}
			})
		}, then: interfere},
		{name: "next", do: func(ctx context.Context, w *world, devices []string, vip string) error {
			return dogfood(ctx, w, "24.09", devices[1:3], func(group string) []fleet.Target {
				return []fleet.Target{
					{Intent: "required", Group: group, Opens: monday.AddDate(0, 0, 7), Deadline: monday.AddDate(0, 0, 8)},
					{Intent: "required", Group: vip, Exclude: true},
				}
			})
		}},
		{name: "probe", do: func(ctx context.Context, w *world, devices []string, vip string) error {
			return w.client(nordic).Probe(ctx, fleet.DeviceProbe{Package: pkg, Name: "starts", Script: "exit 0", Group: vip, Every: fleet.Duration(4 * time.Hour)})
		}},
		{name: "withdrawal", do: func(ctx context.Context, w *world, devices []string, vip string) error {
			return w.client(nordic).Assign(ctx, pkg, fleet.Candidate, nil)
		}, then: successor},
		{name: "succession", do: func(ctx context.Context, w *world, devices []string, vip string) error {
			return succeed(ctx, w, map[fleet.PackageID]string{pkg: "replace"})
		}},
		{name: "reversal", do: func(ctx context.Context, w *world, devices []string, vip string) error {
			return w.client(nordic).Reverse(ctx, newTool, fleet.Stable)
		}},
	}
}

// A breakage is a way in which a call fails.
type breakage struct {
	name  string
	fault graph.Fault
	at    func(c seenCall) bool // which calls can fail so; all when nil
	once  bool                  // makes no sense for good
	kill  string                // "before", "after": the client dies
}

func breakages() []breakage {
	inGraph := func(c seenCall) bool {
		return !strings.HasPrefix(c.Operation, "blob.") && c.Operation != "token" && c.Operation != "batch"
	}
	operation := func(suffixes ...string) func(seenCall) bool {
		return func(c seenCall) bool {
			return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(c.Operation, s) })
		}
	}
	wholly := operation(".list", ".create", ".delete") // where it says for good that the object is gone
	object := func(c seenCall) bool {
		return inGraph(c) && (!wholly(c) || slices.Contains([]string{"assignment.list", "content.list", "content.create", "file.list", "file.create", "file.delete", "member.list"}, c.Operation))
	}
	write := func(c seenCall) bool { return inGraph(c) && c.method != http.MethodGet }
	storage := func(c seenCall) bool { return strings.HasPrefix(c.Operation, "blob.") }
	operations := func(names ...string) func(seenCall) bool {
		return func(c seenCall) bool { return slices.Contains(names, c.Operation) }
	}
	status := func(n int) graph.Fault { return graph.Fault{Status: n} }
	return []breakage{
		{name: "429 with Retry-After", fault: graph.Fault{Status: 429, RetryAfter: 5}},
		{name: "429 without", fault: status(429)},
		{name: "500", fault: status(500)},
		{name: "503", fault: status(503)},
		{name: "timeout before the effect", fault: graph.Fault{Drop: true}},
		{name: "timeout after the effect", fault: graph.Fault{Lose: true}},
		{name: "reset in the answer", fault: graph.Fault{Cut: true}, at: func(c seenCall) bool { return !c.part && c.answer > 0 }},
		{name: "reset in the request", fault: graph.Fault{Reset: true}, at: storage},
		{name: "404", fault: status(404), at: object},
		{name: "404 after it was made", fault: graph.Fault{Hide: 3}, at: operation(".create"), once: true},
		{name: "409", fault: status(409), at: write},
		{name: "423", fault: status(423), at: write},
		{name: "SAS expired", fault: graph.Fault{Expire: true}, at: storage},
		{name: "commitFileFailed", fault: graph.Fault{State: "commitFileFailed"}, at: operations("file.commit")},
		{name: "commitFileTimedOut", fault: graph.Fault{State: "commitFileTimedOut"}, at: operations("file.commit")},
		{name: "azureStorageUriRequestFailed", fault: graph.Fault{State: "azureStorageUriRequestFailed"}, at: operations("file.create")},
		{name: "azureStorageUriRequestTimedOut", fault: graph.Fault{State: "azureStorageUriRequestTimedOut"}, at: operations("file.create")},
		{name: "killed before", fault: graph.Fault{Drop: true}, once: true, kill: "before"},
		{name: "killed after", fault: graph.Fault{Lose: true}, once: true, kill: "after"},
	}
}

// A seenCall is a call of a run in which nothing fails.
type seenCall struct {
	graph.Call
	method string
	answer int  // bytes of its body
	part   bool // of a batch
}

// A book is a row of jobs on a tenant of its own, and how to look at what came of
// them.
type book struct {
	page    int                         // objects on a page of a list
	furnish func(w *world) (vip string) // what the tenant has before the first job
	jobs    []job
	look    func(w *world) (ours picture, foreign string)
	reads   bool // every read fails in every way; else after the first of its kind in those that differ
}

func books() []*book {
	return []*book{
		{5, func(w *world) string {
			vip := populate(w)
			settle(w)
			return vip
		}, jobs(), func(w *world) (picture, string) { return w.picture(), w.foreign() }, true},
		{100, populatePolicies, policyJobs(), (*world).policyLook, false},
	}
}

// A stand is a tenant before a job, and what it looks like after it.
type stand struct {
	book    *book
	job     job
	folder  string // of the world before
	clock   time.Time
	calls   []seenCall
	after   picture
	foreign string
	devices []string
	vip     string
}

// campaignWorld opens a world over a copy of a folder.
func campaignWorld(t testing.TB, page int, folder string, now time.Time) *world {
	t.Helper()
	w := newWorld(t, func(o *graph.Options) {
		o.Lag, o.ListLag, o.PageSize, o.Updates = 1, 1, page, offers()
		o.Tenants = []graph.Tenant{{Directory: nordic, Devices: devices(4)}}
		if folder == "" {
			return
		}
		if err := os.CopyFS(o.Dir, os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
	}).at(now)
	w.direct = true
	return w
}

// at sets the clock.
func (w *world) at(now time.Time) *world {
	if !now.IsZero() {
		w.clock.Set(now)
	}
	return w
}

// stands lets each job be done once without a fault, by people who have other
// things in the tenant as well.
func (b *book) stands(t *testing.T) []*stand {
	w := campaignWorld(t, b.page, "", time.Time{})
	vip := b.furnish(w)
	devices := ids(must[[]fleet.Device](t)(w.client(nordic).Inventory(t.Context())))
	var out []*stand
	for _, j := range b.jobs {
		s := &stand{book: b, job: j, folder: t.TempDir(), clock: w.clock.Now(), devices: devices, vip: vip}
		if err := os.CopyFS(s.folder, os.DirFS(w.opts.Dir)); err != nil {
			t.Fatal(err)
		}
		// A server that is opened again counts calls anew.
		again := campaignWorld(t, b.page, s.folder, s.clock)
		_, s.foreign = b.look(again)
		s.calls = again.calls(func() {
			if err := j.do(t.Context(), again, devices, vip); err != nil {
				t.Fatalf("%s: %v", j.name, err)
			}
		})
		after, foreign := b.look(again)
		if s.after = after; foreign != s.foreign {
			t.Fatalf("%s changes what is foreign: %s", j.name, differing(foreign, s.foreign))
		}
		out = append(out, s)
		w = again
		if j.then != nil {
			j.then(w, vip)
		}
	}
	return out
}

// calls records the calls that f makes.
func (w *world) calls(f func()) []seenCall {
	var out []seenCall
	w.onCall(func(c graph.Call) graph.Fault {
		out = append(out, seenCall{Call: c})
		return graph.Fault{}
	})
	defer w.onCall(nil)
	next := w.http.Config.Handler
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		from := len(out)
		counting := &countingWriter{ResponseWriter: rw}
		next.ServeHTTP(counting, r)
		for i := from; i < len(out); i++ {
			out[i].method, out[i].answer, out[i].part = r.Method, counting.n, i > from
			if counting.status >= http.StatusBadRequest {
				out[i].answer = 0
			}
		}
	})
	defer func() { w.http.Config.Handler = next }()
	f()
	return out
}

type countingWriter struct {
	http.ResponseWriter
	status, n int
}

func (c *countingWriter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *countingWriter) Write(p []byte) (int, error) {
	c.n += len(p)
	return c.ResponseWriter.Write(p)
}

// A combination is one trial of the campaign.
type combination struct {
	stand *stand
	call  seenCall // the first that fails
	how   breakage
	good  bool // for good, until it is mended
}

func (c combination) String() string {
	times := "once"
	if c.good {
		times = "until mended"
	}
	return fmt.Sprintf("%s %s %d %s %s", c.stand.job.name, c.call.Operation, c.call.N, c.how.name, times)
}

// worth reports whether a call is to fail in some way. A read has no effect after
// which its answer could get lost, and what the client does about an answer that
// comes later does not depend on which read of a kind it is; that it dies there, or
// finds nothing, may.
func (b *book) worth(c seenCall, how breakage, again bool) bool {
	if b.reads || c.method != http.MethodGet {
		return true
	}
	return !how.fault.Lose && (!again || how.kill != "" || slices.Contains([]int{http.StatusServiceUnavailable, http.StatusNotFound}, how.fault.Status))
}

func combinations(all []*stand) []combination {
	var out []combination
	for _, s := range all {
		first := map[string]bool{}
		for _, call := range s.calls {
			for _, how := range breakages() {
				if how.at != nil && !how.at(call) || !s.book.worth(call, how, first[call.Operation]) {
					continue
				}
				out = append(out, combination{s, call, how, false})
				if !first[call.Operation] && !how.once {
					out = append(out, combination{s, call, how, true})
				}
			}
			first[call.Operation] = true
		}
	}
	return out
}

func TestFaultCampaign(t *testing.T) {
	var all []*stand
	for _, b := range books() {
		all = append(all, b.stands(t)...)
	}
	trials := combinations(all)
	began, differing := fleet.SystemClock{}.Now(), map[string]bool{}
	var tried, gaveUp, commits int
	var mu sync.Mutex
	t.Run("trials", func(t *testing.T) {
		for _, c := range trials {
			differing[c.String()] = true
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				again, n := c.try(t)
				mu.Lock()
				defer mu.Unlock()
				tried, gaveUp, commits = tried+1, gaveUp+again, max(commits, n)
			})
		}
	})
	of := map[string]int{}
	for _, c := range trials {
		of[c.stand.job.name]++
	}
	for _, s := range all {
		t.Logf("%s: %d calls, %d combinations", s.job.name, len(s.calls), of[s.job.name])
	}
	tellFigure(t, "fault campaign: %d of %d combinations in %.1f s; %d took a second run; at most %d commits of one content",
		tried, len(differing), fleet.SystemClock{}.Now().Sub(began).Seconds(), gaveUp, commits)
	if len(differing) < fewestCombinations {
		t.Errorf("only %d combinations, want %d", len(differing), fewestCombinations)
	}
}

// try breaks the call, lets another run finish where the first did not, and
// compares. It tells whether there was a second run, and how often content was
// committed.
func (c combination) try(t *testing.T) (again, commits int) {
	w := campaignWorld(t, c.stand.book.page, c.stand.folder, c.stand.clock)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.breaks(c, cancel)
	err := c.stand.job.do(ctx, w, c.stand.devices, c.stand.vip)
	switch {
	case c.how.kill != "": // what a dead client would have told does not matter
	case !c.good && err != nil:
		t.Errorf("one run does not get through: %v", err)
	case err != nil:
		var known *fleet.Error
		if !errors.As(err, &known) || known.Op == "" || known.Object == "" {
			t.Errorf("the error has no place: %v", err)
		}
	}
	w.onCall(nil)
	if err != nil || c.how.kill != "" {
		again = 1
		if second := c.stand.job.do(t.Context(), w, c.stand.devices, c.stand.vip); second != nil {
			t.Fatalf("the second run: %v (the first: %v)", second, err)
		}
	}
	now, foreign := c.stand.book.look(w)
	if now.text != c.stand.after.text {
		t.Errorf("it ends otherwise than without a fault: %s", differing(now.text, c.stand.after.text))
	}
	if foreign != c.stand.foreign {
		t.Errorf("foreign objects changed: %s", differing(foreign, c.stand.foreign))
	}
	return again, c.count(t, w)
}

// count checks how often content was committed and objects were made.
func (c combination) count(t *testing.T, w *world) int {
	want := 0
	for _, call := range c.stand.calls {
		if call.Operation == "file.commit" {
			want++
		}
	}
	commits := w.count("commit")
	if c.how.fault.State == "" && commits != want || c.how.fault.State != "" && commits > want+2 {
		t.Errorf("%d commits, %d without a fault", commits, want)
	}
	return commits
}

// breaks makes the calls fail. A killed client's request still arrives when it
// dies after it, and none comes after that.
func (w *world) breaks(c combination, die func()) {
	var dying, dead bool
	w.onCall(func(call graph.Call) graph.Fault {
		if call.Operation != c.call.Operation || call.N < c.call.N || !c.good && call.N > c.call.N {
			return graph.Fault{}
		}
		switch c.how.kill {
		case "before":
			dead = true
			die()
		case "after":
			dying = true
		}
		return c.how.fault
	})
	next := w.http.Config.Handler
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer func() {
			if dying {
				dying, dead = false, true
				die()
			}
		}()
		if dead && c.how.kill != "" && w.fault != nil {
			w.t.Errorf("the dead client asks for %s", r.URL.Path)
		}
		next.ServeHTTP(rw, r)
	})
}
