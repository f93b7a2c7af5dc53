package factory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestStableIsShutBeforeItsContent: a promotion, or a way back, is killed after each
// of its changes on a tenant that installs at night alone. Whenever that is, nobody
// is offered by day what the stable slot holds anew.
func TestStableIsShutBeforeItsContent(t *testing.T) {
	for kind, c := range map[string]struct{ is, becomes string }{
		rollout.Promote:  {"24.09", "24.10"},
		rollout.RollBack: {"24.10", "24.09"},
	} {
		t.Run(kind, func(t *testing.T) {
			for n := int64(1); ; n++ {
				w := newLeaseWorld(t)
				tenant := w.repo.Tenants[w.tenants[0]]
				tenant.Zone = "UTC"
				tenant.Windows = map[string]fleet.Window{"night": {
					On: []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, From: "22:00", Until: "04:00", For: []string{"install"}, Holidays: "open",
					DST: fleet.DSTRule{Gap: "later", Fold: "first"},
				}}
				w.repo.Tenants[tenant.ID] = tenant
				if c.is == "24.10" {
					w.must(rollout.Promote, leaseCycle)
				}
				at := w.clock.Now().Truncate(24 * time.Hour).Add(34 * time.Hour) // 10:00
				w.clock.Set(at)
				if state := w.slot(fleet.Stable); state.Version != c.is {
					t.Fatalf("before: %+v", state)
				}
				w.dial()
				one := w.mortal(n)
				then := *w.rec
				_, _, err := one.CarryOut(t.Context(), rollout.Facts{Repo: w.repo, Record: &then}, w.newest(kind, leaseCycle))
				state := w.slot(fleet.Stable)
				for _, target := range state.Targets {
					if state.Version == c.becomes && !target.Exclude && target.Opens.Before(at.Add(12*time.Hour)) {
						t.Errorf("killed after %d changes: %s from %s on", n, state.Version, target.Opens)
					}
				}
				if !errors.Is(err, errKilled) {
					if err != nil || state.Version != c.becomes || n < 3 {
						t.Errorf("after %d changes: %+v, %v", n, state, err)
					}
					break
				}
			}
		})
	}
}
