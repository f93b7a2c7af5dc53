package rehearsal_test

import (
	"testing"

	"github.com/packmill/packmill/internal/sim/rehearsal"
)

// TestControl lets one device in twelve be off while a gate counts silence as
// failures: those of the wave that has not opened are as silent, so it is no
// fault of the release. Without them to compare with, the same wave never
// passes. With them it mostly does: the comparison is a test at 90 %.
func TestControl(t *testing.T) {
	m := rehearsal.Builtin()
	m.Silent = 0.08
	decision := func(alone bool) (string, int) {
		in := rehearsal.Invented(rehearsal.Size{Tenants: 8, Packages: 1, Devices: 1600})
		for i := range in.Facts.Repo.Waves {
			in.Facts.Repo.Waves[i].Gate.Silent = "failed"
		}
		r, err := rehearsal.Rehearse(in, m, rehearsal.Options{Cycle: w47, Engine: func(e *rehearsal.Engine) {
			if alone {
				e.Verdict = rehearsal.Alone
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range r.State.Facts().Record.Verdicts {
			if v.Wave == "dogfood" {
				return v.Decision, v.Excused
			}
		}
		t.Fatal("the first wave was not judged")
		return "", 0
	}
	const seeds = 10
	passed := 0
	for m.Seed = range int64(seeds) {
		if got, excused := decision(false); got == "pass" && excused > 0 {
			passed++
		}
		if got, excused := decision(true); got == "pass" || excused != 0 {
			t.Errorf("seed %d: without a control group: %s, %d excused", m.Seed, got, excused)
		}
	}
	if passed < seeds-3 {
		t.Errorf("with a control group %d of %d waves pass", passed, seeds)
	}
}
