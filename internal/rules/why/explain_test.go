package why_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/why"
)

// kept are the reasons in a form to compare: kind, wave, beginning of why.
func kept(e why.Explanation) []string {
	var out []string
	for _, k := range e.Kept {
		out = append(out, strings.TrimSpace(k.Kind+" "+k.Wave)+": "+k.Why)
	}
	return out
}

func restricted(t *fleet.Tenant) {
	t.Policy.OptOuts = map[fleet.PackageID]fleet.Because{tool: {Reason: "the busy month", Expires: on(30, 0, 0)}}
	t.Policy.Pins = map[fleet.PackageID]fleet.PinnedTo{tool: {Version: "1.*", Reason: "validated", Expires: on(29, 0, 0)}}
	t.Policy.NonSecurityDeferDays, t.Policy.Approval, t.Policy.Reboot = 30, "partner", "windowOnly"
	t.Packages = map[fleet.PackageID][]fleet.Assignment{tool: {{Intent: "available", Group: "finance"}}}
	t.Windows = map[string]fleet.Window{"never": {For: []string{"install"}}}
}

func TestEveryReasonThatKeepsBack(t *testing.T) {
	dogfooding := []func(*world){open, approve("dogfood", "approved", on(18, 15, 0)), start("dogfood", on(19, 4, 0))}
	passed := append(slices.Clone(dogfooding), verdict("dogfood", "pass", on(20, 7, 0)))
	other := func(name string, h fleet.Hold) func(*world) { return func(w *world) { w.Repo.Holds[name] = h } }
	for _, c := range []struct {
		name  string
		facts []func(*world)
		now   time.Time
		want  []string // beginnings, in this order; others may stand between
		not   []string // must stand nowhere
	}{
		{"nothing, before the cut-off", nil, on(18, 9, 0), nil, []string{"policy", "wait"}},
		{"all of a tenant's policy, and not only the first", []func(*world){tenant(restricted)}, on(18, 9, 0), []string{
			"opt-out everyone: opted out until 2026-11-30: the busy month", "pin everyone: pinned to 1.* until 2026-11-29: validated", "assignment everyone: assigned to groups only",
			"policy everyone: deferred by policy until 2026-12-16", "policy everyone: policy keeps restarts to the window",
			"window everyone: its window never cannot be read",
		}, nil},
		{"a package that the tenant does not have", []func(*world){tenant(func(t *fleet.Tenant) { t.Packages = nil })}, on(18, 9, 0), []string{"assignment: nordic/aalto does not have the package"}, nil},
		{"not built", []func(*world){func(w *world) { w.Record.Builds = nil }}, on(18, 9, 0), []string{"tests: 2.0 is not built yet"}, nil},
		{"not tested", []func(*world){func(w *world) { w.Record.Tests = nil }}, on(18, 9, 0), []string{"tests: 2.0 is built and not tested yet"}, nil},
		{"failed tests, and a hold beside", []func(*world){func(w *world) {
			w.Record.Tests = []fleet.Tested{{Package: tool, Artifact: artifact(tool, "2.0"), Cell: "windows-11", Result: "failed", Steps: []fleet.TestStep{{Name: "launch", Result: "failed", Detail: "exit code 3"}}}}
			w.Repo.Holds["slow"] = fleet.Hold{Kind: "hold", Package: tool, Release: "2.0", Reason: "slow start"}
		}}, on(18, 9, 0), []string{"tests: 2.0 failed its tests in cell windows-11: launch exit code 3", "hold: hold: slow start"}, nil},
		{"a gate that nobody opened", []func(*world){open}, on(18, 15, 0), []string{"gate dogfood: its approval waits for a merge"}, nil},
		{"a gate that was refused", []func(*world){open, approve("dogfood", "rejected", on(18, 15, 0))}, on(18, 16, 0), []string{"approval dogfood: refused: a reason"}, nil},
		{"a partner that has not answered", []func(*world){tenant(func(t *fleet.Tenant) { t.Policy.Approval = "partner" }), open}, on(18, 15, 0),
			[]string{"policy everyone: it waits for the approval of"}, nil},
		{"a tenant that refused", []func(*world){open, func(w *world) {
			w.Repo.TenantApprovals = map[fleet.TenantID]map[fleet.CycleID]fleet.TenantApproval{aalt: {w47: {Cycle: w47, Decision: "rejected", Because: "we move house"}}}
		}}, on(18, 15, 0), []string{"policy everyone: refused: we move house"}, nil},
		{"a freeze that the cycle passes is no reason", []func(*world){open, func(w *world) {
			w.Repo.Freezes["now"] = fleet.Freeze{From: on(17, 0, 0), Until: on(27, 0, 0), Scope: "all", Reason: "an audit"}
			c := w.Repo.Cycles[w47]
			c.Overrides = &fleet.Overrides{Freezes: []string{"now"}, Reason: "it must go out"}
			w.Repo.Cycles[w47] = c
		}}, on(18, 15, 0), []string{"gate dogfood: its approval waits for a merge"}, []string{"an audit"}},
		{"the wave before", dogfooding, on(19, 12, 0), []string{"wait dogfood: the gate looks next at 2026-11-20 07:00Z"}, nil},
		{"the soak, a freeze in force and one to come, a hold of one release and not of another", append(slices.Clone(passed),
			func(w *world) {
				w.Repo.Freezes["now"] = fleet.Freeze{From: on(19, 0, 0), Until: on(21, 0, 0), Scope: "all", Reason: "an audit"}
				w.Repo.Freezes["monday"] = fleet.Freeze{From: on(23, 0, 0), Until: on(24, 0, 0), Scope: "nonSecurity", Reason: "a sale"}
				w.Repo.Freezes["over"] = fleet.Freeze{From: on(1, 0, 0), Until: on(2, 0, 0), Scope: "all", Reason: "long ago"}
			}, other("a", fleet.Hold{Kind: "hold", Package: tool, Release: "1.0", Reason: "the old one"}), other("b", fleet.Hold{Kind: "hold", Package: tool, Release: "2.0", Reason: "the new one"})),
			on(20, 6, 30), []string{"hold: hold: the new one", "freeze everyone: will be frozen when the wave opens: a sale", "freeze: frozen: an audit"}, []string{"the old one", "long ago"}},
		{"a halt", append(slices.Clone(dogfooding), verdict("dogfood", "fail", on(20, 7, 0))), on(20, 8, 0), []string{"gate: halted by wave dogfood of 2026-W47: the rule"}, nil},
		{"a revocation whose file is gone", append(slices.Clone(passed), func(w *world) {
			w.Record.Merges = append(w.Record.Merges, fleet.Merge{Revokes: []fleet.Hold{{Kind: "revocation", Package: tool, Release: "2.0", Reason: "it was bad"}}})
		}), on(20, 8, 0), []string{"hold: revoked, and stays so though the file is gone: it was bad"}, nil},
		{"a source that is held", []func(*world){func(w *world) {
			w.Record.Detections = []fleet.Detection{{Package: tool, Found: "3.0", State: fleet.StateHeld, Hold: "tooYoung", Why: "published today"}}
		}}, on(18, 9, 0), []string{"upstream: 3.0 upstream is held (tooYoung): published today"}, nil},
		{"a version whose pull request is open", []func(*world){func(w *world) {
			w.Record.Detections = []fleet.Detection{{Package: tool, Found: "3.0", State: fleet.StateNew}}
		}}, on(18, 9, 0), []string{"upstream: 3.0 was found upstream; its pull request waits for a merge"}, nil},
		{"a call that failed, and one under way", append(slices.Clone(passed), approve("everyone", "approved", on(20, 12, 0)), start("everyone", on(23, 6, 0)),
			call(aalt, "assign", "everyone", "failed", on(23, 6, 0)), call(aalt, "assign", "everyone", "", on(23, 6, 20))), on(23, 6, 30),
			[]string{"call everyone: assign of 2.0 failed: the console was away", "call everyone: assign of 2.0 is under way"}, nil},
		{"no inventory", []func(*world){func(w *world) { w.Record.Inventory = nil }}, on(18, 9, 0), []string{"devices: no inventory of the tenant is recorded"}, nil},
		{"nothing for its devices", []func(*world){func(w *world) {
			for i := range w.Record.Inventory {
				w.Record.Inventory[i].Platform = "linux"
			}
		}}, on(18, 9, 0), []string{"devices: the package has nothing for any of the tenant's 10 devices"}, nil},
		{"no wave", []func(*world){func(w *world) { w.Repo.Waves = w.Repo.Waves[:1] }}, on(18, 9, 0), []string{"wave: no wave selects any of the tenant's 10 devices"}, nil},
		{"what many tenants wait for, of which a few are named", slices.Concat([]func(*world){func(w *world) {
			for _, id := range []fleet.TenantID{"nordic/aa", "nordic/aab", "nordic/aac"} {
				t := w.Repo.Tenants[berg]
				t.ID = id
				w.Repo.Tenants[id] = t
				for n := range 10 {
					w.Record.Inventory = append(w.Record.Inventory, fleet.InventoryRow{Tenant: id, Device: fmt.Sprintf("%s-%02d", id.Slug(), n), Platform: "windows", LastSeen: "2026-11-17", At: on(18, 4, 0)})
				}
			}
		}}, passed, []func(*world){approve("everyone", "approved", on(20, 12, 0)), start("everyone", on(23, 6, 0))}), on(23, 19, 0), []string{"gate everyone: nordic/aa, nordic/aab, nordic/aac, 2 more: missed"}, nil},
		{"what only another tenant or package waits for is not told", append(slices.Clone(passed), approve("everyone", "approved", on(20, 12, 0)), start("everyone", on(23, 6, 0)),
			func(w *world) {
				t := w.Repo.Tenants[berg]
				t.Policy.Pins = map[fleet.PackageID]fleet.PinnedTo{tool: {Version: "1.*", Reason: "berg's own", Expires: on(29, 0, 0)}}
				w.Repo.Tenants[berg] = t
			}), on(23, 7, 0), []string{"wait everyone: armed"}, []string{"berg", "acme/pad"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := explain(t, newWorld(c.facts...), c.now)
			got := kept(e)
			rest := got
			for _, want := range c.want {
				i := slices.IndexFunc(rest, func(s string) bool { return strings.HasPrefix(s, want) })
				if i < 0 {
					t.Fatalf("%q is not told, or not in its place, of\n\t%s", want, strings.Join(got, "\n\t"))
				}
				rest = rest[i+1:]
			}
			for _, not := range c.not {
				if strings.Contains(strings.Join(got, "\n"), not) {
					t.Errorf("%q is told:\n\t%s", not, strings.Join(got, "\n\t"))
				}
			}
			if c.want == nil && len(got) > 0 {
				t.Errorf("kept back by\n\t%s", strings.Join(got, "\n\t"))
			}
		})
	}
}

func TestSlots(t *testing.T) {
	rolling := []func(*world){open, approve("everyone", "approved", on(20, 12, 0)), start("everyone", on(23, 6, 0))}
	after := func(calls ...func(*world)) []func(*world) { return append(slices.Clone(rolling), calls...) }
	for _, c := range []struct {
		name              string
		facts             []func(*world)
		stable, candidate string // release: why
		merge             string // that the newer of both rests on
		next              string
	}{
		{"nothing yet", nil, "1.0: the baseline", ": ", "", "2.0"},
		{"assigned", after(call(aalt, "assign", "everyone", "done", on(23, 6, 0))), "1.0: the baseline", "2.0: assigned to wave everyone of 2026-W47", "merge-everyone", "2.0"},
		{"a call that failed changes nothing", after(call(aalt, "assign", "everyone", "failed", on(23, 6, 0))), "1.0: the baseline", ": ", "", "2.0"},
		{"another tenant's changes nothing", after(call(berg, "assign", "everyone", "done", on(23, 6, 0))), "1.0: the baseline", ": ", "", "2.0"},
		{"withdrawn", after(call(aalt, "assign", "everyone", "done", on(23, 6, 0)), call(aalt, "withdraw", "everyone", "done", on(23, 7, 0))), "1.0: the baseline", ": 2.0 was withdrawn: the rule", "", "2.0"},
		{"promoted", after(call(aalt, "assign", "everyone", "done", on(23, 6, 0)), call(aalt, "promote", "everyone", "done", on(24, 13, 0))), "2.0: promoted: it passed every wave of 2026-W47", ": ", "merge-everyone", ""},
		{"taken back", after(call(aalt, "assign", "everyone", "done", on(23, 6, 0)), call(aalt, "promote", "everyone", "done", on(24, 13, 0)), call(aalt, "rollback", "everyone", "done", on(24, 14, 0))),
			"1.0: given back when 2.0 was taken back", ": 2.0 was taken back: the rule", "", "2.0"},
		{"to be taken from devices", after(call(aalt, "assign", "everyone", "done", on(23, 6, 0)), call(aalt, "promote", "everyone", "done", on(24, 13, 0)), call(aalt, "uninstall", "everyone", "done", on(24, 14, 0))),
			": it leaves the tenant", ": it leaves the tenant", "", "2.0"},
		{"and given back", after(call(aalt, "assign", "everyone", "done", on(23, 6, 0)), call(aalt, "promote", "everyone", "done", on(24, 13, 0)), call(aalt, "uninstall", "everyone", "done", on(24, 14, 0)), call(aalt, "reinstate", "everyone", "done", on(24, 14, 5))),
			"2.0: given back: leave says uninstall no longer", ": ", "merge-everyone", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := explain(t, newWorld(c.facts...), on(24, 15, 0))
			if got := e.Stable.Release + ": " + e.Stable.Why; !strings.HasPrefix(got, c.stable) {
				t.Errorf("stable %q, want %q", got, c.stable)
			}
			if got := e.Candidate.Release + ": " + e.Candidate.Why; !strings.HasPrefix(got, c.candidate) || c.candidate == ": " && got != ": " {
				t.Errorf("candidate %q, want %q", got, c.candidate)
			}
			if got := e.Stable.Decided.Commit + e.Candidate.Decided.Commit; got != c.merge {
				t.Errorf("decided by %q, want %q", got, c.merge)
			}
			if e.Next.Release != c.next {
				t.Errorf("next is %q (%s), want %q", e.Next.Release, e.Next.Why, c.next)
			}
		})
	}
}

func TestNextAndDue(t *testing.T) {
	due := func(e why.Explanation) string {
		var out []string
		for _, d := range e.Due {
			out = append(out, d.At.Format("02 15:04")+" "+strings.TrimSpace(d.Wave+" "+d.What))
		}
		return strings.Join(out, "\n")
	}
	e := explain(t, newWorld(), on(18, 9, 0))
	if e.Next.Cycle != w47 || e.Next.Open || len(e.Next.Waves) != 2 || e.Next.Waves[0].Devices != 0 || e.Next.Waves[1].Devices != 10 || !e.Next.Waves[1].NotBefore.Equal(on(23, 12, 0)) {
		t.Errorf("before the cut-off: %+v", e.Next)
	}
	if want := "23 12:00 everyone devices of the wave may begin\n24 12:00 everyone devices of the wave must have it"; due(e) != want {
		t.Errorf("due\n%s\nwant\n%s", due(e), want)
	}
	rolling := []func(*world){open, approve("dogfood", "approved", on(18, 15, 0)), start("dogfood", on(19, 4, 0)), verdict("dogfood", "pass", on(20, 7, 0)),
		approve("everyone", "approved", on(20, 12, 0)), start("everyone", on(23, 6, 0))}
	e = explain(t, newWorld(rolling...), on(23, 6, 30))
	if !e.Next.Open || e.Next.Waves[1].Phase != "armed" || e.Next.Waves[1].Decided.PR != 7 || e.Next.Waves[0].Verdict != "pass: the rule" {
		t.Errorf("armed: %+v", e.Next)
	}
	for _, want := range []string{"23 06:30 everyone deploy: in the approved plan, without a receipt", "23 12:00 everyone no longer: armed", "24 12:00 everyone the gate looks", "24 12:00 everyone the wave has soaked"} {
		if !strings.Contains(due(e), want) {
			t.Errorf("%q is not due:\n%s", want, due(e))
		}
	}
	// In the tenant's own time: its clocks read 14:00 when it may begin.
	own := newWorld(func(w *world) { w.Repo.Waves[1].Opens.Zone = "tenant" }, tenant(func(t *fleet.Tenant) { t.Zone = "Europe/London" }))
	if e = explain(t, own, on(18, 9, 0)); !e.Next.Waves[1].NotBefore.Equal(on(23, 14, 0)) {
		t.Errorf("local time: %+v", e.Next.Waves[1])
	}
}

// TestLocateAndDecide gives rules positions: a pin may stand in any of three
// files, and the reason gets the position of its rule.
func TestLocateAndDecide(t *testing.T) {
	e := explain(t, newWorld(tenant(func(t *fleet.Tenant) {
		t.Policy.Pins = map[fleet.PackageID]fleet.PinnedTo{tool: {Version: "1.*", Reason: "validated", Expires: on(29, 0, 0)}}
		t.Policy.Origins = map[string]fleet.Pos{"reboot": {File: "tenants/operator.cue", Line: 30, Col: 2}}
	})), on(18, 9, 0))
	e.Locate(func(file string, keys []string) (fleet.Pos, bool) {
		if strings.Join(keys, "/") == "policy/pins/acme/tool" {
			return fleet.Pos{File: file, Line: 8, Col: 3}, file == "tenants/nordic/partner.cue"
		}
		return fleet.Pos{File: file, Line: 1, Col: 1}, true
	})
	e.Decide(func(file string) why.Decision { return why.Decision{Commit: "last of " + file} })
	found := map[string]why.Rule{}
	for _, r := range e.Rules {
		found[r.Kind+" "+r.Name] = r
		if r.Kind != why.Bound && (r.Pos.File == "" || r.Decided.Commit != "last of "+r.Pos.File) {
			t.Errorf("%+v has no place or no decision", r)
		}
	}
	if r := found["pin acme/tool"]; r.Pos.String() != "tenants/nordic/partner.cue:8:3" || e.Kept[0].Pos != r.Pos {
		t.Errorf("the pin is at %s, the reason at %s", r.Pos, e.Kept[0].Pos)
	}
	if r := found["policy reboot"]; r.Pos.String() != "tenants/operator.cue:30:2" {
		t.Errorf("%+v", r)
	}
	for _, kind := range []string{"assignment acme/tool", "package acme/tool", "release 1.0", "release 2.0", "wave everyone", "week deploy"} {
		if _, ok := found[kind]; !ok {
			t.Errorf("no rule %q", kind)
		}
	}
}
