package view

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/rules/bump"
)

// TestFixesRow has each thing that can be known, or not, about what a release
// fixes.
func TestFixesRow(t *testing.T) {
	kev := bump.Weakness{ID: "CVE-2026-10001", Fixed: true, KEV: true, Added: "2026-11-16", Ransomware: true, EPSS: 0.43}
	asked := []string{"CISA KEV of 2026-11-17", "EPSS of 2026-11-17"}
	for name, tt := range map[string]struct {
		fixes []string // of the release file
		notes string
		known *bump.Weaknesses
		want  string // glyph and text
	}{
		"nobody to ask":              {nil, "bugs", nil, "⚪ not known yet: the release file names no vulnerability, and no source of them was asked"},
		"nobody to ask, named":       {nil, "Fixes CVE-2026-10001", nil, "🟡 the vendor's notes name CVE-2026-10001, which nobody checked; if they are fixed, set change and fixes in the release file"},
		"nobody to ask, in the file": {[]string{"CVE-2026-10001"}, "", nil, "🟡 1 vulnerability by the release file: CVE-2026-10001; KEV and EPSS not known yet: no source of them was asked"},
		"nothing named":              {nil, "bugs", &bump.Weaknesses{}, "⚪ neither the vendor's notes nor the release file name a vulnerability"},
		"no notes":                   {nil, " ", &bump.Weaknesses{}, "⚪ not known yet: no release notes were found, and the release file names no vulnerability"},
		"exploited": {nil, "", &bump.Weaknesses{Asked: asked, List: []bump.Weakness{kev}},
			"🔴 1 vulnerability: CVE-2026-10001 (**KEV** since 2026-11-16, used by ransomware, EPSS 0.43); asked CISA KEV of 2026-11-17, EPSS of 2026-11-17"},
		"a person's, not listed": {nil, "", &bump.Weaknesses{Asked: asked, List: []bump.Weakness{{ID: "CVE-2026-10002", Fixed: true, EPSS: 0.0004}}},
			"🟡 1 vulnerability: CVE-2026-10002 (EPSS below 0.01); asked CISA KEV of 2026-11-17, EPSS of 2026-11-17"},
		"an impostor": {nil, "x", &bump.Weaknesses{Asked: asked[:1], List: []bump.Weakness{{ID: "CVE-2026-10003", KEV: true, Of: "Micro|soft Windows", Added: "2026-11-16", Ransomware: true}}},
			`🟡 the vendor's notes name CVE-2026-10003 (KEV of Micro\|soft Windows, used by ransomware); if they are fixed, set change and fixes in the release file; asked CISA KEV of 2026-11-17`},
		"one and an impostor": {nil, "x", &bump.Weaknesses{Asked: asked[:1], List: []bump.Weakness{kev, {ID: "CVE-2026-10002"}}},
			"🔴 1 vulnerability: CVE-2026-10001 (**KEV** since 2026-11-16, used by ransomware, EPSS 0.43); the vendor's notes also name CVE-2026-10002; asked CISA KEV of 2026-11-17"},
		"no answer": {nil, "x", &bump.Weaknesses{Silent: []string{"CISA KEV", "EPSS"}, List: []bump.Weakness{{ID: "CVE-2026-10002"}}},
			"🟡 the vendor's notes name CVE-2026-10002; if they are fixed, set change and fixes in the release file; not known by CISA KEV, EPSS, asked without an answer"},
		"many": {nil, "x", &bump.Weaknesses{List: []bump.Weakness{{ID: "A"}, {ID: "B"}, {ID: "C"}, {ID: "D"}, {ID: "E"}, {ID: "F"}}},
			"🟡 the vendor's notes name A, B, C, D, 2 more; if they are fixed, set change and fixes in the release file"},
	} {
		b := Bump{Notes: tt.notes, Known: tt.known}
		b.Release.Fixes = tt.fixes
		row := fixesRow(b)
		if got := row.glyph + " " + row.text; got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
		if exploited(b) != (row.glyph == glyphUrgent) {
			t.Errorf("%s: the verdict says otherwise", name)
		}
	}
}

// TestBumpMajor: a fix that is a major version too is told as both.
func TestBumpMajor(t *testing.T) {
	b := Bump{Major: true, Known: &bump.Weaknesses{List: []bump.Weakness{{ID: "A", Fixed: true, KEV: true}}}}
	b.Release.Class = "security"
	if got := bumpVerdict(b); !strings.Contains(got, "a major version, "+glyphUrgent+" exploited in the wild") {
		t.Errorf("got %q", got)
	}
}
