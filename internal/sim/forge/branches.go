package forge

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/record/gitrepo"
)

// isProtected reports whether a branch has rules.
func isProtected(branch string) bool {
	return branch == "main" || strings.HasPrefix(branch, "evidence/")
}

func (s *Server) listBranches(r *request) reply {
	refs, err := s.repo.Refs("refs/heads/")
	if err != nil {
		return broken(err)
	}
	names := slices.Sorted(maps.Keys(refs))
	if want, err := strconv.ParseBool(r.URL.Query().Get("protected")); err == nil {
		names = slices.DeleteFunc(names, func(n string) bool { return isProtected(strings.TrimPrefix(n, "refs/heads/")) != want })
	}
	return page(r, names, func(ref string) any {
		name := strings.TrimPrefix(ref, "refs/heads/")
		return object{
			"name": name, "protected": isProtected(name),
			"commit": object{"sha": refs[ref], "url": s.repoAPI(r.at) + "/commits/" + refs[ref]},
		}
	})
}

func (s *Server) getBranch(r *request) reply {
	name := r.PathValue("branch")
	id, err := s.repo.Ref("refs/heads/" + name)
	if err != nil {
		return broken(err)
	}
	if id == "" {
		return failed(http.StatusNotFound, "Branch not found")
	}
	info, err := s.repo.CommitInfo(id)
	if err != nil {
		return broken(err)
	}
	url := s.repoAPI(r.at) + "/branches/" + name
	return ok(object{
		"name": name, "commit": s.commit(r.at, info), "protected": isProtected(name), "protection_url": url + "/protection",
		"protection": object{"enabled": isProtected(name)},
		"_links":     object{"self": url, "html": s.repoWeb(r.at) + "/tree/" + name},
	})
}

// commit is a commit as branches show it.
func (s *Server) commit(l links, c gitrepo.CommitInfo) object {
	api, web := s.repoAPI(l), s.repoWeb(l)
	who := object{"name": c.Author.Name, "email": c.Author.Email, "date": instant(c.When)}
	parents := []any{}
	for _, p := range c.Parents {
		parents = append(parents, object{"sha": p, "url": api + "/commits/" + p, "html_url": web + "/commit/" + p})
	}
	return object{
		"sha": c.ID, "node_id": "C_" + c.ID, "url": api + "/commits/" + c.ID, "html_url": web + "/commit/" + c.ID,
		"comments_url": api + "/commits/" + c.ID + "/comments", "author": nil, "committer": nil, "parents": parents,
		"commit": object{
			"url": api + "/git/commits/" + c.ID, "author": who, "committer": who, "message": c.Message, "comment_count": 0,
			"tree": object{"sha": c.Tree, "url": api + "/git/trees/" + c.Tree},
		},
	}
}

func (s *Server) getRef(r *request) reply {
	name := "refs/" + r.PathValue("ref")
	id, err := s.repo.Ref(name)
	if err != nil {
		return broken(err)
	}
	if id == "" {
		return notFound()
	}
	return ok(object{
		"ref": name, "node_id": "REF_" + name, "url": s.repoAPI(r.at) + "/git/" + name,
		"object": object{"type": "commit", "sha": id, "url": s.repoAPI(r.at) + "/git/commits/" + id},
	})
}

// The rulesets: what main demands, that evidence only grows, and, where some app
// may bypass it, main's demand for reviews.
const (
	mainRuleset     = 1
	evidenceRuleset = 2
	reviewRuleset   = 3
)

// rulesets are the ids of those there are.
func (s *Server) rulesets() []int {
	if len(s.o.Protected.Bypass) > 0 {
		return []int{mainRuleset, evidenceRuleset, reviewRuleset}
	}
	return []int{mainRuleset, evidenceRuleset}
}

// rules are the rules of a ruleset, as the API tells them.
func (s *Server) rules(ruleset int) []object {
	rules := []object{{"type": "deletion"}, {"type": "non_fast_forward"}}
	review := object{"type": "pull_request", "parameters": object{
		"required_approving_review_count": s.o.Protected.Reviews, "dismiss_stale_reviews_on_push": s.o.Protected.DismissStale,
		"require_code_owner_review": false, "require_last_push_approval": false, "required_review_thread_resolution": false,
		"allowed_merge_methods": []string{"merge"},
	}}
	switch {
	case ruleset == evidenceRuleset:
		return append(rules, object{"type": "update"})
	case ruleset == reviewRuleset:
		return []object{review}
	case len(s.o.Protected.Bypass) == 0:
		rules = append(rules, review)
	}
	if len(s.o.Protected.Checks) > 0 {
		checks := []any{}
		for _, c := range s.o.Protected.Checks {
			checks = append(checks, object{"context": c})
		}
		rules = append(rules, object{"type": "required_status_checks", "parameters": object{
			"required_status_checks": checks, "strict_required_status_checks_policy": false,
		}})
	}
	return rules
}

func (s *Server) getBranchRules(r *request) reply {
	branch := r.PathValue("branch")
	var rules []object
	for _, id := range s.rulesets() {
		if !isProtected(branch) || (branch == "main") == (id == evidenceRuleset) {
			continue
		}
		for _, rule := range s.rules(id) {
			rule["ruleset_id"], rule["ruleset_source"], rule["ruleset_source_type"] = id, s.o.Owner+"/"+s.o.Name, "Repository"
			rules = append(rules, rule)
		}
	}
	return page(r, rules, func(rule object) any { return rule })
}

func (s *Server) ruleset(l links, id int) object {
	name := map[int]string{mainRuleset: "main", evidenceRuleset: "evidence", reviewRuleset: "reviews"}[id]
	return object{
		"id": id, "name": name, "target": "branch", "source": s.o.Owner + "/" + s.o.Name, "source_type": "Repository", "enforcement": "active",
		"node_id": node("RRS", int64(id)), "created_at": instant(s.state.Created), "updated_at": instant(s.state.Created),
		"_links": object{"self": object{"href": s.repoAPI(l) + "/rulesets/" + strconv.Itoa(id)}},
	}
}

func (s *Server) listRulesets(r *request) reply {
	return page(r, s.rulesets(), func(id int) any { return s.ruleset(r.at, id) })
}

func (s *Server) getRuleset(r *request) reply {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || !slices.Contains(s.rulesets(), id) {
		return notFound()
	}
	o := s.ruleset(r.at, id)
	include := []string{"refs/heads/main"}
	if id == evidenceRuleset {
		include = []string{"refs/heads/evidence/**/*"}
	}
	o["conditions"] = object{"ref_name": object{"include": include, "exclude": []string{}}}
	o["bypass_actors"] = s.bypass(id)
	o["rules"] = s.rules(id)
	return ok(o)
}

// bypass are the apps that may merge past a ruleset.
func (s *Server) bypass(ruleset int) []any {
	out := []any{}
	if ruleset == reviewRuleset {
		for _, login := range s.o.Protected.Bypass {
			out = append(out, object{"actor_id": s.user(login).ID, "actor_type": "Integration", "bypass_mode": "pull_request"})
		}
	}
	return out
}
