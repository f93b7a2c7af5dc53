package forge

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (s *Server) isMerged(r *request) reply {
	p := s.pull(r)
	if p == nil || p.Commit == "" {
		return notFound()
	}
	return reply{status: http.StatusNoContent}
}

// settled reports whether mergeability is known for where head and base stand
// now, and counts the question. GitHub computes it in the background; here
// time passes by questions, so that runs repeat.
func (s *Server) settled(p *pull) (known, counted bool) {
	about := p.BaseSHA + " " + p.Head
	if p.About != about {
		p.About, p.Asked = about, 0
	}
	settle := s.o.Settle
	if settle == 0 {
		settle = 1
	}
	if p.Asked >= settle {
		return true, false
	}
	p.Asked++
	return false, true
}

// missing lists what main's rules still demand of a pull request before a user
// may merge it.
func (s *Server) missing(p *pull, by User) []string {
	if p.Base != "main" {
		return nil
	}
	return append(s.unreviewed(p, by), s.unchecked(p)...)
}

func (s *Server) unreviewed(p *pull, by User) []string {
	if by.Bot && slices.Contains(s.o.Protected.Bypass, by.Login) {
		return nil
	}
	var out []string
	approvals, objections := s.opinions(p)
	if objections > 0 {
		out = append(out, "Changes must be made: a reviewer with write access requested changes.")
	}
	if need := s.o.Protected.Reviews; approvals < need {
		noun := "review is"
		if need > 1 {
			noun = "reviews are"
		}
		out = append(out, fmt.Sprintf("At least %d approving %s required by reviewers with write access.", need, noun))
	}
	return out
}

func (s *Server) unchecked(p *pull) []string {
	var out []string
	for _, context := range s.o.Protected.Checks {
		switch s.checkState(p.Head, context) {
		case "success":
		case "":
			out = append(out, fmt.Sprintf("Required status check %q is expected.", context))
		default:
			out = append(out, fmt.Sprintf("Required status check %q is not successful.", context))
		}
	}
	return out
}

// opinions counts the last words of reviewers who may write. The author's own
// and mere comments do not count.
func (s *Server) opinions(p *pull) (approvals, objections int) {
	last := map[string]string{}
	for _, v := range p.Reviews {
		if v.Author == p.Author || roles[s.user(v.Author).Role] < roles[Write] {
			continue
		}
		switch v.State {
		case "APPROVED", "CHANGES_REQUESTED", "DISMISSED":
			last[v.Author] = v.State
		}
	}
	for _, state := range last {
		switch state {
		case "APPROVED":
			approvals++
		case "CHANGES_REQUESTED":
			objections++
		}
	}
	return approvals, objections
}

func (s *Server) mergePull(r *request) reply {
	p := s.pull(r)
	if p == nil {
		return notFound()
	}
	var in struct {
		Title   *string `json:"commit_title"`
		Message *string `json:"commit_message"`
		SHA     string  `json:"sha"`
		Method  string  `json:"merge_method"`
	}
	if len(r.body) > 0 {
		if bad, ok := r.decode(&in); !ok {
			return bad
		}
	}
	if !r.may(Write) {
		return forbidden()
	}
	if refused, yes := s.refuseMerge(p, r.user, in.SHA, cmp.Or(in.Method, "merge")); yes {
		return refused
	}
	tree, clean, err := s.mergeTree(r.Context(), p.BaseSHA, p.Head)
	if err != nil {
		return broken(err)
	}
	if !clean {
		return failed(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	title, message := p.Title+" (#"+strconv.Itoa(p.Number)+")", p.Body
	setIf(&title, in.Title)
	setIf(&message, in.Message)
	text := strings.TrimSpace(strings.ReplaceAll(title+"\n\n"+message, "\r\n", "\n"))
	commit, err := s.commitMerge(r.Context(), tree, p.BaseSHA, p.Head, text, r.user, r.now)
	if err != nil {
		return broken(err)
	}
	// Announced first, so that a kill between the two writes is completed by
	// recover.
	s.state.Pending = &pending{Number: p.Number, Base: p.BaseSHA, Commit: commit, By: r.user.Login, At: r.now}
	if err := s.save(); err != nil {
		return broken(err)
	}
	if err := s.repo.SetBranch(p.Base, p.BaseSHA, commit); err != nil {
		s.state.Pending = nil
		return broken(err)
	}
	if err := s.merged(s.state.Pending); err != nil {
		return broken(err)
	}
	return done(http.StatusOK, object{"sha": commit, "merged": true, "message": "Pull Request successfully merged"}, "merge", strconv.Itoa(p.Number))
}

// refuseMerge is the reason not to merge, if there is one.
func (s *Server) refuseMerge(p *pull, by User, sha, method string) (reply, bool) {
	if !p.Open {
		return failed(http.StatusMethodNotAllowed, "Pull Request is not mergeable"), true
	}
	if sha != "" && sha != p.Head {
		return failed(http.StatusConflict, "Head branch was modified. Review and try the merge again."), true
	}
	if method != "merge" {
		return failed(http.StatusMethodNotAllowed, strings.ToUpper(method[:1])+method[1:]+" merges are not allowed on this repository."), true
	}
	if known, _ := s.settled(p); !known {
		answer := failed(http.StatusMethodNotAllowed, "Base branch was modified. Review and try the merge again.")
		answer.dirty = true
		return answer, true
	}
	if missing := s.missing(p, by); len(missing) > 0 {
		return failed(http.StatusMethodNotAllowed, "Repository rule violations found\n\n"+strings.Join(missing, "\n\n")+"\n\n"), true
	}
	return reply{}, false
}
