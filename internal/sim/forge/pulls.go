package forge

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The longest title and body GitHub takes, in characters.
const (
	maxTitle = 256
	maxBody  = 65536
)

// pull is the pull request the path names, nil when there is none.
func (s *Server) pull(r *request) *pull {
	if p := s.issue(r); p != nil && !p.Issue {
		return p
	}
	return nil
}

// issue is the pull request or the issue the path names, nil when there is
// neither: they share their numbers, labels and comments.
func (s *Server) issue(r *request) *pull {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return nil
	}
	return s.state.pull(n)
}

func (s *Server) listPulls(r *request) reply {
	q := r.URL.Query()
	state := cmp.Or(q.Get("state"), "open")
	var found []*pull
	for _, p := range s.state.Pulls {
		if !p.Issue && (state == "all" || (state == "open") == p.Open) &&
			(q.Get("head") == "" || strings.EqualFold(q.Get("head"), s.o.Owner+":"+p.Branch)) &&
			(q.Get("base") == "" || q.Get("base") == p.Base) {
			found = append(found, p)
		}
	}
	byUpdate := q.Get("sort") == "updated"
	slices.SortStableFunc(found, func(a, b *pull) int {
		if byUpdate {
			return a.Updated.Compare(b.Updated)
		}
		return a.Number - b.Number
	})
	if q.Get("direction") == "desc" || q.Get("direction") == "" && !byUpdate {
		slices.Reverse(found)
	}
	return page(r, found, func(p *pull) any { return s.pullObject(r.at, p) })
}

func (s *Server) createPull(r *request) reply {
	var in struct {
		Title, Head, Base, Body string
		Draft                   bool
	}
	if bad, ok := r.decode(&in); !ok {
		return bad
	}
	if !r.may(Write) {
		return forbidden()
	}
	in.Head = strings.TrimPrefix(in.Head, s.o.Owner+":")
	if bad, wrong := checkText(in.Title, in.Body); wrong {
		return bad
	}
	refs, err := s.repo.Refs("refs/heads/")
	if err != nil {
		return broken(err)
	}
	head, base := refs["refs/heads/"+in.Head], refs["refs/heads/"+in.Base]
	switch {
	case base == "":
		return invalid("PullRequest", "base", "invalid")
	case head == "":
		return invalid("PullRequest", "head", "invalid")
	}
	for _, p := range s.state.Pulls {
		if p.Open && p.Branch == in.Head && p.Base == in.Base {
			return invalidBecause("PullRequest", "A pull request already exists for "+s.o.Owner+":"+in.Head+".")
		}
	}
	contained, err := s.repo.IsAncestor(r.Context(), head, base)
	if err != nil {
		return broken(err)
	}
	if contained {
		return invalidBecause("PullRequest", "No commits between "+in.Base+" and "+in.Head)
	}
	p := &pull{
		ID: s.state.nextID(), Number: len(s.state.Pulls) + 1, Title: in.Title, Body: in.Body, Author: r.user.Login,
		Base: in.Base, BaseSHA: base, Branch: in.Head, Head: head, Open: true, Created: r.now, Updated: r.now,
	}
	if err := s.keepHead(r.Context(), p); err != nil {
		return broken(err)
	}
	s.state.Pulls = append(s.state.Pulls, p)
	whole, err := s.wholePull(r, p)
	if err != nil {
		return broken(err)
	}
	return done(http.StatusCreated, whole, "open", strconv.Itoa(p.Number))
}

// checkText is the error about a title or a body, if there is one.
func checkText(title, body string) (reply, bool) {
	switch {
	case strings.TrimSpace(title) == "":
		return invalid("PullRequest", "title", "missing_field"), true
	case utf8.RuneCountInString(title) > maxTitle:
		return invalidBecause("PullRequest", "title is too long (maximum is 256 characters)"), true
	case utf8.RuneCountInString(body) > maxBody:
		return invalidBecause("PullRequest", "body is too long (maximum is 65536 characters)"), true
	}
	return reply{}, false
}

func (s *Server) getPull(r *request) reply {
	p := s.pull(r)
	if p == nil {
		return notFound()
	}
	known, counted := s.settled(p)
	whole, err := s.wholePull(r, p)
	if err != nil {
		return broken(err)
	}
	if p.Open && !known {
		whole["mergeable"], whole["mergeable_state"] = nil, "unknown"
	}
	answer := ok(whole)
	answer.dirty = counted
	return answer
}

func (s *Server) editPull(r *request) reply {
	p := s.pull(r)
	if p == nil {
		return notFound()
	}
	var in struct{ Title, Body, State, Base *string }
	if bad, ok := r.decode(&in); !ok {
		return bad
	}
	if !r.may(Write) && p.Author != r.user.Login {
		return forbidden()
	}
	title, body, base := p.Title, p.Body, p.Base
	setIf(&title, in.Title)
	setIf(&body, in.Body)
	setIf(&base, in.Base)
	if bad, wrong := checkText(title, body); wrong {
		return bad
	}
	at, err := s.repo.Ref("refs/heads/" + base)
	if err != nil {
		return broken(err)
	}
	if in.Base != nil && base != p.Base && (at == "" || !p.Open) {
		return invalid("PullRequest", "base", "invalid")
	}
	event := "edit"
	if in.State != nil && (*in.State == "open") != p.Open {
		if bad, wrong := s.reopenOrClose(r, p, *in.State); wrong {
			return bad
		}
		event = "close"
		if p.Open {
			event = "edit"
		}
	}
	if base != p.Base {
		p.BaseSHA = at
	}
	p.Title, p.Body, p.Base, p.Updated = title, body, base, r.now
	whole, err := s.wholePull(r, p)
	if err != nil {
		return broken(err)
	}
	return done(http.StatusOK, whole, event, strconv.Itoa(p.Number))
}

func setIf(to, from *string) {
	if from != nil {
		*to = *from
	}
}

// reopenOrClose changes the state; a merged one, or one whose branch is gone,
// stays closed.
func (s *Server) reopenOrClose(r *request, p *pull, state string) (reply, bool) {
	switch state {
	case "closed":
		p.Open, p.Closed = false, r.now
		return reply{}, false
	case "open":
	default:
		return invalid("PullRequest", "state", "invalid"), true
	}
	head, err := s.repo.Ref("refs/heads/" + p.Branch)
	if err != nil {
		return broken(err), true
	}
	if p.Commit != "" || head == "" {
		return invalidBecause("PullRequest", "state cannot be changed. The "+p.Branch+" branch was merged or deleted."), true
	}
	p.Open, p.Head = true, head
	p.Closed = p.Merged // none
	s.dismissStale(p)
	return reply{}, false
}

func (s *Server) listFiles(r *request) reply {
	p := s.pull(r)
	if p == nil {
		return notFound()
	}
	base, err := s.repo.MergeBase(r.Context(), p.BaseSHA, p.Head)
	if err != nil {
		return broken(err)
	}
	changes, err := s.repo.Changed(r.Context(), base, p.Head)
	if err != nil {
		return broken(err)
	}
	counts, err := s.lineCounts(r.Context(), base, p.Head)
	if err != nil {
		return broken(err)
	}
	rows := make([]object, len(changes))
	for i, c := range changes {
		what, blob := "modified", c.New
		switch {
		case c.Old == "":
			what = "added"
		case c.New == "":
			what, blob = "removed", c.Old
		}
		n := counts[c.Path]
		path := s.repoWeb(r.at) + "/blob/" + p.Head + "/" + c.Path
		rows[i] = object{
			"sha": blob, "filename": c.Path, "status": what, "additions": n[0], "deletions": n[1], "changes": n[0] + n[1],
			"blob_url": path, "raw_url": s.repoWeb(r.at) + "/raw/" + p.Head + "/" + c.Path,
			"contents_url": s.repoAPI(r.at) + "/contents/" + c.Path + "?ref=" + p.Head,
		}
	}
	return page(r, rows, func(o object) any { return o })
}

func (s *Server) listCommitPulls(r *request) reply {
	id, err := s.repo.Resolve(r.PathValue("ref"))
	if err != nil {
		return failed(http.StatusConflict, "No commit found for SHA: "+r.PathValue("ref"))
	}
	found := slices.DeleteFunc(slices.Clone(s.state.Pulls), func(p *pull) bool { return p.Commit != id && p.Head != id })
	return page(r, found, func(p *pull) any { return s.pullObject(r.at, p) })
}
