package rollout

import (
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Unreviewed is the first merge record from which on main is not what people
// reviewed, nil when main is sound. Everything main says after such a commit,
// the policy of who may approve included, may be a forger's word. It is sound
// again after a reviewed merge that gives it back the very tree it had before:
// then nothing of what came in between is left.
func Unreviewed(rec *fleet.Record) *fleet.Merge {
	var first *fleet.Merge
	for i := range rec.Merges {
		m := &rec.Merges[i]
		switch {
		case first == nil && m.Fault != "":
			first = m
		case first != nil && m.Fault == "" && m.Tree != "" && m.Tree == first.BaseTree:
			first = nil
		}
	}
	return first
}

// harmless are the kinds of action that go on while main is unreviewed: they
// record what is, stop what runs, or ask people.
var harmless = []string{RecordMerge, TakeInventory, Judge, Withdraw, ProposeRevoke}

// onlyHarmless drops what must not rest on an unreviewed main, and says why.
func (s *stepper) onlyHarmless() {
	m := Unreviewed(s.f.Record)
	if m == nil {
		return
	}
	s.actions = slices.DeleteFunc(s.actions, func(a Action) bool { return !slices.Contains(harmless, a.Kind) })
	s.wait(Wait{Kind: fleet.Stalled, Why: "main is unreviewed since " + m.Commit + ", which " + m.Fault +
		"; nothing but halts goes on until a reviewed revert gives main the files it had before that commit"})
}

// revocations are all that were ever merged, and what ways back that were begun
// tell of, by package: deleting the file of a hold does not make a bad release
// good.
func revocations(rec *fleet.Record) map[fleet.PackageID][]fleet.Hold {
	out := map[fleet.PackageID][]fleet.Hold{}
	for i := range rec.Merges {
		for _, h := range rec.Merges[i].Revokes {
			out[h.Package] = append(out[h.Package], h)
		}
	}
	for i := range rec.Intents {
		in := &rec.Intents[i]
		entry := fleet.Entry{Release: in.Release, Artifact: in.Artifact}
		if in.Action != "rollback" || slices.ContainsFunc(out[in.Package], func(h fleet.Hold) bool { return h.Of(in.Package, entry) }) {
			continue
		}
		out[in.Package] = append(out[in.Package], fleet.Hold{
			Kind: revocation, Package: in.Package, Release: in.Release, Artifact: in.Artifact, Reason: strings.TrimPrefix(in.Reason, "revoked: "),
		})
	}
	return out
}

// Revocation is the revocation of an entry: the one on main, or one that was
// there before.
func Revocation(repo *fleet.Repository, rec *fleet.Record, id fleet.PackageID, e fleet.Entry) (fleet.Hold, bool) {
	if h, ok := repo.Revoked(id, e); ok {
		return h, true
	}
	for _, h := range revocations(rec)[id] {
		if h.Of(id, e) {
			return h, true
		}
	}
	return fleet.Hold{}, false
}
