package factory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/change"
)

var diffTime = time.Date(2026, 11, 17, 9, 0, 0, 0, time.UTC)

// diffFiles are a repository with n packages of one publisher, each with one
// release, and one tenant that has the first package.
func diffFiles(n int) map[string][]byte {
	files := map[string][]byte{
		"catalog/acme/publisher.cue": []byte(`package catalog

import "github.com/packmill/packmill/schema"

publisher: schema.#Publisher & {name: "Acme", hosts: ["downloads.example"], unsigned: "accepted"}
`),
		"catalog/matrices.cue": []byte(`package catalog

import "github.com/packmill/packmill/schema"

matrices: [string]: schema.#Environment
matrices: local: {platform: "windows", os: "Windows", arch: "x64", runner: local: "wine"}
`),
		"schedules/week.cue": []byte(`package schedules

import "github.com/packmill/packmill/schema"

week: schema.#Week & {
	zone: "Europe/Helsinki"
	steps: {
		detect: {on: "Wed", at: "06:00"}
		cutOff: {on: "Wed", at: "16:00"}
		deploy: {on: "Mon", at: "14:00"}
	}
}
`),
		"schedules/waves.cue": []byte(`package schedules

import "github.com/packmill/packmill/schema"

waves: [string]: schema.#Wave
waves: everyone: {
	order: 1
	select: percent: 100
	opens: step: "deploy"
	soak: "72h"
	gate: {success: 98, error: 2, silent: "failed", looks: ["24h", "72h"], inconclusive: "pool"}
}
`),
		"tenants/direct/partner.cue": []byte(`package tenants

import "github.com/packmill/packmill/schema"

partner: schema.#Partner & {name: "Direct", contacts: ["x@example.com"], language: "en"}
`),
		"tenants/direct/cedar/tenant.cue": []byte(`package tenants

import "github.com/packmill/packmill/schema"

tenant: schema.#Tenant & {
	id: "direct/cedar", name: "Cedar", zone: "Europe/Helsinki"
	packages: "acme/app-0000": [{}]
}
`),
		"tenants/operator.cue": []byte(`package tenants

import "github.com/packmill/packmill/schema"

operator: schema.#Operator & {
	name: "Example MSP"
	approvers: releases: [{login: "ann", name: "Ann", from: "2025-01-01"}]
}
policy: schema.#Policy & {
	critical: withinHours:  <=72
	nonSecurity: deferDays: >=0
	reboot:             "windowOnly"
	maxFailuresPercent: <=2
	approval:           "implicit" | "partner" | "site"
	maxExceptionDays:   <=90
}
`),
	}
	for i := range n {
		id := fmt.Sprintf("app-%04d", i)
		files["catalog/acme/"+id+"/package.cue"] = []byte(`package catalog

import "github.com/packmill/packmill/schema"

pkg: schema.#Package & {
	id: "acme/` + id + `", name: "App ` + id + `", kind: "application"
	sources: ["https://downloads.example/"]
	installers: x64: {platform: "windows", arch: "x64", type: "msi", detect: [{msiProduct: true}]}
	tests: matrix: ["local"]
	rollback: "uninstall"
}
`)
		files["catalog/acme/"+id+"/1.0.cue"] = diffRelease("1.0", 1, i)
	}
	return files
}

func diffRelease(version string, counter, i int) []byte {
	return fmt.Appendf(nil, `package catalog

pkg: releases: %q: {
	counter: %d
	change:  "minor"
	installers: x64: {
		url:    "https://downloads.example/%d/%s.msi"
		size:   1000
		sha256: "sha256:%064x"
		signer: unsigned: true
		msi: productCode: "{00000000-0000-0000-0000-000000000000}"
	}
}
`, version, counter, i, version, i*100+counter)
}

// diffRepo commits files as main, and main with edits as head.
func diffRepo(t testing.TB, files map[string][]byte, edits ...map[string][]byte) (git *gitrepo.Repo, commits []string) {
	t.Helper()
	git, err := gitrepo.Init(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	author := fleet.Identity{Name: "t", Email: "t@example.com"}
	base, err := git.Commit(t.Context(), gitrepo.CommitSpec{Files: files, Message: "base", Author: author, When: diffTime})
	if err != nil {
		t.Fatal(err)
	}
	commits = []string{base}
	for _, e := range edits {
		head, err := git.Commit(t.Context(), gitrepo.CommitSpec{Parents: []string{base}, Files: e, Message: "head", Author: author, When: diffTime})
		if err != nil {
			t.Fatal(err)
		}
		commits = append(commits, head)
	}
	return git, commits
}

func diff(t testing.TB, git *gitrepo.Repo, base, head string) change.Change {
	t.Helper()
	c, err := factory.Diff(t.Context(), git, base, head, factory.DiffOptions{
		Evaluator: desired.InProcess{}, Now: diffTime, Devices: map[fleet.TenantID]int{"direct/cedar": 60},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDiff(t *testing.T) {
	bump := map[string][]byte{"catalog/acme/app-0000/1.1.cue": diffRelease("1.1", 2, 0)}
	altered := map[string][]byte{"catalog/acme/app-0001/1.0.cue": diffRelease("1.0", 1, 7)}
	cycle := map[string][]byte{"schedules/cycles/2026-W47/cycle.cue": []byte(`package schedules

import "github.com/packmill/packmill/schema"

cycles: "2026-W47": schema.#Cycle & {
	cutOff: "2026-11-18T14:00:00Z"
	entries: "acme/app-0000": {release: "1.0", artifact: "sha256:` + strings.Repeat("1", 64) + `"}
	waves: ["everyone"]
}
`)}
	gone := map[string][]byte{"catalog/acme/app-0001/1.0.cue": nil, "catalog/acme/app-0001/package.cue": nil}
	git, commits := diffRepo(t, diffFiles(3), bump, altered, cycle, gone)

	c := diff(t, git, commits[0], commits[1])
	if len(c.Releases) != 1 || c.Releases[0].From != "1.0" || c.Releases[0].To != "1.1" || c.Reach.Devices != 60 || len(c.Findings) != 0 {
		t.Errorf("bump: %+v", c)
	}
	if d := c.Releases[0].Dates; len(d) != 1 || d[0].Opens.UTC().Format(time.RFC3339) != "2026-11-23T12:00:00Z" {
		t.Errorf("dates: %+v", d)
	}
	// The bump's branch was made before the altered release: only its own
	// change is told.
	if c := diff(t, git, commits[2], commits[1]); len(c.Releases) != 1 || len(c.Refusals()) != 0 {
		t.Errorf("since both parted: %+v", c)
	}
	if e := diff(t, git, commits[0], commits[2]).Refusals(); len(e) != 1 || e[0].Object != "acme/app-0001@1.0" || e[0].Pos.File != "catalog/acme/app-0001/1.0.cue" {
		t.Errorf("an altered release: %v", e)
	}
	opened := diff(t, git, commits[0], commits[3])
	if len(opened.Cycles) != 1 || opened.Cycles[0].Entries[0].Rollback != "uninstall" || len(opened.Packages) != 0 {
		t.Errorf("cycle: %+v", opened)
	}
	if c := diff(t, git, commits[0], commits[4]); len(c.Packages) != 1 || c.Packages[0].What != change.Removed || len(c.Refusals()) != 0 {
		t.Errorf("a package nobody has may go: %+v", c)
	}
}

// TestDiffCountsDevices reads the newest of two inventories from evidence.
func TestDiffCountsDevices(t *testing.T) {
	bump := map[string][]byte{"catalog/acme/app-0000/1.1.cue": diffRelease("1.1", 2, 0)}
	git, commits := diffRepo(t, diffFiles(1), bump)
	inventory := func(at time.Time, devices ...string) []byte {
		var out []byte
		for _, d := range devices {
			row, err := json.Marshal(fleet.InventoryRow{Tenant: "direct/cedar", Device: d, Platform: "windows", LastSeen: "2026-11-16", At: at})
			if err != nil {
				t.Fatal(err)
			}
			out = append(append(out, row...), '\n')
		}
		return out
	}
	dir := evidence.InventoryDir("direct/cedar") + "/"
	tip, err := git.Commit(t.Context(), gitrepo.CommitSpec{Files: map[string][]byte{
		dir + strings.Repeat("b", 32) + ".jsonl":     inventory(diffTime.AddDate(0, 0, -7), "a", "b", "c"),
		dir + strings.Repeat("a", 32) + ".jsonl":     inventory(diffTime, "a", "b"),
		dir + strings.Repeat("c", 32) + ".jsonl":     []byte("no row\n"),
		dir + strings.Repeat("a", 32) + ".dsse.json": []byte("{}"),
	}, Message: "inventory", Author: fleet.Identity{Name: "t", Email: "t@example.com"}, When: diffTime})
	if err != nil {
		t.Fatal(err)
	}
	if err := git.SetBranch(evidence.Shard("direct/cedar"), "", tip); err != nil {
		t.Fatal(err)
	}
	c, err := factory.Diff(t.Context(), git, commits[0], commits[1], factory.DiffOptions{Evaluator: desired.InProcess{}})
	if err != nil || c.Reach.Devices != 2 || c.Reach.Unknown != 0 {
		t.Errorf("reach %+v, %v", c.Reach, err)
	}
}

func TestDiffOfBrokenHead(t *testing.T) {
	broken := map[string][]byte{"catalog/acme/app-0000/1.1.cue": []byte("package catalog\n\npkg: releases: \"1.1\": {counter: \"two\"}\n")}
	git, commits := diffRepo(t, diffFiles(1), broken)
	_, err := factory.Diff(t.Context(), git, commits[0], commits[1], factory.DiffOptions{Evaluator: desired.InProcess{}})
	if fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "catalog/acme/app-0000/1.1.cue:3:") {
		t.Errorf("got %v", err)
	}
	if _, err := factory.Diff(t.Context(), git, commits[0], "nowhere", factory.DiffOptions{}); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("got %v", err)
	}
}

// BenchmarkDiff compares a one-package bump in a large catalog with the same
// bump in a small one: the ratio says how much the catalog's size costs.
func BenchmarkDiff(b *testing.B) {
	bump := map[string][]byte{"catalog/acme/app-0000/1.1.cue": diffRelease("1.1", 2, 0)}
	took := map[int]time.Duration{}
	sizes := []int{50, 5000}
	for _, n := range sizes {
		git, commits := diffRepo(b, diffFiles(n), maps.Clone(bump))
		b.Run(fmt.Sprintf("packages=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := factory.Diff(context.Background(), git, commits[0], commits[1], factory.DiffOptions{Evaluator: desired.InProcess{}, Now: diffTime}); err != nil {
					b.Fatal(err)
				}
			}
			took[n] = b.Elapsed() / time.Duration(b.N)
			if small := took[sizes[0]]; small > 0 {
				b.ReportMetric(float64(took[n])/float64(small), "times-50-packages")
			}
		})
	}
}
