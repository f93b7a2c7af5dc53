package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestStepRestores: what people changed is undone once for each time that a merge
// asks for it.
func TestStepRestores(t *testing.T) {
	at := on(24, 8, 0)
	now := at.Add(rollout.Lease + time.Minute)
	because := fleet.Because{Reason: "agreed", Expires: now.Add(48 * time.Hour)}
	ask := func(b fleet.Because) fact {
		return tenant(aalt, func(t *fleet.Tenant) { t.Restore = map[fleet.PackageID]fleet.Because{tool: b} })
	}
	asked := all(did("promote", "everyone", aalt, tool, at), ask(because))
	wentBack := all(asked, did("rollback", "everyone", aalt, tool, at.Add(time.Minute)))
	newer := func(action string) fact { // of the next release
		return all(did(action, "everyone", aalt, tool, at.Add(2*time.Minute)), func(w *world) {
			i := &w.rec.Intents[len(w.rec.Intents)-1]
			i.Release, i.Artifact = "3.0", artifact(tool, "3.0")
			w.rec.Receipts[len(w.rec.Receipts)-1].Artifact = i.Artifact
		})
	}
	done := all(asked, did("restore", "everyone", aalt, tool, now), func(w *world) { w.rec.Intents[1].Reason = rollout.RestoreWords(because) })
	for name, tt := range map[string]struct {
		facts fact
		now   time.Time
		want  bool
	}{
		"asked":                   {asked, now, true},
		"a call may be under way": {asked, at.Add(time.Minute), false},
		"done":                    {done, now.Add(time.Hour), false},
		"asked again":             {all(done, ask(fleet.Because{Reason: "once more", Expires: because.Expires})), now.Add(time.Hour), true},
		"failed":                  {all(asked, intent("restore", "everyone", aalt, tool, now), receipt("failed", now)), now.Add(time.Hour), true},
		"expired":                 {asked, because.Expires, false},
		"never brought":           {ask(because), now, false},
		"its connection is gone":  {all(asked, tenant(aalt, func(t *fleet.Tenant) { t.Intune = nil })), now, false},
		"it leaves":               {all(asked, leaves(aalt, tool, rollout.LeaveUninstall)), now, false},
		"it is held":              {all(asked, hold("wait", "hold", tool)), now, false},
		"everything is frozen":    {all(asked, freeze("all", at, now.Add(time.Hour))), now, false},
		"it is revoked":           {all(asked, revoke(tool)), now, false},
		"it went a way back":      {wentBack, now.Add(time.Hour), false},
		// The stable app is still as the way back left it, whatever the other holds.
		"it went back, and the next is assigned":   {all(wentBack, newer("assign")), now.Add(time.Hour), false},
		"it went back, and the next is stable":     {all(wentBack, newer("assign"), newer("promote")), now.Add(time.Hour), true},
		"the next is assigned, stable is revoked":  {all(asked, newer("assign"), revoke(tool)), now.Add(time.Hour), false},
		"the next is assigned, stable is held":     {all(asked, newer("assign"), hold("wait", "hold", tool)), now.Add(time.Hour), false},
		"the next is stable, the last was revoked": {all(asked, newer("assign"), newer("promote"), revoke(tool)), now.Add(time.Hour), true},
		"a merge is not recorded":                  {all(asked, func(w *world) { w.unrecorded = []string{"c9"} }), now, false},
	} {
		list, _ := newWorld(tt.facts).step(t, tt.now)
		got := false
		for _, a := range list {
			got = got || strings.HasPrefix(a, "restore ") && strings.Contains(a, " nordic/aalto tool")
		}
		if got != tt.want {
			t.Errorf("%s: %q", name, list)
		}
	}
}
