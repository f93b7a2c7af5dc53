package rollout_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// The model is the smallest world in which a rollout can go wrong: one release,
// two waves of one tenant each, two runners that may stall anywhere and be
// killed, people who merge what is proposed, and a revocation at any moment.
// Decisions are those of Step itself; what is modelled is the factory that
// carries them out (intents before, a lease on calls, receipts after) and the
// tenants.
//
// Time has no number: a state knows how old things are, as far as that makes a
// difference, and so there are finitely many.

// tick is the model's unit of time: the lease of an intent, the age at which a
// wave is judged and has soaked, and the time between the two waves.
const tick = rollout.Lease

// The gates of the model, in the order of their waves, and the closing.
const (
	first = iota
	second
	closing
)

var gateNames = [3]string{"dogfood", "everyone", rollout.CloseGate}

var tenantIDs = [2]fleet.TenantID{own, aalt}

// Actions on tenants.
const (
	assign = int8(iota)
	withdraw
	rollback
	promote
)

var actionNames = [4]string{"assign", "withdraw", "rollback", "promote"}

// The decisions of a gate, as indexes.
var decisions = [3]string{"pass", "fail", "inconclusive"}

const failed = 1

// over is the age in ticks at which no call of an intent may begin any more.
const over = 1

// How far an intent is known to be carried out: for good, when no call that
// would undo it could begin any more when it was written.
const (
	undone = int8(iota)
	done
	forGood
)

// An mIntent is an intent with what evidence has of its receipts.
type mIntent struct {
	action, wave, generation int8
	age                      int8 // in ticks, up to over
	done                     int8
	late                     bool // written when no call that would undo it could begin any more
	ended                    bool // has any receipt
}

// An mTenant is a tenant's console and devices.
type mTenant struct {
	candidate, stable, installed bool // hold the release
	back                         bool // evidence has the receipt of a rollback
}

func (t mTenant) runs() bool { return t.candidate || t.stable || t.installed }

// How an approval was merged: before the first wave was left undecided, or in
// the knowledge of that.
const (
	unmerged = int8(iota)
	mergedBlind
	mergedKnowing
)

// mMain is what main says.
type mMain struct {
	approved [3]int8
	revoked  bool
}

// The stages of a runner that changes tenants.
const (
	idle = int8(iota)
	decided
	intended // and main is as it was
	called
)

// An mRunner is one process: what it has read and decided, and how far it is.
// What it no longer needs it forgets.
type mRunner struct {
	stage        int8
	moved        bool // main is not the one any more that it decided on
	sawFail      bool
	action, wave int8
	next         int8 // tenant whose turn it is
	orders       [2]mOrder
}

// An mOrder is what a runner has to do on one tenant.
type mOrder struct {
	wanted bool
	taken  bool // up from another run
	intent int8 // generation
	lease  int8 // ticks in which the call may still begin, below 0 for none
	missed bool // it began too late
}

// The ages of a wave.
const (
	unstarted = int8(iota)
	young
	ripe // to be judged, and soaked
)

// An mState is the whole world at one moment.
type mState struct {
	later    bool // some tick has passed
	main     mMain
	waves    [2]int8
	verdicts [2][3]bool
	intents  [2][]mIntent
	tenants  [2]mTenant
	runners  [2]mRunner
	mishaps  int8 // how many more runners may be killed, and calls fail
	watched  int8 // the tenant looked at alone, from 1; 0 for both
}

// stopped reports whether nothing new may be done for the release.
func (s *mState) stopped() bool {
	return s.main.revoked || s.verdicts[first][failed] || s.verdicts[second][failed]
}

// A model is a world's constants, what was broken in it on purpose, and what
// Step said before.
type model struct {
	bad     bool // the release breaks one device in two
	empty   bool // nobody is in the first wave
	slow    int  // how many runners may stall and be killed; others do a decision without a break
	mishaps int8 // how often one may be killed, or be told that its call failed
	broken
	suspicious bool // of its own shortcuts
	single     bool // runners take one tenant at a time
	apart      bool // tenants are looked at one at a time once the release is stopped
	base       *world
	plans      map[string]fleet.Plan
	steps      map[stateKey]*stepped
	each       func(*mState) // called for every state that is visited
}

// broken switches guards off, so that the check is seen to fail.
type broken struct {
	noLease      bool // Step takes every lease to be over
	receiptsEnd  bool // Step takes a lease to be over at its receipt
	fromReceipts bool // Step does not know of intents without a receipt
	noExpiry     bool // runners call however late
	staleCounts  bool // Step takes evidence of another artifact, or time, for this one's
	ungated      bool // Step takes the second gate to be approved
	noFails      bool // Step takes a fail for a pass
	fromReceipt  bool // Step counts what was carried out from its receipt, not its intent
	emptiedOnce  bool // Step takes the first withdrawal to be for good
}

// stepped is what Step said to some facts.
type stepped struct {
	actions []rollout.Action
	waits   bool // for time to pass
}

// instant is when the model's week begins, and some ticks later.
func instant(ticks int) time.Time {
	return time.Date(2026, 11, 18, 15, 0, 0, 0, time.UTC).Add(time.Duration(ticks) * tick)
}

// now is late enough in the week for everything that is old to be so.
func (s *mState) now() int {
	if s.later {
		return 6
	}
	return 0
}

func newModel(bad, empty bool, b broken) *model {
	m := &model{bad: bad, empty: empty, slow: 1, broken: b, plans: map[string]fleet.Plan{}, steps: map[stateKey]*stepped{}}
	m.base = newWorld(func(w *world) {
		delete(w.repo.Packages, pad)
		delete(w.repo.Tenants, berg)
		w.repo.Week = fleet.Week{Zone: "UTC", Steps: map[string]fleet.WeekStep{
			"detect": {On: "Wed", At: "04:00"}, "cutOff": {On: "Wed", At: "14:00"}, "dogfood": {On: "Wed", At: "15:00"}, "deploy": {On: "Wed", At: "15:30"},
		}}
		for i := range w.repo.Waves {
			wave := &w.repo.Waves[i]
			wave.Arm, wave.Soak, wave.Gate.Looks = 0, fleet.Duration(tick), []fleet.Duration{fleet.Duration(tick)}
			// Time has no number here, so nothing is late by the clock.
			wave.OnMissedWindow, wave.Within = "runIfWithin", fleet.Duration(24*time.Hour)
		}
	}, inventory(detectAt, aalt), beat("detect", detectAt), built(tool, "1.0"), built(tool, "2.0"), tested(tool, "2.0", "passed"))
	if !empty {
		inventory(detectAt, own)(m.base)
	}
	carrying(w47, tool)(m.base)
	m.base.rec.Merges = nil
	for gate, record := range m.base.repo.Plans[w47] {
		plan, err := rollout.Plan(m.base.repo, m.base.then, w47, m.base.repo.Cycles[w47], gate)
		if err != nil || plan.Digest() != record.Digest {
			panic(fmt.Sprint("the plan of ", gate, " is not the approved one: ", err))
		}
		m.plans[gate] = plan
	}
	m.poison()
	return m
}

// poison adds what other artifacts and other times left behind: none of it must
// count.
func (m *model) poison() {
	for _, t := range []fleet.TenantID{own, aalt} {
		for i, action := range actionNames {
			did(action, gateNames[i%2], t, tool, instant(0))(m.base)
		}
	}
	rec := m.base.rec
	for i := range rec.Intents {
		rec.Intents[i].Generation, rec.Intents[i].NotAfter = 0, instant(-1)
		rec.Intents[i].Artifact, rec.Receipts[i].Artifact = artifact(tool, "1.9"), artifact(tool, "1.9")
	}
	for _, wave := range gateNames[:2] {
		verdict(wave, tool, 1, "pass", instant(20))(m.base)
		rec.Verdicts[len(rec.Verdicts)-1].Artifact = artifact(tool, "1.9")
		verdict(wave, tool, 1, "pass", instant(-2))(m.base)
	}
}

func (m *model) begin() mState {
	return mState{main: mMain{approved: [3]int8{mergedBlind}}, mishaps: m.mishaps}
}

// step is Step on what a runner reads, remembered.
func (m *model) step(s *mState) *stepped {
	key := keyOf(s.read)
	if known, ok := m.steps[key]; ok {
		return known
	}
	actions, waits, err := rollout.Step(m.facts(s), instant(s.now()))
	if err != nil {
		panic(err)
	}
	out := &stepped{actions: actions, waits: slices.ContainsFunc(waits, func(w rollout.Wait) bool { return !w.Until.IsZero() })}
	m.steps[key] = out
	return out
}

// facts are what a runner reads.
func (m *model) facts(s *mState) rollout.Facts {
	repo, rec := *m.base.repo, *m.base.rec
	repo.Approvals = map[fleet.CycleID]map[string]fleet.Approval{w47: {}}
	repo.Blobs = maps.Clone(repo.Blobs)
	rec.Intents, rec.Receipts, rec.Verdicts = slices.Clone(rec.Intents), slices.Clone(rec.Receipts), slices.Clone(rec.Verdicts)
	for g, how := range s.main.approved {
		if how == unmerged && !(m.ungated && g == second) {
			continue
		}
		plan, file := m.base.repo.Plans[w47][gateNames[min(g, second)]].Digest, fleet.ApprovalFile(w47, gateNames[g])
		at := instant(-1) // before all verdicts, or after
		if how == mergedKnowing {
			at = instant(20)
		}
		repo.Blobs[file] = "approval"
		repo.Approvals[w47][gateNames[g]] = fleet.Approval{Cycle: w47, Gate: gateNames[g], Decision: "approved", Plan: plan, ValidUntil: instant(20)}
		rec.Merges = append(rec.Merges, fleet.Merge{Approves: string(w47) + "/" + gateNames[g], Plan: plan, ApprovalBlobs: map[string]string{file: "approval"}, Approvers: []string{"ines"}, At: at})
	}
	if s.main.revoked {
		repo.Holds = map[string]fleet.Hold{"revoke": {Kind: "revocation", Package: tool, Release: "2.0", Reason: "revoked"}}
	}
	for g, age := range s.waves {
		if age == unstarted {
			continue
		}
		began := map[int8]int{young: s.now(), ripe: s.now() - 3}[age]
		if age == ripe && !s.later {
			panic("a wave is ripe before time has passed")
		}
		rec.Starts = append(rec.Starts, fleet.WaveStart{Cycle: w47, Wave: gateNames[g], Opens: instant(g), Plan: m.base.repo.Plans[w47][gateNames[g]].Digest, At: instant(began)})
		for d, given := range s.verdicts[g] {
			if m.noFails && d == failed {
				d = slices.Index(decisions[:], "pass")
			}
			if given {
				verdict(gateNames[g], tool, 1, decisions[d], instant(s.now()))(&world{rec: &rec})
			}
		}
	}
	for t, list := range s.intents {
		for _, x := range list {
			m.trace(&rec, s, t, x)
		}
	}
	for i := range rec.Verdicts {
		v := &rec.Verdicts[i]
		if v.Look = fleet.Duration(tick); m.staleCounts {
			v.Artifact, v.At = artifact(tool, "2.0"), instant(max(s.now(), 0))
		}
	}
	return rollout.Facts{Repo: &repo, Record: &rec, Plans: map[fleet.CycleID]map[string]fleet.Plan{w47: m.plans}}
}

// trace adds an intent and its receipt to a record.
func (m *model) trace(rec *fleet.Record, s *mState, t int, x mIntent) {
	if m.fromReceipts && x.done == undone {
		return
	}
	at := s.now() - int(x.age)
	i := fleet.Intent{
		ID: fmt.Sprint(t, x.action, x.generation), Cycle: w47, Wave: gateNames[x.wave], Tenant: tenantIDs[t], Package: tool, Release: "2.0",
		Artifact: artifact(tool, "2.0"), Action: actionNames[x.action], Generation: int(x.generation), At: instant(at), NotAfter: instant(at + over).Add(-time.Second),
	}
	if m.noLease || m.receiptsEnd && x.done != undone {
		i.NotAfter = i.At.Add(-time.Second)
	}
	rec.Intents = append(rec.Intents, i)
	if x.done == undone {
		return
	}
	r := fleet.Receipt{Intent: i.ID, Cycle: i.Cycle, Wave: i.Wave, Tenant: i.Tenant, Package: i.Package, Artifact: i.Artifact, Action: i.Action, Outcome: "done", At: i.At}
	if m.emptiedOnce && x.action == withdraw {
		r.At, rec.Intents[len(rec.Intents)-1].At = instant(s.now()+over), instant(s.now()+over)
	} else if x.done == forGood {
		r.At, rec.Intents[len(rec.Intents)-1].At = instant(s.now()), instant(s.now())
	}
	rec.Receipts = append(rec.Receipts, r)
}

// judge is the gate's answer on a wave as its devices report.
func (m *model) judge(s *mState, wave int8) int {
	counts := fleet.Counts{Silent: 60}
	switch t := s.tenants[wave]; {
	case wave == first && m.empty:
		counts = fleet.Counts{}
	case t.candidate && m.bad:
		counts = fleet.Counts{Succeeded: 30, Failed: 30}
	case t.candidate:
		counts = fleet.Counts{Succeeded: 60}
	}
	g := m.base.repo.Waves[wave].Gate
	return slices.Index(decisions[:], gate.Judge(g, gate.Sample{Counts: counts, Look: g.Looks[0], Last: true}).Decision)
}
