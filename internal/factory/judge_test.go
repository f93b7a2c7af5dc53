package factory_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
)

const (
	judged = fleet.PackageID("acme/zip")
	near   = fleet.TenantID("alpine/edel")
	far    = fleet.TenantID("alpine/isar")
)

var (
	started = utc(23, 6)
	opened  = utc(23, 12)
	asked   = utc(24, 12)
)

// A teller is a console that does nothing but tell statuses, or fail.
type teller struct {
	factory.Console
	statuses []fleet.DeviceStatus
	health   []fleet.DeviceHealth
	fails    error
}

func (c teller) Statuses(context.Context, fleet.PackageID, string) ([]fleet.DeviceStatus, error) {
	return c.statuses, c.fails
}

// say are n devices that told the same.
func say(from, n int, state, version string, at time.Time) []fleet.DeviceStatus {
	var out []fleet.DeviceStatus
	for i := range n {
		s := fleet.DeviceStatus{Device: fmt.Sprint("pc-", from+i), State: state, Version: version, At: at}
		if state == "failed" {
			s.Error = "0x80070643"
		}
		out = append(out, s)
	}
	return out
}

// A court is a wave with sixty devices on each of two tenants, at its last look.
type court struct {
	*factory.Factory
	facts  rollout.Facts
	action rollout.Action
	tells  map[fleet.TenantID]factory.Console
	noKey  fleet.TenantID
}

func newCourt(t *testing.T, silent string) *court {
	t.Helper()
	git, err := gitrepo.Init(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	key := signer(t)
	verifier, err := signing.NewVerifier(fleet.Trust{Keys: map[string]fleet.TrustedKey{"mill": {PEM: key.PublicPEM(), Uses: []string{"evidence"}, From: "2026-01-01"}}}, "evidence")
	if err != nil {
		t.Fatal(err)
	}
	clock, author := fleet.NewManualClock(asked), fleet.Identity{Name: "packmill", Email: "packmill@mill.example"}
	c := &court{tells: map[fleet.TenantID]factory.Console{}}
	c.Factory = &factory.Factory{
		Clock: clock, Author: author, Git: git, Ledger: evidence.Open(git, key, verifier, clock, author),
		Consoles: func(_ context.Context, t fleet.Tenant) (factory.Console, error) { return c.tells[t.ID], nil },
		HashKey: func(t fleet.TenantID) ([]byte, error) {
			if t == c.noKey {
				return nil, errors.New("its key is missing")
			}
			return []byte(t), nil
		},
	}
	day := fleet.Duration(24 * time.Hour)
	artifact := fleet.DigestOf([]byte("zip 2.0"))
	repo := &fleet.Repository{
		Commit:   "c0",
		Waves:    []fleet.Wave{{Name: "everyone", Gate: fleet.Gate{Success: 95, Error: 5, Confidence: 0.9, MinReports: 20, Silent: silent, Looks: []fleet.Duration{day}}}},
		Packages: map[fleet.PackageID]fleet.Package{judged: {ID: judged, Installers: map[string]fleet.Installer{"x64": {Platform: "windows"}}}},
		Tenants:  map[fleet.TenantID]fleet.Tenant{},
		Cycles:   map[fleet.CycleID]fleet.Cycle{cycle47: {Entries: map[fleet.PackageID]fleet.Entry{judged: {Release: "2.0", Artifact: artifact}}}},
	}
	rec := &fleet.Record{Heads: map[string]string{}, Starts: []fleet.WaveStart{{Cycle: cycle47, Wave: "everyone", Opens: opened, At: started, Plan: "sha256:plan"}}, PlanRows: map[fleet.Digest][]fleet.PlanRow{}}
	for _, id := range []fleet.TenantID{near, far} {
		repo.Tenants[id] = fleet.Tenant{ID: id, Policy: fleet.Policy{MaxFailuresPercent: 5}}
		m := fleet.Membership{Cycle: cycle47, Wave: "everyone", Tenant: id}
		for i := range 60 {
			mac := hmac.New(sha256.New, []byte(id))
			fmt.Fprint(mac, "pc-", i)
			device := hex.EncodeToString(mac.Sum(nil)[:16])
			m.Devices = append(m.Devices, device)
			rec.Inventory = append(rec.Inventory, fleet.InventoryRow{Tenant: id, Device: device, Platform: "windows"})
		}
		rec.Members = append(rec.Members, m)
		rec.PlanRows["sha256:plan"] = append(rec.PlanRows["sha256:plan"], fleet.PlanRow{Tenant: id, Wave: "everyone"})
		rec.Receipts = append(rec.Receipts, fleet.Receipt{Cycle: cycle47, Wave: "everyone", Tenant: id, Package: judged, Artifact: artifact, Action: "assign", Outcome: "done"})
		c.tells[id] = teller{statuses: say(0, 60, "installed", "2.0", asked)}
	}
	c.facts = rollout.Facts{Repo: repo, Record: rec}
	c.action = rollout.Action{Kind: rollout.Judge, Cycle: cycle47, Wave: "everyone", Packages: []fleet.PackageID{judged}, Look: day, Last: true}
	return c
}

// judge gives the one verdict, as evidence tells it, and the error beside it.
func (c *court) judge(t *testing.T) (fleet.Verdict, []fleet.Report, error) {
	t.Helper()
	verdicts, failure := c.Judge(t.Context(), c.facts, c.action)
	rec, err := c.Ledger.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(verdicts) != 1 || len(rec.Verdicts) != 1 || rec.Verdicts[0].Decision != verdicts[0].Decision || rec.Verdicts[0].Rule != verdicts[0].Rule {
		t.Fatalf("%d verdicts, in evidence %+v, %v", len(verdicts), rec.Verdicts, failure)
	}
	var sum fleet.Counts
	for _, r := range rec.Reports {
		sum = sum.Add(r.Counts)
	}
	if sum != verdicts[0].Counts {
		t.Errorf("the reports add up to %+v, the verdict says %+v", sum, verdicts[0].Counts)
	}
	return rec.Verdicts[0], rec.Reports, failure
}

// TestStatusesCountForTheirRelease: the slot still tells of last week.
func TestStatusesCountForTheirRelease(t *testing.T) {
	for name, c := range map[string]struct {
		tells []fleet.DeviceStatus
		want  fleet.Counts
	}{
		"this release, after the start": {say(0, 60, "installed", "2.0", asked), fleet.Counts{Succeeded: 60}},
		"at the start":                  {say(0, 60, "installed", "2.0", started), fleet.Counts{Succeeded: 60}},
		"before the start":              {say(0, 60, "installed", "2.0", started.Add(-time.Second)), fleet.Counts{Silent: 60}},
		"failed before the start":       {say(0, 60, "failed", "2.0", started.AddDate(0, 0, -7)), fleet.Counts{Silent: 60}},
		"without an instant":            {say(0, 60, "installed", "2.0", time.Time{}), fleet.Counts{Silent: 60}},
		"last week's release":           {say(0, 60, "installed", "1.9", asked), fleet.Counts{Silent: 60}},
		"last week's failures":          {say(0, 60, "failed", "1.9", asked), fleet.Counts{Silent: 60}},
		"no version told":               {say(0, 60, "installed", "", asked), fleet.Counts{Succeeded: 60}},
		"no version told, and old":      {say(0, 60, "installed", "", started.AddDate(0, 0, -7)), fleet.Counts{Silent: 60}},
		"some of each": {slices.Concat(say(0, 20, "installed", "2.0", asked), say(20, 10, "failed", "2.0", asked), say(30, 10, "pending", "2.0", asked), say(40, 20, "installed", "1.9", started.AddDate(0, 0, -7))),
			fleet.Counts{Succeeded: 20, Failed: 10, Silent: 30}},
		"devices that are no members": {say(100, 60, "failed", "2.0", asked), fleet.Counts{Silent: 60}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCourt(t, "failed")
			w.tells[near] = teller{statuses: c.tells}
			_, reports, err := w.judge(t)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(reports, func(r fleet.Report) bool { return r.Tenant == near })
			if i < 0 || reports[i].Counts != c.want {
				t.Errorf("reports %+v, want %+v", reports, c.want)
			}
		})
	}
}

// TestUnreachableTenant: it stops a pass and nothing else, and is told of.
func TestUnreachableTenant(t *testing.T) {
	outage := errors.New("no answer")
	broken := slices.Concat(say(0, 40, "installed", "2.0", asked), say(40, 20, "failed", "2.0", asked))
	for name, c := range map[string]struct {
		silent   string
		near     []fleet.DeviceStatus
		change   func(w *court)
		decision string
		counts   fleet.Counts
		rule     string
		failed   bool
	}{
		"all are reached":             {"excluded", nil, func(*court) {}, "pass", fleet.Counts{Succeeded: 120}, "120 of 120", false},
		"one is not":                  {"failed", nil, func(w *court) { w.tells[far] = teller{fails: outage} }, "inconclusive", fleet.Counts{Succeeded: 60, Silent: 60}, "1 tenants could not be asked", true},
		"nor does it pass by silence": {"excluded", nil, func(w *court) { w.tells[far] = teller{fails: outage} }, "inconclusive", fleet.Counts{Succeeded: 60, Silent: 60}, "1 tenants could not be asked", true},
		"a fail is recorded":          {"failed", broken, func(w *court) { w.tells[far] = teller{fails: outage} }, "fail", fleet.Counts{Succeeded: 40, Failed: 20, Silent: 60}, "1 tenants could not be asked", true},
		"without its key":             {"failed", broken, func(w *court) { w.noKey = far }, "fail", fleet.Counts{Succeeded: 40, Failed: 20, Silent: 60}, "1 tenants could not be asked", true},
		"none is reached": {"failed", nil, func(w *court) {
			w.tells[near], w.tells[far] = teller{fails: outage}, teller{fails: outage}
		}, "inconclusive", fleet.Counts{Silent: 120}, "2 tenants could not be asked", true},
		"one that took nothing is not asked": {"excluded", nil, func(w *court) {
			w.tells[far], w.facts.Record.Receipts = teller{fails: outage}, w.facts.Record.Receipts[:1]
		}, "pass", fleet.Counts{Succeeded: 60}, "60 of 60", false},
		"one that left is not counted": {"failed", nil, func(w *court) {
			w.tells[far] = teller{fails: outage}
			delete(w.facts.Repo.Tenants, far)
		}, "pass", fleet.Counts{Succeeded: 60, Excluded: 60}, "60 of 60", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCourt(t, c.silent)
			if c.near != nil {
				w.tells[near] = teller{statuses: c.near}
			}
			c.change(w)
			v, reports, err := w.judge(t)
			if v.Decision != c.decision || v.Counts != c.counts || !strings.Contains(v.Rule, c.rule) {
				t.Errorf("%s of %+v (%s), want %s of %+v (%s)", v.Decision, v.Counts, v.Rule, c.decision, c.counts, c.rule)
			}
			if (err != nil) != c.failed || c.failed && !strings.Contains(err.Error(), string(far)) {
				t.Errorf("error %v", err)
			}
			noted := slices.ContainsFunc(reports, func(r fleet.Report) bool { return r.Tenant == far && slices.Equal(r.Errors, []string{fleet.NotAsked}) })
			if noted != c.failed {
				t.Errorf("reports %+v", reports)
			}
		})
	}
}

func TestJudgeNeedsAStart(t *testing.T) {
	w := newCourt(t, "failed")
	w.facts.Record.Starts = nil
	if verdicts, err := w.Judge(t.Context(), w.facts, w.action); fleet.KindOf(err) != fleet.Invalid || len(verdicts) != 0 {
		t.Errorf("%d verdicts on a wave that has not started, %v", len(verdicts), err)
	}
}

// TestJudgeTellsWhoIsSilent lists silent members by keyed hash, how many there
// are, and until when devices were heard. A report from before the wave is none.
func TestJudgeTellsWhoIsSilent(t *testing.T) {
	c := newCourt(t, "failed")
	told := append(say(0, 2, "installed", "2.0", asked.Add(-3*time.Hour)), say(2, 1, "failed", "2.0", asked.Add(-2*time.Hour))...)
	told = append(told, say(3, 1, "installed", "2.0", started.Add(-time.Hour))...) // of last week
	told = append(told, say(4, 1, "pending", "2.0", asked.Add(-4*time.Hour))...)
	c.tells[near] = teller{statuses: told}
	c.tells[far] = teller{fails: errors.New("out of reach")}
	_, reports, failure := c.judge(t)
	if failure == nil {
		t.Error("a tenant out of reach is no error")
	}
	rec, err := c.Ledger.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Silences) != 1 {
		t.Fatalf("%+v", rec.Silences)
	}
	s := rec.Silences[0]
	if s.Tenant != near || s.Silent != 57 || len(s.Devices) != fleet.SilentShown || s.Look != c.action.Look || !slices.IsSorted(s.Devices) {
		t.Errorf("%+v", s)
	}
	for _, d := range s.Devices {
		if !slices.Contains(c.facts.Record.Members[0].Devices, d) {
			t.Errorf("%q is no member's hash", d)
		}
	}
	for _, r := range reports {
		if want := map[fleet.TenantID]time.Time{near: asked.Add(-2 * time.Hour)}[r.Tenant]; !r.AsOf.Equal(want) {
			t.Errorf("%s as of %v, want %v", r.Tenant, r.AsOf, want)
		}
	}
}
