package factory_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// newWatchedWorld has a package that declares a probe, and a gate that looks at
// it and at crashes.
func newWatchedWorld(t *testing.T, signals ...string) *effectWorld {
	t.Helper()
	w := newEffectWorld(t, 2)
	commit := w.merge(t, "catalog/acme/hello/files/alive.ps1", "if (Test-Path C:\\alive) { exit 0 }\nexit 1\n")
	w.repo.Commit, w.ledger.rec.Merges[0].Commit = commit, commit
	w.repo.Waves = []fleet.Wave{{Name: theWave, Gate: fleet.Gate{Signals: signals}}}
	pkg := w.repo.Packages[thePkg]
	pkg.Health = map[string]fleet.Probe{"alive": {Script: "files/alive.ps1", Every: fleet.Duration(3 * time.Hour)}}
	w.repo.Packages[thePkg] = pkg
	return w
}

func probesOf(c *memoryConsole) []string {
	var out []string
	for _, p := range c.probes {
		out = append(out, p.Name)
	}
	return out
}

// TestProbesComeAndGo: a wave's group gets the gate's probes with the release,
// and loses them when the slot is emptied.
func TestProbesComeAndGo(t *testing.T) {
	for name, c := range map[string]struct {
		signals []string
		want    []string
	}{
		"what the package declares": {nil, []string{"alive"}},
		"what the gate lists":       {[]string{"install", "boot", "alive"}, []string{"alive", "boot"}},
		"nothing but the exit":      {[]string{"install"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatchedWorld(t, c.signals...)
			if made, _, err := w.run(t, rollout.Deploy); made != 2 || err != nil {
				t.Fatalf("made %d: %v", made, err)
			}
			console := w.consoles[w.tenants[0]]
			if got := probesOf(console); !slices.Equal(got, c.want) {
				t.Errorf("probes %v, want %v", got, c.want)
			}
			for _, p := range console.probes {
				if p.Package != thePkg || p.Group != "group "+theWave || p.Name == "alive" && (!strings.HasSuffix(p.Script, "exit 1\n") || p.Every != fleet.Duration(3*time.Hour)) {
					t.Errorf("probe %+v", p)
				}
			}
			w.clock.Set(w.clock.Now().Add(2 * rollout.Lease))
			if made, _, err := w.run(t, rollout.Withdraw); made != 2 || err != nil {
				t.Fatalf("withdrawn %d: %v", made, err)
			}
			if len(console.probes) != 0 || (console.unprobe > 0) != (len(c.want) > 0) {
				t.Errorf("probes %v stay after %d removals", probesOf(console), console.unprobe)
			}
		})
	}
}

// TestProbeAsApproved: a probe that was changed on main after its wave was
// approved does not go out.
func TestProbeAsApproved(t *testing.T) {
	w := newWatchedWorld(t)
	w.repo.Commit = w.merge(t, "catalog/acme/hello/files/alive.ps1", "exit 0")
	if made, _, err := w.run(t, rollout.Deploy); made != 0 || err == nil || !strings.Contains(err.Error(), "files/alive.ps1") {
		t.Errorf("made %d: %v", made, err)
	}
	for _, c := range w.consoles {
		if len(c.probes)+c.assigns != 0 {
			t.Errorf("%d probes, %d assignments", len(c.probes), c.assigns)
		}
	}
}

// TestProbesExpire: nothing is delivered after the lease.
func TestProbesExpire(t *testing.T) {
	w := newWatchedWorld(t)
	c := w.consoles[w.tenants[0]]
	c.upload = rollout.Lease + time.Second
	if _, again, err := w.run(t, rollout.Deploy); err != nil || len(again) == 0 || len(c.probes) != 0 {
		t.Errorf("%d probes, again %d, %v", len(c.probes), len(again), err)
	}
}

func (c teller) Health(context.Context, fleet.PackageID) ([]fleet.DeviceHealth, error) {
	return c.health, c.fails
}

// feel are n devices that a probe found in a state.
func feel(from, n int, signal, state string, at time.Time) []fleet.DeviceHealth {
	var out []fleet.DeviceHealth
	for _, s := range say(from, n, "", "", at) {
		out = append(out, fleet.DeviceHealth{Device: s.Device, Signal: signal, State: state, At: at})
	}
	return out
}

// TestSignalsCount: a device that any signal finds unwell has failed, one that
// some signal says nothing of is silent.
func TestSignalsCount(t *testing.T) {
	all := say(0, 60, "installed", "2.0", asked)
	count := func(ok, failed, silent int) fleet.SignalCount {
		return fleet.SignalCount{OK: ok, Failed: failed, Silent: silent}
	}
	for name, c := range map[string]struct {
		signals  []string
		statuses []fleet.DeviceStatus
		health   []fleet.DeviceHealth
		want     fleet.Counts
		told     map[string]fleet.SignalCount
	}{
		"all is well":              {nil, all, feel(0, 60, "sync", "ok", asked), fleet.Counts{Succeeded: 60}, map[string]fleet.SignalCount{"install": count(60, 0, 0), "sync": count(60, 0, 0)}},
		"some are unwell":          {nil, all, slices.Concat(feel(0, 50, "sync", "ok", asked), feel(50, 10, "sync", "failed", asked)), fleet.Counts{Succeeded: 50, Failed: 10}, map[string]fleet.SignalCount{"install": count(60, 0, 0), "sync": count(50, 10, 0)}},
		"some say nothing":         {nil, all, feel(0, 50, "sync", "ok", asked), fleet.Counts{Succeeded: 50, Silent: 10}, map[string]fleet.SignalCount{"install": count(60, 0, 0), "sync": count(50, 0, 10)}},
		"some know nothing yet":    {nil, all, slices.Concat(feel(0, 50, "sync", "ok", asked), feel(50, 10, "sync", "waiting", asked)), fleet.Counts{Succeeded: 50, Silent: 10}, map[string]fleet.SignalCount{"install": count(60, 0, 0), "sync": count(50, 0, 10)}},
		"before the wave started":  {nil, all, feel(0, 60, "sync", "failed", started.Add(-time.Second)), fleet.Counts{Silent: 60}, map[string]fleet.SignalCount{"install": count(60, 0, 0), "sync": count(0, 0, 60)}},
		"before the installation":  {nil, say(0, 50, "installed", "2.0", asked), feel(0, 60, "sync", "failed", asked), fleet.Counts{Failed: 50, Silent: 10}, map[string]fleet.SignalCount{"install": count(50, 0, 10), "sync": count(0, 50, 10)}},
		"the installation failed":  {nil, say(0, 60, "failed", "2.0", asked), feel(0, 60, "sync", "ok", asked), fleet.Counts{Failed: 60}, map[string]fleet.SignalCount{"install": count(0, 60, 0), "sync": count(60, 0, 0)}},
		"which the gate overlooks": {[]string{"sync"}, say(0, 60, "failed", "2.0", asked), feel(0, 60, "sync", "ok", asked), fleet.Counts{Succeeded: 60}, map[string]fleet.SignalCount{"install": count(0, 60, 0), "sync": count(60, 0, 0)}},
		"two signals, one unwell":  {[]string{"install", "boot", "sync"}, all, slices.Concat(feel(0, 60, "sync", "ok", asked), feel(0, 60, "boot", "failed", asked)), fleet.Counts{Failed: 60}, map[string]fleet.SignalCount{"install": count(60, 0, 0), "sync": count(60, 0, 0), "boot": count(0, 60, 0)}},
		"what the gate asks not":   {[]string{"install", "boot"}, all, slices.Concat(feel(0, 60, "sync", "failed", asked), feel(0, 60, "boot", "ok", asked)), fleet.Counts{Succeeded: 60}, map[string]fleet.SignalCount{"install": count(60, 0, 0), "boot": count(60, 0, 0)}},
		"the installation alone":   {[]string{"install"}, all, feel(0, 60, "sync", "failed", asked), fleet.Counts{Succeeded: 60}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCourt(t, "failed")
			w.facts.Repo.Waves[0].Gate.Signals = c.signals
			pkg := w.facts.Repo.Packages[judged]
			pkg.Health = map[string]fleet.Probe{"sync": {Script: "files/sync.ps1"}}
			w.facts.Repo.Packages[judged] = pkg
			w.tells[near] = teller{statuses: c.statuses, health: c.health}
			w.tells[far] = teller{statuses: all, health: slices.Concat(feel(0, 60, "sync", "ok", asked), feel(0, 60, "boot", "ok", asked))}
			_, reports, err := w.judge(t)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(reports, func(r fleet.Report) bool { return r.Tenant == near })
			if i < 0 || reports[i].Counts != c.want {
				t.Fatalf("reports %+v, want %+v", reports, c.want)
			}
			for signal, want := range c.told {
				if got := reports[i].Signals[signal]; got != want {
					t.Errorf("%s: %+v, want %+v", signal, got, want)
				}
			}
			if len(reports[i].Signals) != len(c.told) {
				t.Errorf("signals %+v, want %+v", reports[i].Signals, c.told)
			}
		})
	}
}
