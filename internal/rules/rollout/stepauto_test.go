package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// app lets packmill's app merge what it may.
func app(w *world) { w.repo.Operator.Trust.App = "mill[bot]" }

// advancing makes the first wave's pass open the next one.
func advancing(w *world) {
	app(w)
	w.repo.Waves[0].Advance = "autoMerge"
}

// alone makes the newest merge packmill's own.
func alone(what string) fact {
	return lastMerge(func(m *fleet.Merge) { m.Auto, m.Bot, m.MergedBy, m.Approvers = what, true, "mill[bot]", []string{} })
}

func objects(gate string, id fleet.PackageID, at time.Time) fact {
	return func(w *world) {
		w.rec.Words = append(w.rec.Words, fleet.Word{Cycle: w47, Wave: gate, Package: id, Kind: fleet.Objection, By: "vera", Reason: "slow", At: at})
	}
}

func override(w *world) {
	c := w.repo.Cycles[w47]
	c.Overrides = &fleet.Overrides{Freezes: []string{"winter"}, Reason: "exploited in the wild"}
	w.repo.Cycles[w47] = c
}

func TestStepAdvancesByItself(t *testing.T) {
	soaked := dogfoodAt.Add(24*time.Hour + 5*time.Minute)
	pass := dogfoodAt.Add(6 * time.Hour)
	by := []string{"propose-approval everyone", "auto-merge everyone"}
	people := by[:1]
	left := func(why string) []string {
		return []string{"everyone its approval waits for a merge; packmill leaves it to people: " + why}
	}
	asks, merges := []string{"everyone its approval waits for a merge"}, []string{"everyone packmill merges its approval once its checks have passed"}
	ready := all(advancing, dogfooded)
	try(t, []situation{
		{"after a pass of every entry", ready, soaked, by, merges},
		{"not while a clock could be behind", ready, soaked.Add(-time.Second), people, left("wave dogfood has not soaked")},
		{"not when the wave asks people", all(app, dogfooded), soaked, people, asks},
		{"not when the wave to open says it, and the one before does not", all(app, func(w *world) { w.repo.Waves[1].Advance = "autoMerge" }, dogfooded), soaked, people, asks},
		{"not without an app", all(ready, func(w *world) { w.repo.Operator.Trust.App = "" }), soaked, people, left("tenants/operator.cue names no app")},
		{"not when merges take two", all(ready, func(w *world) { w.repo.Operator.Trust.Approvals = 2 }, lastMerge(func(m *fleet.Merge) { m.Approvers = []string{"ines", "oskar"} })), soaked, people, left("every merge takes several persons")},
		{"not with an entry left undecided", all(advancing, dogfooding, verdict("dogfood", pad, 6, "pass", pass), verdict("dogfood", tool, 28, "inconclusive", dogfoodAt.Add(28*time.Hour))), dogfoodAt.Add(29 * time.Hour), people, left("wave dogfood has no pass verdict on acme/tool")},
		{"not over a fail that is only just known", all(ready, verdict("dogfood", pad, 28, "fail", soaked.Add(-time.Second)), did("withdraw", "dogfood", own, pad, soaked)), soaked,
			[]string{"propose-revoke dogfood pad 2.0", "propose-approval everyone"}, append([]string{"the revocation of acme/pad 2.0 waits"}, left("wave dogfood of 2026-W47 failed acme/pad")...)},
		{"not while somebody objects", all(ready, objects("dogfood", tool, soaked.Add(-time.Second))), soaked, people, left("vera objects to acme/tool in wave dogfood")},
		{"not with an entry stopped", all(advancing, dogfooding, verdict("dogfood", pad, 6, "pass", pass), hold("tool", "hold", tool), did("withdraw", "dogfood", own, tool, pass.Add(time.Hour))), soaked, people, asks},
		{"not while somebody objects", all(ready, said(fleet.Objection, "ann", "dogfood", pass.Add(time.Hour))), soaked, people, asks},
		{"not while somebody objects just now", all(ready, said(fleet.Objection, "ann", "dogfood", soaked.Add(-time.Second))), soaked, people, asks},
		{"when they took it back", all(ready, said(fleet.Objection, "ann", "dogfood", pass.Add(time.Hour)), said(fleet.Withdrawn, "ann", "dogfood", pass.Add(2*time.Hour))), soaked, by, merges},
		{"not through freezes", all(ready, override, lastMerge(func(m *fleet.Merge) { m.Approvers = []string{"ines", "oskar"} })), soaked, people, asks},
		{"not over a refusal", all(ready, approve("everyone", soaked), amend("everyone", func(a *fleet.Approval) { a.Decision, a.Because = "rejected", "not now" })), soaked, []string{"propose-close"}, []string{"everyone refused: not now", "closing it waits for a merge"}},
		{"closing is for people", all(advancing, func(w *world) { w.repo.Waves[1].Advance = "autoMerge" }, rolled, func(w *world) {
			for _, p := range []fleet.PackageID{pad, tool} {
				for _, id := range []fleet.TenantID{own, aalt, berg} {
					did("promote", "everyone", id, p, deployAt.Add(25*time.Hour))(w)
				}
			}
		}), deployAt.Add(30 * time.Hour), []string{"propose-close"}, []string{"closing it waits for a merge"}},
	})
}

func TestStepCountsWhatPackmillMerged(t *testing.T) {
	merged := dogfoodAt.Add(25 * time.Hour)
	own := all(advancing, dogfooded, approve("everyone", merged), alone(rollout.AutoAdvance))
	verdicts := func(change func(v *fleet.Verdict)) fact {
		return all(own, func(w *world) { change(&w.rec.Verdicts[len(w.rec.Verdicts)-1]) })
	}
	refused := func(why string) []string { return []string{"everyone its approval does not count: " + why} }
	pass := "packmill merged it by itself, but wave dogfood has no pass verdict on acme/tool 2.0"
	second := all(dogfooding, verdict("dogfood", pad, 6, "pass", dogfoodAt.Add(6*time.Hour)), verdict("dogfood", tool, 6, "pass", dogfoodAt.Add(6*time.Hour)), verdict("dogfood", tool, 28, "inconclusive", merged.Add(-time.Minute)))
	try(t, []situation{
		{"it counts", own, merged, nil, []string{"everyone announced first"}},
		{"a bot's merge is no approval by itself", all(own, lastMerge(func(m *fleet.Merge) { m.Auto = "" })), merged, nil, refused("its pull request was not approved by an approver")},
		{"what lets it revoke does not let it advance", all(own, lastMerge(func(m *fleet.Merge) { m.Auto = rollout.AutoRevoke })), merged, nil, refused("its pull request was not approved by an approver")},
		{"not when people must approve", all(own, override, func(w *world) { w.rec.Merges[len(w.rec.Merges)-2].Approvers = []string{"ines", "oskar"} }), merged, nil, refused("packmill merged it by itself, and people must approve it: the cycle goes on through freezes")},
		{"not when somebody objected before the merge", all(own, said(fleet.Objection, "ann", "dogfood", merged.Add(-time.Hour))), merged, nil, refused("packmill merged it by itself, but ann objects to acme/tool in wave dogfood")},
		{"not on a verdict that came after the merge", verdicts(func(v *fleet.Verdict) { v.At = merged.Add(time.Second) }), merged.Add(time.Hour), nil, refused(pass)},
		{"not when the newest verdict is another word", all(advancing, second, approve("everyone", merged), alone(rollout.AutoAdvance)), merged.Add(time.Hour), nil, refused(pass)},
		{"not when a gate failed it elsewhere", all(own, func(w *world) {
			v := w.rec.Verdicts[len(w.rec.Verdicts)-1]
			v.Cycle, v.Decision, v.At = "2026-W46", "fail", cutOffAt
			w.rec.Verdicts = append(w.rec.Verdicts, v)
		}), merged, nil, refused("packmill merged it by itself, but wave dogfood of 2026-W46 failed acme/tool")},
		{"not when its merge is at fault", all(own, lastMerge(func(m *fleet.Merge) { m.Fault = "holds something else" })), merged, nil,
			append(refused("its merge holds something else"), "main is unreviewed")},
		{"not the first wave's", all(advancing, opened, alone(rollout.AutoAdvance)), dogfoodAt, nil, []string{"dogfood its approval does not count: packmill merged it by itself, but no wave comes before it"}},
	})
}

// What speaks for an approval that packmill merged is a verdict on exactly the
// artifact, of the wave before, and not older than that wave.
func TestDeriveCountsTheRightVerdicts(t *testing.T) {
	merged := dogfoodAt.Add(25 * time.Hour)
	for name, c := range map[string]struct {
		change func(v *fleet.Verdict)
		want   string
	}{
		"as it is":               {func(*fleet.Verdict) {}, ""},
		"another artifact's":     {func(v *fleet.Verdict) { v.Artifact = artifact(tool, "1.0") }, "acme/tool"},
		"another package's":      {func(v *fleet.Verdict) { v.Package = pad }, "acme/tool"},
		"another wave's":         {func(v *fleet.Verdict) { v.Wave = "everyone" }, "acme/tool"},
		"another cycle's":        {func(v *fleet.Verdict) { v.Cycle = "2026-W46" }, "acme/tool"},
		"older than the opening": {func(v *fleet.Verdict) { v.At = dogfoodAt.Add(-time.Second) }, "acme/tool"},
		"newer than the merge":   {func(v *fleet.Verdict) { v.At = merged.Add(time.Second) }, "acme/tool"},
		"inconclusive":           {func(v *fleet.Verdict) { v.Decision = "inconclusive" }, "acme/tool"},
		"no word we know":        {func(v *fleet.Verdict) { v.Decision = "passed" }, "acme/tool"},
	} {
		w := newWorld(all(advancing, dogfooded, approve("everyone", merged), alone(rollout.AutoAdvance)))
		c.change(&w.rec.Verdicts[len(w.rec.Verdicts)-1])
		cycles, err := rollout.Derive(w.facts(t), merged.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		wave := cycles[0].Wave("everyone")
		want := ""
		if c.want != "" {
			want = "packmill merged it by itself, but wave dogfood has no pass verdict on " + c.want + " 2.0 (" + artifact(tool, "2.0").Short() + ")"
		}
		if wave.Refusal != want || (want == "") != (wave.Approval != nil) {
			t.Errorf("%s: %q, want %q", name, wave.Refusal, want)
		}
	}
}

// TestStepHearsAnObjectionBesideItsOwnMerge: nobody merged the approval in the
// knowledge of an objection when packmill merged it.
func TestStepHearsAnObjectionBesideItsOwnMerge(t *testing.T) {
	merged := dogfoodAt.Add(25 * time.Hour)
	started := func(merge ...fact) fact {
		return all(append([]fact{advancing, dogfooded, objects("dogfood", tool, merged.Add(-time.Minute)), approve("everyone", merged)}, append(merge, beat("announce 2026-W47", announceAt), start("everyone", announceAt))...)...)
	}
	at := announceAt.Add(time.Hour)
	try(t, []situation{
		{"people knew", started(), at, []string{"deploy everyone nordic/aalto pad tool", "deploy everyone nordic/berg pad tool"}, []string{"everyone armed"}},
		{"packmill did not", started(alone(rollout.AutoAdvance)), at, []string{"deploy everyone nordic/aalto pad", "deploy everyone nordic/berg pad"},
			[]string{"everyone acme/tool stays out: wave dogfood passed it, and vera objects", "everyone armed"}},
	})
}

func TestStepTakesTwoForOverrides(t *testing.T) {
	arm := dogfoodAt.Add(-3 * time.Hour)
	begin := []string{"start dogfood"}
	refused := []string{"dogfood its approval does not count: its pull request was not approved by 2 approvers of the policy before it: the cycle goes on through freezes, which takes two persons"}
	try(t, []situation{
		{"one is not enough", all(opened, override), arm, nil, refused},
		{"two are", all(opened, override, lastMerge(func(m *fleet.Merge) { m.Approvers = []string{"ines", "oskar"} })), arm, begin, nil},
		{"without overrides one is", opened, arm, begin, nil},
	})
}

func TestStepRevokesByItself(t *testing.T) {
	failed := dogfoodAt.Add(6 * time.Hour)
	fails := all(dogfooding, verdict("dogfood", pad, 6, "pass", failed), verdict("dogfood", tool, 6, "fail", failed), did("withdraw", "dogfood", own, tool, failed.Add(2*time.Hour)))
	let := all(app, func(w *world) { w.repo.Operator.Trust.AutoRevoke = true })
	at := dogfoodAt.Add(9 * time.Hour)
	asks, merges := []string{"the revocation of acme/tool 2.0 waits for its merge", "dogfood soaking"}, []string{"packmill merges the revocation of acme/tool 2.0 once its checks have passed", "dogfood soaking"}
	proposes := []string{"propose-revoke dogfood tool 2.0"}
	try(t, []situation{
		{"people revoke", fails, at, proposes, asks},
		{"packmill does where the operator lets it", all(let, fails), at, append(proposes, "auto-merge dogfood tool 2.0"), merges},
		{"not without an app", all(func(w *world) { w.repo.Operator.Trust.AutoRevoke = true }, fails), at, proposes, asks},
	})
}

func TestMayRevoke(t *testing.T) {
	failed := dogfoodAt.Add(6 * time.Hour)
	w := newWorld(all(app, dogfooding, verdict("dogfood", tool, 6, "fail", failed)))
	w.repo.Operator.Trust.AutoRevoke = true
	for name, c := range map[string]struct {
		at     time.Time
		change func(h *fleet.Hold)
		want   string
	}{
		"what failed":             {failed, func(*fleet.Hold) {}, ""},
		"before it failed":        {failed.Add(-time.Second), func(*fleet.Hold) {}, "no gate failed acme/tool 2.0"},
		"another artifact":        {failed, func(h *fleet.Hold) { h.Artifact = artifact(tool, "1.0") }, "no gate failed acme/tool 2.0"},
		"another package":         {failed, func(h *fleet.Hold) { h.Package = pad }, "no gate failed acme/pad 2.0"},
		"another release":         {failed, func(h *fleet.Hold) { h.Release, h.RollbackTo = "1.0", "" }, "no gate failed acme/tool 1.0"},
		"every artifact":          {failed, func(h *fleet.Hold) { h.Artifact = "" }, "it is not the revocation of one artifact"},
		"a mere hold":             {failed, func(h *fleet.Hold) { h.Kind = "hold" }, "it is not the revocation of one artifact"},
		"a way back of one's own": {failed, func(h *fleet.Hold) { h.RollbackTo = "0.9" }, "the way back is another one"},
	} {
		h := rollout.RevocationOf(w.repo, tool, "2.0", artifact(tool, "2.0"), "it fails")
		c.change(&h)
		if got := rollout.MayRevoke(w.repo, w.rec, h, c.at); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	w.rec.Verdicts[0].At = dogfoodAt.Add(-4 * time.Hour) // before the wave began
	if got := rollout.MayRevoke(w.repo, w.rec, rollout.RevocationOf(w.repo, tool, "2.0", artifact(tool, "2.0"), "x"), failed); got == "" {
		t.Error("a verdict from before the wave speaks for a revocation")
	}
}

func TestAlone(t *testing.T) {
	policy := &fleet.Repository{Operator: fleet.Operator{Trust: fleet.Trust{App: "mill[bot]"}}}
	at := dogfoodAt
	review := func(login, state string, hours int) fleet.Review {
		return fleet.Review{Login: login, State: state, At: at.Add(time.Duration(hours) * time.Hour)}
	}
	for name, c := range map[string]struct {
		change func(m *fleet.Merge)
		want   bool
	}{
		"packmill's app":          {func(*fleet.Merge) {}, true},
		"in another case":         {func(m *fleet.Merge) { m.MergedBy = "Mill[bot]" }, true},
		"a person of that name":   {func(m *fleet.Merge) { m.Bot = false }, false},
		"another app":             {func(m *fleet.Merge) { m.MergedBy = "renovate[bot]" }, false},
		"what a person opened":    {func(m *fleet.Merge) { m.Author = "ines" }, false},
		"what another app opened": {func(m *fleet.Merge) { m.Author = "renovate[bot]" }, false},
		"a direct commit":         {func(m *fleet.Merge) { m.Head = "" }, false},
		"against an objection":    {func(m *fleet.Merge) { m.Reviews = []fleet.Review{review("ines", "CHANGES_REQUESTED", -1)} }, false},
		"after an objection was taken back": {func(m *fleet.Merge) {
			m.Reviews = []fleet.Review{review("ines", "CHANGES_REQUESTED", -2), review("ines", "APPROVED", -1)}
		}, true},
		"an objection after the merge is late": {func(m *fleet.Merge) { m.Reviews = []fleet.Review{review("ines", "CHANGES_REQUESTED", 1)} }, true},
	} {
		m := fleet.Merge{Head: "h", Author: "mill[bot]", MergedBy: "mill[bot]", Bot: true, At: at}
		c.change(&m)
		if got := rollout.Alone(policy, m); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if rollout.Alone(&fleet.Repository{}, fleet.Merge{Head: "h", Bot: true}) {
		t.Error("a policy that names no app lets one merge")
	}
}
