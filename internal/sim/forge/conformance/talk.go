package conformance

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/packmill/packmill/internal/edge/forge"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// raw is the API without our client, to look at what that one does not tell.
func (w *world) raw(a Account) *github.Client {
	w.Helper()
	api := github.NewClient(&http.Client{Transport: w.target.HTTP.HTTP().Transport}).WithAuthToken(a.Token)
	base, err := api.BaseURL.Parse(strings.TrimSuffix(w.target.BaseURL, "/") + "/")
	w.no(err)
	api.BaseURL = base
	return api
}

func (w *world) comments(number int) []*github.IssueComment {
	w.Helper()
	found, _, err := w.raw(w.target.Author).Issues.ListComments(w.ctx, w.target.Owner, w.target.Name, number, nil)
	w.no(err)
	return found
}

func comment(w *world) {
	pull := w.open(w.clone(w.target.Bot), "a")
	// A stranger writes the marker first.
	trap := "<!-- packmill:diff -->\nnot by the mill"
	_, _, err := w.raw(w.target.Reader).Issues.CreateComment(w.ctx, w.target.Owner, w.target.Name, pull.Number, &github.IssueComment{Body: &trap})
	w.no(err)
	for _, text := range []string{"One.", "Two.", "Two."} {
		w.no(w.bot().Comment(w.ctx, pull.Number, "diff", text))
	}
	w.no(w.bot().Comment(w.ctx, pull.Number, "plan", "Another."))
	found := w.comments(pull.Number)
	if len(found) != 3 || found[0].GetBody() != trap || !strings.HasSuffix(found[1].GetBody(), "\nTwo.") || !strings.HasSuffix(found[2].GetBody(), "\nAnother.") {
		w.Errorf("comments: %v", found)
	}
}

func checks(w *world) {
	pull := w.open(w.clone(w.target.Bot), "a")
	for _, step := range []struct {
		client                    *forge.Client
		name, conclusion, summary string
		want                      string
	}{
		{w.bot(), "packmill/validate", "", "Running.", "in_progress"},
		{w.bot(), "packmill/validate", "failure", "Two findings.", "failure"},
		{w.bot(), "packmill/validate", "success", "Good.", "success"},
		{w.bot(), "packmill/validate", "success", "Good.", "success"},
		{w.as(w.target.Author, false), "by hand", "", "Looking.", "pending"},
		{w.as(w.target.Author, false), "by hand", "failure", strings.Repeat("Long. ", 100) + "\nMore.", "failure"},
		{w.as(w.target.Author, false), "by hand", "neutral", "Fine.", "success"},
	} {
		w.no(step.client.SetCheck(w.ctx, pull.Head, step.name, step.conclusion, step.summary))
		found, err := w.bot().Checks(w.ctx, pull.Head)
		w.no(err)
		if !slices.Contains(found, fleet.Check{Name: step.name, Conclusion: step.want}) {
			w.Errorf("after %q %q: %+v", step.name, step.conclusion, found)
		}
	}
	found, err := w.bot().Checks(w.ctx, pull.Head)
	w.no(err)
	if len(found) != 2 {
		w.Errorf("checks: %+v", found)
	}
	w.kind(w.as(w.target.Author, true).SetCheck(w.ctx, pull.Head, "x", "success", "No app."), fleet.Refused)
	w.kind(w.as(w.target.Reader, false).SetCheck(w.ctx, pull.Head, "x", "success", "No right."), fleet.Refused)
	w.kind(w.bot().SetCheck(w.ctx, strings.Repeat("1", 40), "x", "success", "No commit."), fleet.Invalid)
}

// pages makes lists longer than one page of the largest size.
func pages(w *world) {
	const n = 103
	pull := w.open(w.clone(w.target.Bot), "a")
	api := w.raw(w.target.Author)
	for i := range n {
		state, context := "success", fmt.Sprintf("check %03d", i)
		_, _, err := api.Repositories.CreateStatus(w.ctx, w.target.Owner, w.target.Name, pull.Head, &github.RepoStatus{State: &state, Context: &context})
		w.no(err)
		text := fmt.Sprintf("Comment %d.", i)
		_, _, err = api.Issues.CreateComment(w.ctx, w.target.Owner, w.target.Name, pull.Number, &github.IssueComment{Body: &text})
		w.no(err)
	}
	found, err := w.bot().Checks(w.ctx, pull.Head)
	w.no(err)
	if len(found) != n || found[n-1].Name != fmt.Sprintf("check %03d", n-1) {
		w.Errorf("%d checks, want %d", len(found), n)
	}
	// The bot's comment is on the second page, and is found there.
	for _, text := range []string{"One.", "Two."} {
		w.no(w.bot().Comment(w.ctx, pull.Number, "late", text))
	}
	opts := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: 100, Page: 2}}
	last, resp, err := api.Issues.ListComments(w.ctx, w.target.Owner, w.target.Name, pull.Number, opts)
	w.no(err)
	if len(last) != n-100+1 || resp.NextPage != 0 || resp.PrevPage != 1 || !strings.HasSuffix(last[len(last)-1].GetBody(), "\nTwo.") {
		w.Errorf("second page: %d comments, %+v", len(last), resp)
	}
	first, resp, err := api.Issues.ListComments(w.ctx, w.target.Owner, w.target.Name, pull.Number, nil)
	w.no(err)
	if len(first) != 30 || resp.NextPage != 2 || resp.LastPage != 4 {
		w.Errorf("without a size: %d comments, next %d, last %d", len(first), resp.NextPage, resp.LastPage)
	}
}

func pushes(w *world) {
	bot, person := w.clone(w.target.Bot), w.clone(w.target.Author)
	main, err := bot.Main()
	w.no(err)
	direct := w.commit(bot, main, map[string]string{"conformance/direct": "x\n"})
	for _, force := range []bool{false, true} {
		w.kind(bot.Push(w.ctx, []string{direct + ":refs/heads/main"}, force), fleet.Refused)
	}
	w.kind(bot.Push(w.ctx, []string{":refs/heads/main"}, false), fleet.Refused)

	branch := "evidence/" + strings.ReplaceAll(w.branch("e"), "/", "-")
	push := func(r *gitrepo.Repo, id string, force bool) error {
		return r.Push(w.ctx, []string{id + ":refs/heads/" + branch}, force)
	}
	one := w.commit(bot, "", map[string]string{"one": "1"})
	two := w.commit(bot, one, map[string]string{"two": "2"})
	aside := w.commit(bot, one, map[string]string{"aside": "a"})
	w.kind(push(person, w.commit(person, "", map[string]string{"one": "forged"}), false), fleet.Refused)
	w.no(push(bot, one, false))
	w.no(push(bot, two, false))
	err = push(bot, aside, false)
	w.kind(err, fleet.Waiting)
	if !errors.Is(err, gitrepo.ErrNotFastForward) {
		w.Errorf("%v is not ErrNotFastForward", err)
	}
	w.kind(push(bot, aside, true), fleet.Refused)
	w.kind(bot.Push(w.ctx, []string{":refs/heads/" + branch}, false), fleet.Refused)
	reader := w.clone(w.target.Reader)
	w.kind(reader.Push(w.ctx, []string{w.commit(reader, main, map[string]string{"r": "r"}) + ":refs/heads/" + w.branch("r")}, false), fleet.Refused)

	// A bump branch may be rewritten and removed.
	w.no(bot.Push(w.ctx, []string{direct + ":refs/heads/" + w.branch("bump")}, false))
	w.no(bot.Push(w.ctx, []string{w.commit(bot, main, map[string]string{"conformance/again": "x\n"}) + ":refs/heads/" + w.branch("bump")}, true))
	w.no(bot.Push(w.ctx, []string{":refs/heads/" + w.branch("bump")}, false))
}

func rules(w *world) {
	found, err := w.bot().BranchRules(w.ctx, "main")
	w.no(err)
	i := slices.IndexFunc(found, func(r forge.Rule) bool { return r.Type == "pull_request" })
	if i < 0 || !strings.Contains(string(found[i].Parameters), `"required_approving_review_count"`) || found[i].Ruleset == 0 {
		w.Errorf("main: %+v", found)
	}
	found, err = w.bot().BranchRules(w.ctx, "evidence/control")
	w.no(err)
	if !slices.ContainsFunc(found, func(r forge.Rule) bool { return r.Type == "non_fast_forward" }) {
		w.Errorf("evidence: %+v", found)
	}
	if found, err = w.bot().BranchRules(w.ctx, w.branch("free")); err != nil || len(found) != 0 {
		w.Errorf("a branch of its own: %+v, %v", found, err)
	}
}

func strangers(w *world) {
	stranger := w.as(Account{Login: "stranger", Token: "wrong-token-of-a-stranger"}, false)
	_, err := stranger.Pulls(w.ctx, "open")
	w.kind(err, fleet.Refused, "401")
	elsewhere, err := forge.New(forge.Options{
		BaseURL: w.target.BaseURL, Owner: w.target.Owner, Name: w.target.Name + "-not-there", Token: w.target.Bot.Token,
		HTTP: w.target.HTTP, Clock: w.target.Clock,
	})
	w.no(err)
	_, err = elsewhere.Pulls(w.ctx, "open")
	w.kind(err, fleet.Invalid, "404")
	_, err = gitrepo.Clone(w.ctx, w.target.GitURL, w.TempDir()+"/clone", gitrepo.Auth{Token: "wrong-token-of-a-stranger"})
	w.kind(err, fleet.Refused)
	_, err = gitrepo.Clone(w.ctx, w.target.GitURL, w.TempDir()+"/clone", gitrepo.Auth{})
	w.kind(err, fleet.Refused)
}
