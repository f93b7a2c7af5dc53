package forge

import (
	"context"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/packmill/packmill/internal/fleet"
)

func markerOf(name string) string { return "<!-- packmill:" + name + " -->\n" }

// Issue finds the client's own issue with that marker, open or closed; false
// when there is none. An issue of someone else that carries the marker is not
// it, nor is one of the same title. Issues are read oldest first until it shows.
func (c *Client) Issue(ctx context.Context, marker string) (fleet.Issue, bool, error) {
	self, err := c.self(ctx)
	if err != nil {
		return fleet.Issue{}, false, err
	}
	opts := &github.IssueListByRepoOptions{State: "all", Sort: "created", Direction: "asc", ListOptions: github.ListOptions{PerPage: pageSize}}
	for range maxPages {
		list, resp, err := c.api.Issues.ListByRepo(ctx, c.o.Owner, c.o.Name, opts)
		if err != nil {
			return fleet.Issue{}, false, c.fail("forge.issue", c.repository(), err)
		}
		for _, i := range list {
			if !i.IsPullRequest() && strings.EqualFold(i.GetUser().GetLogin(), self) && strings.HasPrefix(text(i.GetBody()), markerOf(marker)) {
				return issueOf(i, marker), true, nil
			}
		}
		if resp.NextPage == 0 {
			return fleet.Issue{}, false, nil
		}
		opts.Page = resp.NextPage
	}
	return fleet.Issue{}, false, fleet.Errorf(fleet.Internal, "forge.issue", "", "more than %d pages", maxPages)
}

// EnsureIssue makes the client's own issue with that marker say title and body,
// opening it if there is none. It writes nothing when nothing differs. One that
// people closed stays closed and as it is: they do not want it.
func (c *Client) EnsureIssue(ctx context.Context, marker, title, body string) (issue fleet.Issue, changed bool, err error) {
	have, found, err := c.Issue(ctx, marker)
	if err != nil || found && (!have.Open || have.Title == title && have.Body == text(body)) {
		return have, false, err
	}
	whole := markerOf(marker) + text(body)
	var i *github.Issue
	request := &github.IssueRequest{Title: &title, Body: &whole}
	if found {
		i, _, err = c.api.Issues.Edit(ctx, c.o.Owner, c.o.Name, have.Number, request)
	} else {
		i, _, err = c.api.Issues.Create(ctx, c.o.Owner, c.o.Name, request)
	}
	if err != nil {
		return fleet.Issue{}, false, c.fail("forge.issue", c.repository(), err)
	}
	return issueOf(i, marker), true, nil
}

func issueOf(i *github.Issue, marker string) fleet.Issue {
	return fleet.Issue{
		Number: i.GetNumber(), Title: i.GetTitle(), Open: i.GetState() == "open",
		Body: strings.TrimPrefix(text(i.GetBody()), markerOf(marker)),
	}
}

// Comments lists the comments of an issue or a pull request, oldest first.
func (c *Client) Comments(ctx context.Context, number int) ([]fleet.Comment, error) {
	found, err := all(func(page github.ListOptions) ([]*github.IssueComment, *github.Response, error) {
		return c.api.Issues.ListComments(ctx, c.o.Owner, c.o.Name, number, &github.IssueListCommentsOptions{ListOptions: page})
	})
	if err != nil {
		return nil, c.fail("forge.comments", numbered(number), err)
	}
	self, err := c.self(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]fleet.Comment, len(found))
	for i, k := range found {
		out[i] = fleet.Comment{
			ID: k.GetID(), Author: k.GetUser().GetLogin(), Bot: k.GetUser().GetType() == "Bot", Body: text(k.GetBody()),
			Own: strings.EqualFold(k.GetUser().GetLogin(), self), At: k.GetCreatedAt().UTC(), Edited: !k.GetUpdatedAt().Time.Equal(k.GetCreatedAt().Time),
		}
	}
	return out, nil
}

// RequestReviewers asks accounts and teams of the owner's organization to review
// a pull request. Invalid: one of them is no collaborator, and nobody was asked.
func (c *Client) RequestReviewers(ctx context.Context, number int, logins, teams []string) error {
	_, _, err := c.api.PullRequests.RequestReviewers(ctx, c.o.Owner, c.o.Name, number, github.ReviewersRequest{Reviewers: logins, TeamReviewers: teams})
	return c.fail("forge.reviewers", numbered(number), err)
}
