package forge

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Labels and comments belong to issues in GitHub's API; a pull request is one.

// issuePart answers for what an issue has. It stands in for routes that
// http.ServeMux cannot tell from issues/comments/{id}.
func (s *Server) issuePart(r *request) reply {
	switch r.Method + " " + r.PathValue("part") {
	case "GET labels":
		return s.listLabels(r)
	case "POST labels":
		return s.addLabels(r)
	case "PUT labels":
		return s.setLabels(r)
	case "GET comments":
		return s.listComments(r)
	case "POST comments":
		return s.createComment(r)
	}
	return notFound()
}

func (s *Server) labelObject(l links, name string) object {
	var id int64
	for _, known := range s.state.Labels {
		if known.Name == name {
			id = known.ID
		}
	}
	return object{
		"id": id, "node_id": node("LA", id), "name": name, "description": "", "color": "ededed", "default": false,
		"url": s.repoAPI(l) + "/labels/" + url.PathEscape(name),
	}
}

func (s *Server) listLabels(r *request) reply {
	p := s.issue(r)
	if p == nil {
		return notFound()
	}
	return page(r, p.Labels, func(name string) any { return s.labelObject(r.at, name) })
}

func (s *Server) addLabels(r *request) reply {
	return s.changeLabels(r, func(p *pull, names []string) { p.Labels = append(p.Labels, names...) })
}

func (s *Server) setLabels(r *request) reply {
	return s.changeLabels(r, func(p *pull, names []string) { p.Labels = names })
}

func (s *Server) changeLabels(r *request, change func(*pull, []string)) reply {
	p := s.issue(r)
	if p == nil {
		return notFound()
	}
	names, bad, ok := r.labelNames()
	if !ok {
		return bad
	}
	if !r.may(Write) {
		return forbidden()
	}
	for _, name := range names {
		if name == "" || utf8.RuneCountInString(name) > 50 {
			return invalid("Label", "name", "invalid")
		}
		s.state.ensureLabel(name)
	}
	change(p, names)
	slices.Sort(p.Labels)
	p.Labels = slices.Compact(p.Labels)
	p.Updated = r.now
	return s.labelled(r, p)
}

// labelNames reads the two forms of a list of labels: an array, or an object
// with one.
func (r *request) labelNames() (names []string, bad reply, ok bool) {
	if err := json.Unmarshal(r.body, &names); err == nil {
		return names, reply{}, true
	}
	var in struct{ Labels []string }
	bad, ok = r.decode(&in)
	return in.Labels, bad, ok
}

func (s *Server) removeLabel(r *request) reply {
	p := s.issue(r)
	if p == nil {
		return notFound()
	}
	if !r.may(Write) {
		return forbidden()
	}
	i := slices.Index(p.Labels, r.PathValue("name"))
	if i < 0 {
		return failed(http.StatusNotFound, "Label does not exist")
	}
	p.Labels = slices.Delete(p.Labels, i, i+1)
	p.Updated = r.now
	return s.labelled(r, p)
}

func (s *Server) labelled(r *request, p *pull) reply {
	rows := []any{}
	for _, name := range p.Labels {
		rows = append(rows, s.labelObject(r.at, name))
	}
	return done(http.StatusOK, rows, "label", strconv.Itoa(p.Number))
}

func (s *Server) listComments(r *request) reply {
	p := s.issue(r)
	if p == nil {
		return notFound()
	}
	return page(r, p.Comments, func(c *comment) any { return s.commentObject(r.at, p, c) })
}

func (s *Server) createComment(r *request) reply {
	p := s.issue(r)
	if p == nil {
		return notFound()
	}
	body, bad, ok := r.commentBody()
	if !ok {
		return bad
	}
	c := &comment{ID: s.state.nextID(), Author: r.user.Login, Body: body, Created: r.now, Updated: r.now}
	p.Comments = append(p.Comments, c)
	p.Updated = r.now
	return done(http.StatusCreated, s.commentObject(r.at, p, c), "comment", strconv.Itoa(p.Number))
}

// commentBody reads the text of a comment.
func (r *request) commentBody() (body string, bad reply, ok bool) {
	var in struct{ Body string }
	if bad, ok := r.decode(&in); !ok {
		return "", bad, false
	}
	switch {
	case strings.TrimSpace(in.Body) == "":
		return "", invalid("IssueComment", "body", "missing_field"), false
	case utf8.RuneCountInString(in.Body) > maxBody:
		return "", invalidBecause("IssueComment", "body is too long (maximum is 65536 characters)"), false
	}
	return in.Body, reply{}, true
}

// comment is the comment the path names, with its pull request; nil when there
// is none.
func (s *Server) comment(r *request) (*pull, *comment) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, nil
	}
	for _, p := range s.state.Pulls {
		for _, c := range p.Comments {
			if c.ID == id {
				return p, c
			}
		}
	}
	return nil, nil
}

func (s *Server) getComment(r *request) reply {
	p, c := s.comment(r)
	if c == nil {
		return notFound()
	}
	return ok(s.commentObject(r.at, p, c))
}

func (s *Server) editComment(r *request) reply {
	p, c := s.comment(r)
	if c == nil {
		return notFound()
	}
	body, bad, ok := r.commentBody()
	switch {
	case !ok:
		return bad
	case c.Author != r.user.Login && !r.may(Write):
		return forbidden()
	}
	c.Body, c.Updated = body, r.now
	return done(http.StatusOK, s.commentObject(r.at, p, c), "comment", strconv.Itoa(p.Number))
}

func (s *Server) deleteComment(r *request) reply {
	p, c := s.comment(r)
	switch {
	case c == nil:
		return notFound()
	case c.Author != r.user.Login && !r.may(Write):
		return forbidden()
	}
	p.Comments = slices.DeleteFunc(p.Comments, func(other *comment) bool { return other == c })
	return done(http.StatusNoContent, nil, "comment", strconv.Itoa(p.Number))
}

func (s *Server) commentObject(l links, p *pull, c *comment) object {
	n, id := strconv.Itoa(p.Number), strconv.FormatInt(c.ID, 10)
	author := s.user(c.Author)
	return object{
		"id": c.ID, "node_id": node("IC", c.ID), "body": c.Body, "user": l.user(author), "author_association": association(author),
		"created_at": instant(c.Created), "updated_at": instant(c.Updated),
		"url": s.repoAPI(l) + "/issues/comments/" + id, "issue_url": s.repoAPI(l) + "/issues/" + n,
		"html_url": s.issueWeb(l, p) + "#issuecomment-" + id,
	}
}
