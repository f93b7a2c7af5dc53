package factory_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	forgeedge "github.com/packmill/packmill/internal/edge/forge"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/forge"
	"github.com/packmill/packmill/internal/transport"
)

const (
	approvalPkg = fleet.PackageID("acme/app-0000")
	millLogin   = "mill[bot]"
)

// The week of the approval world: its first wave has run and passed, on the
// operator's own tenant; the last one is for a partner's two customers.
var (
	approvalCutOff = time.Date(2026, 11, 18, 14, 0, 0, 0, time.UTC)
	approvalSoaked = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
)

func approvalFiles() map[string][]byte {
	files := wholeFiles()
	week := string(files["schedules/week.cue"])
	files["schedules/week.cue"] = []byte(strings.Replace(week, "deploy:", "dogfood: {on: \"Thu\", at: \"09:00\"}\n\t\tdeploy:", 1))
	files["schedules/waves.cue"] = []byte(`package schedules

import "github.com/packmill/packmill/schema"

waves: [string]: schema.#Wave
waves: dogfood: {
	order: 1
	select: tenants: role: "own"
	opens: step: "dogfood"
	soak: "24h"
	gate: {success: 95, error: 5, silent: "failed", looks: ["6h"], inconclusive: "askHuman"}
	advance: "autoMerge"
}
waves: everyone: {
	order: 2
	select: percent: 100
	opens: step: "deploy"
	soak: "24h"
	gate: {success: 95, error: 5, silent: "failed", looks: ["24h"], inconclusive: "askHuman"}
}
`)
	operator := string(files["tenants/operator.cue"])
	files["tenants/operator.cue"] = []byte(strings.Replace(operator, `approvers: releases: [{login: "ann", name: "Ann", from: "2025-01-01"}]`,
		`approvers: releases: [{login: "ann", name: "Ann", from: "2025-01-01"}, {login: "bob", name: "Bob", from: "2025-01-01"}]
	trust: {app: "mill[bot]", autoRevoke: true}`, 1))
	delete(files, "tenants/direct/cedar/tenant.cue")
	delete(files, "tenants/direct/partner.cue")
	tenant := func(id, more string) []byte {
		return fmt.Appendf(nil, `package tenants

import "github.com/packmill/packmill/schema"

tenant: schema.#Tenant & {
	id: %q, zone: "Europe/Helsinki"
	packages: "acme/app-0000": [{}]
	%s
}
`, id, more)
	}
	partner := func(name, more string) []byte {
		return fmt.Appendf(nil, `package tenants

import "github.com/packmill/packmill/schema"

partner: schema.#Partner & {name: %q, contacts: [], %s}
`, name, more)
	}
	files["tenants/us/partner.cue"] = partner("Us", "")
	files["tenants/us/own/tenant.cue"] = tenant("us/own", `labels: role: "own"`)
	files["tenants/nordic/partner.cue"] = append(partner("Nordic", `approvers: [{login: "pia", name: "Pia", from: "2026-01-01"}]`), "policy: approval: \"partner\" | \"site\"\n"...)
	files["tenants/nordic/aalto/tenant.cue"] = tenant("nordic/aalto", "")
	files["tenants/nordic/berg/tenant.cue"] = append(tenant("nordic/berg", `approvers: [{login: "sol", name: "Sol", from: "2026-01-01"}]`), "policy: approval: \"site\"\n"...)
	return files
}

// An approvalWorld is that week on a simulated forge.
type approvalWorld struct {
	*factory.Factory
	t      *testing.T
	clock  *fleet.ManualClock
	rec    *fleet.Record
	ledger *mergeLedger
	people map[string]*forgeedge.Client
	plans  map[string]fleet.PlanRecord
	api    string
}

// newApprovalWorld starts it, with files laid over what it has.
func newApprovalWorld(t *testing.T, edits map[string]func(string) string) *approvalWorld {
	t.Helper()
	clock := fleet.NewManualClock(approvalSoaked)
	users := []forge.User{{Login: millLogin, Token: "mill", ID: 1, Bot: true, Role: forge.Write}}
	for i, login := range []string{"ann", "bob", "pia", "sol", "mal"} {
		users = append(users, forge.User{Login: login, Token: login, ID: int64(i + 2), Role: forge.Write})
	}
	server, err := forge.New(forge.Options{
		Dir: t.TempDir(), Owner: "example", Name: "fleet", Now: clock.Now, Users: users, Settle: -1,
		Protected: forge.Protection{Reviews: 1, DismissStale: true, Checks: []string{"validate"}, Bypass: []string{millLogin}},
	})
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(server)
	t.Cleanup(hs.Close)
	w := &approvalWorld{t: t, clock: clock, api: hs.URL + server.APIPath(), ledger: &mergeLedger{}, people: map[string]*forgeedge.Client{}}
	for _, u := range users {
		client, err := forgeedge.New(forgeedge.Options{BaseURL: hs.URL + server.APIPath(), Owner: "example", Name: "fleet", Token: u.Token, App: u.Bot, Clock: clock, HTTP: transport.New(transport.Options{Clock: clock, Transport: http.DefaultTransport})})
		if err != nil {
			t.Fatal(err)
		}
		w.people[u.Login] = client
	}
	files := approvalFiles()
	for name, edit := range edits {
		files[name] = []byte(edit(string(files[name])))
	}
	git, commits := diffRepo(t, files)
	w.Factory = &factory.Factory{
		Clock: clock, Log: slog.New(slog.DiscardHandler), Author: fleet.Identity{Name: "mill", Email: "mill@example.com"}, Git: git, Forge: w.people[millLogin], Ledger: w.ledger,
		Desired: func(ctx context.Context, rev string) (*fleet.Repository, error) {
			tree, err := git.Tree(rev)
			if err != nil {
				return nil, err
			}
			return desired.Load(ctx, tree.Desired(ctx), desired.Options{Evaluator: desired.InProcess{}})
		},
	}
	w.open(commits[0])
	if err := git.SetRemote(hs.URL + server.GitPath()); err != nil {
		t.Fatal(err)
	}
	git = git.WithAuth(gitrepo.Auth{User: millLogin, Token: "mill"})
	main, err := git.Resolve("refs/heads/main")
	if err == nil {
		err = git.Push(t.Context(), []string{main + ":refs/heads/main"}, false)
	}
	if err == nil {
		err = git.Fetch(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	w.Git = git
	return w
}

// open puts the cycle on main, and into evidence what its first wave showed.
func (w *approvalWorld) open(base string) {
	t := w.t
	t.Helper()
	repo, err := w.Desired(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	w.rec = &fleet.Record{Heads: map[string]string{}, PlanRows: map[fleet.Digest][]fleet.PlanRow{}}
	for _, id := range repo.TenantIDs() {
		for i := range 40 {
			w.rec.Inventory = append(w.rec.Inventory, fleet.InventoryRow{Tenant: id, Device: fmt.Sprintf("%s-%02d", id.Slug(), i), Platform: "windows", LastSeen: "2026-11-17", At: approvalCutOff})
		}
	}
	cycle := fleet.Cycle{CutOff: approvalCutOff, Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{approvalPkg: {Release: "1.0", Artifact: fleet.DigestOf([]byte("artifact"))}}}
	w.plans = map[string]fleet.PlanRecord{}
	for _, gate := range cycle.Waves {
		plan, err := rollout.Plan(repo, w.rec, theCycle, cycle, gate)
		if err != nil {
			t.Fatal(err)
		}
		w.plans[gate] = fleet.PlanRecord{Digest: plan.Digest(), Summary: plan.Summary()}
		w.rec.PlanRows[plan.Digest()] = plan.Rows
	}
	if w.plans["everyone"].Summary.Tenants != 2 || w.plans["dogfood"].Summary.Tenants != 1 {
		t.Fatalf("plans %+v", w.plans)
	}
	dogfood := fleet.Approval{Cycle: theCycle, Gate: "dogfood", Decision: "approved", Plan: w.plans["dogfood"].Digest, Summary: w.plans["dogfood"].Summary, ValidUntil: approvalSoaked}
	opened, err := w.Git.Commit(t.Context(), gitrepo.CommitSpec{Parents: []string{base}, Base: base, Message: "Open", Author: w.Author, When: approvalCutOff, Files: map[string][]byte{
		desired.CyclePath(theCycle): desired.CycleFile(theCycle, cycle), desired.PlanPath(theCycle): desired.PlanFile(theCycle, w.plans), desired.ApprovalPath(theCycle, "dogfood"): desired.ApprovalFile(dogfood),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if repo, err = w.Desired(t.Context(), opened); err != nil {
		t.Fatal(err)
	}
	if err := w.Git.SetBranch("main", "", opened); err != nil {
		t.Fatal(err)
	}
	at, file := time.Date(2026, 11, 19, 7, 0, 0, 0, time.UTC), desired.ApprovalPath(theCycle, "dogfood")
	w.rec.Merges = []fleet.Merge{{Commit: opened, Approves: "2026-W47/dogfood", Plan: dogfood.Plan, ApprovalBlobs: map[string]string{file: repo.Blobs[file]}, Approvers: []string{"ann"}, At: approvalCutOff}}
	w.rec.Starts = []fleet.WaveStart{{Cycle: theCycle, Wave: "dogfood", Opens: at, Plan: dogfood.Plan, At: at}}
	w.verdict("pass", at.Add(6*time.Hour))
	w.ledger.rows = w.rec.Merges
	w.rec.Heartbeats = []fleet.Heartbeat{{Command: "detect", At: approvalSoaked}}
}

func (w *approvalWorld) verdict(decision string, at time.Time) {
	w.rec.Verdicts = append(w.rec.Verdicts, fleet.Verdict{
		Cycle: theCycle, Wave: "dogfood", Package: approvalPkg, Artifact: fleet.DigestOf([]byte("artifact")), Look: fleet.Duration(6 * time.Hour), Decision: decision, Rule: "the rule", At: at,
	})
}

// facts are as a run reads them.
func (w *approvalWorld) facts() rollout.Facts {
	w.t.Helper()
	if err := w.Git.Fetch(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	main, err := w.Git.Main()
	if err != nil {
		w.t.Fatal(err)
	}
	repo, err := w.Desired(w.t.Context(), main)
	if err != nil {
		w.t.Fatal(err)
	}
	plan, err := rollout.Plan(repo, &fleet.Record{Heads: map[string]string{}, Inventory: w.rec.Inventory}, theCycle, repo.Cycles[theCycle], "everyone")
	if err != nil {
		w.t.Fatal(err)
	}
	return rollout.Facts{Repo: repo, Record: w.rec, Plans: map[fleet.CycleID]map[string]fleet.Plan{theCycle: {"everyone": plan}}}
}

// step is what Step asks for now, of one kind.
func (w *approvalWorld) step(kind string) (rollout.Action, bool) {
	w.t.Helper()
	actions, _, err := rollout.Step(w.facts(), w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range actions {
		if a.Kind == kind {
			return a, true
		}
	}
	return rollout.Action{}, false
}

// act carries out what Step asks for now, of one kind.
func (w *approvalWorld) act(kind string) (string, error) {
	w.t.Helper()
	a, ok := w.step(kind)
	if !ok {
		w.t.Fatalf("Step does not ask for %s", kind)
	}
	var pull fleet.Pull
	var err error
	switch kind {
	case rollout.ProposeApproval:
		pull, _, err = w.ProposeApproval(w.t.Context(), w.facts(), a.Cycle, a.Wave)
	case rollout.ProposeTenantApprovals:
		pull, _, err = w.ProposeTenantApprovals(w.t.Context(), w.facts(), a.Cycle, a.Partner)
	case rollout.ProposeRevoke:
		pull, _, err = w.ProposeRevocation(w.t.Context(), w.facts(), a)
	case rollout.AutoMerge:
		return w.AutoMerge(w.t.Context(), w.facts(), a)
	}
	return pull.Branch, err
}

// must does it without fail.
func (w *approvalWorld) must(kind string) string {
	w.t.Helper()
	said, err := w.act(kind)
	if err != nil {
		w.t.Fatal(err)
	}
	return said
}

// pull is the open pull request of a branch.
func (w *approvalWorld) pull(branch string) fleet.Pull {
	w.t.Helper()
	list, err := w.Forge.Pulls(w.t.Context(), "open")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range list {
		if p.Branch == branch {
			return p
		}
	}
	w.t.Fatalf("no pull request of %s is open", branch)
	return fleet.Pull{}
}

func (w *approvalWorld) check(branch, conclusion string) {
	w.t.Helper()
	if err := w.people[millLogin].SetCheck(w.t.Context(), w.pull(branch).Head, "validate", conclusion, "x"); err != nil {
		w.t.Fatal(err)
	}
}

// review lets people approve a pull request and one of them merge it.
func (w *approvalWorld) review(branch string, approvers ...string) {
	w.t.Helper()
	p := w.pull(branch)
	w.check(branch, "success")
	for _, login := range approvers {
		if err := w.people[login].Approve(w.t.Context(), p.Number, p.Head); err != nil {
			w.t.Fatal(err)
		}
	}
	if _, err := w.people[approvers[0]].Merge(w.t.Context(), p.Number, p.Head); err != nil {
		w.t.Fatal(err)
	}
}

// commit puts a commit of somebody on a branch: on top of it, or on main where
// there is none.
func (w *approvalWorld) commit(branch, who string, files map[string][]byte) {
	w.t.Helper()
	if err := w.Git.Fetch(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	parent, err := w.Git.Ref("refs/remotes/origin/" + branch)
	if err == nil && parent == "" {
		parent, err = w.Git.Main()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	id, err := w.Git.Commit(w.t.Context(), gitrepo.CommitSpec{Parents: []string{parent}, Base: parent, Files: files, Message: "Say more", Author: fleet.Identity{Name: who, Email: who + "@example.com"}, When: w.clock.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Git.Push(w.t.Context(), []string{id + ":refs/heads/" + branch}, false); err != nil {
		w.t.Fatal(err)
	}
}

// record records the newest merge of main, as a run does.
func (w *approvalWorld) record() fleet.Merge {
	w.t.Helper()
	main := w.facts().Repo.Commit
	if err := w.RecordMerges(w.t.Context(), []string{main}, w.rec); err != nil {
		w.t.Fatal(err)
	}
	w.rec.Merges = w.ledger.rows
	return w.rec.Merges[len(w.rec.Merges)-1]
}

// wave is the state of the last wave.
func (w *approvalWorld) wave() rollout.WaveState {
	w.t.Helper()
	cycles, err := rollout.Derive(w.facts(), w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return *cycles[0].Wave("everyone")
}

// object lets somebody ask for changes.
func (w *approvalWorld) object(branch, who string) {
	w.t.Helper()
	w.call(who, "POST", fmt.Sprintf("pulls/%d/reviews", w.pull(branch).Number), `{"event": "REQUEST_CHANGES", "body": "not yet"}`)
}

// reopen closes the pull request of a branch and lets somebody open another one.
func (w *approvalWorld) reopen(branch, who string) {
	w.t.Helper()
	p := w.pull(branch)
	if err := w.Forge.Close(w.t.Context(), p.Number, "mine now"); err != nil {
		w.t.Fatal(err)
	}
	w.call(who, "POST", "pulls", fmt.Sprintf(`{"title": "Mine", "head": %q, "base": "main"}`, branch))
}

// call is a request of somebody to the forge that our client has no word for.
func (w *approvalWorld) call(who, method, path, body string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.api+"repos/example/fleet/"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+who)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
}

// read is a file at a commit.
func (w *approvalWorld) read(commit, file string) []byte {
	w.t.Helper()
	if err := w.Git.Fetch(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	tree, err := w.Git.Tree(commit)
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := tree.Read(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}
