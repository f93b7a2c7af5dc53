package rollout

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// What packmill may merge by itself, as merge records say it.
const (
	AutoAdvance = "advance" // the approval of a wave, after the one before passed
	AutoRevoke  = "revoke"  // the revocation of a release that a gate failed
)

// MayAdvance says why packmill may not merge the approval of a gate by itself
// at an instant, "" when it may: the wave before says autoMerge, has soaked, and
// passed every entry. policy is desired state before the merge.
func MayAdvance(policy *fleet.Repository, rec *fleet.Record, id fleet.CycleID, gate string, at time.Time) string {
	before := waveBefore(policy.Cycles[id], gate)
	wave, known := policy.Wave(before)
	if !known {
		return "no wave comes before it, so people open it"
	}
	wave, _ = wave.In(id.Lane())
	switch {
	case wave.Advance != "autoMerge":
		return "wave " + before + " asks people to go on"
	case policy.Operator.Trust.App == "":
		return "tenants/operator.cue names no app that may merge (operator: trust: app)"
	case policy.Operator.Trust.Approvals > 1:
		return "every merge takes several persons"
	case policy.Cycles[id].Overrides != nil:
		return "the cycle goes on through freezes, which takes two persons"
	}
	if why := unproven(policy, rec, id, gate, at); why != "" {
		return why
	}
	if start := startOf(rec, id, before); at.Before(later(start.Opens, start.At).Add(wave.Soak.Std())) {
		return "wave " + before + " has not soaked"
	}
	return ""
}

// unproven says what keeps signed verdicts from speaking for the opening of a
// gate at an instant, "" when nothing does: the newest verdict of the wave before
// on exactly the artifact of each entry, newer than that wave's start and no
// newer than the instant, is a pass, and no gate anywhere failed the artifact.
func unproven(repo *fleet.Repository, rec *fleet.Record, id fleet.CycleID, gate string, at time.Time) string {
	cycle := repo.Cycles[id]
	before := waveBefore(cycle, gate)
	start := startOf(rec, id, before)
	switch {
	case before == "":
		return "no wave comes before it"
	case len(cycle.Entries) == 0:
		return "the cycle is empty"
	case start == nil || at.Before(start.At):
		return "wave " + before + " has not started"
	}
	began := later(start.Opens, start.At)
	for _, pkg := range slices.Sorted(maps.Keys(cycle.Entries)) {
		e := cycle.Entries[pkg]
		var last *fleet.Verdict
		for i := range rec.Verdicts {
			v := &rec.Verdicts[i]
			if v.Package != pkg || v.Artifact != e.Artifact || v.At.After(at) {
				continue
			}
			if v.Decision == "fail" {
				return "wave " + v.Wave + " of " + string(v.Cycle) + " failed " + string(pkg)
			}
			if v.Cycle == id && v.Wave == before && !v.At.Before(began) {
				last = v
			}
		}
		if last == nil || last.Decision != "pass" {
			return "wave " + before + " has no pass verdict on " + string(pkg) + " " + entryName(e)
		}
		if who := objector(rec, id, before, pkg, at); who != "" {
			return who + " objects to " + string(pkg) + " in wave " + before
		}
	}
	return ""
}

// waveBefore is the wave in front of a gate in a cycle's order, "" when there
// is none.
func waveBefore(c fleet.Cycle, gate string) string {
	if i := slices.Index(c.Waves, gate); i > 0 {
		return c.Waves[i-1]
	}
	return ""
}

// MayRevoke says why packmill may not merge a revocation by itself at an
// instant, "" when it may: the operator's policy lets it, it names exactly one
// artifact and goes the release's declared way, and a gate failed that artifact
// in a wave that carried it. policy is desired state before the merge.
func MayRevoke(policy *fleet.Repository, rec *fleet.Record, h fleet.Hold, at time.Time) string {
	switch {
	case !policy.Operator.Trust.AutoRevoke:
		return "tenants/operator.cue leaves revocations to people (operator: trust: autoRevoke)"
	case policy.Operator.Trust.App == "":
		return "tenants/operator.cue names no app that may merge (operator: trust: app)"
	case policy.Operator.Trust.Approvals > 1:
		return "every merge takes several persons"
	case h.Kind != revocation || h.Artifact == "" || h.Expires != nil:
		return "it is not the revocation of one artifact"
	}
	if want := RevocationOf(policy, h.Package, h.Release, h.Artifact, h.Reason); want.RollbackTo != h.RollbackTo {
		return "the way back is another one"
	}
	for i := range rec.Verdicts {
		v := &rec.Verdicts[i]
		e := policy.Cycles[v.Cycle].Entries[v.Package]
		start := startOf(rec, v.Cycle, v.Wave)
		if v.Decision == "fail" && v.Package == h.Package && v.Artifact == h.Artifact && !v.At.After(at) &&
			h.Of(v.Package, e) && start != nil && !v.At.Before(later(start.Opens, start.At)) {
			return ""
		}
	}
	return "no gate failed " + string(h.Package) + " " + h.Release
}

// RevocationOf takes a release back its declared way.
func RevocationOf(repo *fleet.Repository, id fleet.PackageID, version string, artifact fleet.Digest, reason string) fleet.Hold {
	pkg := repo.Packages[id]
	h := fleet.Hold{Kind: revocation, Package: id, Release: version, Artifact: artifact, Reason: reason}
	if pkg.Rollback == "previous" {
		h.RollbackTo, _, _ = pkg.Before(version)
	}
	return h
}

// Alone reports whether packmill's own app, and nobody else, stands behind a
// merge: it opened the pull request and merged it, and no person objects.
func Alone(policy *fleet.Repository, m fleet.Merge) bool {
	app := policy.Operator.Trust.App
	if app == "" || !m.Bot || !strings.EqualFold(m.MergedBy, app) || !strings.EqualFold(m.Author, app) || m.Head == "" {
		return false
	}
	return len(Objections(m.Reviews, m.At)) == 0
}

// Objections are the logins, sorted, whose last word by an instant asks for
// changes.
func Objections(reviews []fleet.Review, at time.Time) []string {
	last := map[string]fleet.Review{}
	for _, r := range reviews {
		if r.State != "COMMENTED" && !r.At.After(at) {
			last[strings.ToLower(r.Login)] = r
		}
	}
	var out []string
	for _, r := range last {
		if r.State == "CHANGES_REQUESTED" {
			out = append(out, r.Login)
		}
	}
	slices.Sort(out)
	return out
}

// clocks is how far the forge's clock, which dates a merge, may be behind the
// one that dates verdicts: the merge must come out as the later one.
const clocks = 5 * time.Minute

// autoAdvance asks to merge the proposed approval of a gate, where policy lets
// packmill do that, and reports whether it does; why says what keeps it from
// that, where the wave before says autoMerge.
func (s *stepper) autoAdvance(c *CycleState, gate string) (does bool, why string) {
	_, people := needed(s.f, c.ID, gate)
	reason := cmp.Or(MayAdvance(s.f.Repo, s.f.Record, c.ID, gate, s.now.Add(-clocks)), unproven(s.f.Repo, s.f.Record, c.ID, gate, s.now), s.contested(c, gate), people)
	if reason != "" {
		if before, _ := s.f.Repo.Wave(waveBefore(c.Cycle, gate)); before.Advance == "autoMerge" {
			why = "; packmill leaves it to people: " + reason
		}
		return false, why
	}
	s.act(Action{Kind: AutoMerge, Cycle: c.ID, Wave: gate, Why: "the wave before passed, and says autoMerge"})
	s.wait(Wait{Cycle: c.ID, Wave: gate, Kind: fleet.Waiting, Why: "packmill merges its approval once its checks have passed"})
	return true, ""
}

// contested says who objects to what the wave before a gate passed, "" when
// nobody does.
func (s *stepper) contested(c *CycleState, gate string) string {
	before, next := c.Wave(waveBefore(c.Cycle, gate)), c.Wave(gate)
	for i := range c.Entries {
		if before == nil || next == nil {
			break
		}
		if why := objected(before, next, &c.Entries[i]); why != "" {
			return string(c.Entries[i].Package) + ": " + why
		}
	}
	return ""
}

// autoRevoke asks to merge a proposed revocation, where policy lets packmill do
// that, and reports whether it does.
func (s *stepper) autoRevoke(a Action) bool {
	h := RevocationOf(s.f.Repo, a.Packages[0], a.Version, a.Artifact, a.Why)
	if MayRevoke(s.f.Repo, s.f.Record, h, s.now.Add(-clocks)) != "" {
		return false
	}
	a.Kind = AutoMerge
	s.act(a)
	s.wait(Wait{Cycle: a.Cycle, Packages: []fleet.PackageID{h.Package}, Kind: fleet.Waiting, Why: "packmill merges the revocation of " + string(h.Package) + " " + h.Release + " once its checks have passed"})
	return true
}
