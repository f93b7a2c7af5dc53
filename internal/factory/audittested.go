package factory

import (
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// tested checks that cells passed, before the intent, on every platform that the
// artifact is delivered to, and that none failed: the rule by which it came into a
// cycle. What no cell can test is said to be untested, and is no fault.
func (a *auditor) tested(i fleet.Intent) fleet.AuditCheck {
	where := evidence.Control
	if !brings(i.Action) && i.Action != "rollback" && i.Action != "withdraw" {
		return fleet.AuditCheck{OK: true, What: "it brings nothing", Where: where}
	}
	var before []fleet.Tested
	passed := 0
	for _, t := range rollout.TestsOf(a.rec, i.Artifact) {
		if t.Result == "failed" {
			return fleet.AuditCheck{What: "cell " + t.Cell + " failed", Where: where}
		}
		if t.At.After(i.At) {
			continue
		}
		before = append(before, t)
		if t.Result == "passed" {
			passed++
		}
	}
	pkg, known := a.repo.Packages[i.Package]
	built := rollout.BuiltOf(a.rec, i.Package, i.Release)
	if !known || built == nil || built.Artifact != i.Artifact {
		if passed == 0 {
			return fleet.AuditCheck{What: "no cell passed before the intent", Where: where}
		}
		return fleet.AuditCheck{OK: true, What: fmt.Sprintf("%d cells", passed), Where: where}
	}
	switch lacks := rollout.Untested(pkg, built, before); {
	case len(lacks) > 0 && passed == 0:
		return fleet.AuditCheck{What: "no cell passed before the intent", Where: where}
	case len(lacks) > 0:
		return fleet.AuditCheck{What: "no cell passed on " + strings.Join(lacks, ", ") + " before the intent", Where: where}
	}
	var said []string
	if passed > 0 {
		said = append(said, fmt.Sprintf("%d cells", passed))
	}
	if why := rollout.Cellless(pkg, built); why != "" {
		said = append(said, "untested: "+why)
	}
	return fleet.AuditCheck{OK: true, What: strings.Join(said, "; "), Where: where}
}
