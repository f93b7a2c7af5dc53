package forge

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/event"
)

// week is a sequence of calls through a whole life of two pull requests.
func (w *world) week(between func()) (heads [2]string) {
	heads[0] = w.pull("bump/a")
	between()
	heads[1] = w.pull("bump/b")
	for _, step := range [][4]string{
		{botToken, "POST", "/issues/1/labels", `{"labels":["risk: low"]}`},
		{botToken, "POST", "/issues/1/comments", `{"body":"The diff."}`},
		{botToken, "POST", "/check-runs", `{"name":"validate","head_sha":"` + heads[0] + `","status":"completed","conclusion":"success"}`},
		{writerToken, "POST", "/statuses/" + heads[0], `{"state":"success","context":"by hand"}`},
		{writerToken, "POST", "/pulls/1/reviews", `{"event":"APPROVE","commit_id":"` + heads[0] + `"}`},
		{adminToken, "PUT", "/pulls/1/merge", `{"sha":"` + heads[0] + `"}`},
		{botToken, "PATCH", "/pulls/2", `{"state":"closed"}`},
	} {
		between()
		w.clock.Set(w.clock.Now().Add(time.Minute))
		if a := w.call(step[0], step[1], repoPath+step[2], step[3]); a.status >= 300 {
			w.Fatalf("%s %s: %d %s", step[1], step[2], a.status, a.body)
		}
	}
	between()
	return heads
}

// everything is all that can be asked.
func (w *world) everything(heads [2]string) string {
	var b strings.Builder
	for _, path := range []string{
		"", "/pulls?state=all", "/pulls/1", "/pulls/2", "/pulls/1/reviews", "/issues/1/labels", "/issues/1/comments", "/branches",
		"/commits/" + heads[0] + "/status", "/commits/" + heads[0] + "/check-runs",
	} {
		b.WriteString(w.call(botToken, "GET", repoPath+path, "").want(w, 200).body + "\n")
	}
	return b.String()
}

func TestNothingIsKeptInMemory(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Settle = -1 })
	heads := w.week(w.reopen)
	before := w.everything(heads)
	w.reopen()
	if after := w.everything(heads); after != before {
		t.Errorf("a server opened anew says something else:\n%s\n%s", before, after)
	}
}

func TestSameInputsSameForge(t *testing.T) {
	var first *world
	for range 2 {
		w := newWorld(t, func(o *Options) { o.Settle = -1 })
		w.week(func() {})
		if first == nil {
			first = w
			continue
		}
		if a, b := first.main(), w.main(); a != b {
			t.Errorf("main: %s and %s", a, b)
		}
		a, errA := os.ReadFile(first.server.statePath())
		b, errB := os.ReadFile(w.server.statePath())
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("state differs (%v, %v):\n%s\n%s", errA, errB, a, b)
		}
	}
	repo, err := gitrepo.Open(first.server.GitDir())
	if err != nil {
		t.Fatal(err)
	}
	info, err := repo.CommitInfo(first.main())
	if err != nil {
		t.Fatal(err)
	}
	if want := "Change bump/a (#1)\n\nText.\n\nRisk: low\n"; info.Message != want || info.Author.Name != "bert" || len(info.Parents) != 2 {
		t.Errorf("merge commit: %+v", info)
	}
}

// TestKilledWhileMerging leaves the forge as a kill at each point of a merge
// would, and opens it again.
func TestKilledWhileMerging(t *testing.T) {
	for name, reached := range map[string]bool{"before the branch moved": false, "after it moved": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Settle = -1 })
			head := w.pull("bump/a")
			w.call(writerToken, "POST", repoPath+"/pulls/1/reviews", `{"event":"APPROVE"}`).want(t, 200)
			base := w.main()
			s := w.server
			tree, clean, err := s.mergeTree(t.Context(), base, head)
			if err != nil || !clean {
				t.Fatal(clean, err)
			}
			commit, err := s.commitMerge(t.Context(), tree, base, head, "Merge", s.user("bert"), s.now())
			if err != nil {
				t.Fatal(err)
			}
			s.state.Pending = &pending{Number: 1, Base: base, Commit: commit, By: "bert", At: s.now()}
			if err := s.save(); err != nil {
				t.Fatal(err)
			}
			if reached {
				if err := s.repo.SetBranch("main", base, commit); err != nil {
					t.Fatal(err)
				}
			}
			w.reopen()
			if got := w.main(); got != commit {
				t.Errorf("main is %s, want %s", got, commit)
			}
			w.call(botToken, "GET", repoPath+"/pulls/1", "").want(t, 200, `"merged":true`, `"merge_commit_sha":"`+commit+`"`, `"login":"bert"`)
			if w.server.state.Pending != nil {
				t.Error("the merge is still announced")
			}
		})
	}
}

// TestPushUnseen pushes past the server, as when it is killed after git took a
// push and before its own state followed.
func TestPushUnseen(t *testing.T) {
	w := newWorld(t, nil)
	head := w.pull("bump/a")
	w.call(writerToken, "POST", repoPath+"/pulls/1/reviews", `{"event":"APPROVE"}`).want(t, 200)
	next := w.branch("bump/a", "bump/a", map[string]string{"later": "x"})
	w.reopen()
	w.call(botToken, "GET", repoPath+"/pulls/1", "").want(t, 200, next)
	w.call(botToken, "GET", repoPath+"/pulls/1/reviews", "").want(t, 200, `"DISMISSED"`, head)
}

// TestEventsComeBetweenDiskAndAnswer looks at the disk from inside the
// observer, before the caller has its answer.
func TestEventsComeBetweenDiskAndAnswer(t *testing.T) {
	var w *world
	var told []event.Event
	answered := 0
	w = newWorld(t, func(o *Options) {
		o.Settle = -1
		o.Observer = func(e event.Event) {
			told = append(told, e)
			if len(told) != answered+1 {
				t.Errorf("%v was told after its answer", e)
			}
			disk, err := New(Options{Dir: o.Dir, Owner: o.Owner, Name: o.Name, Users: o.Users, Protected: o.Protected, Now: o.Now})
			if err != nil {
				t.Fatal(err)
			}
			if e.Name == "merge" && disk.state.Pulls[0].Commit != w.main() {
				t.Error("the merge is told and not on disk")
			}
			if e.Name == "open" && len(disk.state.Pulls) == 0 {
				t.Error("the pull request is told and not on disk")
			}
		}
	})
	names := []string{"open", "review", "merge"}
	head := w.pull("bump/a")
	answered++
	w.call(writerToken, "POST", repoPath+"/pulls/1/reviews", `{"event":"APPROVE"}`).want(t, 200)
	answered++
	w.call(adminToken, "PUT", repoPath+"/pulls/1/merge", `{"sha":"`+head+`"}`).want(t, 200)
	for i, name := range names {
		if told[i] != (event.Event{Service: "forge", Name: name, Detail: "1"}) {
			t.Errorf("event %d is %+v, want %s", i, told[i], name)
		}
	}
	base := w.serve(w.server)
	clone, err := gitrepo.Clone(t.Context(), base+w.server.GitPath(), filepath.Join(t.TempDir(), "clone"), gitrepo.Auth{Token: botToken})
	if err != nil {
		t.Fatal(err)
	}
	id, err := clone.Commit(t.Context(), gitrepo.CommitSpec{
		Files: map[string][]byte{"x": []byte("x")}, Message: "X", Author: fleet.Identity{Name: "Mill"}, When: start,
	})
	if err != nil {
		t.Fatal(err)
	}
	answered++
	if err := clone.Push(t.Context(), []string{id + ":refs/heads/evidence/00"}, false); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(told, event.Event{Service: "forge", Name: "push", Detail: "evidence/00"}) {
		t.Errorf("events: %+v", told)
	}
}
