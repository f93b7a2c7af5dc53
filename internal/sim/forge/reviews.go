package forge

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// requestReviewers asks users for a review. All of them must be collaborators, or
// none is asked; this forge has no teams.
func (s *Server) requestReviewers(r *request) reply {
	p := s.pull(r)
	if p == nil {
		return notFound()
	}
	var in struct {
		Reviewers []string
		Teams     []string `json:"team_reviewers"`
	}
	if bad, ok := r.decode(&in); !ok {
		return bad
	}
	if !r.may(Write) {
		return forbidden()
	}
	for _, login := range in.Reviewers {
		if strings.EqualFold(login, p.Author) {
			return unprocessable("Review cannot be requested from pull request author.")
		}
	}
	known := func(login string) bool {
		return slices.ContainsFunc(s.o.Users, func(u User) bool { return strings.EqualFold(u.Login, login) && !u.Bot })
	}
	if len(in.Teams) > 0 || slices.ContainsFunc(in.Reviewers, func(login string) bool { return !known(login) }) {
		return unprocessable("Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the " +
			s.o.Owner + "/" + s.o.Name + " repository.")
	}
	for _, login := range in.Reviewers {
		if !slices.ContainsFunc(p.Reviewers, func(have string) bool { return strings.EqualFold(have, login) }) {
			p.Reviewers = append(p.Reviewers, login)
		}
	}
	p.Updated = r.now
	return done(http.StatusCreated, s.pullObject(r.at, p), "ask", strconv.Itoa(p.Number))
}

func (s *Server) usersOf(l links, logins []string) []any {
	out := []any{}
	for _, login := range logins {
		out = append(out, l.user(s.user(login)))
	}
	return out
}

func (s *Server) listReviews(r *request) reply {
	p := s.pull(r)
	if p == nil {
		return notFound()
	}
	// A review that is not submitted is seen by its author alone.
	seen := slices.DeleteFunc(slices.Clone(p.Reviews), func(v *review) bool { return v.State == "PENDING" && v.Author != r.user.Login })
	return page(r, seen, func(v *review) any { return s.reviewObject(r.at, p, v) })
}

func (s *Server) createReview(r *request) reply {
	p := s.pull(r)
	if p == nil {
		return notFound()
	}
	var in struct {
		Commit string `json:"commit_id"`
		Body   string `json:"body"`
		Event  string `json:"event"`
	}
	if len(r.body) > 0 {
		if bad, ok := r.decode(&in); !ok {
			return bad
		}
	}
	states := map[string]string{"": "PENDING", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
	state, known := states[in.Event]
	switch {
	case !known:
		return unprocessable("Variable $event of type PullRequestReviewEvent was provided invalid value")
	case p.Author == r.user.Login && in.Event == "APPROVE":
		return unprocessable("Review Can not approve your own pull request")
	case p.Author == r.user.Login && in.Event == "REQUEST_CHANGES":
		return unprocessable("Review Can not request changes on your own pull request")
	case (in.Event == "REQUEST_CHANGES" || in.Event == "COMMENT") && strings.TrimSpace(in.Body) == "":
		return unprocessable("Review body can't be blank")
	}
	if in.Commit == "" {
		in.Commit = p.Head
	}
	if bad, wrong := s.checkReviewed(r, p, in.Commit); wrong {
		return bad
	}
	v := &review{ID: s.state.nextID(), Author: r.user.Login, State: state, Body: in.Body, Commit: in.Commit}
	if state != "PENDING" {
		v.At = r.now
	}
	p.Reviews = append(p.Reviews, v)
	p.Reviewers = slices.DeleteFunc(p.Reviewers, func(login string) bool { return strings.EqualFold(login, v.Author) })
	p.Updated = r.now
	if p.Open {
		s.dismissStale(p)
	}
	return done(http.StatusOK, s.reviewObject(r.at, p, v), "review", strconv.Itoa(p.Number))
}

// checkReviewed demands that the reviewed commit is one of the pull request's.
func (s *Server) checkReviewed(r *request, p *pull, commit string) (reply, bool) {
	foreign := unprocessable("Commit " + commit + " is not part of the pull request")
	if _, err := s.repo.CommitInfo(commit); err != nil {
		return foreign, true
	}
	within, err := s.repo.IsAncestor(r.Context(), commit, p.Head)
	if err != nil {
		return broken(err), true
	}
	return foreign, !within
}

func (s *Server) dismissReview(r *request) reply {
	p := s.pull(r)
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if p == nil || err != nil {
		return notFound()
	}
	i := slices.IndexFunc(p.Reviews, func(v *review) bool { return v.ID == id })
	if i < 0 {
		return notFound()
	}
	var in struct{ Message string }
	if bad, ok := r.decode(&in); !ok {
		return bad
	}
	v := p.Reviews[i]
	switch {
	case !r.may(Write):
		return forbidden()
	case in.Message == "":
		return unprocessable("Message can't be blank")
	case v.State != "APPROVED" && v.State != "CHANGES_REQUESTED":
		return unprocessable("Can not dismiss a " + strings.ToLower(v.State) + " pull request review")
	}
	v.State = "DISMISSED"
	return done(http.StatusOK, s.reviewObject(r.at, p, v), "review", strconv.Itoa(p.Number))
}

func (s *Server) reviewObject(l links, p *pull, v *review) object {
	n := strconv.Itoa(p.Number)
	html := s.repoWeb(l) + "/pull/" + n + "#pullrequestreview-" + strconv.FormatInt(v.ID, 10)
	self := s.repoAPI(l) + "/pulls/" + n
	author := s.user(v.Author)
	o := object{
		"id": v.ID, "node_id": node("PRR", v.ID), "user": l.user(author), "body": v.Body, "state": v.State, "commit_id": v.Commit,
		"html_url": html, "pull_request_url": self, "author_association": association(author),
		"_links": object{"html": object{"href": html}, "pull_request": object{"href": self}},
	}
	if !v.At.IsZero() {
		o["submitted_at"] = instant(v.At)
	}
	return o
}
