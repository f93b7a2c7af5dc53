package forge

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listIssues lists issues, and as GitHub does pull requests among them.
func (s *Server) listIssues(r *request) reply {
	q := r.URL.Query()
	state := cmp.Or(q.Get("state"), "open")
	var found []*pull
	for _, p := range s.state.Pulls {
		if (state == "all" || (state == "open") == p.Open) && (q.Get("creator") == "" || strings.EqualFold(q.Get("creator"), p.Author)) {
			found = append(found, p)
		}
	}
	if q.Get("direction") != "asc" {
		slices.Reverse(found)
	}
	return page(r, found, func(p *pull) any { return s.issueObject(r.at, p) })
}

func (s *Server) getIssue(r *request) reply {
	p := s.issue(r)
	if p == nil {
		return notFound()
	}
	return ok(s.issueObject(r.at, p))
}

func (s *Server) createIssue(r *request) reply {
	var in struct{ Title, Body string }
	if bad, ok := r.decode(&in); !ok {
		return bad
	}
	if bad, wrong := checkText(in.Title, in.Body); wrong {
		return bad
	}
	p := &pull{
		ID: s.state.nextID(), Number: len(s.state.Pulls) + 1, Title: in.Title, Body: in.Body, Author: r.user.Login,
		Open: true, Created: r.now, Updated: r.now, Issue: true,
	}
	s.state.Pulls = append(s.state.Pulls, p)
	return done(http.StatusCreated, s.issueObject(r.at, p), "issue", strconv.Itoa(p.Number))
}

func (s *Server) editIssue(r *request) reply {
	p := s.issue(r)
	if p == nil || !p.Issue {
		return notFound()
	}
	var in struct{ Title, Body, State *string }
	if bad, ok := r.decode(&in); !ok {
		return bad
	}
	if !r.may(Write) && p.Author != r.user.Login {
		return forbidden()
	}
	title, body := p.Title, p.Body
	setIf(&title, in.Title)
	setIf(&body, in.Body)
	if bad, wrong := checkText(title, body); wrong {
		return bad
	}
	if in.State != nil {
		switch *in.State {
		case "open":
			p.Open, p.Closed = true, time.Time{}
		case "closed":
			p.Open, p.Closed = false, r.now
		default:
			return invalid("Issue", "state", "invalid")
		}
	}
	p.Title, p.Body, p.Updated = title, body, r.now
	return done(http.StatusOK, s.issueObject(r.at, p), "issue", strconv.Itoa(p.Number))
}

// issueWeb is where people read an issue or a pull request.
func (s *Server) issueWeb(l links, p *pull) string {
	kind := "/pull/"
	if p.Issue {
		kind = "/issues/"
	}
	return s.repoWeb(l) + kind + strconv.Itoa(p.Number)
}

// issueObject is a pull request or an issue as the API of issues shows it.
func (s *Server) issueObject(l links, p *pull) object {
	self := s.repoAPI(l) + "/issues/" + strconv.Itoa(p.Number)
	author := s.user(p.Author)
	labels := []any{}
	for _, name := range p.Labels {
		labels = append(labels, s.labelObject(l, name))
	}
	state := "closed"
	if p.Open {
		state = "open"
	}
	o := object{
		"id": p.ID, "node_id": node("I", p.ID), "number": p.Number, "state": state, "locked": false, "title": p.Title, "body": p.Body,
		"user": l.user(author), "author_association": association(author), "labels": labels, "milestone": nil, "assignee": nil, "assignees": []any{},
		"comments": len(p.Comments), "created_at": instant(p.Created), "updated_at": instant(p.Updated), "closed_at": maybe(p.Closed),
		"url": self, "repository_url": s.repoAPI(l), "html_url": s.issueWeb(l, p), "comments_url": self + "/comments", "events_url": self + "/events",
		"labels_url": self + "/labels{/name}",
	}
	if !p.Issue {
		pull := s.repoAPI(l) + "/pulls/" + url.PathEscape(strconv.Itoa(p.Number))
		html := s.issueWeb(l, p)
		o["pull_request"] = object{"url": pull, "html_url": html, "diff_url": html + ".diff", "patch_url": html + ".patch", "merged_at": maybe(p.Merged)}
	}
	return o
}
