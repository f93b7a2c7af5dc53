package drift

import (
	"fmt"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestAssigned has a row for each way in which people may change whom an object is
// for, and for what only looks like it.
func TestAssigned(t *testing.T) {
	at := time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)
	to := func(group string, change ...func(*fleet.Target)) fleet.Target {
		out := fleet.Target{Intent: "required", Group: group}
		for _, c := range change {
			c(&out)
		}
		return out
	}
	opens := func(x *fleet.Target) { x.Opens, x.Deadline = at, at.Add(24*time.Hour) }
	local := func(x *fleet.Target) { x.LocalTime = true }
	filter := func(x *fleet.Target) { x.Filter = "f1" }
	left := func(x *fleet.Target) { x.Filter, x.Unfiltered = "f1", true }
	grace := func(x *fleet.Target) { x.Restart = fleet.Restart{Grace: 60, Countdown: 10} }
	offered := func(x *fleet.Target) { x.Intent = "available" }
	out := func(x *fleet.Target) { x.Exclude = true }
	app := fleet.PartState{Kind: fleet.PartApp, Timed: true}
	mac := fleet.PartState{Kind: fleet.PartApp}
	policy := fleet.PartState{Kind: fleet.PartCatalogPolicy}
	script := fleet.PartState{Kind: fleet.PartHealthScript}
	update := fleet.PartState{Kind: fleet.PartUpdate}
	list := func(t ...fleet.Target) []fleet.Target { return t }
	for _, tt := range []struct {
		what      string
		part      fleet.PartState
		named     []string
		was, have []fleet.Target
		want      string
	}{
		{"as it was", app, nil, list(to("G", opens, local, filter, grace), to("all devices", left), to("X", out)), list(to("X", out), to("all devices", left), to("g", opens, local, filter, grace)), "[]"},
		{"nobody", app, nil, nil, nil, "[]"},
		{"removed", app, nil, list(to("g"), to("h")), list(to("h")), `[assignments/g "required g" > ]`},
		{"added", app, nil, nil, list(to("all devices")), `[assignments/all devices  > "required all devices"]`},
		{"an exclusion removed", app, nil, list(to("g"), to("x", out)), list(to("g")), `[assignments/not x "not x" > ]`},
		{"another start", app, nil, list(to("g", opens)), list(to("g")), `[assignments/g "required g from 2026-11-24T20:00:00Z by 2026-11-25T20:00:00Z" > "required g"]`},
		{"local time", app, nil, list(to("g", opens)), list(to("g", opens, local)), `[assignments/g "required g from 2026-11-24T20:00:00Z by 2026-11-25T20:00:00Z" > "required g from 2026-11-24T20:00:00 local by 2026-11-25T20:00:00 local"]`},
		{"a filter", app, nil, list(to("g")), list(to("g", filter)), `[assignments/g "required g" > "required g through filter f1"]`},
		{"its filter turned round", app, nil, list(to("all users", filter, opens)), list(to("all users", left, opens)),
			`[assignments/all users "required all users through filter f1 from 2026-11-24T20:00:00Z by 2026-11-25T20:00:00Z" > "required all users but filter f1 from 2026-11-24T20:00:00Z by 2026-11-25T20:00:00Z"]`},
		{"another intent", app, nil, list(to("g")), list(to("g", offered)), `[assignments/g "required g" > "available g"]`},
		{"a restart", app, nil, list(to("g", grace)), list(to("g")), `[assignments/g "required g restart 60/10/0" > "required g"]`},

		{"no start beside an app that has one", mac, nil, list(to("g", opens)), list(to("g")), "[]"},
		{"not yet beside an app that has a start", mac, nil, list(to("g", opens)), nil, "[]"},
		{"no filter beside an app that has one", mac, nil, list(to("g", filter)), nil, "[]"},
		{"removed of it", mac, nil, list(to("g")), nil, `[assignments/g "required g" > ]`},
		{"removed of it, by its marker", mac, []string{"all devices"}, list(to("all devices", opens)), nil, `[assignments/all devices "required all devices from 2026-11-24T20:00:00Z by 2026-11-25T20:00:00Z" > ]`},
		{"another intent of it", mac, nil, list(to("g", opens)), list(to("g", offered)), `[assignments/g "required g" > "available g"]`},

		{"what is offered is no policy's", policy, nil, list(to("g", offered)), nil, "[]"},
		{"removed of a policy", policy, nil, list(to("g"), to("x", out)), nil, `[assignments/g "required g" >  assignments/not x "not x" > ]`},
		{"a remediation waits", script, nil, list(to("g")), nil, "[]"},
		{"removed of a remediation, by its marker", script, []string{"-X"}, list(to("g"), to("x", out)), list(to("g")), `[assignments/not x "not x" > ]`},
		{"removed of an update", update, nil, list(to("g")), nil, `[assignments/g "required g" > ]`},
	} {
		part := tt.part
		part.Targets, part.Named = tt.have, tt.named
		text := rollout.SlotText(fleet.AppState{Version: "1", Artifact: fleet.DigestOf([]byte("a")), Targets: tt.was})
		var got []string
		for _, c := range Assigned(rollout.SlotLeft(text), part) {
			got = append(got, c.Path+" "+c.Base+" > "+c.Have)
			if c.State != Drift || c.Want != c.Base {
				t.Errorf("%s: %+v", tt.what, c)
			}
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%s: %v, want %s", tt.what, got, tt.want)
		}
	}
}
