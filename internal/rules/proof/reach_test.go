package proof

import (
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestReachable(t *testing.T) {
	each := func(edit func(w *fleet.Wave)) func(r *fleet.Repository) {
		return func(r *fleet.Repository) {
			for i := range r.Waves {
				edit(&r.Waves[i])
			}
		}
	}
	on := func(name string, edit func(w *fleet.Wave)) func(r *fleet.Repository) {
		return func(r *fleet.Repository) { setWave(r, name, edit) }
	}
	tests := []struct {
		name   string
		edit   func(r *fleet.Repository)
		object string   // "" for no finding
		want   []string // parts of its text
		keys   []string
	}{
		{"people decide", func(*fleet.Repository) {}, "", nil, nil},
		{"packmill decides", each(func(w *fleet.Wave) { w.Advance = "autoMerge" }), "", nil, nil},
		{"silence counts", each(func(w *fleet.Wave) { w.Gate.Silent = "failed" }), "", nil, nil},
		{"pool", each(func(w *fleet.Wave) { w.Gate.Inconclusive = "pool" }), "", nil, nil},
		{"wait", each(func(w *fleet.Wave) { w.Gate.Inconclusive = "wait" }), "", nil, nil},
		{"extend, by itself", each(func(w *fleet.Wave) { w.Gate.Inconclusive, w.Advance = "extend", "autoMerge" }), "", nil, nil},
		{"nothing is good enough, people decide", each(func(w *fleet.Wave) { w.Gate.Success = 100 }), "", nil, nil},
		{"success threshold removed", on("pilot", func(w *fleet.Wave) { w.Gate.Success = 0 }), "wave pilot", []string{
			"no release ever gets past it", "a person merges the cycle, which approves wave dogfood; wave dogfood starts; look 1 of wave dogfood: every device succeeds, and its verdict is pass",
			"look 1 of wave pilot: every device succeeds, and its verdict is fail"}, []string{"waves", "pilot", "gate"}},
		{"error threshold removed", on("dogfood", func(w *fleet.Wave) { w.Gate.Error = 100 }), "wave dogfood", []string{"no release ever gets past it"}, nil},
		{"packmill goes on from a gate that cannot fail", on("pilot", func(w *fleet.Wave) { w.Advance, w.Gate.Error = "autoMerge", 99.99 }), "wave pilot", []string{
			"packmill goes on from it without asking people, and its gate cannot fail", "of wave pilot: every device fails, and its verdict is inconclusive"}, []string{"waves", "pilot", "gate"}},
		{"people go on from a gate that cannot fail", on("pilot", func(w *fleet.Wave) { w.Gate.Error = 99.99 }), "", nil, nil},
		{"a gate that passes a coin's throw", on("pilot", func(w *fleet.Wave) { w.Gate.Success, w.Gate.Error = 40, 60 }), "wave pilot", []string{
			"its gate passes what it must not", "look 1 of wave pilot: every second device fails, and its verdict is pass; a person merges the approval of wave everyone", "every device of wave everyone gets it"}, nil},
		{"and by itself", on("pilot", func(w *fleet.Wave) { w.Gate.Success, w.Gate.Error, w.Advance = 40, 60, "autoMerge" }), "wave pilot", []string{"its gate passes what it must not"}, nil},
		{"the last wave may be lax", on("everyone", func(w *fleet.Wave) { w.Gate.Success, w.Gate.Error = 40, 60 }), "", nil, nil},
		{"one wave", func(r *fleet.Repository) { r.Waves = r.Waves[2:] }, "wave everyone", []string{"it is the first wave and the last", "a person merges the cycle, which approves wave everyone; wave everyone starts; every device of wave everyone gets it"}, []string{"waves", "everyone"}},
		{"a lane without a wave before the last", func(r *fleet.Repository) {
			r.Waves[0].Lanes, r.Waves[1].Lanes = nil, nil
		}, "wave everyone", []string{"it is the first wave and the last", "for example in the lane cve:"}, nil},
		{"a gate that fails everything in a lane only", on("pilot", func(w *fleet.Wave) {
			w.Lanes = map[string]fleet.LaneWave{"cve": {After: hour(4), Soak: hour(12), Looks: []fleet.Duration{0}}}
		}), "wave pilot", []string{"no release ever gets past it", "in the lane cve"}, nil},
		{"a cycle that goes to everyone at once", func(r *fleet.Repository) {
			r.Cycles = map[fleet.CycleID]fleet.Cycle{"2026-W47": {Waves: []string{"everyone"}}, "2026-W46": {Waves: []string{"dogfood", "pilot", "everyone"}}, "2026-W45": {Waves: []string{"dogfood"}}}
		}, "cycle 2026-W47", []string{"it leaves out wave dogfood, pilot; for example: a person merges the cycle, which approves wave everyone; wave everyone starts; every device", "no verdict was ever given on wave dogfood, pilot"}, []string{"cycles", "2026-W47", "waves"}},
		{"a cycle that leaves out the first wave", func(r *fleet.Repository) {
			r.Cycles = map[fleet.CycleID]fleet.Cycle{"2026-W47": {Waves: []string{"pilot", "everyone"}}}
		}, "cycle 2026-W47", []string{"it leaves out wave dogfood", "which approves wave pilot; wave pilot starts; it passes"}, nil},
		{"a cycle that leaves out the pilot", func(r *fleet.Repository) {
			r.Cycles = map[fleet.CycleID]fleet.Cycle{"2026-W47": {Waves: []string{"dogfood", "everyone"}}}
		}, "cycle 2026-W47", []string{"it leaves out wave pilot"}, nil},
		{"such a cycle whose closing was refused", func(r *fleet.Repository) {
			r.Cycles = map[fleet.CycleID]fleet.Cycle{"2026-W47": {Waves: []string{"everyone"}}}
			r.Approvals = map[fleet.CycleID]map[string]fleet.Approval{"2026-W47": {"close": {Decision: "rejected"}}}
		}, "cycle 2026-W47", nil, nil},
		{"such a cycle that is closed", func(r *fleet.Repository) {
			r.Cycles = map[fleet.CycleID]fleet.Cycle{"2026-W47": {Waves: []string{"everyone"}}}
			r.Approvals = map[fleet.CycleID]map[string]fleet.Approval{"2026-W47": {"close": {Decision: "approved"}}}
		}, "", nil, nil},
		{"no waves yet", func(r *fleet.Repository) { r.Waves = nil }, "", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := world()
			tt.edit(r)
			found := Reachable(r)
			if tt.object == "" {
				if len(found) > 0 {
					t.Errorf("found %+v", found)
				}
				return
			}
			f := only(t, found)
			for _, part := range tt.want {
				if !strings.Contains(f.Text, part) {
					t.Errorf("%q is missing in %s", part, f.Text)
				}
			}
			if f.Object != tt.object || f.Hint == "" || tt.keys != nil && !slices.Equal(f.Keys, tt.keys) {
				t.Errorf("finding about %s at %s %q, hint %q", f.Object, f.File, f.Keys, f.Hint)
			}
		})
	}
}

// TestMachine proves that the machine visits what the proof is about: a way to
// the last wave with every kind of approval and verdict that the rules allow,
// and none that they do not.
func TestMachine(t *testing.T) {
	r := world()
	for i := range r.Waves {
		r.Waves[i].Advance = "autoMerge"
	}
	m := machine{fleet.WavesIn(r.Waves, fleet.LaneWeek), fleet.LaneWeek, map[question]answer{}}
	arrived := map[string]bool{}
	states := 0
	queue, known := []*state{{facts: make([]fact, len(m.waves))}}, map[string]bool{}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if known[s.key()] {
			continue
		}
		known[s.key()] = true
		states++
		if m.exposed(s, 2) {
			last, before := s.facts[2], s.facts[1]
			arrived[[]string{"nobody", "early", "informed", "packmill"}[last.approval]+" after "+before.verdict] = true
			continue
		}
		queue = append(queue, m.next(s)...)
	}
	want := []string{"early after pass", "informed after inconclusive", "informed after pass", "packmill after pass"}
	var got []string
	for k := range arrived {
		got = append(got, k)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("ways to the last wave: %q, want %q", got, want)
	}
	if states < 100 || states > 20_000 {
		t.Errorf("%d states", states)
	}
}

func BenchmarkAll(b *testing.B) {
	r := world()
	five := append(slices.Clone(r.Waves), r.Waves[1], r.Waves[1])
	for i := range five {
		five[i].Name, five[i].Order, five[i].Advance = string(rune('a'+i)), i, "autoMerge"
	}
	five[4].Select = fleet.Select{}
	r.Waves = five
	for i := range 500 {
		id := fleet.TenantID("nordic/t" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		t := r.Tenants["nordic/acme"]
		t.ID = id
		from := []string{"20:00", "21:00", "22:00"}[i%3]
		t.Windows = map[string]fleet.Window{"n": {On: []string{"Mon", "Tue", "Wed", "Thu"}, From: from, Until: "02:" + string(rune('0'+i/100)) + string(rune('0'+i/10%10)), For: []string{"install"}}}
		r.Tenants[id] = t
	}
	for b.Loop() {
		All(r, wednesday)
	}
}
