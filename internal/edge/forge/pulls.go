package forge

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/packmill/packmill/internal/fleet"
)

// EnsurePull makes the open pull request of spec.Branch be as spec says,
// opening it if there is none. It writes nothing when nothing differs, and
// changed then is false.
//
// Labels are compared with care for what persons added: a label of spec that is
// missing is added, and one of the same family ("risk: high" where spec says
// "risk: low") is removed; others stay.
func (c *Client) EnsurePull(ctx context.Context, spec fleet.PullSpec) (pull fleet.Pull, changed bool, err error) {
	fail := func(err error) (fleet.Pull, bool, error) {
		return fleet.Pull{}, false, c.fail("forge.pull", spec.Branch, err)
	}
	p, err := c.openPull(ctx, spec.Branch)
	if err != nil {
		return fail(err)
	}
	switch {
	case p == nil:
		p, err = c.create(ctx, spec)
		changed = true
	case p.GetTitle() != spec.Title || text(p.GetBody()) != text(spec.Body) || p.GetBase().GetRef() != spec.Base:
		p, _, err = c.api.PullRequests.Edit(ctx, c.o.Owner, c.o.Name, p.GetNumber(), &github.PullRequest{
			Title: &spec.Title, Body: &spec.Body, Base: &github.PullRequestBranch{Ref: &spec.Base},
		})
		changed = true
	}
	if err != nil {
		return fail(err)
	}
	pull = pullOf(p)
	relabelled, err := c.label(ctx, &pull, spec.Labels)
	if err != nil {
		return fail(err)
	}
	return pull, changed || relabelled, nil
}

// openPull is the open pull request of a branch of this repository, nil when
// there is none.
func (c *Client) openPull(ctx context.Context, branch string) (*github.PullRequest, error) {
	found, err := all(func(page github.ListOptions) ([]*github.PullRequest, *github.Response, error) {
		return c.api.PullRequests.List(ctx, c.o.Owner, c.o.Name, &github.PullRequestListOptions{
			State: "open", Head: c.o.Owner + ":" + branch, ListOptions: page,
		})
	})
	if err != nil {
		return nil, err
	}
	// The filter goes by owner, and a fork of the same owner would pass it.
	for _, p := range found {
		if p.GetHead().GetRef() == branch && strings.EqualFold(p.GetHead().GetRepo().GetFullName(), c.repository()) {
			return p, nil
		}
	}
	return nil, nil
}

// create opens the pull request. If another run opened it meanwhile, that one
// is taken and made as spec says.
func (c *Client) create(ctx context.Context, spec fleet.PullSpec) (*github.PullRequest, error) {
	p, _, err := c.api.PullRequests.Create(ctx, c.o.Owner, c.o.Name, &github.NewPullRequest{
		Title: &spec.Title, Head: &spec.Branch, Base: &spec.Base, Body: &spec.Body,
	})
	if status(err) != http.StatusUnprocessableEntity || !strings.Contains(err.Error(), "already exists") {
		return p, err
	}
	other, findErr := c.openPull(ctx, spec.Branch)
	if findErr != nil || other == nil {
		return nil, err
	}
	p, _, err = c.api.PullRequests.Edit(ctx, c.o.Owner, c.o.Name, other.GetNumber(), &github.PullRequest{Title: &spec.Title, Body: &spec.Body})
	return p, err
}

// label brings the labels in order and notes them in pull.
func (c *Client) label(ctx context.Context, pull *fleet.Pull, want []string) (changed bool, err error) {
	add, remove := labelChanges(pull.Labels, want)
	if len(add) > 0 {
		// go-github sends a bare list, which GitHub's description no longer has.
		path := fmt.Sprintf("repos/%s/issues/%d/labels", c.repository(), pull.Number)
		req, err := c.api.NewRequest(http.MethodPost, path, map[string][]string{"labels": add})
		if err != nil {
			return false, err
		}
		if _, err := c.api.Do(ctx, req, nil); err != nil {
			return false, err
		}
	}
	for _, name := range remove {
		if _, err := c.api.Issues.RemoveLabelForIssue(ctx, c.o.Owner, c.o.Name, pull.Number, name); err != nil && status(err) != http.StatusNotFound {
			return false, err
		}
	}
	pull.Labels = slices.DeleteFunc(pull.Labels, func(l string) bool { return slices.Contains(remove, l) })
	pull.Labels = append(pull.Labels, add...)
	slices.Sort(pull.Labels)
	return len(add)+len(remove) > 0, nil
}

// labelChanges says which labels to add and to remove. A family is what stands
// before a label's colon.
func labelChanges(have, want []string) (add, remove []string) {
	for _, w := range want {
		if !slices.Contains(have, w) && !slices.Contains(add, w) {
			add = append(add, w)
		}
		family, _, ok := strings.Cut(w, ":")
		for _, h := range have {
			other, _, both := strings.Cut(h, ":")
			if ok && both && other == family && !slices.Contains(want, h) && !slices.Contains(remove, h) {
				remove = append(remove, h)
			}
		}
	}
	return add, remove
}

// Pulls lists pull requests, oldest first: "open", "closed" (merged ones
// included) or "all". Lists do not tell who merged: see Pull.
func (c *Client) Pulls(ctx context.Context, state string) ([]fleet.Pull, error) {
	found, err := all(func(page github.ListOptions) ([]*github.PullRequest, *github.Response, error) {
		return c.api.PullRequests.List(ctx, c.o.Owner, c.o.Name, &github.PullRequestListOptions{
			State: state, Sort: "created", Direction: "asc", ListOptions: page,
		})
	})
	if err != nil {
		return nil, c.fail("forge.pulls", c.repository(), err)
	}
	out := make([]fleet.Pull, len(found))
	for i, p := range found {
		out[i] = pullOf(p)
	}
	return out, nil
}

// Pull reads one pull request whole.
func (c *Client) Pull(ctx context.Context, number int) (fleet.Pull, error) {
	p, _, err := c.api.PullRequests.Get(ctx, c.o.Owner, c.o.Name, number)
	if err != nil {
		return fleet.Pull{}, c.fail("forge.pull", numbered(number), err)
	}
	return pullOf(p), nil
}

// Close closes a pull request without merging it and says why in a comment.
// Closed ones stay as they are.
func (c *Client) Close(ctx context.Context, number int, why string) error {
	p, err := c.Pull(ctx, number)
	if err != nil || p.State != "open" {
		return err
	}
	if err := c.Comment(ctx, number, "closed", why); err != nil {
		return err
	}
	closed := "closed"
	_, _, err = c.api.PullRequests.Edit(ctx, c.o.Owner, c.o.Name, number, &github.PullRequest{State: &closed})
	return c.fail("forge.close", numbered(number), err)
}

// numbered is a pull request as people write it.
func numbered(n int) string { return fmt.Sprintf("pull request #%d", n) }
