package desired

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/schema"
)

// now is an instant in the week of the test repository.
var now = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// msp is the test repository, a fresh copy.
func msp(t testing.TB) MapTree {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/msp.txtar")
	if err != nil {
		t.Fatal(err)
	}
	tree := bare()
	for _, f := range archive.Files {
		tree[f.Name] = f.Data
	}
	return tree
}

// bare is a repository that holds nothing but its module.
func bare() MapTree {
	tree := MapTree{modulePath: ModuleFile("example.com/packages")}
	for name, data := range schema.Files() {
		tree[path.Join(schema.VendorDir, name)] = data
	}
	return tree
}

// with is the tree with some files replaced; an empty text removes the file.
func with(tree MapTree, files map[string]string) MapTree {
	tree = maps.Clone(tree)
	for name, text := range files {
		if text == "" {
			delete(tree, name)
		} else {
			tree[name] = []byte(text)
		}
	}
	return tree
}

func load(t testing.TB, tree Tree) (*fleet.Repository, error) {
	t.Helper()
	return Load(context.Background(), tree, Options{Evaluator: InProcess{}, Now: now, Workers: 1})
}

func TestLoad(t *testing.T) {
	repo, err := load(t, msp(t))
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]int{
		"publishers": {len(repo.Publishers), 3}, "packages": {len(repo.Packages), 3}, "environments": {len(repo.Matrices), 2},
		"steps": {len(repo.Week.Steps), 5}, "waves": {len(repo.Waves), 2}, "freezes": {len(repo.Freezes), 1}, "holds": {len(repo.Holds), 1},
		"cycles": {len(repo.Cycles), 1}, "plans": {len(repo.Plans["2026-W47"]), 1}, "approvals": {len(repo.Approvals["2026-W47"]), 1},
		"partners": {len(repo.Partners), 3}, "tenants": {len(repo.Tenants), 3}, "groups": {len(repo.Tenants["nordic/acme"].Groups), 1},
		"approvers": {len(repo.Operator.Approvers["releases"]), 2}, "approvals for a merge": {repo.Operator.Trust.Approvals, 1},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d, want %d", what, pair[0], pair[1])
		}
	}
	zip := repo.Packages["igor-pavlov/7-zip"]
	if got := zip.Versions(); !slices.Equal(got, []string{"24.08", "24.09"}) {
		t.Errorf("versions: %v", got)
	}
	in := zip.Installers["x64"]
	if in.Minutes != 60 || in.Scope != "machine" || in.RunAs != "system" || in.Detect[0].Operator != "=" || zip.Updater != "none" {
		t.Errorf("defaults: %+v", in)
	}
	if u := zip.Upstream; u.From.GitHubReleases.Tag != "{version}" || u.MinimumReleaseAge.Default.Std() != 72*time.Hour {
		t.Errorf("upstream: %+v", u)
	}
	dogfood, _ := repo.Wave("dogfood")
	if dogfood.Arm.Std() != 6*time.Hour || dogfood.Gate.Confidence != 0.9 || dogfood.Gate.MinReports != 20 || dogfood.Opens.Zone != "operator" || len(dogfood.Gate.Looks) != 2 || dogfood.Gate.MaxExtend != 3 || dogfood.Gate.Stop != nil || dogfood.Gate.ReportDeadline != 0 || dogfood.Gate.SignOffs != 0 {
		t.Errorf("wave: %+v", dogfood)
	}
	if e := repo.Waves[1]; e.Name != "everyone" || e.Select.Percent == nil || *e.Select.Percent != 100 || e.Advance != "autoMerge" || e.InactiveAfterDays != 14 || e.Select.Salt != "cycle" {
		t.Errorf("waves are in order: %+v", repo.Waves)
	}
}

// A changed payload is the next release of a configuration, not a fault.
// TestUpstream reads what may be written in several ways, or left out.
func TestUpstream(t *testing.T) {
	hours := func(n int) *fleet.Duration { d := fleet.Duration(time.Duration(n) * time.Hour); return &d }
	for written, want := range map[string]fleet.Upstream{
		``: {Scheme: "loose", MinimumReleaseAge: fleet.ReleaseAge{Default: *hours(72)}, SizeFactor: 4},
		`minimumReleaseAge: "24h", scheme: "calver"`: {Scheme: "calver", MinimumReleaseAge: fleet.ReleaseAge{Default: *hours(24)}, SizeFactor: 4},
		`minimumReleaseAge: {major: "336h", security: "0s"}, ignore: ["23.*"], quorum: 1, sizeFactor: 20`: {
			Scheme: "loose", MinimumReleaseAge: fleet.ReleaseAge{Default: *hours(72), Major: hours(336), Security: hours(0)}, Ignore: []string{"23.*"}, Quorum: 1, SizeFactor: 20},
		`minimumReleaseAge: {default: "1h", minor: "2h", patch: "3h", new: "4h"}, epoch: 2, scheme: "regex", pattern: #"(\d+)"#`: {
			Scheme: "regex", Pattern: `(\d+)`, Epoch: 2, MinimumReleaseAge: fleet.ReleaseAge{Default: *hours(1), Minor: hours(2), Patch: hours(3), New: hours(4)}, SizeFactor: 4},
	} {
		repo, err := load(t, edited(t, edit{sevenZip, `scheme: "windows"`, written}))
		if err != nil {
			t.Errorf("%s: %v", written, err)
			continue
		}
		got := *repo.Packages["igor-pavlov/7-zip"].Upstream
		want.From = got.From
		if len(got.Ignore) == 0 {
			got.Ignore = nil
		}
		if len(got.Agree) == 0 {
			got.Agree = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", written, got, want)
		}
		data, err := json.Marshal(got.MinimumReleaseAge)
		var again fleet.ReleaseAge
		if err != nil || json.Unmarshal(data, &again) != nil || !reflect.DeepEqual(again, want.MinimumReleaseAge) {
			t.Errorf("%s: the age is %s, %v", written, data, err)
		}
	}
}

func TestChangedPayload(t *testing.T) {
	if _, err := load(t, with(msp(t), map[string]string{"catalog/example-msp/browser-policy/files/edge.json": `{"a": 1}`})); err != nil {
		t.Error(err)
	}
}

// The same tree gives the same repository, and the same findings in the same
// order, however often and with however many workers it is read.
func TestLoadIsDeterministic(t *testing.T) {
	broken := edited(t, edit{sevenZip9, `counter: 7`, `counter: 6`}, edit{ledger, `name: "Ledger Client"`, ``}, edit{tenant, `zone: "Europe/Stockholm"`, `zone: "x"`})
	_, first := load(t, broken)
	whole, err := load(t, msp(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		options := Options{Evaluator: InProcess{}, Now: now, Workers: i + 1}
		if _, err := Load(t.Context(), broken, options); fmt.Sprint(err) != fmt.Sprint(first) {
			t.Errorf("got\n%v\nwant\n%v", err, first)
		}
		if got, err := Load(t.Context(), msp(t), options); err != nil || !reflect.DeepEqual(got, whole) {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

// What looks like the faults the rules are after and is none.
func TestNoFaults(t *testing.T) {
	for name, edits := range map[string][]edit{
		"wave of one tenant":           {{"schedules/waves.cue", `tenants: role: "own"`, `tenants: tenant: "own/office"`}},
		"wave of two partners":         {{"schedules/waves.cue", `tenants: role: "own"`, `tenants: partner: ["nordic", "own"]`}},
		"wave of all but one":          {{"schedules/waves.cue", `tenants: role: "own"`, `tenants: tenant: "!own/office"`}},
		"wave of builds and models":    {{"schedules/waves.cue", `tenants: role: "own"`, `attributes: {osBuild: "10.0.26100.*", model: ["Surface*", "!Surface Go*"], country: ["FI", "SE"]}`}},
		"wave of a group":              {{"schedules/waves.cue", `tenants: role: "own"`, `attributes: group: ["fin*", "finance", "!finance"]`}},
		"wave that covers":             {{"schedules/waves.cue", `tenants: role: "own"`, `{percent: 5, cover: ["model", "osBuild"]}`}},
		"fixed waves":                  {{"schedules/waves.cue", `tenants: role: "own"`, `{percent: 5, salt: "fixed"}`}, {"schedules/waves.cue", `percent: 100`, `{percent: 50, salt: "fixed"}`}},
		"a fixed pilot before all":     {{"schedules/waves.cue", `tenants: role: "own"`, `{percent: 5, salt: "fixed"}`}},
		"wave of one partner":          {{"schedules/waves.cue", `tenants: role: "own"`, `tenants: partner: "nordic"`}},
		"as many approvals as persons": {{"tenants/operator.cue", `approvers:`, "trust: approvals: 2\n\tapprovers:"}},
		"a gate that says everything":  {{"schedules/waves.cue", `looks: ["6h", "28h"]`, `looks: ["6h", "28h"], reportDeadline: "28h", stop: {good: 1, bad: 5}, signals: ["crash", "sync"], signOffs: 2, maxExtend: 0`}},
		"every placeholder":            {{sevenZip, `asset: "7z{digits}-x64.msi"`, `url: "https://www.7-zip.org/{major}/{minor}/{digits}/{version}.msi"`}},
		"tag":                          {{sevenZip, `{repository: "ip7z/7zip"}`, `{repository: "ip7z/7zip", tag: "v{version}"}`}},
		"major version of the module":  {{modulePath, "", "module: \"example.com/packages@v0\"\nlanguage: version: \"v0.17.0\"\n"}},
	} {
		if _, err := load(t, edited(t, edits...)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
