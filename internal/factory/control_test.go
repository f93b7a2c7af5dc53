package factory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
)

const rest = fleet.TenantID("alpine/rest")

// A bystander is a console of a tenant whose wave has not opened.
type bystander struct {
	teller
	seen    []time.Time // of pc-0, pc-1, …
	asked   *int
	refuses error
}

func (c bystander) Inventory(context.Context) ([]fleet.Device, error) {
	*c.asked++
	var out []fleet.Device
	for i, at := range c.seen {
		out = append(out, fleet.Device{ID: fmt.Sprint("pc-", i), Platform: "windows", LastSeen: at})
	}
	return out, c.refuses
}

// seen is when some devices were seen last.
func seen(n int, at time.Time) []time.Time { return slices.Repeat([]time.Time{at}, n) }

// TestControlGroup: devices of a wave that has not opened are what the wave is
// compared with, of the same days.
func TestControlGroup(t *testing.T) {
	quiet := say(0, 40, "installed", "2.0", asked)
	broken := slices.Concat(say(0, 40, "installed", "2.0", asked), say(40, 20, "failed", "2.0", asked))
	early := started.Add(-24 * time.Hour)
	down := slices.Concat(seen(200, asked), seen(100, early))
	for name, c := range map[string]struct {
		near, far []fleet.DeviceStatus
		others    bystander
		change    func(w *court)
		want      string
		rule      string
		control   fleet.Control
		inventory int
	}{
		"a pass needs none":      {say(0, 60, "installed", "2.0", asked), say(0, 60, "installed", "2.0", asked), bystander{seen: down}, nil, "pass", "120 of 120", fleet.Control{}, 0},
		"an outage hits both":    {quiet, quiet, bystander{seen: down}, nil, "pass", "40 silent ones are excused", fleet.Control{N: 300, Silent: 100}, 1},
		"a wave that goes quiet": {quiet, quiet, bystander{seen: seen(300, asked)}, nil, "inconclusive", "40 silent ones count as failed", fleet.Control{N: 300}, 1},
		"long inactive ones are no control": {quiet, quiet, bystander{seen: slices.Concat(seen(200, asked), seen(100, started.AddDate(0, 0, -20)))}, nil, "inconclusive", "40 silent ones count as failed",
			fleet.Control{N: 200}, 1},
		"nor are members of the wave": {quiet, quiet, bystander{seen: down}, func(w *court) {
			w.facts.Plans[cycle47]["later"] = fleet.Plan{Rows: []fleet.PlanRow{{Tenant: near, Package: judged, Wave: "later"}}}
			w.tells[near] = bystander{teller: teller{statuses: quiet}, seen: seen(60, early), asked: new(int)}
		}, "inconclusive", "40 silent ones count as failed", fleet.Control{}, 0},
		"a bad build":                    {broken, broken, bystander{seen: seen(300, asked)}, nil, "fail", "40 failed", fleet.Control{N: 300}, 1},
		"what breaks the others as well": {broken, broken, bystander{teller: teller{statuses: say(0, 105, "failed", "1.9", asked)}, seen: seen(300, asked)}, nil, "inconclusive", "105 failed too", fleet.Control{N: 300, Failed: 105}, 1},
		"what broke the others before":   {broken, broken, bystander{teller: teller{statuses: say(0, 105, "failed", "1.9", early)}, seen: seen(300, asked)}, nil, "fail", "40 failed", fleet.Control{N: 300}, 1},
		"others that cannot be asked":    {broken, broken, bystander{seen: seen(300, asked), refuses: errors.New("no answer")}, nil, "fail", "40 failed", fleet.Control{}, 1},
		"others of another package": {quiet, quiet, bystander{seen: down}, func(w *court) {
			w.facts.Plans[cycle47]["later"] = fleet.Plan{Rows: []fleet.PlanRow{{Tenant: rest, Package: "acme/else", Wave: "later"}}}
		}, "inconclusive", "40 silent ones count as failed", fleet.Control{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCourt(t, "failed")
			w.tells[near], w.tells[far] = teller{statuses: c.near}, teller{statuses: c.far}
			asked := 0
			c.others.asked = &asked
			w.tells[rest] = c.others
			w.facts.Repo.Tenants[rest] = fleet.Tenant{ID: rest}
			w.facts.Plans = map[fleet.CycleID]map[string]fleet.Plan{cycle47: {"later": {Rows: []fleet.PlanRow{{Tenant: rest, Package: judged, Wave: "later"}}}}}
			if c.change != nil {
				c.change(w)
			}
			v, _, err := w.judge(t)
			if err != nil {
				t.Fatal(err)
			}
			var control fleet.Control
			if v.Control != nil {
				control = *v.Control
			}
			if v.Decision != c.want || !strings.Contains(v.Rule, c.rule) || control != c.control {
				t.Errorf("%s (%s), control %+v, want %s (%s), %+v", v.Decision, v.Rule, control, c.want, c.rule, c.control)
			}
			if asked != c.inventory {
				t.Errorf("its devices were read %d times, want %d", asked, c.inventory)
			}
			if !v.InputsDigest.Valid() {
				t.Errorf("no digest of the inputs: %+v", v)
			}
		})
	}
}

// TestPooledWaves: a gate that pools judges together with the waves before on
// the same artifact, by their newest reports.
func TestPooledWaves(t *testing.T) {
	report := func(wave string, artifact fleet.Digest, ok int, at time.Time) fleet.Report {
		return fleet.Report{Cycle: cycle47, Wave: wave, Tenant: near, Package: judged, Artifact: artifact, Counts: fleet.Counts{Succeeded: ok}, At: at}
	}
	this, other := fleet.DigestOf([]byte("zip 2.0")), fleet.DigestOf([]byte("zip 1.9"))
	for name, c := range map[string]struct {
		how     string
		reports []fleet.Report
		want    string
		pooled  int
	}{
		"with the wave before":     {"pool", []fleet.Report{report("pilot", this, 30, started.Add(-2*time.Hour)), report("pilot", this, 60, started.Add(-time.Hour))}, "pass", 90},
		"unless it asks a person":  {"askHuman", []fleet.Report{report("pilot", this, 60, started)}, "inconclusive", 0},
		"not on another artifact":  {"pool", []fleet.Report{report("pilot", other, 60, started)}, "inconclusive", 0},
		"not with a wave after it": {"pool", []fleet.Report{report("later", this, 60, started)}, "inconclusive", 0},
		"nor with itself":          {"pool", []fleet.Report{report("everyone", this, 60, started)}, "inconclusive", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCourt(t, "excluded")
			w.tells[near], w.tells[far] = teller{statuses: say(0, 15, "installed", "2.0", asked)}, teller{statuses: say(0, 15, "installed", "2.0", asked)}
			w.facts.Repo.Waves[0].Gate.Inconclusive = c.how
			cycle := w.facts.Repo.Cycles[cycle47]
			cycle.Waves = []string{"pilot", "everyone", "later"}
			w.facts.Repo.Cycles[cycle47] = cycle
			w.facts.Record.Reports = c.reports
			v, _, err := w.judge(t)
			if err != nil || v.Decision != c.want {
				t.Errorf("%s (%s), %v, want %s", v.Decision, v.Rule, err, c.want)
			}
			if got := v.Pooled; c.pooled == 0 && got != nil || c.pooled > 0 && (got == nil || got.Succeeded != c.pooled) {
				t.Errorf("pooled %+v, want %d", got, c.pooled)
			}
		})
	}
}

// TestWordsCount: an objection counts whoever says it, a sign-off if its person
// may approve.
func TestWordsCount(t *testing.T) {
	say := func(kind, by string) fleet.Word {
		return fleet.Word{Cycle: cycle47, Wave: "everyone", Package: judged, Kind: kind, By: by, Reason: "it is slow", At: asked}
	}
	for name, c := range map[string]struct {
		signOffs int
		words    []fleet.Word
		want     string
		rule     string
	}{
		"nobody is asked":          {0, nil, "pass", "120 of 120"},
		"an objection":             {0, []fleet.Word{say(fleet.Objection, "stranger")}, "inconclusive", "stranger objects: it is slow"},
		"a sign-off":               {1, []fleet.Word{say(fleet.SignOff, "Ines")}, "pass", "120 of 120"},
		"one who may not":          {1, []fleet.Word{say(fleet.SignOff, "stranger")}, "inconclusive", "0 of 1 sign-offs"},
		"one who may not any more": {1, []fleet.Word{say(fleet.SignOff, "otto")}, "inconclusive", "0 of 1 sign-offs"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCourt(t, "failed")
			w.facts.Repo.Operator.Approvers = map[string][]fleet.Person{"releases": {{Login: "ines", From: "2026-01-01"}, {Login: "otto", From: "2026-01-01", Until: "2026-11-01"}}}
			w.facts.Repo.Waves[0].Gate.SignOffs = c.signOffs
			w.facts.Record.Words = c.words
			if v, _, err := w.judge(t); err != nil || v.Decision != c.want || !strings.Contains(v.Rule, c.rule) {
				t.Errorf("%s (%s), %v, want %s (%s)", v.Decision, v.Rule, err, c.want, c.rule)
			}
		})
	}
}

// TestContradicting: two verdicts from equal inputs must agree, whenever they
// were given.
func TestContradicting(t *testing.T) {
	w := newCourt(t, "failed")
	v, _, err := w.judge(t)
	if err != nil {
		t.Fatal(err)
	}
	later, other, unlike, old := v, v, v, v
	later.At = v.At.Add(time.Hour)
	other.Decision = "fail"
	unlike.InputsDigest, unlike.Decision = fleet.DigestOf([]byte("else")), "fail"
	old.InputsDigest, old.Decision = "", "fail"
	if got := factory.Contradicting([]fleet.Verdict{v, later, unlike, old}); len(got) != 0 {
		t.Errorf("found %+v", got)
	}
	if got := factory.Contradicting([]fleet.Verdict{v, later, other}); len(got) != 1 || got[0].Decision != "fail" {
		t.Errorf("found %+v", got)
	}
}
