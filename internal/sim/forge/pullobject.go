package forge

import (
	"strconv"
	"strings"
)

// pullObject is a pull request as lists show it.
func (s *Server) pullObject(l links, p *pull) object {
	n := strconv.Itoa(p.Number)
	api, web := s.repoAPI(l), s.repoWeb(l)
	self, issue, html := api+"/pulls/"+n, api+"/issues/"+n, web+"/pull/"+n
	author := s.user(p.Author)
	labels := []any{}
	for _, name := range p.Labels {
		labels = append(labels, s.labelObject(l, name))
	}
	state := "closed"
	if p.Open {
		state = "open"
	}
	var commit any
	if p.Commit != "" {
		commit = p.Commit
	}
	statuses := api + "/statuses/" + p.Head
	href := func(to string) object { return object{"href": to} }
	return object{
		"id": p.ID, "node_id": node("PR", p.ID), "number": p.Number, "state": state, "locked": false, "draft": false,
		"title": p.Title, "body": p.Body, "user": l.user(author), "author_association": association(author),
		"labels": labels, "milestone": nil, "assignee": nil, "assignees": []any{}, "requested_reviewers": s.usersOf(l, p.Reviewers), "requested_teams": []any{},
		"auto_merge": nil, "created_at": instant(p.Created), "updated_at": instant(p.Updated), "closed_at": maybe(p.Closed), "merged_at": maybe(p.Merged),
		"merge_commit_sha": commit, "head": s.side(l, p.Branch, p.Head), "base": s.side(l, p.Base, p.BaseSHA),
		"url": self, "html_url": html, "diff_url": html + ".diff", "patch_url": html + ".patch", "issue_url": issue,
		"commits_url": self + "/commits", "review_comments_url": self + "/comments", "review_comment_url": api + "/pulls/comments{/number}",
		"comments_url": issue + "/comments", "statuses_url": statuses,
		"_links": object{
			"self": href(self), "html": href(html), "issue": href(issue), "comments": href(issue + "/comments"),
			"review_comments": href(self + "/comments"), "review_comment": href(api + "/pulls/comments{/number}"),
			"commits": href(self + "/commits"), "statuses": href(statuses),
		},
	}
}

// side is the head or the base of a pull request.
func (s *Server) side(l links, branch, commit string) object {
	return object{"label": s.o.Owner + ":" + branch, "ref": branch, "sha": commit, "repo": s.repository(l), "user": s.owner(l)}
}

// wholePull is a pull request with what only its own address tells: what it
// changes and whether it can be merged.
func (s *Server) wholePull(r *request, p *pull) (object, error) {
	ctx := r.Context()
	o := s.pullObject(r.at, p)
	from := p.BaseSHA
	base, err := s.repo.MergeBase(ctx, from, p.Head)
	if err != nil {
		return nil, err
	}
	counts, err := s.lineCounts(ctx, base, p.Head)
	if err != nil {
		return nil, err
	}
	additions, deletions := 0, 0
	for _, n := range counts {
		additions += n[0]
		deletions += n[1]
	}
	commits, err := s.git.run(ctx, s.gitDir, nil, "rev-list", "--count", from+".."+p.Head)
	if err != nil {
		return nil, err
	}
	if o["commits"], err = strconv.Atoi(strings.TrimSpace(commits)); err != nil {
		return nil, err
	}
	o["additions"], o["deletions"], o["changed_files"] = additions, deletions, len(counts)
	o["comments"], o["review_comments"], o["maintainer_can_modify"] = len(p.Comments), 0, false
	o["merged"], o["merged_by"] = p.Commit != "", nil
	if p.Commit != "" {
		o["merged_by"] = r.at.user(s.user(p.MergedBy))
	}
	o["mergeable"], o["mergeable_state"] = nil, "unknown"
	if p.Open {
		_, clean, err := s.mergeTree(ctx, p.BaseSHA, p.Head)
		if err != nil {
			return nil, err
		}
		o["mergeable"], o["mergeable_state"] = clean, "dirty"
		if clean {
			o["mergeable_state"] = "clean"
			if len(s.missing(p, r.user)) > 0 {
				o["mergeable_state"] = "blocked"
			}
		}
	}
	return o, nil
}
