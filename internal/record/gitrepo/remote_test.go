package gitrepo

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

// twoClones is a remote with history and two clones of it.
func twoClones(t *testing.T) (remote, a, b *Repo) {
	t.Helper()
	testreq.Program(t, "git")
	remote, _, _, _, _ = history(t)
	open := func() *Repo {
		r, err := Clone(t.Context(), remote.Dir(), filepath.Join(t.TempDir(), "clone"), Auth{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	return remote, open(), open()
}

// TestMainWhileFetching: a branch that another process drops and puts back while
// it fetches is there for who waits.
func TestMainWhileFetching(t *testing.T) {
	_, a, _ := twoClones(t)
	const name = "refs/remotes/origin/main"
	want, err := a.Main()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(a.Dir())
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := b.lockFile(t.Context(), fetchLock)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.RemoveReference(name); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		id  string
		err error
	}
	got := make(chan answer, 1)
	go func() {
		id, err := a.Main()
		got <- answer{id, err}
	}()
	select {
	case early := <-got:
		t.Errorf("said %q, %v while it was gone", early.id, early.err)
		got <- early
	case <-time.After(50 * time.Millisecond):
	}
	if err := b.store.SetReference(plumbing.NewHashReference(name, plumbing.NewHash(want))); err != nil {
		t.Fatal(err)
	}
	unlock()
	if now := <-got; now.id != want || now.err != nil {
		t.Errorf("main is %q, %v, want %q", now.id, now.err, want)
	}
	if err := b.store.RemoveReference(name); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Main(); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("without main: %v", err)
	}
}

func TestPushAndFetch(t *testing.T) {
	remote, a, b := twoClones(t)
	ctx := t.Context()
	start, err := a.Main()
	if err != nil {
		t.Fatal(err)
	}
	one := commitFiles(t, a, "One", files{"one": "1"}, start)
	two := commitFiles(t, b, "Two", files{"two": "2"}, start)
	push := func(r *Repo, id string, force bool) error {
		return r.Push(ctx, []string{id + ":refs/heads/evidence/00"}, force)
	}
	for range 2 { // the second time there is nothing to do
		if err := push(a, one, false); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := a.Ref("refs/remotes/origin/evidence/00"); err != nil || got != one {
		t.Errorf("the push was not noted: %q, %v", got, err)
	}
	err = push(b, two, false)
	wantKind(t, err, fleet.Waiting)
	if !errors.Is(err, ErrNotFastForward) {
		t.Errorf("%v is not ErrNotFastForward", err)
	}
	if err := b.FetchBranch(ctx, "evidence/00"); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Resolve("evidence/00"); err != nil || got != one {
		t.Errorf("after fetching: %q, %v", got, err)
	}
	two = commitFiles(t, b, "Two", files{"two": "2"}, one)
	if err := push(b, two, false); err != nil {
		t.Fatal(err)
	}
	if err := a.Fetch(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Resolve("origin/evidence/00"); err != nil || got != two {
		t.Errorf("after fetching: %q, %v", got, err)
	}
	if err := b.FetchBranch(ctx, "evidence/0f"); err != nil {
		t.Errorf("fetching a branch that is not there: %v", err)
	}
	if got, err := remote.Ref("refs/heads/evidence/00"); err != nil || got != two {
		t.Errorf("the remote stands at %q, %v", got, err)
	}
	wantKind(t, a.Push(ctx, []string{"nonsense"}, false), fleet.Invalid)
}

// TestReplace overwrites a branch only while it stands where it was seen.
func TestReplace(t *testing.T) {
	remote, a, b := twoClones(t)
	ctx := t.Context()
	start, err := a.Main()
	if err != nil {
		t.Fatal(err)
	}
	one, aside := commitFiles(t, a, "One", files{"one": "1"}, start), commitFiles(t, a, "Aside", files{"aside": "a"}, start)
	theirs := commitFiles(t, b, "Theirs", files{"theirs": "t"}, start)
	for _, step := range []struct {
		by       *Repo
		old, new string
		raced    bool
	}{{a, "", one, false}, {b, "", theirs, true}, {b, start, theirs, true}, {a, one, aside, false}, {a, one, one, true}, {b, aside, theirs, false}, {a, aside, one, true}} {
		err := step.by.Replace(ctx, "work/x", step.old, step.new)
		if errors.Is(err, ErrNotFastForward) != step.raced || !step.raced && err != nil {
			t.Errorf("from %.7s to %.7s: %v", step.old, step.new, err)
		}
	}
	if got, err := remote.Ref("refs/heads/work/x"); err != nil || got != theirs {
		t.Errorf("the remote stands at %q, %v", got, err)
	}
	if got, err := b.Ref("refs/remotes/origin/work/x"); err != nil || got != theirs {
		t.Errorf("the push was not noted: %q, %v", got, err)
	}
	wantKind(t, a.Replace(ctx, "no name..", one, theirs), fleet.Invalid)
}

func TestFetchFollowsRewrittenAndRemovedBranches(t *testing.T) {
	remote, a, b := twoClones(t)
	ctx := t.Context()
	start, err := a.Resolve("main~1")
	if err != nil {
		t.Fatal(err)
	}
	again := commitFiles(t, a, "Again", files{"again": "1"}, start)
	if err := a.Push(ctx, []string{again + ":refs/heads/bump/x/1.0"}, false); !errors.Is(err, ErrNotFastForward) {
		t.Fatalf("a rewritten bump without force: %v", err)
	}
	if err := a.Push(ctx, []string{again + ":refs/heads/bump/x/1.0"}, true); err != nil {
		t.Fatal(err)
	}
	if err := b.Fetch(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Resolve("origin/bump/x/1.0"); err != nil || got != again {
		t.Errorf("a rewritten bump: %q, %v", got, err)
	}
	if err := a.Push(ctx, []string{":refs/heads/bump/x/1.0"}, false); err != nil {
		t.Fatal(err)
	}
	if err := b.Fetch(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Ref("refs/remotes/origin/bump/x/1.0"); err != nil || got != "" {
		t.Errorf("a removed bump: %q, %v", got, err)
	}
	if got, err := remote.Ref("refs/heads/bump/x/1.0"); err != nil || got != "" {
		t.Errorf("at the remote: %q, %v", got, err)
	}
}

func TestFetchRefusesRewrittenEvidenceAndMain(t *testing.T) {
	remote, a, _ := twoClones(t)
	ctx := t.Context()
	start, err := a.Main()
	if err != nil {
		t.Fatal(err)
	}
	kept := commitFiles(t, a, "Kept", files{"kept": "1"}, start)
	if err := a.Push(ctx, []string{kept + ":refs/heads/evidence/00", kept + ":refs/heads/main"}, false); err != nil {
		t.Fatal(err)
	}
	for name, tamper := range map[string]func(branch string){
		"rewritten": func(branch string) {
			stock(t, remote.Dir(), "update-ref", "refs/heads/"+branch, commitFiles(t, remote, "Other", files{"other": "1"}))
		},
		"shortened": func(branch string) { stock(t, remote.Dir(), "update-ref", "refs/heads/"+branch, start) },
	} {
		for _, branch := range []string{"evidence/00", "main"} {
			tamper(branch)
			err := a.Fetch(ctx)
			wantKind(t, err, fleet.Refused, "rewritten", "origin/"+branch)
			if !errors.Is(err, ErrRewritten) {
				t.Errorf("%s %s: %v is not ErrRewritten", branch, name, err)
			}
			if got, err := a.Ref("refs/remotes/origin/" + branch); err != nil || got != kept {
				t.Errorf("%s %s: the old history is gone: %q, %v", branch, name, got, err)
			}
			stock(t, remote.Dir(), "update-ref", "refs/heads/"+branch, kept)
		}
	}
	stock(t, remote.Dir(), "update-ref", "-d", "refs/heads/evidence/00")
	wantKind(t, a.Fetch(ctx), fleet.Refused, "it stands at nothing")
}

func TestWithoutRemote(t *testing.T) {
	r, base, left, right, merge := history(t)
	ctx := t.Context()
	if err := r.Fetch(ctx); err != nil {
		t.Error(err)
	}
	if got, err := r.Main(); err != nil || got != merge {
		t.Errorf("main: %q, %v", got, err)
	}
	for _, s := range []string{"refs/heads/main:refs/heads/main", base + ":refs/heads/evidence/00", left + ":refs/heads/evidence/00"} {
		if err := r.Push(ctx, []string{s}, false); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	if err := r.Push(ctx, []string{right + ":refs/heads/evidence/00"}, false); !errors.Is(err, ErrNotFastForward) {
		t.Errorf("sideways: %v", err)
	}
	if err := r.Push(ctx, []string{right + ":refs/heads/evidence/00"}, true); err != nil {
		t.Errorf("sideways by force: %v", err)
	}
	if err := r.Push(ctx, []string{":refs/heads/evidence/00"}, false); err != nil {
		t.Errorf("remove: %v", err)
	}
	if got, err := r.Ref("refs/heads/evidence/00"); err != nil || got != "" {
		t.Errorf("after removal: %q, %v", got, err)
	}
}

func TestEmptyRemote(t *testing.T) {
	testreq.Program(t, "git")
	remote := newRepo(t)
	r, err := Clone(t.Context(), remote.Dir(), filepath.Join(t.TempDir(), "clone"), Auth{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Fetch(t.Context()); err != nil {
		t.Error(err)
	}
	_, err = r.Main()
	wantKind(t, err, fleet.Invalid, "no such branch")
	id := commitFiles(t, r, "First", files{"a": "1"})
	if err := r.Push(t.Context(), []string{id + ":refs/heads/main"}, false); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Main(); err != nil || got != id {
		t.Errorf("main: %q, %v", got, err)
	}
}

// TestTokenStaysSecret gives a token to servers that refuse it in each way,
// and looks for it wherever it could have gone.
func TestTokenStaysSecret(t *testing.T) {
	const token = "s3cr3t-canary"
	for status, kind := range map[int]fleet.Kind{401: fleet.Refused, 403: fleet.Refused, 404: fleet.Invalid, 500: fleet.Internal} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			seen := ""
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				user, pass, _ := req.BasicAuth()
				seen = user + ":" + pass
				http.Error(w, "you sent "+pass, status)
			}))
			defer srv.Close()
			dir := filepath.Join(t.TempDir(), "clone")
			_, err := Clone(t.Context(), srv.URL+"/o/n.git", dir, Auth{Token: token})
			wantKind(t, err, kind)
			if seen != "x-access-token:"+token {
				t.Errorf("the server was sent %q", seen)
			}
			r := newRepo(t)
			if err := r.SetRemote(srv.URL + "/o/n.git"); err != nil {
				t.Fatal(err)
			}
			r = r.WithAuth(Auth{Token: token})
			id := commitFiles(t, r, "First", files{"a": "1"})
			config, readErr := os.ReadFile(filepath.Join(r.Dir(), "config"))
			if readErr != nil {
				t.Fatal(readErr)
			}
			for what, text := range map[string]string{
				"clone":  err.Error(),
				"push":   r.Push(t.Context(), []string{id + ":refs/heads/main"}, false).Error(),
				"fetch":  r.Fetch(t.Context()).Error(),
				"config": string(config),
				"values": fmt.Sprintf("%v %+v %#v %s", r.auth, r.auth, r.auth, slog.AnyValue(r.auth).Resolve()),
			} {
				if strings.Contains(text, token) {
					t.Errorf("the token is in the %s: %s", what, text)
				}
			}
		})
	}
	_, err := Clone(t.Context(), "https://user:"+token+"@forge.example/o/n.git", t.TempDir(), Auth{})
	wantKind(t, err, fleet.Invalid, "credentials")
	err = newRepo(t).SetRemote("https://" + token + "@forge.example/o/n.git")
	wantKind(t, err, fleet.Invalid, "credentials")
	if strings.Contains(err.Error(), token) {
		t.Errorf("the token is in the error: %v", err)
	}
}
