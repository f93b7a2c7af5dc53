package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/packmill/packmill/internal/fleet"
)

// Reviews lists the reviews of a pull request, oldest first.
func (c *Client) Reviews(ctx context.Context, number int) ([]fleet.Review, error) {
	found, err := all(func(page github.ListOptions) ([]*github.PullRequestReview, *github.Response, error) {
		return c.api.PullRequests.ListReviews(ctx, c.o.Owner, c.o.Name, number, &page)
	})
	if err != nil {
		return nil, c.fail("forge.reviews", numbered(number), err)
	}
	out := make([]fleet.Review, len(found))
	for i, r := range found {
		out[i] = fleet.Review{
			Login: r.GetUser().GetLogin(), ID: r.GetUser().GetID(), State: r.GetState(), Commit: r.GetCommitID(),
			Bot: r.GetUser().GetType() == "Bot", At: r.GetSubmittedAt().UTC(),
		}
	}
	return out, nil
}

// Approve approves a pull request at the commit that was looked at. Approving
// one's own is Refused by the forge.
func (c *Client) Approve(ctx context.Context, number int, commit string) error {
	event := "APPROVE"
	_, _, err := c.api.PullRequests.CreateReview(ctx, c.o.Owner, c.o.Name, number, &github.PullRequestReviewRequest{CommitID: &commit, Event: &event})
	return c.fail("forge.approve", numbered(number), err)
}

// mergeWait is the wait after the first "try again" of a merge; it doubles.
// GitHub computes whether a branch merges cleanly for some seconds after a
// push.
const (
	mergeWait  = time.Second
	mergeTries = 7 // about a minute
)

// Merge merges the pull request by a merge commit that carries its title and
// body, if its head is still head, and returns the commit. One that is merged
// already gives its commit.
//
// Waiting: reviews or checks are missing, or the head has moved. Stalled: it
// conflicts. Refused: it was closed.
func (c *Client) Merge(ctx context.Context, number int, head string) (string, error) {
	object := numbered(number)
	p, err := c.Pull(ctx, number)
	switch {
	case err != nil:
		return "", err
	case p.Head != head:
		return "", &fleet.Error{Op: "forge.merge", Object: object, Kind: fleet.Waiting,
			Err: errors.New("its head is " + p.Head + ", not " + head), Hint: "look at its new commits and run the command again"}
	case p.State == "merged":
		return p.Commit, nil
	case p.State != "open":
		return "", &fleet.Error{Op: "forge.merge", Object: object, Kind: fleet.Refused, Err: errors.New("it was closed"), Hint: "reopen it, or leave it"}
	}
	title := fmt.Sprintf("%s (#%d)", p.Title, number)
	wait := mergeWait
	for try := 1; ; try++ {
		result, _, err := c.api.PullRequests.Merge(ctx, c.o.Owner, c.o.Name, number, text(p.Body), &github.PullRequestOptions{
			CommitTitle: title, SHA: head, MergeMethod: "merge", DontDefaultIfBlank: true,
		})
		if err == nil {
			return result.GetSHA(), nil
		}
		if !notReady(err) || try == mergeTries {
			return "", c.fail("forge.merge", object, err)
		}
		if err := c.o.Clock.Sleep(ctx, wait); err != nil {
			return "", err
		}
		wait *= 2
	}
}

// notReady reports whether the forge has only not finished to compute whether
// the merge is clean.
func notReady(err error) bool {
	return status(err) == http.StatusMethodNotAllowed && strings.Contains(strings.ToLower(err.Error()), "try") && strings.Contains(strings.ToLower(err.Error()), "again")
}

// Comment makes the client's own comment with that marker say body, writing it
// if there is none. The marker is hidden in the text; a comment of someone else
// that carries it is left alone.
func (c *Client) Comment(ctx context.Context, number int, marker, body string) error {
	object := numbered(number)
	self, err := c.self(ctx)
	if err != nil {
		return err
	}
	tag := "<!-- packmill:" + marker + " -->"
	body = tag + "\n" + text(body)
	found, err := all(func(page github.ListOptions) ([]*github.IssueComment, *github.Response, error) {
		return c.api.Issues.ListComments(ctx, c.o.Owner, c.o.Name, number, &github.IssueListCommentsOptions{ListOptions: page})
	})
	if err != nil {
		return c.fail("forge.comment", object, err)
	}
	for _, old := range found {
		if !strings.EqualFold(old.GetUser().GetLogin(), self) || !strings.HasPrefix(text(old.GetBody()), tag+"\n") {
			continue
		}
		if text(old.GetBody()) == body {
			return nil
		}
		_, _, err := c.api.Issues.EditComment(ctx, c.o.Owner, c.o.Name, old.GetID(), &github.IssueComment{Body: &body})
		return c.fail("forge.comment", object, err)
	}
	_, _, err = c.api.Issues.CreateComment(ctx, c.o.Owner, c.o.Name, number, &github.IssueComment{Body: &body})
	return c.fail("forge.comment", object, err)
}
