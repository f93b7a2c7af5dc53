package forge

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOperationsTheClientHasNoUseFor calls what the conformance suite does not.
func TestOperationsTheClientHasNoUseFor(t *testing.T) {
	w := newWorld(t, nil)
	head := w.pull("bump/a")
	w.call(writerToken, "GET", "/user", "").want(t, 200, `"login":"aino"`, `"name":"Aino Virtanen"`, `"type":"User"`)
	w.call(botToken, "GET", "/user", "").want(t, 200, `"type":"Bot"`)
	w.call(botToken, "GET", "/rate_limit", "").want(t, 200, `"remaining"`)
	w.call(botToken, "GET", repoPath, "").want(t, 200, `"default_branch":"main"`, `"merge_commit_title":"PR_TITLE"`, `"open_issues":1`)
	w.call(botToken, "GET", repoPath+"/branches", "").want(t, 200, `"name":"bump/a"`, head)
	if a := w.call(botToken, "GET", repoPath+"/branches?protected=true", ""); len(a.list) != 1 {
		t.Errorf("protected branches: %s", a.body)
	}
	w.call(botToken, "GET", repoPath+"/branches/bump%2Fa", "").want(t, 200, head, `"message":"Change bump/a\n"`)
	w.call(botToken, "GET", repoPath+"/branches/nothing", "").want(t, 404, "Branch not found")
	w.call(botToken, "GET", repoPath+"/git/ref/heads/bump/a", "").want(t, 200, head, `"ref":"refs/heads/bump/a"`)
	w.call(botToken, "GET", repoPath+"/git/ref/heads/nothing", "").want(t, 404)
	w.call(botToken, "GET", repoPath+"/rulesets", "").want(t, 200, `"evidence"`)
	w.call(botToken, "GET", repoPath+"/rulesets/1", "").want(t, 200, `"required_approving_review_count":1`, `"refs/heads/main"`)
	w.call(botToken, "GET", repoPath+"/rulesets/3", "").want(t, 404)
	w.call(botToken, "GET", repoPath+"/pulls/1/files", "").want(t, 200, `"filename":"files/bump/a"`, `"status":"added"`, `"additions":2`)
	w.call(botToken, "GET", repoPath+"/pulls/1/merge", "").want(t, 404)
	w.call(botToken, "GET", repoPath+"/commits/"+head+"/pulls", "").want(t, 200, `"number":1`)
	w.call(botToken, "GET", repoPath+"/pulls/1", "").want(t, 200, `"mergeable":null`, `"commits":1`, `"changed_files":1`)
	w.call(botToken, "GET", repoPath+"/pulls/1", "").want(t, 200, `"mergeable":true`, `"mergeable_state":"blocked"`)
	w.call(botToken, "GET", repoPath+"/pulls/2", "").want(t, 404)

	w.call(botToken, "PUT", repoPath+"/issues/1/labels", `{"labels":["b","a","b"]}`).want(t, 200)
	if a := w.call(botToken, "GET", repoPath+"/issues/1/labels", ""); len(a.list) != 2 {
		t.Errorf("labels: %s", a.body)
	}
	made := w.call(readerToken, "POST", repoPath+"/issues/1/comments", `{"body":"Looks odd."}`).want(t, 201, `"author_association":"NONE"`)
	path := fmt.Sprintf("%s/issues/comments/%.0f", repoPath, made.json["id"])
	w.call(readerToken, "GET", path, "").want(t, 200, "Looks odd.")
	w.call(readerToken, "DELETE", path, "").want(t, 204)
	w.call(readerToken, "GET", path, "").want(t, 404)

	run := w.call(botToken, "POST", repoPath+"/check-runs", `{"name":"x","head_sha":"`+head+`"}`).want(t, 201, `"status":"queued"`)
	w.call(botToken, "GET", fmt.Sprintf("%s/check-runs/%.0f", repoPath, run.json["id"]), "").want(t, 200, `"conclusion":null`)
}

func TestDismissedReviewDoesNotCount(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Settle = -1 })
	head := w.pull("bump/a")
	approve := fmt.Sprintf(`{"commit_id":%q,"event":"APPROVE"}`, head)
	merge := func() answer { return w.call(adminToken, "PUT", repoPath+"/pulls/1/merge", `{"sha":"`+head+`"}`) }
	given := w.call(writerToken, "POST", repoPath+"/pulls/1/reviews", approve).want(t, 200, `"state":"APPROVED"`)
	path := fmt.Sprintf("%s/pulls/1/reviews/%.0f/dismissals", repoPath, given.json["id"])
	w.call(readerToken, "PUT", path, `{"message":"no"}`).want(t, 403)
	w.call(adminToken, "PUT", path, `{"message":"Too fast."}`).want(t, 200, `"state":"DISMISSED"`)
	w.call(adminToken, "PUT", path, `{"message":"Again."}`).want(t, 422, "dismissed")
	merge().want(t, 405, "approving review is required")
	w.call(writerToken, "POST", repoPath+"/pulls/1/reviews", `{"event":"REQUEST_CHANGES","body":"Not so."}`).want(t, 200)
	w.call(adminToken, "POST", repoPath+"/pulls/1/reviews", approve).want(t, 200)
	merge().want(t, 405, "requested changes")
	w.call(writerToken, "POST", repoPath+"/pulls/1/reviews", `{"event":"COMMENT","body":"Better."}`).want(t, 200)
	merge().want(t, 405, "requested changes") // a comment takes nothing back
	w.call(writerToken, "POST", repoPath+"/pulls/1/reviews", approve).want(t, 200)
	merge().want(t, 200, `"merged":true`)
	w.call(botToken, "GET", repoPath+"/pulls/1/merge", "").want(t, 204)
}

func TestRequiredChecks(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Settle, o.Protected.Checks = -1, []string{"packmill/validate"} })
	head := w.pull("bump/a")
	w.call(botToken, "GET", repoPath+"/rules/branches/main", "").want(t, 200, `"context":"packmill/validate"`)
	w.call(writerToken, "POST", repoPath+"/pulls/1/reviews", `{"event":"APPROVE"}`).want(t, 200)
	for _, step := range []struct {
		set    string
		status int
		says   string
	}{
		{"", 405, `check \"packmill/validate\" is expected`},
		{`{"name":"packmill/validate","head_sha":"` + head + `","status":"in_progress"}`, 405, "not successful"},
		{`{"name":"packmill/validate","head_sha":"` + head + `","status":"completed","conclusion":"failure"}`, 405, "not successful"},
		{`{"name":"packmill/validate","head_sha":"` + head + `","status":"completed","conclusion":"success"}`, 200, "successfully merged"},
	} {
		if step.set != "" {
			w.call(botToken, "POST", repoPath+"/check-runs", step.set).want(t, 201)
		}
		w.call(adminToken, "PUT", repoPath+"/pulls/1/merge", `{}`).want(t, step.status, step.says)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, nil)
	head := w.pull("bump/a")
	w.branch("bump/b", "main", map[string]string{"b": "b"})
	same := `{"title":"T","head":"main","base":"main"}`
	long := strings.Repeat("x", 70000)
	for _, c := range []struct {
		token, method, path, body string
		status                    int
		says                      string
	}{
		{"", "GET", "/user", "", 401, "Requires authentication"},
		{"wrong", "GET", "/user", "", 401, "Bad credentials"},
		{botToken, "GET", "/repos/other/fleet/pulls", "", 404, "Not Found"},
		{botToken, "DELETE", repoPath, "", 404, "Not Found"},
		{botToken, "GET", "/nothing", "", 404, "Not Found"},
		{botToken, "GET", repoPath + "/pulls/x", "", 404, "Not Found"},
		{botToken, "POST", repoPath + "/pulls", "{", 400, "Problems parsing JSON"},
		{botToken, "POST", repoPath + "/pulls", `{"title":7}`, 422, "Invalid request"},
		{botToken, "POST", repoPath + "/pulls", `{"head":"bump/b","base":"main"}`, 422, "missing_field"},
		{botToken, "POST", repoPath + "/pulls", `{"title":"T","head":"nothing","base":"main"}`, 422, `"field":"head"`},
		{botToken, "POST", repoPath + "/pulls", `{"title":"T","head":"bump/b","base":"nothing"}`, 422, `"field":"base"`},
		{botToken, "POST", repoPath + "/pulls", same, 422, "No commits between"},
		{botToken, "POST", repoPath + "/pulls", `{"title":"T","head":"operator:bump/a","base":"main"}`, 422, "already exists for operator:bump/a"},
		{botToken, "POST", repoPath + "/pulls", `{"title":"T","head":"bump/b","base":"main","body":"` + long + `"}`, 422, "too long"},
		{readerToken, "POST", repoPath + "/pulls", `{"title":"T","head":"bump/b","base":"main"}`, 403, "not accessible"},
		{readerToken, "PATCH", repoPath + "/pulls/1", `{"title":"Mine"}`, 403, "not accessible"},
		{botToken, "PATCH", repoPath + "/pulls/1", `{"title":" "}`, 422, "missing_field"},
		{botToken, "PATCH", repoPath + "/pulls/1", `{"base":"nothing"}`, 422, `"field":"base"`},
		{botToken, "PATCH", repoPath + "/pulls/1", `{"state":"merged"}`, 422, `"field":"state"`},
		{readerToken, "PUT", repoPath + "/issues/1/labels", `{"labels":["x"]}`, 403, "not accessible"},
		{botToken, "PUT", repoPath + "/issues/1/labels", `{"labels":[""]}`, 422, `"resource":"Label"`},
		{botToken, "PUT", repoPath + "/issues/1/milestones", `{}`, 404, "Not Found"},
		{botToken, "DELETE", repoPath + "/issues/1/labels/none", "", 404, "Label does not exist"},
		{botToken, "POST", repoPath + "/issues/1/comments", `{"body":" "}`, 422, "missing_field"},
		{botToken, "POST", repoPath + "/pulls/1/reviews", `{"event":"APPROVE"}`, 422, "own pull request"},
		{botToken, "POST", repoPath + "/pulls/1/reviews", `{"event":"REQUEST_CHANGES","body":"x"}`, 422, "own pull request"},
		{writerToken, "POST", repoPath + "/pulls/1/reviews", `{"event":"COMMENT"}`, 422, "blank"},
		{writerToken, "POST", repoPath + "/pulls/1/reviews", `{"event":"SHOUT"}`, 422, "invalid value"},
		{writerToken, "POST", repoPath + "/pulls/1/reviews", `{"event":"APPROVE","commit_id":"` + strings.Repeat("1", 40) + `"}`, 422, "not part of"},
		{writerToken, "POST", repoPath + "/statuses/" + head, `{"state":"perfect"}`, 422, `"field":"state"`},
		{writerToken, "POST", repoPath + "/statuses/main", `{"state":"success"}`, 422, "No commit found"},
		{botToken, "POST", repoPath + "/check-runs", `{"name":"x","head_sha":"` + head + `","status":"completed"}`, 422, `"field":"conclusion"`},
		{botToken, "PUT", repoPath + "/pulls/1/merge", `{"merge_method":"squash"}`, 405, "Squash merges are not allowed"},
		{botToken, "PUT", repoPath + "/pulls/1/merge", `{"sha":"` + strings.Repeat("1", 40) + `"}`, 409, "Head branch was modified"},
	} {
		a := w.callRaw(c.token, c.method, c.path, c.body)
		if a.status != c.status || !strings.Contains(a.body, c.says) || a.json["message"] == nil {
			t.Errorf("%s %s %.80s: %d %s, want %d and %q", c.method, c.path, c.body, a.status, a.body, c.status, c.says)
		}
	}
	if got := w.call(botToken, "GET", repoPath+"/pulls?state=all", ""); len(got.list) != 1 {
		t.Errorf("a refused call left something: %s", got.body)
	}
}

func TestUnsubmittedReviewIsPrivate(t *testing.T) {
	w := newWorld(t, nil)
	w.pull("bump/a")
	w.call(writerToken, "POST", repoPath+"/pulls/1/reviews", `{"body":"Not sure yet."}`).want(t, 200, `"state":"PENDING"`)
	if a := w.call(writerToken, "GET", repoPath+"/pulls/1/reviews", ""); len(a.list) != 1 {
		t.Errorf("its author sees %s", a.body)
	}
	if a := w.call(adminToken, "GET", repoPath+"/pulls/1/reviews", ""); len(a.list) != 0 {
		t.Errorf("another sees %s", a.body)
	}
}

func TestEntityTag(t *testing.T) {
	w := newWorld(t, nil)
	w.pull("bump/a")
	first := w.call(botToken, "GET", repoPath+"/pulls", "").want(t, 200)
	tag := first.header.Get("ETag")
	if again := w.call(botToken, "GET", repoPath+"/pulls", "", "If-None-Match", tag); again.status != 304 || again.body != "" {
		t.Errorf("unchanged: %d %s", again.status, again.body)
	}
	w.clock.Set(start.Add(time.Hour))
	w.call(botToken, "PATCH", repoPath+"/pulls/1", `{"title":"Other"}`).want(t, 200)
	w.call(botToken, "GET", repoPath+"/pulls", "", "If-None-Match", tag).want(t, 200, "Other")
}

func TestListsAndLinks(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 5 {
		w.clock.Set(start.Add(time.Duration(i) * time.Minute))
		w.pull(fmt.Sprintf("bump/%d", i))
	}
	a := w.call(botToken, "GET", repoPath+"/pulls?per_page=2&page=2&state=open", "").want(t, 200)
	link := a.header.Get("Link")
	for _, want := range []string{
		`<http://forge.example/api/v3/repos/operator/fleet/pulls?page=1&per_page=2&state=open>; rel="prev"`, `page=3&per_page=2&state=open>; rel="next"`,
		`page=3&per_page=2&state=open>; rel="last"`, `rel="first"`,
	} {
		if !strings.Contains(link, want) {
			t.Errorf("Link %q lacks %q", link, want)
		}
	}
	numbers := func(query string) (out []int) {
		for _, p := range w.call(botToken, "GET", repoPath+"/pulls?"+query, "").want(t, 200).list {
			out = append(out, int(p.(map[string]any)["number"].(float64)))
		}
		return out
	}
	w.clock.Set(start.Add(time.Hour))
	w.call(botToken, "PATCH", repoPath+"/pulls/2", `{"state":"closed"}`).want(t, 200, `"state":"closed"`)
	for query, want := range map[string]string{
		"": "[5 4 3 1]", "direction=asc": "[1 3 4 5]", "state=closed": "[2]", "state=all&sort=updated&direction=desc&per_page=1": "[2]",
		"head=operator:bump/3": "[4]", "head=other:bump/3": "[]", "base=other": "[]", "page=9": "[]", "sort=updated": "[1 3 4 5]",
	} {
		if got := fmt.Sprint(numbers(query)); got != want {
			t.Errorf("pulls?%s: %s, want %s", query, got, want)
		}
	}
	w.call(botToken, "PATCH", repoPath+"/pulls/2", `{"state":"open"}`).want(t, 200, `"state":"open"`, `"closed_at":null`)
}

func TestBranchThatGoesClosesItsPull(t *testing.T) {
	w := newWorld(t, nil)
	head := w.pull("bump/a")
	if err := w.server.repo.SetBranch("bump/a", head, ""); err != nil {
		t.Fatal(err)
	}
	w.call(botToken, "GET", repoPath+"/pulls/1", "").want(t, 200, `"state":"closed"`, head)
	w.call(botToken, "PATCH", repoPath+"/pulls/1", `{"state":"open"}`).want(t, 422, "deleted")
	if kept, err := w.server.repo.Ref("refs/pull/1/head"); err != nil || kept != head {
		t.Errorf("the head is not kept: %q, %v", kept, err)
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits = Limits{PerHour: 5, WritesPerMinute: 2} })
	w.pull("bump/a") // one request
	title := func(s string) answer { return w.call(botToken, "PATCH", repoPath+"/pulls/1", `{"title":"`+s+`"}`) }
	title("two").want(t, 200)
	slow := title("three").want(t, 403, "secondary rate limit")
	if slow.header.Get("Retry-After") != "61" {
		t.Errorf("Retry-After %q", slow.header.Get("Retry-After"))
	}
	w.clock.Set(start.Add(61 * time.Second))
	title("three").want(t, 200)
	w.reopen() // the count is not forgotten
	w.call(botToken, "GET", "/user", "").want(t, 200)
	last := w.call(botToken, "GET", "/user", "").want(t, 200)
	if last.header.Get("X-RateLimit-Remaining") != "0" || last.header.Get("X-RateLimit-Used") != "5" {
		t.Errorf("headers %v", last.header)
	}
	over := w.call(botToken, "GET", "/user", "").want(t, 403, "API rate limit exceeded")
	if over.header.Get("X-RateLimit-Reset") != fmt.Sprint(start.Add(time.Hour).Unix()) {
		t.Errorf("headers %v", over.header)
	}
	w.call(botToken, "GET", "/rate_limit", "").want(t, 200, `"remaining":0`)
	w.call(writerToken, "GET", "/user", "").want(t, 200)
	w.clock.Set(start.Add(2 * time.Hour))
	w.call(botToken, "GET", "/user", "").want(t, 200)
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"owner": func(o *Options) { o.Owner = "../x" },
		"name":  func(o *Options) { o.Name = "" },
		"clock": func(o *Options) { o.Now = nil },
		"token": func(o *Options) { o.Users[0].Token = "" },
		"role":  func(o *Options) { o.Users[0].Role = "king" },
		"spoiled": func(o *Options) {
			if err := os.WriteFile(filepath.Join(o.Dir, "forge.json"), []byte(`{"pulls":[{"number":7}]}`), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"unusable": func(o *Options) { o.Dir = "server.go" },
	} {
		o := Options{Dir: t.TempDir(), Owner: "operator", Name: "fleet", Users: users(), Now: time.Now}
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	rec := httptest.NewRecorder()
	newWorld(t, nil).server.ServeHTTP(rec, httptest.NewRequest("GET", "/elsewhere", nil))
	if rec.Code != 401 {
		t.Errorf("a path outside of everything: %d", rec.Code)
	}
}
