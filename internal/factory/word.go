package factory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// longestReason is how long a reason may be that stands in every verdict after
// it, in bytes.
const longestReason = 500

// CheckWord says why a person's word on a release in a wave cannot be recorded,
// and whether it stands already.
//
// Anybody may object: a word that keeps a release back needs no rank. Only who
// objected takes an objection back, and only approvers in force sign off, once
// the wave has started and there is something to have seen.
func (f *Factory) CheckWord(facts rollout.Facts, w fleet.Word) (stands bool, err error) {
	refused := func(kind fleet.Kind, hint, format string, args ...any) (bool, error) {
		return false, &fleet.Error{Op: "factory.word", Object: string(w.Package), Kind: kind, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	cycle, known := facts.Repo.Cycles[w.Cycle]
	if !known {
		return refused(fleet.Invalid, "packmill cycle status lists the newest", "there is no cycle %q on main", w.Cycle)
	}
	if !slices.Contains(cycle.Waves, w.Wave) {
		return refused(fleet.Invalid, "", "cycle %s has no wave %q; it has %s", w.Cycle, w.Wave, strings.Join(cycle.Waves, ", "))
	}
	if _, travels := cycle.Entries[w.Package]; !travels {
		return refused(fleet.Invalid, "packmill cycle status "+string(w.Cycle), "does not travel in cycle %s", w.Cycle)
	}
	if a, ok := facts.Repo.Approvals[w.Cycle][rollout.CloseGate]; ok && a.Decision == "approved" {
		return refused(fleet.Refused, "packmill revoke takes a release back", "cycle %s is closed", w.Cycle)
	}
	if w.By == "" {
		return refused(fleet.Invalid, "--by LOGIN names the person", "nobody is named who says it")
	}
	if err := reasonable(w.Reason); err != nil {
		return refused(fleet.Invalid, "--reason TEXT, in one line", "%w", err)
	}
	said := gate.About(facts.Record.Words, w.Cycle, w.Wave, w.Package)
	standing := func(words []fleet.Word) int {
		return slices.IndexFunc(words, func(x fleet.Word) bool { return strings.EqualFold(x.By, w.By) })
	}
	objection := standing(gate.Open(said))
	started := slices.ContainsFunc(facts.Record.Starts, func(s fleet.WaveStart) bool { return s.Cycle == w.Cycle && s.Wave == w.Wave })
	switch {
	case w.Kind == fleet.Objection && w.Reason == "":
		return refused(fleet.Invalid, "--reason TEXT says it to those who decide", "an objection says why")
	case w.Kind == fleet.Objection:
		return objection >= 0 && gate.Open(said)[objection].Reason == w.Reason, nil
	case w.Kind == fleet.Withdrawn && objection < 0:
		return refused(fleet.Invalid, "who objected takes it back", "%s has no open objection in wave %s", w.By, w.Wave)
	case w.Kind == fleet.SignOff && !started:
		return refused(fleet.Refused, "packmill cycle status "+string(w.Cycle), "wave %s has not started: nobody can have seen the release in it", w.Wave)
	case w.Kind == fleet.SignOff && !facts.Repo.Approver(w.By, w.At):
		return refused(fleet.Refused, "approvers stand in tenants/operator.cue", "%s is no approver in force", w.By)
	case w.Kind == fleet.SignOff:
		return slices.ContainsFunc(gate.SignedOff(said), func(by string) bool { return strings.EqualFold(by, w.By) }), nil
	}
	return false, nil
}

// Say records a person's word, unless it stands already.
func (f *Factory) Say(ctx context.Context, facts rollout.Facts, w fleet.Word) error {
	if stands, err := f.CheckWord(facts, w); err != nil || stands {
		return err
	}
	return f.Ledger.Append(ctx, evidence.Control, evidence.WordsDir(w.Cycle), []fleet.Word{w})
}

// reasonable reports what is wrong with a reason: it is shown to people on one
// line, in terminals and comments.
func reasonable(reason string) error {
	if len(reason) > longestReason {
		return fmt.Errorf("the reason has %d bytes; %d is the most", len(reason), longestReason)
	}
	if strings.ContainsFunc(reason, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return errors.New("the reason holds line breaks or control characters")
	}
	return nil
}
