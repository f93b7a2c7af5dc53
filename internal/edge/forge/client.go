// Package forge speaks to GitHub, or to a server that answers like it, about
// pull requests of one repository: open, compare, review, check, comment,
// merge.
//
// Whatever is written is compared first: a second run over the same week sends
// nothing. Lists are read to their last page. Refusals of the forge come back
// as fleet errors whose kind says what follows: a missing review is Waiting, a
// conflict is Stalled, a token without rights is Refused.
//
// Files and branches are git's business (record/gitrepo); this package never
// touches contents.
package forge

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-github/v62/github"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// Options say which repository, as whom.
type Options struct {
	BaseURL string // root of the API: https://api.github.com/ or https://host/api/v3/
	Owner   string
	Name    string
	Token   string
	Login   string            // account the token belongs to; asked of the forge when empty, which an app's token may not do
	App     bool              // the token is an app's: checks are check runs, else commit statuses
	HTTP    *transport.Client // sends requests
	Clock   fleet.Clock       // waits
}

// A Client works on the pull requests of one repository. It is safe for
// concurrent use.
type Client struct {
	api   *github.Client
	o     Options
	mu    sync.Mutex
	login string
}

// New makes a client. It sends nothing yet.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.BaseURL)
	if err != nil || base.Host == "" || base.User != nil || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, &fleet.Error{Op: "forge.new", Object: transport.Redact(o.BaseURL), Kind: fleet.Invalid,
			Err: errors.New("is no address of a forge's API"), Hint: "for example https://api.github.com/"}
	}
	if o.Owner == "" || o.Name == "" || strings.ContainsAny(o.Owner+o.Name, "/?#%") {
		return nil, fleet.Errorf(fleet.Invalid, "forge.new", o.Owner+"/"+o.Name, "is no name of a repository (owner/name)")
	}
	base = base.JoinPath("/")
	inner := o.HTTP.HTTP()
	api := github.NewClient(&http.Client{
		Transport:     &session{next: inner.Transport, host: base.Host, token: o.Token, clock: o.Clock},
		CheckRedirect: inner.CheckRedirect,
	})
	api.BaseURL = base
	return &Client{api: api, o: o, login: o.Login}, nil
}

// repository is "owner/name", for errors.
func (c *Client) repository() string { return c.o.Owner + "/" + c.o.Name }

// self is the login the client acts as.
func (c *Client) self(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.login != "" {
		return c.login, nil
	}
	user, _, err := c.api.Users.Get(ctx, "")
	if err != nil {
		return "", c.fail("forge.self", c.repository(), err)
	}
	c.login = user.GetLogin()
	return c.login, nil
}

// pageSize is the most GitHub gives at a time; maxPages bounds what a forge
// can make packmill read.
const (
	pageSize = 100
	maxPages = 1000
)

// all reads every page of a list.
func all[T any](list func(github.ListOptions) ([]T, *github.Response, error)) ([]T, error) {
	var out []T
	opts := github.ListOptions{PerPage: pageSize}
	for range maxPages {
		page, resp, err := list(opts)
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
		if resp.NextPage == 0 {
			return out, nil
		}
		opts.Page = resp.NextPage
	}
	return nil, fleet.Errorf(fleet.Internal, "forge.list", "", "more than %d pages", maxPages)
}

// pullOf is the forge's pull request in our words.
func pullOf(p *github.PullRequest) fleet.Pull {
	out := fleet.Pull{
		Number: p.GetNumber(), Title: p.GetTitle(), Body: p.GetBody(), State: p.GetState(),
		Base: p.GetBase().GetRef(), Branch: p.GetHead().GetRef(), Head: p.GetHead().GetSHA(),
		Author: p.GetUser().GetLogin(), MergedBy: p.GetMergedBy().GetLogin(), ByBot: p.GetMergedBy().GetType() == "Bot",
	}
	if p.MergedAt != nil {
		out.State = "merged"
		out.MergedAt = p.GetMergedAt().UTC()
		out.Commit = p.GetMergeCommitSHA() // of an open one it is only a trial merge
	}
	for _, l := range p.Labels {
		out.Labels = append(out.Labels, l.GetName())
	}
	slices.Sort(out.Labels)
	for _, u := range p.RequestedReviewers {
		out.Asked = append(out.Asked, u.GetLogin())
	}
	for _, t := range p.RequestedTeams {
		out.Asked = append(out.Asked, t.GetSlug())
	}
	return out
}

// text is text as git and comparisons take it: browsers send line ends with a
// carriage return.
func text(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
