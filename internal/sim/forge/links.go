package forge

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// links makes the addresses that GitHub puts into every object, from the
// address the request came to.
type links struct {
	host string
	web  string // http://host
	api  string // http://host/api/v3
}

func linksOf(r *http.Request) links {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	web := scheme + "://" + r.Host
	return links{host: r.Host, web: web, api: web + apiRoot}
}

// instant is a time as GitHub writes it.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// maybe is an instant, or null for none.
func maybe(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return instant(t)
}

// node is an object's id in the other API of GitHub's, which nobody here uses.
func node(kind string, id int64) string { return fmt.Sprintf("%s_%d", kind, id) }

// user is an account in short.
func (l links) user(u User) object {
	api := l.api + "/users/" + url.PathEscape(u.Login)
	kind := "User"
	if u.Bot {
		kind = "Bot"
	}
	return object{
		"login": u.Login, "id": u.ID, "node_id": node("U", u.ID), "type": kind, "site_admin": false, "gravatar_id": "",
		"avatar_url": fmt.Sprintf("%s/avatars/u/%d", l.web, u.ID), "html_url": l.web + "/" + url.PathEscape(u.Login), "url": api,
		"followers_url": api + "/followers", "following_url": api + "/following{/other_user}", "gists_url": api + "/gists{/gist_id}",
		"starred_url": api + "/starred{/owner}{/repo}", "subscriptions_url": api + "/subscriptions", "organizations_url": api + "/orgs",
		"repos_url": api + "/repos", "events_url": api + "/events{/privacy}", "received_events_url": api + "/received_events",
	}
}

// repoAPI and repoWeb are the repository's own addresses.
func (s *Server) repoAPI(l links) string { return l.api + "/repos/" + s.o.Owner + "/" + s.o.Name }
func (s *Server) repoWeb(l links) string { return l.web + "/" + s.o.Owner + "/" + s.o.Name }

// owner is the account the repository belongs to: an organization, unless a
// user has that login.
func (s *Server) owner(l links) object {
	for _, u := range s.o.Users {
		if u.Login == s.o.Owner {
			return l.user(u)
		}
	}
	o := l.user(User{Login: s.o.Owner, ID: 1})
	o["type"] = "Organization"
	return o
}

// repository is the repository as other objects embed it.
func (s *Server) repository(l links) object {
	api, web := s.repoAPI(l), s.repoWeb(l)
	open := 0
	for _, p := range s.state.Pulls {
		if p.Open {
			open++
		}
	}
	o := object{
		"id": 1, "node_id": "R_1", "name": s.o.Name, "full_name": s.o.Owner + "/" + s.o.Name, "owner": s.owner(l),
		"private": true, "fork": false, "archived": false, "disabled": false, "description": nil, "homepage": nil, "language": nil,
		"mirror_url": nil, "license": nil, "default_branch": "main", "size": 0, "visibility": "private",
		"forks": 0, "forks_count": 0, "stargazers_count": 0, "watchers": 0, "watchers_count": 0, "open_issues": open, "open_issues_count": open,
		"has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false, "has_downloads": false, "has_discussions": false,
		"created_at": instant(s.state.Created), "updated_at": instant(s.state.Created), "pushed_at": instant(s.state.Created),
		"url": api, "html_url": web, "svn_url": web, "clone_url": web + ".git",
		"git_url":            "git://" + l.host + "/" + s.o.Owner + "/" + s.o.Name + ".git",
		"ssh_url":            "git@forge.example:" + s.o.Owner + "/" + s.o.Name + ".git",
		"allow_merge_commit": true, "allow_squash_merge": false, "allow_rebase_merge": false, "allow_auto_merge": false, "delete_branch_on_merge": false,
		"merge_commit_title": "PR_TITLE", "merge_commit_message": "PR_BODY",
	}
	for name, path := range repositoryLinks {
		o[name+"_url"] = api + path
	}
	return o
}

// repositoryLinks are the addresses below a repository, by name.
var repositoryLinks = map[string]string{
	"archive": "/{archive_format}{/ref}", "assignees": "/assignees{/user}", "blobs": "/git/blobs{/sha}", "branches": "/branches{/branch}",
	"collaborators": "/collaborators{/collaborator}", "comments": "/comments{/number}", "commits": "/commits{/sha}",
	"compare": "/compare/{base}...{head}", "contents": "/contents/{+path}", "contributors": "/contributors", "deployments": "/deployments",
	"downloads": "/downloads", "events": "/events", "forks": "/forks", "git_commits": "/git/commits{/sha}", "git_refs": "/git/refs{/sha}",
	"git_tags": "/git/tags{/sha}", "issue_comment": "/issues/comments{/number}", "issue_events": "/issues/events{/number}",
	"issues": "/issues{/number}", "keys": "/keys{/key_id}", "labels": "/labels{/name}", "languages": "/languages", "merges": "/merges",
	"milestones": "/milestones{/number}", "notifications": "/notifications{?since,all,participating}", "pulls": "/pulls{/number}",
	"releases": "/releases{/id}", "stargazers": "/stargazers", "statuses": "/statuses/{sha}", "subscribers": "/subscribers",
	"subscription": "/subscription", "tags": "/tags", "teams": "/teams", "trees": "/git/trees{/sha}", "hooks": "/hooks",
}

func (s *Server) getRepository(r *request) reply {
	o := s.repository(r.at)
	o["subscribers_count"], o["network_count"] = 0, 0
	o["permissions"] = object{
		"admin": r.may(Admin), "maintain": r.may(Admin), "push": r.may(Write), "triage": r.may(Write), "pull": true,
	}
	return ok(o)
}

// association is how an author stands to the repository.
func association(u User) string {
	if roles[u.Role] >= roles[Write] {
		return "MEMBER"
	}
	return "NONE"
}
