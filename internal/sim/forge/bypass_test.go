package forge

import (
	"fmt"
	"testing"
)

// TestBypass: the app that may pass the demand for reviews passes that and
// nothing else, and nobody passes it in its place.
func TestBypass(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Settle = -1
		o.Protected = Protection{Reviews: 1, Checks: []string{"validate"}, Bypass: []string{"packmill[bot]"}}
	})
	head := w.pull("approve/a")
	merge := func(token string) answer {
		return w.call(token, "PUT", repoPath+"/pulls/1/merge", `{"sha":"`+head+`"}`)
	}
	merge(botToken).want(t, 405, `Required status check \"validate\" is expected`)
	w.call(botToken, "POST", repoPath+"/statuses/"+head, `{"state":"success","context":"validate"}`).want(t, 201)
	for _, person := range []string{writerToken, adminToken} {
		merge(person).want(t, 405, "At least 1 approving review is required")
	}
	merge(botToken).want(t, 200, `"merged":true`)

	w.call(botToken, "GET", repoPath+"/rulesets", "").want(t, 200, `"main"`, `"evidence"`, `"reviews"`)
	w.call(botToken, "GET", repoPath+"/rulesets/1", "").want(t, 200, `"required_status_checks"`, `"bypass_actors":[]`)
	w.call(botToken, "GET", repoPath+"/rulesets/3", "").want(t, 200, `"required_approving_review_count":1`, `"actor_type":"Integration"`, `"bypass_mode":"pull_request"`)
	rules := w.call(botToken, "GET", repoPath+"/rules/branches/main", "").want(t, 200, `"pull_request"`, `"required_status_checks"`, `"non_fast_forward"`)
	if len(rules.list) != 4 {
		t.Errorf("main has %d rules: %s", len(rules.list), rules.body)
	}
	w.call(botToken, "GET", repoPath+"/rules/branches/free", "").want(t, 200, `[]`)
}

// TestBypassIsForApps: a person of that name is no app.
func TestBypassIsForApps(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Settle = -1
		o.Protected = Protection{Reviews: 1, Bypass: []string{"aino"}}
	})
	head := w.pull("approve/a")
	w.call(writerToken, "PUT", repoPath+"/pulls/1/merge", fmt.Sprintf(`{"sha":%q}`, head)).want(t, 405, "At least 1 approving review")
}
