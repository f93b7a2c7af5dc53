package factory_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Whatever a runner was doing when it died, the next one reaches what a runner
// that nobody killed reaches, and does nothing twice.
func TestCarryOutKilled(t *testing.T) {
	whole := newEffectWorld(t, 10)
	if made, _, err := whole.run(t, rollout.Deploy); made != 10 || err != nil {
		t.Fatalf("made %d: %v", made, err)
	}
	if whole.fate.steps < 10*2+4 {
		t.Fatalf("%d steps: want an upload and a call for each tenant, and two appends for each chunk", whole.fate.steps)
	}
	for at := 1; at <= whole.fate.steps; at++ {
		w := waveOf(whole.build, whole.ledger.rec.Builds[0], 10)
		w.fate.dies = at
		if _, _, err := w.run(t, rollout.Deploy); !errors.Is(err, errKilled) {
			t.Fatalf("killed after step %d: %v", at, err)
		}
		w.fate.dies = 0
		w.clock.Set(buildTime.Add(10 * time.Minute))
		if _, again, err := w.run(t, rollout.Deploy); err != nil || len(again) > 0 {
			t.Fatalf("second run after step %d: %d again, %v", at, len(again), err)
		}
		if got := w.outcomes(); !maps.Equal(got, map[string]int{"assign done": 10}) || len(w.open()) > 0 || len(w.ledger.rec.Intents) != 10 {
			t.Errorf("after step %d: receipts %v, %d intents, %d open", at, got, len(w.ledger.rec.Intents), len(w.open()))
		}
		for id, c := range w.consoles {
			if want := whole.consoles[id]; !reflect.DeepEqual(c.slots, want.slots) || c.uploads != 1 {
				t.Errorf("after step %d, %s: %v after %d uploads, want %v", at, id, c.slots, c.uploads, want.slots)
			}
		}
		if due := w.due(rollout.Deploy); len(due) > 0 {
			t.Errorf("after step %d: still due %v", at, due)
		}
	}
}

// What another run has begun is left to it for a while, and listed; what it has
// not begun is done beside it. Later whoever comes takes over.
func TestCarryOutLeavesToAnother(t *testing.T) {
	w := newEffectWorld(t, 10)
	w.Runner, w.fate.dies = "one", 2 // its intents, and one upload
	if _, _, err := w.run(t, rollout.Deploy); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	w.Runner, w.fate.dies = "two", 0
	w.clock.Set(buildTime.Add(time.Minute))
	then := *w.ledger.rec
	rest, waits, err := w.LeftToOthers(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, w.due(rollout.Deploy))
	if err != nil || len(rest) != 2 || len(waits) != factory.ChunkTenants {
		t.Fatalf("%d done, %d left, %v", len(rest), len(waits), err)
	}
	for i, wait := range waits {
		if wait.Tenants[0] != w.tenants[i] || wait.Packages[0] != thePkg || !wait.Until.Equal(buildTime.Add(rollout.Claim)) {
			t.Errorf("waits for %+v", wait)
		}
	}
	if got := w.outcomes(); !maps.Equal(got, map[string]int{"assign done": 2}) {
		t.Errorf("receipts %v", got)
	}
	w.clock.Set(buildTime.Add(rollout.Claim))
	if made, again, err := w.run(t, rollout.Deploy); made != factory.ChunkTenants || len(again) > 0 || err != nil || len(w.ledger.rec.Intents) != 10 {
		t.Errorf("taking over: made %d, again %d, %d intents, %v", made, len(again), len(w.ledger.rec.Intents), err)
	}
	for id, c := range w.consoles {
		if c.uploads != 1 {
			t.Errorf("%s has %d uploads", id, c.uploads)
		}
	}
}

// An upload may outlast the lease; nothing is assigned then, and the next
// decision goes on from what was uploaded.
func TestCarryOutExpired(t *testing.T) {
	w := newEffectWorld(t, 1)
	c := w.consoles[w.tenants[0]]
	c.upload = rollout.Lease + time.Second
	made, again, err := w.run(t, rollout.Deploy)
	if made != 0 || len(again) != 1 || err != nil || c.uploads != 1 || c.assigns != 0 {
		t.Fatalf("made %d, again %d, %v; %d uploads, %d calls", made, len(again), err, c.uploads, c.assigns)
	}
	if made, again, err = w.run(t, rollout.Deploy); made != 1 || len(again) != 0 || err != nil || c.uploads != 1 {
		t.Fatalf("made %d, again %d, %v; %d uploads", made, len(again), err, c.uploads)
	}
	if got := w.outcomes(); !maps.Equal(got, map[string]int{"assign expired": 1, "assign done": 1}) || w.ledger.rec.Intents[1].Generation != 2 {
		t.Errorf("receipts %v, intents %v", got, w.ledger.rec.Intents)
	}
	for _, i := range w.ledger.rec.Intents {
		if check := factory.AuditReceipt(w.ledger.rec, i); !check.OK {
			t.Errorf("audit of generation %d: %s", i.Generation, check.What)
		}
	}
}

// The last instant of the lease is still in it.
func TestCarryOutLeaseEnds(t *testing.T) {
	w := newEffectWorld(t, 1)
	w.consoles[w.tenants[0]].upload = rollout.Lease
	if made, again, err := w.run(t, rollout.Deploy); made != 1 || len(again) != 0 || err != nil {
		t.Errorf("made %d, again %d, %v", made, len(again), err)
	}
}

// An effect that never fits into a lease is given up by the run, with an error.
func TestCarryOutExpiresForEver(t *testing.T) {
	w := newEffectWorld(t, 1)
	c := w.consoles[w.tenants[0]]
	c.upload = rollout.Lease + time.Second
	for try := 1; ; try++ {
		_, again, err := w.run(t, rollout.Deploy)
		c.slots = map[string]*fleet.AppState{} // the upload is lost each time
		if err != nil {
			if fleet.KindOf(err) != fleet.Stalled || try != 3 {
				t.Errorf("try %d: %v", try, err)
			}
			return
		}
		if len(again) != 1 || try > 3 {
			t.Fatalf("try %d: again %v", try, again)
		}
	}
}

func TestCarryOutOneTenantFails(t *testing.T) {
	for _, parallel := range []int{0, 4} {
		w := newEffectWorld(t, 10)
		w.Parallel = parallel
		w.consoles[w.tenants[3]].broken = errors.New("out of order")
		made, again, err := w.run(t, rollout.Deploy)
		if made != 9 || len(again) != 0 || err == nil || !strings.Contains(err.Error(), "partner/t03") || strings.Contains(err.Error(), "partner/t04") {
			t.Errorf("made %d, again %d, %v", made, len(again), err)
		}
		if got := w.outcomes(); !maps.Equal(got, map[string]int{"assign done": 9, "assign failed": 1}) {
			t.Errorf("receipts %v", got)
		}
		w.consoles[w.tenants[3]].broken = nil
		if made, _, err := w.run(t, rollout.Deploy); made != 1 || err != nil || len(w.open()) > 0 {
			t.Errorf("second run: made %d, %v", made, err)
		}
	}
}

// However many tenants are served side by side, evidence says the same, in the
// order in which tenants were done.
func TestCarryOutSideBySide(t *testing.T) {
	one := newEffectWorld(t, 11)
	four := waveOf(one.build, one.ledger.rec.Builds[0], 11)
	four.Parallel = 4
	for _, w := range []*effectWorld{one, four} {
		if made, _, err := w.run(t, rollout.Deploy); made != 11 || err != nil {
			t.Fatalf("made %d: %v", made, err)
		}
	}
	slices.SortFunc(four.ledger.rec.Receipts, func(a, b fleet.Receipt) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	slices.SortFunc(one.ledger.rec.Receipts, func(a, b fleet.Receipt) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	slices.SortFunc(four.ledger.rec.Intents, func(a, b fleet.Intent) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	slices.SortFunc(one.ledger.rec.Intents, func(a, b fleet.Intent) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	if !reflect.DeepEqual(one.ledger.rec.Intents, four.ledger.rec.Intents) || !reflect.DeepEqual(one.ledger.rec.Receipts, four.ledger.rec.Receipts) {
		t.Errorf("evidence differs:\n%v\n%v", one.ledger.rec.Receipts, four.ledger.rec.Receipts)
	}
}

// Twenty tenants of five minutes each take longer than a lease: no intent runs
// out, because none is written before its chunk, and when the decision is as
// old as a lease the rest is decided anew.
func TestCarryOutLongWave(t *testing.T) {
	w := newEffectWorld(t, 20)
	for _, c := range w.consoles {
		c.upload = 3 * time.Minute
	}
	w.ledger.after = func([]evidence.Batch) {
		if n := len(w.open()); n > factory.ChunkTenants {
			t.Errorf("%d intents are open", n)
		}
	}
	rounds := 0
	for again := w.due(rollout.Deploy); len(again) > 0; rounds++ {
		var err error
		if _, again, err = w.run(t, rollout.Deploy); err != nil || rounds > 3 {
			t.Fatalf("round %d: %v", rounds, err)
		}
	}
	if got := w.outcomes(); !maps.Equal(got, map[string]int{"assign done": 20}) || rounds != 2 {
		t.Errorf("receipts %v after %d rounds", got, rounds)
	}
}

// A merge that comes while intents are written is read before anyone is called.
func TestCarryOutMainMoves(t *testing.T) {
	w := newEffectWorld(t, 10)
	appends := 0
	w.ledger.after = func([]evidence.Batch) {
		if appends++; appends == 3 { // the second chunk's intents
			w.merge(t, "schedules/holds/x.cue", "x")
		}
	}
	made, again, err := w.run(t, rollout.Deploy)
	if made != factory.ChunkTenants || len(again) != 10-factory.ChunkTenants || err != nil {
		t.Fatalf("made %d, again %d, %v", made, len(again), err)
	}
	for _, id := range w.tenants[factory.ChunkTenants:] {
		if c := w.consoles[id]; c.uploads+c.assigns > 0 {
			t.Errorf("%s was called", id)
		}
	}
}

// An assignment that was begun and then stopped gets its last word from the
// withdrawal behind it, once nobody can go on with it.
func TestCarryOutClosesLeftIntents(t *testing.T) {
	for _, c := range []struct {
		name    string
		after   time.Duration
		open    int
		audited bool
	}{
		{"within the lease", 10 * time.Minute, 1, false},
		{"after the lease", rollout.Lease + time.Minute, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newEffectWorld(t, 1)
			w.fate.dies = 1 // after the intent
			if _, _, err := w.run(t, rollout.Deploy); !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			w.fate.dies = 0
			w.clock.Set(buildTime.Add(c.after))
			if made, _, err := w.run(t, rollout.Withdraw); made != 1 || err != nil {
				t.Fatalf("made %d: %v", made, err)
			}
			check := factory.AuditReceipt(w.ledger.rec, w.ledger.rec.Intents[0])
			if open := w.open(); len(open) != c.open || check.OK != c.audited {
				t.Errorf("%d open, audit %+v", len(open), check)
			}
			if last := w.ledger.rec.Intents[1]; last.Action != "withdraw" || last.Wave != theWave || last.Generation != 2 {
				t.Errorf("the withdrawal is %+v", last)
			}
		})
	}
}

// A wave that has started delivers what was approved, or nothing; ways back go
// on.
func TestCarryOutAsApproved(t *testing.T) {
	for path, want := range map[string]fleet.Kind{
		"catalog/acme/hello/package.cue": fleet.Stalled,
		"catalog/acme/hello/24.09.cue":   fleet.Stalled,
		"catalog/acme/hello/24.10.cue":   0,
		"catalog/acme/setup/package.cue": 0,
	} {
		w := newEffectWorld(t, 2)
		w.repo.Commit = w.merge(t, path, "x")
		made, _, err := w.run(t, rollout.Deploy)
		if stalled := want != 0; stalled != (err != nil) || stalled && (fleet.KindOf(err) != want || made+len(w.ledger.rec.Intents) > 0) || !stalled && made != 2 {
			t.Errorf("%s: made %d, %v", path, made, err)
		}
		if made, _, err := w.run(t, rollout.Withdraw); made != 2 || err != nil {
			t.Errorf("%s: withdrew %d, %v", path, made, err)
		}
	}
	w := newEffectWorld(t, 1)
	w.ledger.rec.Merges = nil
	if _, _, err := w.run(t, rollout.Deploy); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("without an approval: %v", err)
	}
}

// What becomes stable is what the last wave was approved for.
func TestPromoteAsApproved(t *testing.T) {
	for path, want := range map[string]fleet.Kind{"catalog/acme/hello/package.cue": fleet.Stalled, "catalog/acme/setup/package.cue": 0} {
		w := newEffectWorld(t, 1)
		if made, _, err := w.run(t, rollout.Deploy); made != 1 || err != nil {
			t.Fatalf("made %d: %v", made, err)
		}
		w.repo.Commit = w.merge(t, path, "x")
		made, _, err := w.run(t, rollout.Promote)
		stable := w.consoles[w.tenants[0]].slots[string(thePkg)+"/"+fleet.Stable]
		if stalled := want != 0; stalled != (err != nil) || stalled && (fleet.KindOf(err) != want || made > 0 || stable != nil) || !stalled && made != 1 {
			t.Errorf("%s: made %d, stable %v, %v", path, made, stable, err)
		}
	}
}

// What is restored is what was brought there: a change of the package that has not
// travelled yet does not come to devices with it.
func TestRestoreAsApproved(t *testing.T) {
	for path, want := range map[string]fleet.Kind{
		"catalog/acme/hello/package.cue": fleet.Stalled,
		"catalog/acme/setup/package.cue": 0,
	} {
		w := newEffectWorld(t, 1)
		if made, _, err := w.run(t, rollout.Deploy); made != 1 || err != nil {
			t.Fatalf("made %d: %v", made, err)
		}
		w.repo.Commit = w.merge(t, path, "x")
		w.ledger.rec.Merges = append(w.ledger.rec.Merges, fleet.Merge{Approves: string(theCycle) + "/" + theWave, Commit: w.repo.Commit}) // of what is not there yet
		built, then := w.ledger.rec.Builds[0], *w.ledger.rec
		told := len(w.consoles[w.tenants[0]].told)
		made, _, err := w.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, []rollout.Action{{
			Kind: rollout.Restore, Cycle: theCycle, Wave: theWave, Tenant: w.tenants[0], Packages: []fleet.PackageID{thePkg}, Version: built.Version, Artifact: built.Artifact,
		}})
		if stalled := want != 0; stalled != (err != nil) || stalled && (fleet.KindOf(err) != want || made > 0) || !stalled && made != 1 {
			t.Errorf("%s: made %d, %v", path, made, err)
		}
		if now := len(w.consoles[w.tenants[0]].told); (now > told) == (want != 0) {
			t.Errorf("%s: %d of %d tellings are the restoration's", path, now-told, now)
		}
	}
}

// Devices are told the tenant's windows, and that restarts stay in them. A
// package that is only offered has none for installations: who asks for it has
// chosen the time.
func TestDevicesAreToldWindows(t *testing.T) {
	w := newEffectWorld(t, 2)
	early := fleet.Window{On: []string{"Thu", "Fri"}, From: "07:00", Until: "10:00", For: []string{"install", "reboot"}, Holidays: "shut"}
	for n, id := range w.tenants {
		tenant := w.repo.Tenants[id]
		tenant.Zone, tenant.Windows, tenant.Policy.Reboot = "Europe/Helsinki", map[string]fleet.Window{"early": early}, "windowOnly"
		tenant.Holidays = &fleet.Holidays{Add: map[string]string{"2026-12-25": "x"}}
		if n == 1 {
			tenant.Packages = map[fleet.PackageID][]fleet.Assignment{thePkg: {{Intent: "available", Group: "all devices"}}}
		}
		w.repo.Tenants[id] = tenant
	}
	if made, _, err := w.run(t, rollout.Deploy); made != 2 || err != nil {
		t.Fatalf("made %d: %v", made, err)
	}
	for n, want := range []string{"install reboot", "reboot"} {
		told := w.consoles[w.tenants[n]].told
		if len(told) != 1 || len(told[0].Windows) != 1 || strings.Join(told[0].Windows[0].For, " ") != want ||
			!told[0].RebootsOnly || strings.Join(told[0].Shut, " ") != "2026-12-25" {
			t.Errorf("tenant %d: %+v", n, told)
		}
	}
}
