package forge

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/packmill/packmill/internal/fleet"
)

// Checks lists the check runs and statuses of a commit by name, the newest of
// each. One that has no result yet has its state as conclusion: "pending",
// "queued", "in_progress".
func (c *Client) Checks(ctx context.Context, commit string) ([]fleet.Check, error) {
	byName := map[string]string{}
	statuses, err := c.statuses(ctx, commit)
	if err != nil {
		return nil, c.fail("forge.checks", commit, err)
	}
	for _, s := range statuses {
		byName[s.GetContext()] = s.GetState()
	}
	runs, err := c.runs(ctx, commit, "")
	if err != nil {
		return nil, c.fail("forge.checks", commit, err)
	}
	for _, r := range runs {
		byName[r.GetName()] = conclusion(r)
	}
	out := make([]fleet.Check, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, fleet.Check{Name: name, Conclusion: byName[name]})
	}
	return out, nil
}

func conclusion(r *github.CheckRun) string {
	if r.GetStatus() != "completed" {
		return r.GetStatus()
	}
	return r.GetConclusion()
}

// statuses are the newest statuses of a commit, one for each context.
func (c *Client) statuses(ctx context.Context, commit string) ([]*github.RepoStatus, error) {
	return all(func(page github.ListOptions) ([]*github.RepoStatus, *github.Response, error) {
		combined, resp, err := c.api.Repositories.GetCombinedStatus(ctx, c.o.Owner, c.o.Name, commit, &page)
		if err != nil {
			return nil, resp, err
		}
		return combined.Statuses, resp, nil
	})
}

// runs are the newest check runs of a commit, of one name or of all ("").
func (c *Client) runs(ctx context.Context, commit, name string) ([]*github.CheckRun, error) {
	return all(func(page github.ListOptions) ([]*github.CheckRun, *github.Response, error) {
		opts := &github.ListCheckRunsOptions{ListOptions: page}
		if name != "" {
			opts.CheckName = &name
		}
		found, resp, err := c.api.Checks.ListCheckRunsForRef(ctx, c.o.Owner, c.o.Name, commit, opts)
		if err != nil {
			return nil, resp, err
		}
		return found.CheckRuns, resp, nil
	})
}

// SetCheck makes the check of that name on a commit have the conclusion
// (success, failure, neutral, skipped, or "" for still running) and a summary
// in Markdown. It writes nothing when nothing differs. Without an app's token
// it is a commit status: neutral and skipped become success there, and the
// summary is cut to its first line.
func (c *Client) SetCheck(ctx context.Context, commit, name, conclusion, summary string) error {
	set := c.setStatus
	if c.o.App {
		set = c.setRun
	}
	return c.fail("forge.check", commit+" "+name, set(ctx, commit, name, conclusion, summary))
}

func (c *Client) setRun(ctx context.Context, commit, name, conclusion, summary string) error {
	found, err := c.runs(ctx, commit, name)
	if err != nil {
		return err
	}
	state, result := "completed", &conclusion
	if conclusion == "" {
		state, result = "in_progress", nil
	}
	output := &github.CheckRunOutput{Title: &name, Summary: &summary}
	for _, r := range found {
		if r.GetName() != name {
			continue
		}
		if r.GetStatus() == state && r.GetConclusion() == conclusion && text(r.GetOutput().GetSummary()) == text(summary) {
			return nil
		}
		_, _, err := c.api.Checks.UpdateCheckRun(ctx, c.o.Owner, c.o.Name, r.GetID(), github.UpdateCheckRunOptions{
			Name: name, Status: &state, Conclusion: result, Output: output,
		})
		return err
	}
	_, _, err = c.api.Checks.CreateCheckRun(ctx, c.o.Owner, c.o.Name, github.CreateCheckRunOptions{
		Name: name, HeadSHA: commit, Status: &state, Conclusion: result, Output: output,
	})
	return err
}

// maxDescription is the longest text of a commit status, in characters.
const maxDescription = 140

func (c *Client) setStatus(ctx context.Context, commit, name, conclusion, summary string) error {
	state, ok := map[string]string{"success": "success", "neutral": "success", "skipped": "success", "": "pending", "failure": "failure"}[conclusion]
	if !ok {
		state = "error"
	}
	line, _, _ := strings.Cut(strings.TrimSpace(summary), "\n")
	if short := []rune(line); len(short) > maxDescription {
		line = string(short[:maxDescription-1]) + "…"
	}
	found, err := c.statuses(ctx, commit)
	if err != nil {
		return err
	}
	for _, s := range found {
		if s.GetContext() == name && s.GetState() == state && s.GetDescription() == line {
			return nil
		}
	}
	_, _, err = c.api.Repositories.CreateStatus(ctx, c.o.Owner, c.o.Name, commit, &github.RepoStatus{State: &state, Context: &name, Description: &line})
	return err
}

// A Rule is one rule in force for a branch. Parameters are as the forge gives
// them, nil when it has none.
type Rule struct {
	Type       string          `json:"type"`
	Parameters json.RawMessage `json:"parameters,omitempty"`
	Ruleset    int64           `json:"ruleset_id"`
}

// BranchRules lists the rules in force for a branch. They are decoded here and
// not by go-github, which fails on the whole list when one rule is newer than
// the library.
func (c *Client) BranchRules(ctx context.Context, branch string) ([]Rule, error) {
	rules, err := all(func(page github.ListOptions) ([]Rule, *github.Response, error) {
		query := url.Values{"per_page": {strconv.Itoa(page.PerPage)}, "page": {strconv.Itoa(max(page.Page, 1))}}
		req, err := c.api.NewRequest(http.MethodGet, "repos/"+c.repository()+"/rules/branches/"+url.PathEscape(branch)+"?"+query.Encode(), nil)
		if err != nil {
			return nil, nil, err
		}
		var found []Rule
		resp, err := c.api.Do(ctx, req, &found)
		return found, resp, err
	})
	if err != nil {
		return nil, c.fail("forge.rules", branch, err)
	}
	return rules, nil
}

// Required lists the checks, sorted, that the rules of a branch ask for before a
// merge.
func (c *Client) Required(ctx context.Context, branch string) ([]string, error) {
	rules, err := c.BranchRules(ctx, branch)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range rules {
		if r.Type != "required_status_checks" {
			continue
		}
		var p struct {
			Checks []struct {
				Context string `json:"context"`
			} `json:"required_status_checks"`
		}
		if err := json.Unmarshal(r.Parameters, &p); err != nil {
			return nil, fleet.Errorf(fleet.Internal, "forge.rules", branch, "the forge's rule on checks cannot be read: %w", err)
		}
		for _, check := range p.Checks {
			out = append(out, check.Context)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
