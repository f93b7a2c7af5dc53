package factory_test

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestSay: what people say goes into evidence once, and only where it can mean
// something.
func TestSay(t *testing.T) {
	word := func(kind, by, reason string) fleet.Word {
		return fleet.Word{Cycle: cycle47, Wave: "everyone", Package: judged, Kind: kind, By: by, Reason: reason, At: asked}
	}
	objection := word(fleet.Objection, "help", "slow")
	for name, c := range map[string]struct {
		said    []fleet.Word
		word    fleet.Word
		change  func(w *court)
		refused string
		rows    int
	}{
		"an objection":                  {nil, objection, nil, "", 1},
		"the same again":                {[]fleet.Word{objection}, objection, nil, "", 0},
		"for another reason":            {[]fleet.Word{objection}, word(fleet.Objection, "help", "slower"), nil, "", 1},
		"after it was taken back":       {[]fleet.Word{objection, word(fleet.Withdrawn, "help", "")}, objection, nil, "", 1},
		"without a reason":              {nil, word(fleet.Objection, "help", ""), nil, "says why", 0},
		"of many lines":                 {nil, word(fleet.Objection, "help", "a\nb"), nil, "line breaks", 0},
		"with an escape sequence":       {nil, word(fleet.Objection, "help", "\x1b[2J"), nil, "control characters", 0},
		"without end":                   {nil, word(fleet.Objection, "help", strings.Repeat("a", 501)), nil, "501 bytes", 0},
		"by nobody":                     {nil, word(fleet.Objection, "", "slow"), nil, "nobody is named", 0},
		"taken back":                    {[]fleet.Word{objection}, word(fleet.Withdrawn, "Help", ""), nil, "", 1},
		"taken back by somebody else":   {[]fleet.Word{objection}, word(fleet.Withdrawn, "ines", ""), nil, "ines has no open objection", 0},
		"a sign-off":                    {nil, word(fleet.SignOff, "ines", ""), nil, "", 1},
		"a sign-off twice":              {[]fleet.Word{word(fleet.SignOff, "ines", "")}, word(fleet.SignOff, "ines", ""), nil, "", 0},
		"a sign-off by a stranger":      {nil, word(fleet.SignOff, "help", ""), nil, "no approver in force", 0},
		"a sign-off before the start":   {nil, word(fleet.SignOff, "ines", ""), func(w *court) { w.facts.Record.Starts = nil }, "has not started", 0},
		"an objection before the start": {nil, objection, func(w *court) { w.facts.Record.Starts = nil }, "", 1},
		"in a closed cycle": {nil, objection, func(w *court) {
			w.facts.Repo.Approvals = map[fleet.CycleID]map[string]fleet.Approval{cycle47: {rollout.CloseGate: {Decision: "approved"}}}
		}, "is closed", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCourt(t, "failed")
			cycle := w.facts.Repo.Cycles[cycle47]
			cycle.Waves = []string{"everyone"}
			w.facts.Repo.Cycles[cycle47] = cycle
			w.facts.Repo.Operator.Approvers = map[string][]fleet.Person{"releases": {{Login: "ines", From: "2026-01-01"}}}
			w.facts.Record.Words = c.said
			if c.change != nil {
				c.change(w)
			}
			err := w.Say(t.Context(), w.facts, c.word)
			if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
				t.Errorf("error %v, want %q", err, c.refused)
			}
			rec, readErr := w.Ledger.Read(t.Context())
			if readErr != nil || len(rec.Words) != c.rows || c.rows == 1 && rec.Words[0] != c.word {
				t.Errorf("evidence has %+v, %v, want %d rows", rec.Words, readErr, c.rows)
			}
		})
	}
}
