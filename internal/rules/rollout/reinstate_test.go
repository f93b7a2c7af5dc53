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

// TestStepReinstates: an uninstall that main no longer asks for is ended at once,
// whatever is known of it, and once more when no call of it can begin any longer.
func TestStepReinstates(t *testing.T) {
	at := on(24, 8, 0)
	said := at.Add(time.Hour)
	now := said.Add(time.Minute)
	behind := said.Add(rollout.Lease + time.Minute)
	has := did("promote", "everyone", aalt, tool, at)
	armed := all(has, did("uninstall", "everyone", aalt, tool, said))
	back := []string{"reinstate everyone nordic/aalto tool 2.0"}
	once := all(armed, did("reinstate", "everyone", aalt, tool, now))
	for name, tt := range map[string]struct {
		facts fact
		now   time.Time
		want  []string
		waits string
	}{
		"nothing was taken":                 {has, now, nil, ""},
		"it is still to go":                 {all(armed, leaves(aalt, tool, rollout.LeaveUninstall)), now, nil, ""},
		"reverted":                          {armed, now, back, ""},
		"reverted weeks later":              {armed, now.AddDate(0, 0, 21), back, ""},
		"reverted, and nobody saw the call": {all(has, intent("uninstall", "everyone", aalt, tool, said)), now, back, ""},
		"reverted, and the call failed":     {all(has, intent("uninstall", "everyone", aalt, tool, said), receipt("failed", said)), now, back, ""},
		"ended, and a call may come":        {once, now.Add(time.Minute), nil, "once more when no call of an earlier run can begin"},
		"ended, and no call comes any more": {once, behind, back, ""},
		"ended for good":                    {all(once, did("reinstate", "everyone", aalt, tool, behind)), behind.Add(time.Hour), nil, ""},
		"that failed":                       {all(armed, intent("reinstate", "everyone", aalt, tool, now), receipt("failed", now)), now.Add(time.Minute), back, ""},
		"said again":                        {all(once, leaves(aalt, tool, rollout.LeaveUninstall)), behind.Add(time.Hour), []string{"uninstall everyone nordic/aalto tool 2.0"}, ""},
		"said again, and a call may come":   {all(armed, did("reinstate", "everyone", aalt, tool, behind), leaves(aalt, tool, rollout.LeaveUninstall)), behind.Add(time.Minute), nil, "a call may still be under way"},
		"said again and reverted again":     {all(once, did("uninstall", "everyone", aalt, tool, behind.Add(time.Hour))), behind.Add(2 * time.Hour), back, ""},
		"another release came since":        {all(armed, did("promote", "everyone", aalt, tool, behind)), behind.Add(time.Hour), nil, ""},
		"taken out of packages instead":     {all(armed, without(aalt, tool), did("promote", "everyone", aalt, pad, at)), behind, []string{"remove everyone nordic/aalto tool 2.0"}, ""},
		"removed, and under packages again": {all(armed, did("remove", "everyone", aalt, tool, behind)), behind.Add(time.Hour), nil, ""},
		"a freeze does not keep it":         {all(armed, freeze("all", at, behind)), now, back, ""},
		"nor does a hold":                   {all(armed, hold("wait", "hold", tool)), now, back, ""},
		"the tenant is gone":                {all(armed, func(w *world) { delete(w.repo.Tenants, aalt) }), now, nil, ""},
		"its connection is gone":            {all(armed, tenant(aalt, func(t *fleet.Tenant) { t.Intune = nil })), now, nil, ""},
		"the catalog lacks it":              {all(armed, func(w *world) { delete(w.repo.Packages, tool) }), now, nil, ""},
		"a merge is not recorded":           {all(armed, func(w *world) { w.unrecorded = []string{"c9"} }), now, nil, ""},
		"main is unreviewed":                {all(armed, func(w *world) { w.rec.Merges = append(w.rec.Merges, fleet.Merge{Commit: "c9", Fault: "nobody saw"}) }), now, nil, ""},
	} {
		w := newWorld(tt.facts)
		list, waits := w.step(t, tt.now)
		var got []string
		for _, a := range list {
			if kind, _, _ := strings.Cut(a, " "); kind == rollout.Reinstate || kind == rollout.Uninstall || kind == rollout.Remove {
				got = append(got, a)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if i := slices.IndexFunc(waits, func(x string) bool { return tt.waits != "" && strings.Contains(x, tt.waits) }); tt.waits != "" && i < 0 {
			t.Errorf("%s: waits for %q, want %q", name, waits, tt.waits)
		}
	}
}

// TestReinstatesFirst: what is armed is ended before anything else is done, and no
// wave brings a release to a tenant before that is done for good.
func TestReinstatesFirst(t *testing.T) {
	at := dogfoodAt.Add(-time.Hour)
	facts := all(opened, start("dogfood", at), did("assign", "dogfood", own, pad, at), did("assign", "dogfood", own, tool, at), did("uninstall", "dogfood", own, tool, at.Add(40*time.Minute)))
	again := func(t time.Time) fact { // and the candidate slot has its wave again
		return all(did("reinstate", "dogfood", own, tool, t), func(w *world) {
			w.rec.Receipts[len(w.rec.Receipts)-1].Left = map[string]string{fleet.Candidate: "2.0 abc; required g1 from 2026-11-19T07:00:00Z"}
		})
	}
	soon, behind := at.Add(42*time.Minute), at.Add(81*time.Minute)
	held := hold("wait", "hold", tool)
	for name, tt := range map[string]struct {
		facts fact
		now   time.Time
		want  []string
	}{
		"its wave has it again":              {all(facts, again(behind)), behind.Add(time.Minute), nil},
		"which is held":                      {all(facts, again(behind), held), behind.Add(time.Minute), []string{"withdraw us/own tool 2.0"}},
		"which is held, and a call may come": {all(facts, again(soon), held), soon.Add(time.Minute), []string{"withdraw us/own tool 2.0"}},
		"which was withdrawn":                {all(facts, again(soon), held, did("withdraw", "dogfood", own, tool, soon.Add(time.Minute))), soon.Add(2 * time.Minute), nil},
		"at once":                            {facts, at.Add(41 * time.Minute), []string{"reinstate dogfood us/own tool 2.0"}},
		"a call may come":                    {all(facts, did("reinstate", "dogfood", own, tool, at.Add(41*time.Minute))), at.Add(42 * time.Minute), nil},
		"then its wave goes on":              {all(facts, did("reinstate", "dogfood", own, tool, at.Add(80*time.Minute))), at.Add(81 * time.Minute), []string{"deploy dogfood us/own tool"}},
	} {
		list, waits := newWorld(tt.facts).step(t, tt.now)
		got := slices.DeleteFunc(slices.Clone(list), func(a string) bool {
			kind, _, _ := strings.Cut(a, " ")
			return kind != rollout.Reinstate && kind != rollout.Deploy && kind != rollout.Promote && kind != rollout.Withdraw
		})
		if !slices.Equal(got, tt.want) || len(tt.want) > 0 && strings.HasPrefix(tt.want[0], rollout.Reinstate) && list[0] != tt.want[0] {
			t.Errorf("%s: %q, want %q; waits %q", name, list, tt.want, waits)
		}
	}
}

// TestBeforeUninstall is what a receipt of before tells of whom the stable slot
// was for.
func TestBeforeUninstall(t *testing.T) {
	at := on(24, 8, 0)
	left := func(text string) fact {
		return func(w *world) {
			w.rec.Receipts[len(w.rec.Receipts)-1].Left = map[string]string{fleet.Stable: text}
		}
	}
	text := rollout.SlotText(fleet.AppState{Version: "2.0", Artifact: artifact(tool, "2.0"), Targets: []fleet.Target{
		{Intent: "required", Group: rollout.AllDevices, Opens: at}, {Intent: "required", Group: "g1", Exclude: true},
	}})
	gone := rollout.SlotText(fleet.AppState{Version: "2.0", Artifact: artifact(tool, "2.0"), Targets: []fleet.Target{{Intent: "uninstall", Group: rollout.AllDevices}}})
	had, lost := all(did("promote", "everyone", aalt, tool, at), left(text)), all(did("uninstall", "everyone", aalt, tool, at), left(gone))
	waved := all(did("assign", "dogfood", aalt, tool, at), func(w *world) {
		w.rec.Receipts[len(w.rec.Receipts)-1].Left = map[string]string{fleet.Stable: text, fleet.Candidate: rollout.SlotText(fleet.AppState{Version: "2.0", Artifact: artifact(tool, "2.0"), Targets: []fleet.Target{
			{Intent: "required", Group: "g1", Opens: at, Deadline: at, Filter: "f1", Restart: fleet.Restart{Grace: 60, Countdown: 15}}, {Intent: "available", Group: "g2", Filter: "f1", Unfiltered: true}, {Intent: "required", Group: "g3", Exclude: true},
		}})}
	})
	waves := rollout.Before{Everyone: true, Without: []string{"g1"}, Waves: map[string]string{"g1": "required", "g2": "available"}}
	everyone := rollout.Before{Everyone: true, Without: []string{"g1"}}
	for name, tt := range map[string]struct {
		facts fact
		want  rollout.Before
	}{
		"never":                    {had, rollout.Before{}},
		"everyone but a group":     {all(had, lost), everyone},
		"ended already":            {all(had, lost, did("reinstate", "everyone", aalt, tool, at), left("2.0")), everyone},
		"once more":                {all(had, lost, did("reinstate", "everyone", aalt, tool, at), left(text), lost), everyone},
		"waves go on":              {all(waved, lost), waves},
		"withdrawn before":         {all(waved, did("withdraw", "dogfood", aalt, tool, at), left(text), func(w *world) { w.rec.Receipts[len(w.rec.Receipts)-1].Left[fleet.Candidate] = "2.0" }, lost), everyone},
		"withdrawn since":          {all(waved, lost, did("withdraw", "dogfood", aalt, tool, at)), everyone},
		"it removed before":        {all(did("rollback", "everyone", aalt, tool, at), left(gone), lost), rollout.Before{}},
		"nobody":                   {all(did("rollback", "everyone", aalt, tool, at), left("2.0"), lost), rollout.Before{}},
		"nothing was there":        {all(did("assign", "dogfood", aalt, tool, at), left("nothing"), lost), rollout.Before{}},
		"nobody knows":             {all(intent("promote", "everyone", aalt, tool, at), lost), rollout.Before{}},
		"another release is there": {all(had, lost, did("promote", "everyone", aalt, tool, at)), rollout.Before{}},
	} {
		got := rollout.HistoryOf(newWorld(tt.facts).rec).BeforeUninstall(rollout.Slot{Tenant: aalt, Package: tool})
		if got.Everyone != tt.want.Everyone || !slices.Equal(got.Without, tt.want.Without) || !maps.Equal(got.Waves, tt.want.Waves) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
