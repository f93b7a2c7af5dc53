// Package conformance is what packmill expects of a forge, as tests that run
// through the real client (edge/forge) and real git against an address. The
// simulator passes them, and so must whatever stands in its place.
//
// The repository needs a main branch with at least one commit, protected: one
// approval, approvals void after a push, no direct pushes; and evidence/* that
// only the bot may fast-forward.
package conformance

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/forge"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/transport"
)

// An Account is somebody who uses the forge.
type Account struct {
	Login string
	Token string
}

// A Target is a forge to be tested.
type Target struct {
	BaseURL string // of the API
	GitURL  string // of the repository
	Owner   string
	Name    string
	Prefix  string // begins the name of every branch that is made

	Bot    Account // an app that may write
	Author Account // a person who may write
	Other  Account // another one
	Reader Account // a person who may only read

	HTTP  *transport.Client
	Clock fleet.Clock
}

// Run runs the suite.
func Run(t *testing.T, target Target) {
	for _, c := range []struct {
		name string
		test func(*world)
	}{
		{"OpenAndUpdate", openAndUpdate},
		{"ReviewAndMerge", reviewAndMerge},
		{"StaleApproval", staleApproval},
		{"MovedHead", movedHead},
		{"Conflict", conflict},
		{"ChangesRequestedAndReaders", readersDoNotCount},
		{"Close", closing},
		{"Comment", comment},
		{"Issue", issue},
		{"Reviewers", reviewers},
		{"Checks", checks},
		{"Pages", pages},
		{"Pushes", pushes},
		{"Rules", rules},
		{"Strangers", strangers},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(&world{T: t, target: target, ctx: t.Context()})
		})
	}
}

// A world is one test's view of the target.
type world struct {
	*testing.T
	target Target
	ctx    context.Context
}

// as is a client of the forge for an account.
func (w *world) as(a Account, app bool) *forge.Client {
	w.Helper()
	c, err := forge.New(forge.Options{
		BaseURL: w.target.BaseURL, Owner: w.target.Owner, Name: w.target.Name, Token: a.Token, Login: a.Login, App: app,
		HTTP: w.target.HTTP, Clock: w.target.Clock,
	})
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) bot() *forge.Client { w.Helper(); return w.as(w.target.Bot, true) }

// clone is a fresh clone, as an account.
func (w *world) clone(a Account) *gitrepo.Repo {
	w.Helper()
	r, err := gitrepo.Clone(w.ctx, w.target.GitURL, filepath.Join(w.TempDir(), "clone"), gitrepo.Auth{User: a.Login, Token: a.Token})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// branch is the full name of a branch of this test.
func (w *world) branch(name string) string {
	return w.target.Prefix + strings.ToLower(strings.ReplaceAll(w.Name(), "/", "-")) + "/" + name
}

// push makes a commit of files after parent ("" for main) on a branch of this
// test and pushes it as the bot. It returns the commit.
func (w *world) push(r *gitrepo.Repo, name, parent string, files map[string]string) string {
	w.Helper()
	if parent == "" {
		main, err := r.Main()
		if err != nil {
			w.Fatal(err)
		}
		parent = main
	}
	id := w.commit(r, parent, files)
	if err := r.Push(w.ctx, []string{id + ":refs/heads/" + w.branch(name)}, false); err != nil {
		w.Fatal(err)
	}
	return id
}

func (w *world) commit(r *gitrepo.Repo, parent string, files map[string]string) string {
	w.Helper()
	spec := gitrepo.CommitSpec{
		Message: "Change for " + w.Name(), Author: fleet.Identity{Name: "Mill", Email: "mill@example.com"},
		When: time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC), Files: map[string][]byte{},
	}
	if parent != "" {
		spec.Parents = []string{parent}
	}
	for path, text := range files {
		spec.Files[path] = []byte(text)
	}
	id, err := r.Commit(w.ctx, spec)
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// spec is a pull request of a branch of this test.
func (w *world) spec(name string) fleet.PullSpec {
	return fleet.PullSpec{
		Branch: w.branch(name), Base: "main", Title: "Change " + name,
		Body: "What it does.\n\nRisk: low\nImpact: none\nBack-out: revert", Labels: []string{"risk: low", "bump"},
	}
}

// open pushes a branch with a file of its own and opens its pull request.
func (w *world) open(r *gitrepo.Repo, name string) fleet.Pull {
	w.Helper()
	head := w.push(r, name, "", map[string]string{"conformance/" + w.branch(name): "first\n"})
	pull, changed, err := w.bot().EnsurePull(w.ctx, w.spec(name))
	if err != nil {
		w.Fatal(err)
	}
	if !changed || pull.Head != head {
		w.Fatalf("opened: changed %v, %+v, want head %s", changed, pull, head)
	}
	return pull
}

// kind demands an error of that kind which says the words.
func (w *world) kind(err error, kind fleet.Kind, words ...string) {
	w.Helper()
	if err == nil {
		w.Errorf("no error, want one of kind %s", kind)
		return
	}
	if got := fleet.KindOf(err); got != kind {
		w.Errorf("kind %s, want %s: %v", got, kind, err)
	}
	for _, word := range words {
		if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(word)) {
			w.Errorf("%q does not say %q", err, word)
		}
	}
	for _, a := range []Account{w.target.Bot, w.target.Author, w.target.Other, w.target.Reader} {
		if a.Token != "" && strings.Contains(err.Error(), a.Token) {
			w.Errorf("a token is in the error: %v", err)
		}
	}
}

// no demands that there is no error.
func (w *world) no(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}
