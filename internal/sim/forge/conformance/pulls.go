package conformance

import (
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

func openAndUpdate(w *world) {
	r := w.clone(w.target.Bot)
	pull := w.open(r, "a")
	if pull.State != "open" || pull.Branch != w.branch("a") || pull.Author != w.target.Bot.Login || pull.Commit != "" {
		w.Errorf("opened: %+v", pull)
	}
	if want := []string{"bump", "risk: low"}; !slices.Equal(pull.Labels, want) {
		w.Errorf("labels %q, want %q", pull.Labels, want)
	}
	spec := w.spec("a")
	again, changed, err := w.bot().EnsurePull(w.ctx, spec)
	w.no(err)
	if changed || again.Number != pull.Number {
		w.Errorf("the second time: changed %v, %+v", changed, again)
	}
	// A person adds a label: it stays. One of the same family goes.
	_, changed, err = w.as(w.target.Author, false).EnsurePull(w.ctx, fleet.PullSpec{
		Branch: spec.Branch, Base: spec.Base, Title: spec.Title, Body: spec.Body, Labels: []string{"please wait", "bump"},
	})
	w.no(err)
	if !changed {
		w.Error("an added label changed nothing")
	}
	spec.Title, spec.Labels = "Change a, with more", []string{"risk: high", "bump"}
	again, changed, err = w.bot().EnsurePull(w.ctx, spec)
	w.no(err)
	if want := []string{"bump", "please wait", "risk: high"}; !changed || again.Title != spec.Title || !slices.Equal(again.Labels, want) {
		w.Errorf("updated: changed %v, %+v", changed, again)
	}
	whole, err := w.bot().Pull(w.ctx, pull.Number)
	w.no(err)
	if whole.Title != spec.Title || whole.Body != spec.Body || whole.Number != pull.Number {
		w.Errorf("read again: %+v", whole)
	}
	w.kind(second(w.bot().EnsurePull(w.ctx, w.spec("no such branch"))), fleet.Invalid)
	main := w.spec("b")
	w.push(r, "b", "", nil)
	// A branch with nothing on it but an empty commit can be opened; one that
	// main contains cannot.
	base, err := r.Main()
	w.no(err)
	w.no(r.Push(w.ctx, []string{base + ":refs/heads/" + w.branch("same")}, false))
	main.Branch = w.branch("same")
	w.kind(second(w.bot().EnsurePull(w.ctx, main)), fleet.Invalid, "no commits")
}

func second[A, B any](_ A, _ B, err error) error { return err }

func reviewAndMerge(w *world) {
	r := w.clone(w.target.Bot)
	before, err := r.Main()
	w.no(err)
	pull := w.open(r, "a")
	_, err = w.bot().Merge(w.ctx, pull.Number, pull.Head)
	w.kind(err, fleet.Waiting, "approving review")
	w.kind(w.bot().Approve(w.ctx, pull.Number, pull.Head), fleet.Refused, "own pull request")
	w.no(w.as(w.target.Author, false).Approve(w.ctx, pull.Number, pull.Head))
	reviews, err := w.bot().Reviews(w.ctx, pull.Number)
	w.no(err)
	if len(reviews) != 1 || reviews[0].Login != w.target.Author.Login || reviews[0].State != "APPROVED" ||
		reviews[0].Commit != pull.Head || reviews[0].Bot || reviews[0].ID == 0 || reviews[0].At.IsZero() {
		w.Errorf("reviews: %+v", reviews)
	}
	commit, err := w.as(w.target.Other, false).Merge(w.ctx, pull.Number, pull.Head)
	w.no(err)
	w.no(r.Fetch(w.ctx))
	main, err := r.Main()
	w.no(err)
	if main != commit {
		w.Errorf("main is %s, the merge said %s", main, commit)
	}
	info, err := r.CommitInfo(commit)
	w.no(err)
	if !slices.Equal(info.Parents, []string{before, pull.Head}) {
		w.Errorf("parents %q, want %q", info.Parents, []string{before, pull.Head})
	}
	if want := "Change a (#"; !strings.HasPrefix(info.Title(), want) || info.Trailer("Risk") != "low" || info.Trailer("Back-out") != "revert" {
		w.Errorf("message %q", info.Message)
	}
	whole, err := w.bot().Pull(w.ctx, pull.Number)
	w.no(err)
	if whole.State != "merged" || whole.Commit != commit || whole.MergedBy != w.target.Other.Login || whole.MergedAt.IsZero() || whole.Head != pull.Head {
		w.Errorf("merged: %+v", whole)
	}
	again, err := w.bot().Merge(w.ctx, pull.Number, pull.Head)
	if err != nil || again != commit {
		w.Errorf("merged again: %s, %v", again, err)
	}
	closed, err := w.bot().Pulls(w.ctx, "closed")
	w.no(err)
	if i := slices.IndexFunc(closed, func(p fleet.Pull) bool { return p.Number == pull.Number }); i < 0 || closed[i].State != "merged" || closed[i].Commit != commit {
		w.Errorf("not among the closed: %+v", closed)
	}
}

func staleApproval(w *world) {
	r := w.clone(w.target.Bot)
	pull := w.open(r, "a")
	w.no(w.as(w.target.Author, false).Approve(w.ctx, pull.Number, pull.Head))
	head := w.push(r, "a", pull.Head, map[string]string{"conformance/smuggled": "in\n"})
	_, err := w.bot().Merge(w.ctx, pull.Number, head)
	w.kind(err, fleet.Waiting, "approving review")
	reviews, err := w.bot().Reviews(w.ctx, pull.Number)
	w.no(err)
	if len(reviews) != 1 || reviews[0].State != "DISMISSED" || reviews[0].Commit != pull.Head {
		w.Errorf("reviews: %+v", reviews)
	}
	// An approval of what is no longer the head does not count either.
	w.no(w.as(w.target.Other, false).Approve(w.ctx, pull.Number, pull.Head))
	_, err = w.bot().Merge(w.ctx, pull.Number, head)
	w.kind(err, fleet.Waiting, "approving review")
	w.no(w.as(w.target.Other, false).Approve(w.ctx, pull.Number, head))
	_, err = w.bot().Merge(w.ctx, pull.Number, head)
	w.no(err)
}

func movedHead(w *world) {
	r := w.clone(w.target.Bot)
	pull := w.open(r, "a")
	head := w.push(r, "a", pull.Head, map[string]string{"conformance/later": "x\n"})
	w.no(w.as(w.target.Author, false).Approve(w.ctx, pull.Number, head))
	_, err := w.bot().Merge(w.ctx, pull.Number, pull.Head)
	w.kind(err, fleet.Waiting, "head")
	again, changed, err := w.bot().EnsurePull(w.ctx, w.spec("a"))
	w.no(err)
	if changed || again.Head != head {
		w.Errorf("after the push: changed %v, %+v", changed, again)
	}
}

func conflict(w *world) {
	r := w.clone(w.target.Bot)
	file := "conformance/" + w.branch("file")
	var pulls []fleet.Pull
	for _, name := range []string{"a", "b"} {
		w.push(r, name, "", map[string]string{file: name + "\n"})
		pull, _, err := w.bot().EnsurePull(w.ctx, w.spec(name))
		w.no(err)
		w.no(w.as(w.target.Author, false).Approve(w.ctx, pull.Number, pull.Head))
		pulls = append(pulls, pull)
	}
	_, err := w.bot().Merge(w.ctx, pulls[0].Number, pulls[0].Head)
	w.no(err)
	_, err = w.bot().Merge(w.ctx, pulls[1].Number, pulls[1].Head)
	w.kind(err, fleet.Stalled, "not mergeable")
}

func readersDoNotCount(w *world) {
	r := w.clone(w.target.Bot)
	pull := w.open(r, "a")
	w.no(w.as(w.target.Reader, false).Approve(w.ctx, pull.Number, pull.Head))
	_, err := w.bot().Merge(w.ctx, pull.Number, pull.Head)
	w.kind(err, fleet.Waiting, "approving review")
	w.no(w.as(w.target.Author, false).Approve(w.ctx, pull.Number, pull.Head))
	_, err = w.as(w.target.Reader, false).Merge(w.ctx, pull.Number, pull.Head)
	w.kind(err, fleet.Refused)
	w.kind(second(w.as(w.target.Reader, false).EnsurePull(w.ctx, w.spec("b"))), fleet.Refused)
}

func closing(w *world) {
	r := w.clone(w.target.Bot)
	pull := w.open(r, "a")
	for range 2 {
		w.no(w.bot().Close(w.ctx, pull.Number, "Replaced by a newer one."))
	}
	whole, err := w.bot().Pull(w.ctx, pull.Number)
	w.no(err)
	if whole.State != "closed" || whole.Commit != "" {
		w.Errorf("closed: %+v", whole)
	}
	_, err = w.bot().Merge(w.ctx, pull.Number, pull.Head)
	w.kind(err, fleet.Refused, "closed")
	// A new one is opened for the branch; the closed one stays closed.
	next, changed, err := w.bot().EnsurePull(w.ctx, w.spec("a"))
	w.no(err)
	if !changed || next.Number == pull.Number {
		w.Errorf("opened anew: changed %v, %+v", changed, next)
	}
	_, err = w.bot().Pull(w.ctx, 1<<30)
	w.kind(err, fleet.Invalid)
}
