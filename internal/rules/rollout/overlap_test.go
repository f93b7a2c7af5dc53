package rollout_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

const w48 = fleet.CycleID("2026-W48")

// everywhere is a release that every tenant has an intent for.
func everywhere(id fleet.PackageID) fact {
	var out []fact
	for _, t := range []fleet.TenantID{own, aalt, berg} {
		out = append(out, intent("assign", "dogfood", t, id, dogfoodAt))
	}
	return all(out...)
}

// next puts the cycle of the following week on main, with a newer release of
// tool, opened by a merge at an instant.
func next(change string, opened time.Time) fact {
	return func(w *world) {
		release(tool, "3.0", fleet.Release{Counter: 3, Change: change})(w)
		built(tool, "3.0")(w)
		tested(tool, "3.0", "passed")(w)
		cycle := fleet.Cycle{CutOff: cutOffAt.AddDate(0, 0, 7), Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{tool: {Release: "3.0", Artifact: artifact(tool, "3.0")}}}
		then := *w.rec
		w.repo.Cycles[w48], w.repo.Plans[w48] = cycle, map[string]fleet.PlanRecord{}
		old := w.then
		w.then = &then
		for _, gate := range cycle.Waves {
			plan, err := rollout.Plan(w.repo, w.then, w48, cycle, gate)
			if err != nil {
				panic(err)
			}
			w.repo.Plans[w48][gate] = fleet.PlanRecord{Digest: plan.Digest(), Inputs: plan.Evidence}
			w.rec.PlanRows[plan.Digest()] = plan.Rows
		}
		approval(w48, "dogfood", opened)(w)
		a := w.repo.Approvals[w48]["dogfood"]
		a.ValidUntil = on(30, 0, 0)
		w.repo.Approvals[w48]["dogfood"] = a
		w.then = old
	}
}

// started48 starts the newer cycle's first wave.
func started48(at time.Time) fact {
	return func(w *world) {
		w.rec.Starts = append(w.rec.Starts, fleet.WaveStart{Cycle: w48, Wave: "dogfood", Opens: dogfoodAt.AddDate(0, 0, 7), Plan: w.repo.Plans[w48]["dogfood"].Digest, At: at})
	}
}

// did48 is an action of the newer cycle on a tenant.
func did48(action string, t fleet.TenantID, at time.Time) fact {
	return all(did(action, "dogfood", t, tool, at), func(w *world) {
		i, r := &w.rec.Intents[len(w.rec.Intents)-1], &w.rec.Receipts[len(w.rec.Receipts)-1]
		i.Cycle, r.Cycle, i.Release = w48, w48, "3.0"
		i.Artifact, r.Artifact = artifact(tool, "3.0"), artifact(tool, "3.0")
	})
}

// steps are the actions on tool of a cycle that Step says, without the mill.
func stepsOf(t *testing.T, w *world, now time.Time) (actions, waits []string) {
	t.Helper()
	list, wait, err := rollout.Step(w.facts(t), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if a.Cycle == "" || a.Kind == rollout.OpenCycle {
			continue
		}
		actions = append(actions, string(a.Cycle[5:8])+" "+told(a))
	}
	for _, x := range wait {
		waits = append(waits, strings.TrimSpace(string(x.Cycle)+" "+x.Wave+" "+x.Why))
	}
	return actions, waits
}

// TestUnopenedWavesTakeTheNewer: what has not begun of the older entry is
// superseded, and asked for no more; the rest of its cycle goes on.
func TestUnopenedWavesTakeTheNewer(t *testing.T) {
	opened := on(20, 10, 0)
	now := on(20, 12, 0)
	w := newWorld(all(dogfooded, next("minor", opened)))
	cycles, err := rollout.Derive(w.facts(t), now)
	if err != nil {
		t.Fatal(err)
	}
	e, p := cycles[0].Entry(tool), cycles[0].Entry(pad)
	if e.Superseded == nil || e.Superseded.Cycle != w48 || e.Superseded.Release != "3.0" || e.Superseded.AtOnce || !e.Superseded.At.Equal(opened) {
		t.Fatalf("%+v", e.Superseded)
	}
	if e.SupersededIn(&cycles[0].Waves[0]) || !e.SupersededIn(&cycles[0].Waves[1]) || p.Superseded != nil {
		t.Error("superseded in the wave that began, or not in the one that did not, or more than the package")
	}
	// The last wave starts with pad alone.
	all(approve("everyone", on(20, 11, 0)), beat("announce 2026-W47", announceAt), start("everyone", announceAt))(w)
	actions, _ := stepsOf(t, w, announceAt)
	if want := []string{"W47 deploy everyone nordic/aalto pad", "W47 deploy everyone nordic/berg pad"}; !slices.Equal(actions, want) {
		t.Errorf("%q, want %q", actions, want)
	}
}

// TestNothingLeftToOpen: a cycle whose entries are all superseded asks for no
// approval any more, and is closed.
func TestNothingLeftToOpen(t *testing.T) {
	w := newWorld(all(func(w *world) { delete(w.repo.Packages, pad) }, milledTool, carrying(w47, tool), start("dogfood", dogfoodAt.Add(-3*time.Hour)), did("assign", "dogfood", own, tool, dogfoodAt.Add(-3*time.Hour)),
		verdict("dogfood", tool, 6, "pass", dogfoodAt.Add(6*time.Hour)), next("minor", on(20, 10, 0))))
	actions, _ := stepsOf(t, w, on(20, 12, 0))
	if !slices.Contains(actions, "W47 propose-close") || slices.ContainsFunc(actions, func(a string) bool { return strings.HasPrefix(a, "W47 propose-approval") }) {
		t.Errorf("%q", actions)
	}
}

func milledTool(w *world) {
	all(inventory(detectAt, own, aalt, berg), beat("detect", detectAt), merged(detectAt.Add(time.Hour), "acme/tool@2.0"), built(tool, "1.0"), built(tool, "2.0"), tested(tool, "2.0", "passed"))(w)
}

// TestOneOpenEntryPerTenant: on a tenant that takes the older release the newer
// one waits for the last word there. A fix waits for nobody.
func TestOneOpenEntryPerTenant(t *testing.T) {
	arm := dogfoodAt.AddDate(0, 0, 7).Add(-3 * time.Hour)
	for _, c := range []struct {
		name   string
		facts  fact
		change string
		want   string
		wait   string
	}{
		{"not judged", dogfooding, "minor", "", "2.0 (" + artifact(tool, "2.0").Short() + ") of 2026-W47 is not judged there yet"},
		{"passed", dogfooded, "minor", "W48 deploy dogfood us/own tool", ""},
		{"left undecided at the last look", all(dogfooding, verdict("dogfood", tool, 28, "inconclusive", on(20, 11, 0))), "minor", "W48 deploy dogfood us/own tool", ""},
		{"looked at once", all(dogfooding, verdict("dogfood", tool, 6, "inconclusive", on(20, 11, 0))), "minor", "", "is not judged there yet"},
		{"a fix", dogfooding, "security", "W48 deploy dogfood us/own tool", ""},
		{"stopped, and still there", all(dogfooding, hold("tool", "hold", tool)), "minor", "", "is being taken back there"},
		{"stopped and withdrawn", all(dogfooding, hold("tool", "hold", tool), did("withdraw", "dogfood", own, tool, on(20, 11, 0))), "minor", "W48 deploy dogfood us/own tool", ""},
		{"closed", all(dogfooding, approve(rollout.CloseGate, on(20, 11, 0))), "minor", "W48 deploy dogfood us/own tool", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(all(c.facts, next(c.change, on(25, 15, 0)), started48(arm)))
			actions, waits := stepsOf(t, w, arm)
			deploys := slices.Contains(actions, "W48 deploy dogfood us/own tool")
			if deploys != (c.want != "") {
				t.Errorf("%q", actions)
			}
			if waited := slices.ContainsFunc(waits, func(x string) bool { return strings.Contains(x, c.wait) && strings.HasPrefix(x, "2026-W48") }); c.wait != "" && !waited {
				t.Errorf("%q, want a wait for %q", waits, c.wait)
			}
		})
	}
}

// TestFixSupersedesAtOnce: nothing new of the older release goes out anywhere,
// also in a wave that has begun.
func TestFixSupersedesAtOnce(t *testing.T) {
	half := all(dogfooded, approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", announceAt), start("everyone", announceAt), did("assign", "everyone", aalt, tool, announceAt))
	for change, want := range map[string]bool{"minor": true, "security": false} {
		w := newWorld(all(half, next(change, announceAt.Add(time.Minute))))
		actions, _ := stepsOf(t, w, announceAt.Add(time.Hour))
		if got := slices.Contains(actions, "W47 deploy everyone nordic/berg pad tool"); got != want {
			t.Errorf("%s: %q", change, actions)
		}
	}
}

// TestNoPromotionBehindTheNewer: a tenant that has taken the newer release
// keeps it when the older one passes its last wave; where the newer was taken
// back, the older is promoted after all.
func TestNoPromotionBehindTheNewer(t *testing.T) {
	opened := deployAt.Add(time.Hour) // the last wave of W47 has begun
	over := on(26, 4, 0)
	took := all(rolled, next("minor", opened), started48(over), did48("assign", own, over))
	for _, c := range []struct {
		name  string
		facts fact
		want  []string
	}{
		{"taken", took, []string{"W47 promote everyone nordic/aalto tool 2.0", "W47 promote everyone nordic/berg tool 2.0"}},
		{"taken and withdrawn", all(took, did48("withdraw", own, over.Add(time.Hour))), []string{"W47 promote everyone nordic/aalto tool 2.0", "W47 promote everyone nordic/berg tool 2.0", "W47 promote everyone us/own tool 2.0"}},
	} {
		w := newWorld(c.facts)
		actions, _ := stepsOf(t, w, on(26, 6, 0))
		got := slices.DeleteFunc(actions, func(a string) bool { return !strings.HasPrefix(a, "W47 promote") || !strings.Contains(a, "tool") })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestStarvation: a package whose releases were superseded twice before they
// reached everybody lets the third one through; a fix still goes first.
func TestStarvation(t *testing.T) {
	cut := func(weeks int) time.Time { return cutOffAt.AddDate(0, 0, 7*weeks) }
	ids := []fleet.CycleID{"2026-W47", "2026-W48", "2026-W49", "2026-W50"}
	carries := func(n int) fact {
		return func(w *world) {
			for i := range n {
				version := string(rune('2'+i)) + ".0"
				release(tool, version, fleet.Release{Counter: 2 + i, Change: "minor"})(w)
				built(tool, version)(w)
				tested(tool, version, "passed")(w)
				w.repo.Cycles[ids[i]] = fleet.Cycle{CutOff: cut(i), Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{tool: {Release: version, Artifact: artifact(tool, version)}}}
			}
		}
	}
	newest := func(change string) fact {
		return all(release(tool, "9.0", fleet.Release{Counter: 9, Change: change}), built(tool, "9.0"), tested(tool, "9.0", "passed"))
	}
	toAll := func(n int) fact {
		return func(w *world) {
			w.rec.Intents = append(w.rec.Intents, fleet.Intent{Cycle: ids[n], Wave: "everyone", Package: tool, Action: "assign", Artifact: artifact(tool, string(rune('2'+n))+".0"), Tenant: aalt})
		}
	}
	for _, c := range []struct {
		name  string
		facts fact
		want  bool // the newest travels
	}{
		{"two open cycles", all(carries(2), newest("minor")), true},
		{"three, none of which reached all", all(carries(3), newest("minor")), false},
		{"three, and the newest is a fix", all(carries(3), newest("security")), true},
		{"three, the first of which did", all(carries(3), toAll(0), newest("minor")), true},
		{"three, the last of which does", all(carries(3), toAll(2), newest("minor")), true},
		{"three, one of which failed", all(carries(3), newest("minor"), func(w *world) {
			w.rec.Verdicts = append(w.rec.Verdicts, fleet.Verdict{Artifact: artifact(tool, "3.0"), Decision: "fail"})
		}), true},
	} {
		w := newWorld(all(milled, c.facts))
		_, got := rollout.Entries(w.repo, w.rec, cut(3))[tool]
		if got != c.want {
			t.Errorf("%s: the newest travels: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestCarriedOn: what a closed cycle left undone travels again as the same
// artifact, with the passes it has, to those who lack it.
func TestCarriedOn(t *testing.T) {
	cut := cutOffAt.AddDate(0, 0, 7)
	missed := all(dogfooded, approve(rollout.CloseGate, on(24, 12, 0)))
	w := newWorld(missed)
	got := rollout.Entries(w.repo, w.rec, cut)
	want := fleet.Entry{Release: "2.0", Artifact: artifact(tool, "2.0"), CarriedFrom: w47}
	if got[tool] != want {
		t.Fatalf("%+v, want %+v", got[tool], want)
	}
	for name, not := range map[string]fact{
		"failed": verdict("dogfood", tool, 6, "fail", on(20, 0, 0)),
		"refused": func(w *world) {
			w.repo.Approvals[w47]["everyone"] = fleet.Approval{Decision: "rejected", Because: "no"}
		},
		"held":       hold("tool", "hold", tool),
		"everywhere": everywhere(tool),
		"opted out of by all who lack it": func(w *world) {
			for _, id := range []fleet.TenantID{aalt, berg} {
				tenant(id, func(t *fleet.Tenant) {
					t.Policy.OptOuts = map[fleet.PackageID]fleet.Because{tool: {Reason: "x", Expires: on(30, 0, 0).AddDate(0, 1, 0)}}
				})(w)
			}
		},
	} {
		w := newWorld(all(missed, not))
		if e, ok := rollout.Entries(w.repo, w.rec, cut)[tool]; ok {
			t.Errorf("%s: %+v travels again", name, e)
		}
	}
	cycle := rollout.NewCycle(w.repo, w.rec, w48, cut, nil)
	w.repo.Cycles[w48] = cycle
	for gate, tenants := range map[string][]fleet.TenantID{"dogfood": nil, "everyone": {aalt, berg}} {
		plan, err := rollout.Plan(w.repo, w.rec, w48, cycle, gate)
		if err != nil {
			t.Fatal(err)
		}
		var got []fleet.TenantID
		for _, r := range plan.Rows {
			if r.Package == tool {
				got = append(got, r.Tenant)
			}
		}
		if !slices.Equal(got, tenants) {
			t.Errorf("wave %s reaches %v, want %v", gate, got, tenants)
		}
	}
	cycles, err := rollout.Derive(rollout.Facts{Repo: w.repo, Record: w.rec}, cut)
	if err != nil || len(cycles) != 2 {
		t.Fatal(err)
	}
	if v := cycles[1].Entry(tool).Last["dogfood"]; v == nil || v.Decision != "pass" || v.Cycle != w47 {
		t.Errorf("the pass of the cycle it comes from is %+v", v)
	}
	// Another artifact of the release has no evidence to inherit.
	rebuilt := maps.Clone(cycle.Entries)
	rebuilt[tool] = fleet.Entry{Release: "2.0", Artifact: artifact(tool, "rebuilt"), CarriedFrom: w47}
	cycle.Entries = rebuilt
	w.repo.Cycles[w48] = cycle
	if cycles, err = rollout.Derive(rollout.Facts{Repo: w.repo, Record: w.rec}, cut); err != nil || len(cycles[1].Entry(tool).Last) > 0 {
		t.Errorf("it inherits %+v, %v", cycles[1].Entry(tool).Last, err)
	}
}

// TestRequires: what a package needs comes first, and stops it when it stops.
func TestRequires(t *testing.T) {
	arm := dogfoodAt.Add(-3 * time.Hour)
	fresh := edit(pad, func(p *fleet.Package) {
		p.Releases = map[string]fleet.Release{"2.0": {Counter: 1, Change: "new"}}
	})
	needs := edit(tool, func(p *fleet.Package) { p.Requires = []fleet.PackageID{pad} })
	started := all(fresh, needs, opened, start("dogfood", arm))
	armed := "dogfood armed"
	try(t, []situation{
		{"it is there", all(needs, opened, start("dogfood", arm)), arm, []string{"deploy dogfood us/own pad tool"}, []string{armed}},
		{"it comes first", started, arm, []string{"deploy dogfood us/own pad"}, []string{"dogfood acme/tool waits on us/own: it requires acme/pad, which comes first", armed}},
		{"it has come", all(started, did("assign", "dogfood", own, pad, arm)), arm, []string{"deploy dogfood us/own tool"}, []string{armed}},
		{"it is stopped", all(started, hold("pad", "hold", pad)), arm, nil, []string{"dogfood acme/tool waits on us/own: it requires acme/pad, which is stopped: hold: a reason", armed}},
		{"it is not for this tenant", all(fresh, needs, tenant(own, func(t *fleet.Tenant) {
			t.Packages = map[fleet.PackageID][]fleet.Assignment{tool: t.Packages[tool]}
		}), opened, start("dogfood", arm)), arm, nil, []string{armed}},
	})
	w := newWorld(all(fresh, needs, tenant(own, func(t *fleet.Tenant) { t.Packages = map[fleet.PackageID][]fleet.Assignment{tool: t.Packages[tool]} }), opened))
	plan, err := rollout.Plan(w.repo, w.then, w47, w.repo.Cycles[w47], "dogfood")
	if err != nil || len(plan.Skipped) != 1 || plan.Skipped[0].Why != "requires acme/pad, which is not assigned to all devices or all users here" {
		t.Errorf("%+v, %v", plan.Skipped, err)
	}
}

// TestWayBackOf: a tenant goes back to what it had last and what was good.
func TestWayBackOf(t *testing.T) {
	versions := all(edit(tool, func(p *fleet.Package) {
		p.Releases = map[string]fleet.Release{"1.0": {Counter: 1}, "1.5": {Counter: 2}, "2.0": {Counter: 3}}
	}), built(tool, "1.0"), built(tool, "1.5"), built(tool, "2.0"))
	had := func(version string) fact {
		return func(w *world) {
			w.rec.Receipts = append(w.rec.Receipts, fleet.Receipt{Cycle: "2026-W40", Wave: "everyone", Tenant: own, Package: tool, Artifact: artifact(tool, version), Action: "promote", Outcome: "done"})
		}
	}
	took := func(version, decision string) fact {
		return func(w *world) {
			w.rec.Receipts = append(w.rec.Receipts, fleet.Receipt{Cycle: "2026-W41", Wave: "dogfood", Tenant: own, Package: tool, Artifact: artifact(tool, version), Action: "assign", Outcome: "done", At: on(1, 0, 0)})
			w.rec.Verdicts = append(w.rec.Verdicts, fleet.Verdict{Cycle: "2026-W41", Wave: "dogfood", Package: tool, Artifact: artifact(tool, version), Decision: decision, At: on(2, 0, 0)})
		}
	}
	revoked := func(version, to string) fact {
		return func(w *world) {
			w.repo.Holds["r"+version] = fleet.Hold{Kind: "revocation", Package: tool, Release: version, RollbackTo: to}
		}
	}
	first := edit(tool, func(p *fleet.Package) { p.Releases = map[string]fleet.Release{"2.0": {Counter: 1, Change: "new"}} })
	handed := func(action, app string, day int) fact {
		return func(w *world) {
			w.rec.Receipts = append(w.rec.Receipts, fleet.Receipt{Cycle: "2026-W40", Tenant: own, Package: tool, Action: action, Adopted: app, Outcome: "done", At: on(day, 0, 0)})
		}
	}
	way := func(mode string) fact { return edit(tool, func(p *fleet.Package) { p.Rollback = mode }) }
	for _, c := range []struct {
		name     string
		facts    fact
		mode, to string
	}{
		{"nothing known of the tenant: the release before", versions, "previous", "1.5"},
		{"it never had the one before", all(versions, had("1.0")), "previous", "1.0"},
		{"it had both", all(versions, had("1.0"), had("1.5")), "previous", "1.5"},
		{"the one before passed its wave there", all(versions, had("1.0"), took("1.5", "pass")), "previous", "1.5"},
		{"the one before was left undecided there", all(versions, had("1.0"), took("1.5", "inconclusive")), "previous", "1.0"},
		{"the one before failed elsewhere", all(versions, had("1.5"), took("1.5", "fail")), "previous", "1.0"},
		{"the one before is revoked too", all(versions, had("1.5"), revoked("1.5", "")), "previous", "1.0"},
		{"the revocation names an older one", all(versions, had("1.5"), revoked("2.0", "1.0")), "previous", "1.0"},
		{"nothing good is left", all(versions, revoked("1.5", ""), revoked("1.0", "")), "previous", ""},
		{"there is none", all(versions, way("forwardOnly")), "forwardOnly", ""},
		{"removal is the way", all(versions, way("uninstall")), "uninstall", ""},
		{"it is the first", all(versions, first), "uninstall", ""},
		{"it is the first, in an app that the tenant had before", all(versions, first, handed("assign", "their app", 1)), "forwardOnly", ""},
		{"the same, and removal is the way", all(versions, first, way("uninstall"), handed("assign", "their app", 1)), "uninstall", ""},
		{"the app was given back since", all(versions, first, handed("assign", "their app", 1), handed("remove", "", 2)), "uninstall", ""},
		{"an app that the tenant had, and a release before", all(versions, handed("assign", "their app", 1)), "previous", "1.5"},
	} {
		w := newWorld(c.facts)
		got := rollout.WayBackOf(w.repo, w.rec, own, tool, fleet.Entry{Release: "2.0", Artifact: artifact(tool, "2.0")})
		if got.Mode != c.mode || got.To.Release != c.to || (got.Mode == "previous" && got.To.Release == "") != (got.Why != "") {
			t.Errorf("%s: %+v, want %s %s", c.name, got, c.mode, c.to)
		}
	}
}

// TestOffered: a new package is offered to people before it is required. Devices
// can be offered nothing, and the plan says that they are not.
func TestOffered(t *testing.T) {
	fresh := edit(pad, func(p *fleet.Package) { p.Releases = map[string]fleet.Release{"2.0": {Counter: 1, Change: "new"}} })
	people := tenant(own, func(t *fleet.Tenant) {
		t.Packages = map[fleet.PackageID][]fleet.Assignment{pad: {{Intent: "required", Group: "all users"}}}
	})
	for name, tt := range map[string]struct {
		facts fact
		wave  string
		want  string
	}{
		"devices":           {all(fresh, opened), "dogfood", "required on all devices, and not offered first: that can be done for users alone"},
		"devices, the last": {all(fresh, opened), "everyone", "required on all devices"},
		"people":            {all(fresh, people, opened), "dogfood", "offered on all users, for its users to choose"},
	} {
		w := newWorld(tt.facts)
		plan, err := rollout.Plan(w.repo, w.then, w47, w.repo.Cycles[w47], tt.wave)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(plan.Rows, func(r fleet.PlanRow) bool { return r.Package == pad })
		if i < 0 || plan.Rows[i].Why != tt.want {
			t.Errorf("%s: %+v", name, plan.Rows)
		}
	}
}

// TestTravelsOnce: an artifact that two open cycles carry travels in the one
// that was opened first.
func TestTravelsOnce(t *testing.T) {
	w := newWorld(all(dogfooded, carrying("2026-W47-oob-01", tool)))
	cycles, err := rollout.Derive(w.facts(t), on(20, 12, 0))
	if err != nil || len(cycles) != 2 {
		t.Fatal(err)
	}
	if s := cycles[0].Entry(tool).Superseded; s != nil {
		t.Errorf("the first one is superseded by %+v", s)
	}
	if s := cycles[1].Entry(tool).Superseded; s == nil || s.Cycle != w47 || !s.AtOnce {
		t.Errorf("the second one: %+v", s)
	}
	actions, _ := stepsOf(t, w, on(20, 12, 0))
	if slices.ContainsFunc(actions, func(a string) bool { return strings.HasPrefix(a, "W47 start") }) {
		t.Errorf("the second cycle starts a wave: %q", actions)
	}
}
