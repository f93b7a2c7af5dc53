package desired

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

const zeros = "000000000000000000000000000000000000000000000000000000000000000"

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestReleaseFile(t *testing.T) {
	published, stamped := at("2026-11-02T09:30:00Z"), at("2026-11-01T08:15:00Z")
	releases := map[string]fleet.Release{
		"25.00": {
			Counter: 8, Change: "security", Baseline: true, Published: &published, Fixes: []string{"CVE-2026-0001", "CVE-2026-0002"},
			Installers: map[string]fleet.Download{"x64": {
				URL: "https://github.com/ip7z/7zip/releases/download/25.00/7z2500-x64.msi", Size: 1991680, SHA256: "sha256:" + zeros + "1",
				Signer: fleet.SignedBy{Unsigned: true},
				MSI:    &fleet.MSIFacts{ProductCode: "{23170F69-40C1-2702-2500-000001000000}", UpgradeCode: "{23170F69-40C1-2702-0000-000004000000}", ProductVersion: "25.00.00.0"},
			}},
		},
		"1:2.0-3~bpo+1_tool": {
			Counter: 9, Change: "patch",
			Installers: map[string]fleet.Download{"x64": {
				PURL: "pkg:deb/debian/7zip@2.0-3?arch=amd64", Member: "a b/c \"d\".exe", MemberSHA256: "sha256:" + zeros + "2", Size: 1, SHA256: "sha256:" + zeros + "3",
				Signer: fleet.SignedBy{Unsigned: true},
				MSI:    &fleet.MSIFacts{ProductCode: "{23170F69-40C1-2702-2501-000001000000}"},
				PE:     &fleet.PEFacts{FileVersion: "2.0\\(x)", ProductName: "A\u2028\"\\(boom)\"\x00\xff", Machine: "x64"},
				Deb:    &fleet.DebFacts{Package: "7zip", Version: "1:2.0-3", Architecture: "amd64"},
				RPM:    &fleet.RPMFacts{Name: "7zip", Version: "2.0", Release: "3.fc42", Arch: "x86_64", Epoch: 1},
				Pkg: &fleet.PkgFacts{Identifier: "com.acme.tool.pkg", Version: "2.10", Bundles: []fleet.BundleFacts{
					{ID: "com.acme.tool", Version: "2.10 \\(b)", Build: "2100"}, {ID: "com.acme.\"help\""},
				}},
			}},
		},
		"27.00": {
			Counter: 12, Change: "minor",
			Installers: map[string]fleet.Download{"x64": {
				URL: "https://www.7-zip.org/b.msi", Size: 1, SHA256: "sha256:" + zeros + "7",
				Signer: fleet.SignedBy{Subject: "CN=Igor \"Pavlov\"", Issuer: "CN=CA", Thumbprint: zeros + "8", Timestamp: &stamped},
				MSI:    &fleet.MSIFacts{ProductCode: "{23170F69-40C1-2702-2800-000001000000}"},
			}},
		},
		"4.2(5),1!2^git1": { // what composite, git-windows, pep440 and rpm versions hold
			Counter: 11, Change: "patch",
			Installers: map[string]fleet.Download{"x64": {
				URL: "https://www.7-zip.org/a.msi", Size: 1, SHA256: "sha256:" + zeros + "6", Signer: fleet.SignedBy{Unsigned: true},
				MSI: &fleet.MSIFacts{ProductCode: "{23170F69-40C1-2702-2700-000001000000}"},
				RPM: &fleet.RPMFacts{Name: "7zip", Version: "2.0", Release: "3", Arch: "noarch"},
			}},
		},
		"26.00": {
			Counter: 10, Epoch: 2, Change: "minor",
			Installers: map[string]fleet.Download{"x64": {
				Size: 7, SHA256: "sha256:" + zeros + "4", Signer: fleet.SignedBy{Unsigned: true},
				MSI: &fleet.MSIFacts{ProductCode: "{23170F69-40C1-2702-2600-000001000000}"},
				Base: &fleet.Patched{
					Base:    fleet.Blob{Upload: "sha256:" + zeros + "4", Size: 7, SHA256: "sha256:" + zeros + "4"},
					Patches: []fleet.Blob{{URL: "https://www.7-zip.org/a.msp", Size: 8, SHA256: "sha256:" + zeros + "5"}},
				},
			}},
		},
	}
	tree := edited(t, // without an upstream: these versions are of no scheme
		edit{sevenZip, "	upstream: {\n\t\tfrom: githubReleases: {repository: \"ip7z/7zip\"}\n\t\tscheme: \"windows\"\n\t}\n", ""},
		edit{sevenZip, "\t\tsource: asset: \"7z{digits}-x64.msi\"\n", ""},
		edit{"catalog/igor-pavlov/publisher.cue", "unsigned:", "signers: main: {kind: \"authenticode\", subject: \"CN=Igor \\\"Pavlov\\\"\"}\n\tunsigned:"},
	)
	for version, r := range releases {
		tree[ReleasePath("igor-pavlov/7-zip", version)] = ReleaseFile(version, r)
	}
	repo, err := load(t, tree)
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range releases {
		if d, ok := want.Installers["x64"]; ok && d.PE != nil { // bytes that are no UTF-8 cannot be kept
			d.PE.ProductName = "A\u2028\"\\(boom)\"\x00\uFFFD"
		}
		got := repo.Packages["igor-pavlov/7-zip"].Releases[version]
		if len(want.Fixes) == 0 {
			got.Fixes = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v\n%s", version, got, want, ReleaseFile(version, want))
		}
	}
	const path = "catalog/igor-pavlov/7-zip/24.09.cue"
	if got := ReleaseFile("24.09", repo.Packages["igor-pavlov/7-zip"].Releases["24.09"]); string(got) != golden24 {
		t.Errorf("%s\ngot:\n%s\nwant:\n%s", path, got, golden24)
	}
}

const golden24 = "package catalog\n\n// Written by `packmill propose`, reviewed and merged by people, never changed after.\n" + `pkg: releases: "24.09": {
	counter: 7
	change:  "security"
	installers: x64: {
		url:    "https://github.com/ip7z/7zip/releases/download/24.09/7z2409-x64.msi"
		size:   1991680
		sha256: "sha256:0000000000000000000000000000000000000000000000000000000000000009"
		signer: {unsigned: true}
		msi: {productCode: "{23170F69-40C1-2702-2409-000001000000}"}
	}
	fixes: ["CVE-2026-0411"]
}
`

func TestConfigurationReleaseFile(t *testing.T) {
	tree := msp(t)
	payload := []byte(`{"a": 1}`)
	tree["catalog/example-msp/browser-policy/files/edge.json"] = payload
	want := fleet.Release{Counter: 2, Change: "config", Files: map[string]fleet.Digest{"files/edge.json": fleet.DigestOf(payload)}}
	tree[ReleasePath("example-msp/browser-policy", "2")] = ReleaseFile("2", want)
	repo, err := load(t, tree)
	if err != nil {
		t.Fatal(err)
	}
	got := repo.Packages["example-msp/browser-policy"].Releases["2"]
	if got.Fixes = nil; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestScheduleFiles(t *testing.T) {
	tree := msp(t)
	const id = fleet.CycleID("2026-W48")
	cycle := fleet.Cycle{CutOff: at("2026-11-25T14:00:00.5Z"), Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{
		"igor-pavlov/7-zip":          {Release: "24.09", Artifact: "sha256:" + zeros + "1"},
		"example-msp/browser-policy": {Release: "1", Artifact: "sha256:" + zeros + "2"},
	}}
	summary := fleet.Summary{Packages: 2, Tenants: 3, Devices: 44, Deadline: at("2026-11-30T07:00:00Z")}
	plans := map[string]fleet.PlanRecord{
		"dogfood":  {Digest: "sha256:" + zeros + "3", Inputs: map[string]string{"evidence/control": zeros + "1", "evidence/0f": ""}, Summary: summary},
		"everyone": {Digest: "sha256:" + zeros + "4", Inputs: map[string]string{}, Summary: summary},
	}
	approval := fleet.Approval{Cycle: id, Gate: "everyone", Decision: "rejected", Summary: summary, Plan: plans["everyone"].Digest, ValidUntil: at("2026-12-01T00:00:00Z"), Because: "line one\nline \"two\" \\(x)"}
	expires := at("2026-12-24T00:00:00Z")
	hold := fleet.Hold{Kind: "hold", Package: "igor-pavlov/7-zip", Release: "24.09", Artifact: "sha256:" + zeros + "1", Reason: "vendor's advice", Expires: &expires, RollbackTo: "24.08"}
	tree[CyclePath(id)] = CycleFile(id, cycle)
	tree[PlanPath(id)] = PlanFile(id, plans)
	tree[ApprovalPath(id, "everyone")] = ApprovalFile(approval)
	tree[HoldPath("vendors-advice")] = HoldFile("vendors-advice", hold)
	repo, err := load(t, tree)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]any{
		"cycle": {repo.Cycles[id], cycle}, "plans": {repo.Plans[id], plans},
		"approval": {repo.Approvals[id]["everyone"], approval}, "hold": {repo.Holds["vendors-advice"], hold},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: got %+v, want %+v", name, pair[0], pair[1])
		}
	}
	if got := string(ApprovalFile(approval)); got != goldenApproval {
		t.Errorf("approval:\n%s\nwant:\n%s", got, goldenApproval)
	}
	stockAgrees(t, tree)
}

const goldenApproval = `package schedules

import "github.com/packmill/packmill/schema"

approvals: "2026-W48": everyone: schema.#Approval & {
	cycle:    "2026-W48"
	gate:     "everyone"
	decision: "rejected"
	summary: {packages: 2, tenants: 3, devices: 44, deadline: "2026-11-30T07:00:00Z"}
	plan:       "sha256:0000000000000000000000000000000000000000000000000000000000000004"
	validUntil: "2026-12-01T00:00:00Z"
	because:    "line one\nline \"two\" \\(x)"
}
`

// stockAgrees writes the tree out and asks stock `cue vet`.
func stockAgrees(t *testing.T, tree MapTree) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, tree)
	cmd := exec.Command(testreq.Program(t, "cue"), "vet", "-c=false", "./...")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CUE_REGISTRY=none")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("stock cue vet: %v\n%s", err, out)
	}
}

// write puts a tree on disk.
func write(t testing.TB, dir string, tree MapTree) {
	t.Helper()
	for name := range maps.Keys(tree) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, tree[name], 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
