// Package forge simulates the part of GitHub that packmill works with: one
// repository with git over HTTP, pull requests, reviews, checks, labels,
// comments and a protected main branch.
//
// It is a server and not a set of answers. Git is git's own http-backend over a
// bare repository, rules for pushes are an update hook in it, merges are made by
// `git merge-tree`, and the REST API below /api/v3/ keeps GitHub's state
// machine, errors, paging, entity tags and rate limits. Every answer conforms
// to GitHub's OpenAPI description; the tests check both directions.
//
// Everything is on disk before anyone is told: refs by git, the rest in one
// file that is replaced as a whole. A merge, which touches both, is announced
// in that file first and completed when the server is opened again. Killing the
// process at any point loses nothing that was answered.
//
// Events told to the observer, with their detail: push (branch), open, edit,
// close, review, ask, merge, label, comment (pull request's number), issue
// (issue's number), check (commit).
package forge

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/event"
)

// Roles of a user in the repository.
const (
	Read  = "read"
	Write = "write"
	Admin = "admin"
)

// A User is an account of the forge. The token is what it signs in with, both
// for the API and for git.
type User struct {
	Login string
	Name  string // shown as author of merges; Login when empty
	Token string
	ID    int64
	Bot   bool   // an app: may write check runs and evidence branches
	Role  string // Read, Write or Admin
}

// Protection is what main demands. Pushing to it is never allowed, except to
// make it; evidence/* takes fast-forwards of bots with the role Write.
type Protection struct {
	Reviews      int      // approvals by others who may write
	DismissStale bool     // a push to the branch makes approvals void
	Checks       []string // contexts that must be successful
	// Bypass are the logins of apps that may merge pull requests past the demand
	// for reviews, and past nothing else. With any, that demand is a ruleset of
	// its own, as GitHub has it: who may bypass a ruleset bypasses all of it.
	Bypass []string
}

// Limits bound what one user may send. They are counted on Options.Now, so a
// clock that stands still never gives quota back.
type Limits struct {
	PerHour         int // requests; 0 means 15000
	WritesPerMinute int // requests that change something; 0 means no bound
}

// Options are a forge's settings. Dir is kept between runs, the rest is given
// anew.
type Options struct {
	Dir       string // holds everything; made if it does not exist
	Owner     string
	Name      string
	Users     []User
	Protected Protection
	Limits    Limits
	// Settle is how often mergeability must be asked for after a push before
	// it is known, as GitHub computes it in the background: 0 means once,
	// negative not at all.
	Settle   int
	Now      func() time.Time
	Observer event.Observer
}

// A Server is the forge. It is safe for concurrent use.
type Server struct {
	o       Options
	git     *program
	repo    *gitrepo.Repo
	gitDir  string // the bare repository
	backend string // path of git-http-backend
	mux     *http.ServeMux

	mu    sync.Mutex // over state, rates, and every change of a ref
	state *state
	rates map[string]*rate
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// New opens the forge in o.Dir, making it if it does not exist, and completes
// what a killed one left undone.
func New(o Options) (*Server, error) {
	if !namePattern.MatchString(o.Owner) || !namePattern.MatchString(o.Name) {
		return nil, fmt.Errorf("forge %q/%q: no name of a repository", o.Owner, o.Name)
	}
	if o.Now == nil {
		return nil, errors.New("forge: no clock")
	}
	for _, u := range o.Users {
		if !namePattern.MatchString(trimBot(u.Login)) || u.Token == "" || u.ID == 0 || roles[u.Role] == 0 {
			return nil, fmt.Errorf("forge: user %q needs a login, a token, an id and a role", u.Login)
		}
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	s := &Server{o: o, gitDir: filepath.Join(dir, "git", o.Owner, o.Name+".git"), rates: map[string]*rate{}}
	if s.git, err = findGit(); err != nil {
		return nil, err
	}
	s.backend = filepath.Join(s.git.execPath, "git-http-backend")
	if _, err := os.Stat(s.backend); err != nil {
		return nil, fmt.Errorf("forge: git without http-backend: %w", err)
	}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("forge: prepare %s: %w", s.gitDir, err)
	}
	if s.repo, err = gitrepo.Open(s.gitDir); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("forge: %w", err)
	}
	if err := s.recover(); err != nil {
		return nil, fmt.Errorf("forge: complete what was left undone: %w", err)
	}
	s.mux = s.routes()
	return s, nil
}

// GitDir is the bare repository on disk.
func (s *Server) GitDir() string { return s.gitDir }

// GitPath and APIPath are where the server has the repository and the API,
// below its own address.
func (s *Server) GitPath() string { return "/" + s.o.Owner + "/" + s.o.Name + ".git" }

// APIPath is the root of the REST API.
func (s *Server) APIPath() string { return apiRoot + "/" }

const apiRoot = "/api/v3"

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// routes is everything the server answers.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+s.GitPath()+"/info/refs", s.serveGit)
	mux.HandleFunc("POST "+s.GitPath()+"/git-upload-pack", s.serveGit)
	mux.HandleFunc("POST "+s.GitPath()+"/git-receive-pack", s.serveGit)
	const repo = "/repos/{owner}/{repo}"
	for pattern, h := range map[string]handler{
		"GET /user":                                               s.getUser,
		"GET /rate_limit":                                         s.getRateLimit,
		"GET " + repo:                                             s.getRepository,
		"GET " + repo + "/branches":                               s.listBranches,
		"GET " + repo + "/branches/{branch}":                      s.getBranch,
		"GET " + repo + "/rules/branches/{branch}":                s.getBranchRules,
		"GET " + repo + "/rulesets":                               s.listRulesets,
		"GET " + repo + "/rulesets/{id}":                          s.getRuleset,
		"GET " + repo + "/pulls":                                  s.listPulls,
		"POST " + repo + "/pulls":                                 s.createPull,
		"GET " + repo + "/pulls/{number}":                         s.getPull,
		"PATCH " + repo + "/pulls/{number}":                       s.editPull,
		"GET " + repo + "/pulls/{number}/files":                   s.listFiles,
		"GET " + repo + "/pulls/{number}/merge":                   s.isMerged,
		"PUT " + repo + "/pulls/{number}/merge":                   s.mergePull,
		"GET " + repo + "/pulls/{number}/reviews":                 s.listReviews,
		"POST " + repo + "/pulls/{number}/reviews":                s.createReview,
		"POST " + repo + "/pulls/{number}/requested_reviewers":    s.requestReviewers,
		"GET " + repo + "/issues":                                 s.listIssues,
		"POST " + repo + "/issues":                                s.createIssue,
		"GET " + repo + "/issues/{number}":                        s.getIssue,
		"PATCH " + repo + "/issues/{number}":                      s.editIssue,
		"GET " + repo + "/issues/{number}/{part}":                 s.issuePart,
		"POST " + repo + "/issues/{number}/{part}":                s.issuePart,
		"PUT " + repo + "/issues/{number}/{part}":                 s.issuePart,
		"GET " + repo + "/issues/comments/{id}":                   s.getComment,
		"PATCH " + repo + "/issues/comments/{id}":                 s.editComment,
		"DELETE " + repo + "/issues/comments/{id}":                s.deleteComment,
		"GET " + repo + "/commits/{ref}/status":                   s.getCombinedStatus,
		"GET " + repo + "/commits/{ref}/pulls":                    s.listCommitPulls,
		"GET " + repo + "/commits/{ref}/check-runs":               s.listCheckRuns,
		"POST " + repo + "/statuses/{sha}":                        s.createStatus,
		"POST " + repo + "/check-runs":                            s.createCheckRun,
		"GET " + repo + "/check-runs/{id}":                        s.getCheckRun,
		"PATCH " + repo + "/check-runs/{id}":                      s.updateCheckRun,
		"GET " + repo + "/git/ref/{ref...}":                       s.getRef,
		"DELETE " + repo + "/issues/{number}/labels/{name}":       s.removeLabel,
		"PUT " + repo + "/pulls/{number}/reviews/{id}/dismissals": s.dismissReview,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+apiRoot+path, s.api(h))
	}
	mux.HandleFunc("/", s.api(func(*request) reply { return notFound() }))
	return mux
}
