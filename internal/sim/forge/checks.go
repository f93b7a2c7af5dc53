package forge

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// checkState is the result of the newest status or check run of that name on a
// commit: "" for none, "success", or another word.
func (s *Server) checkState(commit, name string) string {
	state := ""
	for _, v := range s.state.Statuses {
		if v.SHA == commit && v.Context == name {
			state = v.State
		}
	}
	for _, v := range s.state.Runs {
		if v.SHA != commit || v.Name != name {
			continue
		}
		switch {
		case v.Conclusion == nil:
			state = "pending"
		case *v.Conclusion == "success", *v.Conclusion == "neutral", *v.Conclusion == "skipped":
			state = "success"
		default:
			state = *v.Conclusion
		}
	}
	return state
}

// commitOf resolves what stands for a commit in a path; a pull request's head
// needs no branch.
func (s *Server) commitOf(name string) (string, bool) {
	id, err := s.repo.Resolve(name)
	return id, err == nil
}

func (s *Server) createStatus(r *request) reply {
	var in struct {
		State       string
		Context     string
		Description *string
		TargetURL   *string `json:"target_url"`
	}
	if bad, ok := r.decode(&in); !ok {
		return bad
	}
	id, known := s.commitOf(r.PathValue("sha"))
	switch {
	case !r.may(Write):
		return forbidden()
	case !known || id != r.PathValue("sha"):
		return invalidBecause("Status", "No commit found for SHA: "+r.PathValue("sha"))
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, in.State):
		return invalid("Status", "state", "invalid")
	case in.Description != nil && len([]rune(*in.Description)) > 140:
		return invalidBecause("Status", "description is too long (maximum is 140 characters)")
	}
	if in.Context == "" {
		in.Context = "default"
	}
	v := &status{
		ID: s.state.nextID(), SHA: id, State: in.State, Context: in.Context, Description: in.Description, TargetURL: in.TargetURL,
		Creator: r.user.Login, At: r.now,
	}
	s.state.Statuses = append(s.state.Statuses, v)
	o := s.statusObject(r.at, v)
	o["creator"] = r.at.user(r.user)
	return done(http.StatusCreated, o, "check", id)
}

func (s *Server) statusObject(l links, v *status) object {
	return object{
		"id": v.ID, "node_id": node("SC", v.ID), "state": v.State, "context": v.Context, "description": v.Description, "target_url": v.TargetURL,
		"avatar_url": l.user(s.user(v.Creator))["avatar_url"], "url": s.repoAPI(l) + "/statuses/" + v.SHA,
		"created_at": instant(v.At), "updated_at": instant(v.At),
	}
}

// getCombinedStatus tells the newest status of each context, and all together:
// failure over pending over success, pending when there is none.
func (s *Server) getCombinedStatus(r *request) reply {
	id, known := s.commitOf(r.PathValue("ref"))
	if !known {
		return notFound()
	}
	var newest []*status
	for _, v := range s.state.Statuses {
		if v.SHA != id {
			continue
		}
		newest = slices.DeleteFunc(newest, func(old *status) bool { return old.Context == v.Context })
		newest = append(newest, v)
	}
	combined := "pending"
	if len(newest) > 0 {
		combined = "success"
	}
	for _, v := range newest {
		switch {
		case v.State == "failure" || v.State == "error":
			combined = "failure"
		case v.State == "pending" && combined == "success":
			combined = "pending"
		}
	}
	answer := page(r, newest, func(v *status) any { return s.statusObject(r.at, v) })
	answer.body = object{
		"state": combined, "sha": id, "total_count": len(newest), "statuses": answer.body, "repository": s.repository(r.at),
		"commit_url": s.repoAPI(r.at) + "/commits/" + id, "url": s.repoAPI(r.at) + "/commits/" + id + "/status",
	}
	return answer
}

// A runInput is the body that makes or changes a check run.
type runInput struct {
	Name       string
	HeadSHA    string `json:"head_sha"`
	Status     *string
	Conclusion *string
	ExternalID *string    `json:"external_id"`
	DetailsURL *string    `json:"details_url"`
	Completed  *time.Time `json:"completed_at"`
	Output     *struct{ Title, Summary, Text *string }
}

func (s *Server) createCheckRun(r *request) reply {
	var in runInput
	if bad, ok := r.decode(&in); !ok {
		return bad
	}
	id, known := s.commitOf(in.HeadSHA)
	switch {
	case !r.user.Bot || !r.may(Write):
		return failed(http.StatusForbidden, "You must authenticate via a GitHub App.")
	case !known || id != in.HeadSHA:
		return invalidBecause("CheckRun", "No commit found for SHA: "+in.HeadSHA)
	case in.Name == "":
		return invalid("CheckRun", "name", "missing_field")
	}
	v := &checkRun{SHA: id, Name: in.Name, Status: "queued", Creator: r.user.Login, Started: r.now}
	if bad, wrong := v.change(in, r.now); wrong {
		return bad
	}
	v.ID = s.state.nextID()
	s.state.Runs = append(s.state.Runs, v)
	return done(http.StatusCreated, s.runObject(r.at, v), "check", id)
}

// change applies what the input says. A conclusion completes the run.
func (v *checkRun) change(in runInput, now time.Time) (reply, bool) {
	to := *v
	setIf(&to.Status, in.Status)
	for _, field := range []struct {
		to   **string
		from *string
	}{{&to.Conclusion, in.Conclusion}, {&to.ExternalID, in.ExternalID}, {&to.DetailsURL, in.DetailsURL}} {
		if field.from != nil {
			*field.to = field.from
		}
	}
	if in.Conclusion != nil {
		to.Status = "completed"
	}
	if in.Output != nil {
		to.Title, to.Summary, to.Text = in.Output.Title, in.Output.Summary, in.Output.Text
	}
	switch to.Status {
	case "completed":
		if to.Conclusion == nil {
			return invalid("CheckRun", "conclusion", "missing_field"), true
		}
		to.Completed = now
		if in.Completed != nil {
			to.Completed = in.Completed.UTC()
		}
	case "queued", "in_progress":
		to.Conclusion, to.Completed = nil, time.Time{}
	default:
		return invalid("CheckRun", "status", "invalid"), true
	}
	*v = to
	return reply{}, false
}

// run is the check run the path names, nil when there is none.
func (s *Server) run(r *request) *checkRun {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	i := slices.IndexFunc(s.state.Runs, func(v *checkRun) bool { return v.ID == id })
	if err != nil || i < 0 {
		return nil
	}
	return s.state.Runs[i]
}

func (s *Server) getCheckRun(r *request) reply {
	v := s.run(r)
	if v == nil {
		return notFound()
	}
	return ok(s.runObject(r.at, v))
}

func (s *Server) updateCheckRun(r *request) reply {
	v := s.run(r)
	if v == nil {
		return notFound()
	}
	var in runInput
	if bad, ok := r.decode(&in); !ok {
		return bad
	}
	if !r.user.Bot || v.Creator != r.user.Login {
		return failed(http.StatusForbidden, "You must authenticate via the GitHub App that made the check run.")
	}
	if bad, wrong := v.change(in, r.now); wrong {
		return bad
	}
	if in.Name != "" {
		v.Name = in.Name
	}
	return done(http.StatusOK, s.runObject(r.at, v), "check", v.SHA)
}

// listCheckRuns tells the newest run of each name, as the filter "latest" does,
// which is the default.
func (s *Server) listCheckRuns(r *request) reply {
	id, known := s.commitOf(r.PathValue("ref"))
	if !known {
		return invalidBecause("CheckRun", "No commit found for SHA: "+r.PathValue("ref"))
	}
	q := r.URL.Query()
	var found []*checkRun
	for _, v := range s.state.Runs {
		if v.SHA != id || (q.Get("check_name") != "" && q.Get("check_name") != v.Name) || (q.Get("status") != "" && q.Get("status") != v.Status) {
			continue
		}
		if q.Get("filter") != "all" {
			found = slices.DeleteFunc(found, func(old *checkRun) bool { return old.Name == v.Name })
		}
		found = append(found, v)
	}
	answer := page(r, found, func(v *checkRun) any { return s.runObject(r.at, v) })
	answer.body = object{"total_count": len(found), "check_runs": answer.body}
	return answer
}

func (s *Server) runObject(l links, v *checkRun) object {
	self := s.repoAPI(l) + "/check-runs/" + strconv.FormatInt(v.ID, 10)
	creator := s.user(v.Creator)
	return object{
		"id": v.ID, "node_id": node("CR", v.ID), "head_sha": v.SHA, "name": v.Name, "status": v.Status, "conclusion": v.Conclusion,
		"external_id": v.ExternalID, "details_url": v.DetailsURL, "url": self, "html_url": s.repoWeb(l) + "/runs/" + strconv.FormatInt(v.ID, 10),
		"started_at": instant(v.Started), "completed_at": maybe(v.Completed), "pull_requests": []any{},
		"check_suite": object{"id": v.ID},
		"output": object{
			"title": v.Title, "summary": v.Summary, "text": v.Text, "annotations_count": 0, "annotations_url": self + "/annotations",
		},
		"app": object{
			"id": creator.ID, "slug": trimBot(creator.Login), "node_id": node("A", creator.ID), "owner": s.owner(l), "name": trimBot(creator.Login),
			"description": nil, "external_url": l.web, "html_url": l.web + "/apps/" + trimBot(creator.Login), "permissions": object{"checks": "write"},
			"events": []any{}, "created_at": instant(s.state.Created), "updated_at": instant(s.state.Created),
		},
	}
}
