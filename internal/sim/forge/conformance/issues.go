package conformance

import (
	"slices"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/packmill/packmill/internal/fleet"
)

// issue keeps one issue in place, beside a stranger's with the same marker and
// title, and reads what people write below it.
func issue(w *world) {
	w.open(w.clone(w.target.Bot), "a") // a pull request is an issue too, and not it
	title, trap := "packmill: "+w.branch("issue"), "<!-- packmill:conformance -->\nnot by the mill"
	_, _, err := w.raw(w.target.Reader).Issues.Create(w.ctx, w.target.Owner, w.target.Name, &github.IssueRequest{Title: &title, Body: &trap})
	w.no(err)
	var first fleet.Issue
	for i, body := range []string{"One.", "Two.", "Two."} {
		got, changed, err := w.bot().EnsureIssue(w.ctx, "conformance", title, body)
		w.no(err)
		if i == 0 {
			first = got
		}
		if got.Number != first.Number || got.Body != body || !got.Open || changed != (i < 2) {
			w.Errorf("%q: %+v, changed %v; the first was %d", body, got, changed, first.Number)
		}
	}
	bot := w.raw(w.target.Bot).Issues
	text := "packmill retry acme/tool"
	said, _, err := w.raw(w.target.Author).Issues.CreateComment(w.ctx, w.target.Owner, w.target.Name, first.Number, &github.IssueComment{Body: &text})
	w.no(err)
	list, err := w.bot().Comments(w.ctx, first.Number)
	w.no(err)
	if len(list) != 1 || list[0].ID != said.GetID() || list[0].Author != w.target.Author.Login || list[0].Body != text || list[0].Edited || list[0].Bot {
		w.Errorf("comments: %+v", list)
	}
	w.no(w.target.Clock.Sleep(w.ctx, 2*time.Second))
	other := "packmill ignore acme/tool 1: not said by its author"
	_, _, err = bot.EditComment(w.ctx, w.target.Owner, w.target.Name, said.GetID(), &github.IssueComment{Body: &other})
	w.no(err)
	list, err = w.bot().Comments(w.ctx, first.Number)
	w.no(err)
	if len(list) != 1 || !list[0].Edited || list[0].Author != w.target.Author.Login {
		w.Errorf("a comment that someone else changed: %+v", list)
	}
	closed := "closed"
	_, _, err = bot.Edit(w.ctx, w.target.Owner, w.target.Name, first.Number, &github.IssueRequest{State: &closed})
	w.no(err)
	if got, changed, err := w.bot().EnsureIssue(w.ctx, "conformance", title, "Three."); err != nil || changed || got.Open || got.Body != "Two." {
		w.Errorf("one that was closed: %+v, changed %v, %v", got, changed, err)
	}
}

// reviewers asks for reviews: all who were named, or nobody.
func reviewers(w *world) {
	pull := w.open(w.clone(w.target.Bot), "a")
	w.kind(w.bot().RequestReviewers(w.ctx, pull.Number, []string{w.target.Other.Login, "nobody-of-that-name"}, nil), fleet.Invalid)
	if got, err := w.bot().Pull(w.ctx, pull.Number); err != nil || len(got.Asked) > 0 {
		w.Errorf("asked %q, %v", got.Asked, err)
	}
	w.no(w.bot().RequestReviewers(w.ctx, pull.Number, []string{w.target.Other.Login}, nil))
	got, err := w.bot().Pull(w.ctx, pull.Number)
	w.no(err)
	if !slices.Equal(got.Asked, []string{w.target.Other.Login}) {
		w.Errorf("asked %q", got.Asked)
	}
	w.no(w.as(w.target.Other, false).Approve(w.ctx, pull.Number, pull.Head))
	if got, err := w.bot().Pull(w.ctx, pull.Number); err != nil || len(got.Asked) > 0 {
		w.Errorf("after the review, asked %q, %v", got.Asked, err)
	}
}
