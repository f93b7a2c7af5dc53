package view

import (
	"fmt"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
)

// groupOf makes a group of releases; each may be edited.
func groupOf(t *testing.T, n int, edit func(i int, b *Bump)) Group {
	t.Helper()
	c := bumped(t, func(_, head *fleet.Repository) {
		r := head.Packages[zip].Releases["24.09"]
		r.Change, r.Fixes = "minor", nil
		head.Packages[zip].Releases["24.09"] = r
	})
	g := Group{Name: "desktop", Reach: c.Reach}
	for i := range n {
		b := Bump{Change: c, Release: c.Releases[0], Notes: "Some bugs were fixed, thanks to @somebody."}
		b.Release.Package = fleet.PackageID(fmt.Sprintf("acme/tool-%03d", i))
		if edit != nil {
			edit(i, &b)
		}
		g.Bumps = append(g.Bumps, b)
	}
	return g
}

// TestGroupPull has three releases, of which one blocks and one is major.
func TestGroupPull(t *testing.T) {
	pull := GroupPull(groupOf(t, 3, func(i int, b *Bump) {
		switch i {
		case 1:
			b.Release.Class = "major"
		case 2:
			b.Change.Findings = []change.Finding{{Level: change.Refused, Text: "the host is not the publisher's"}}
			b.Release.Fixes = []string{"CVE-2024-11477"}
		}
	}))
	golden(t, "group.md", pull.Text)
	if pull.Title != "desktop: 3 versions" {
		t.Errorf("title %q", pull.Title)
	}
	checkTrailers(t, pull, "Risk", "Impact", "Back-out", "Change-Class", "Fixes")
	at := func(s string) int { return strings.Index(pull.Text, s) }
	if !strings.Contains(strings.SplitN(pull.Text, "\n", 2)[0], glyphStop+" blocked, 1 reason, in acme/tool-002, and 1 more to look at") {
		t.Errorf("the worst row does not decide the headline: %s", pull.Text)
	}
	if at("acme/tool-002 |") > at("acme/tool-001 |") || at("acme/tool-001 |") > at("acme/tool-000 |") {
		t.Errorf("problems do not come first: %s", pull.Text)
	}
	good := GroupPull(groupOf(t, 2, nil))
	if !strings.HasPrefix(good.Text, "### desktop: 2 versions: "+glyphGood+" ready for review\n") {
		t.Errorf("got %q", good.Text)
	}
}

// TestGroupIsBounded has few and very many packages, also hostile ones: the body
// keeps its limit, the trailers are whole, and packages without a row are
// counted.
func TestGroupIsBounded(t *testing.T) {
	hostile := strings.Repeat("@a|#1`<b>[x](y)\n", 200)
	for _, n := range []int{1, 2, 30, 1000} {
		for _, bad := range []string{"", hostile} {
			pull := GroupPull(groupOf(t, n, func(_ int, b *Bump) {
				if bad != "" {
					b.Release.Package += fleet.PackageID(bad)
					b.Release.From, b.Release.To, b.Release.Class, b.Notes = bad, bad, bad, bad
					b.Release.Fixes = []string{bad}
					b.Unheld = &fleet.Command{Hold: fleet.HoldTooYoung, Why: bad, By: bad, Reason: bad}
				}
			}))
			if len(pull.Text) >= 8000 {
				t.Errorf("%d packages: %d bytes", n, len(pull.Text))
			}
			keys := []string{"Risk", "Impact", "Back-out", "Change-Class"}
			if bad != "" {
				keys = append(keys, "Fixes")
			}
			checkTrailers(t, pull, keys...)
			rows := 0
			for line := range strings.Lines(pull.Text) {
				if strings.HasPrefix(line, "| ") && strings.Contains(line, "acme/tool-") {
					rows++
				}
			}
			cut := fmt.Sprintf("… and %s |", plural(n-rows, "more package"))
			if strings.Contains(pull.Text, cut) != (rows < n) || rows == 0 || strings.Contains(pull.Text, "<b>") {
				t.Errorf("%d packages, %d rows: %s", n, rows, pull.Text)
			}
		}
	}
}
