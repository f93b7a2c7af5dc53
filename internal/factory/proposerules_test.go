package factory_test

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
)

// TestProposedEpochAndSources checks what of an upstream's rules a proposal
// tells: the epoch in the release file, the agreement in the text.
func TestProposedEpochAndSources(t *testing.T) {
	m := newMill(t, vendorData(), map[string][]byte{"catalog/acme/npm/package.cue": vendorPackage("acme/npm",
		`from: npm: package: "@acme/tool", scheme: "semver", epoch: 3, quorum: 2
	agree: [{githubReleases: {repository: "acme/tool", tag: "v{version}"}}, {httpJSON: {url: "https://downloads.example/latest-1.0.0", path: "$.version"}}, {npm: package: "@acme/nowhere"}]`,
		`platform: "windows", type: "portable", `+registry+`, source: {purl: "pkg:npm/%40acme/tool@{version}", member: "package/bin/tool.exe"}`)})
	look := m.run(t)
	look.Packages = []fleet.PackageID{"acme/npm"}
	list, err := m.Propose(t.Context(), look)
	if err != nil || len(list) != 1 || list[0].Release == nil {
		t.Fatalf("%+v, %v", list, err)
	}
	if r := list[0].Release; r.Epoch != 3 || !strings.Contains(string(desired.ReleaseFile("1.1.0", *r)), "\tepoch:     3\n") {
		t.Errorf("epoch %d in\n%s", r.Epoch, desired.ReleaseFile("1.1.0", *r))
	}
	a := list[0].Agreement
	if a == nil || a.Agree != 2 || a.Of != 4 || a.Need != 2 || a.Sources[0].Source != "npm @acme/tool" || a.Sources[3].Failed == "" {
		t.Fatalf("%+v", a)
	}
	const want = "2 of 4 sources say 1.1.0, but https://downloads.example/latest-1.0.0 says 1.0.0, npm @acme/nowhere gave no answer"
	if text := openPulls(t, m)[list[0].Pull.Branch].Body; !strings.Contains(strings.NewReplacer("\u200b", "", "\\", "", "\u2060", "").Replace(text), want) {
		t.Errorf("%q is not in\n%s", want, text)
	}
}
