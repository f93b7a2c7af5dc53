package proof

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func TestFeasible(t *testing.T) {
	night := fleet.Window{On: []string{"Sat"}, From: "22:00", Until: "02:00", For: []string{"install"}}
	nightly := fleet.Window{On: []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, From: "22:00", Until: "02:00", For: []string{"install"}}
	december := fleet.Freeze{From: time.Date(2026, 12, 18, 0, 0, 0, 0, time.UTC), Until: time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC), Scope: "all", Reason: "r"}
	tests := []struct {
		name string
		edit func(r *fleet.Repository)
		want []string // parts of the finding; none for no finding
		file string
		keys []string
	}{
		{"kept", func(*fleet.Repository) {}, nil, "", nil},
		{"exactly kept", func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Policy.CriticalWithinHours = 16 })
		}, nil, "", nil},
		{"an hour less is promised", func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Policy.CriticalWithinHours = 15 })
		}, []string{"within 15 hours, as tenants/operator.cue:18:24 promises", "reaches wave everyone at 2026-11-19 04:00Z", ": 16 hours"},
			"schedules/waves.cue", []string{"waves", "everyone", "lanes", "cve"}},
		{"a tenant of the first wave alone", func(r *fleet.Repository) {
			setTenant(r, "own/office", func(t *fleet.Tenant) { t.Policy.CriticalWithinHours = 1 })
		}, nil, "", nil},
		{"a group promises more", func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) {
				strict := t.Policy
				strict.CriticalWithinHours = 8
				t.Groups = map[string]fleet.Group{"finance": {Name: "Finance", Policy: strict}}
			})
		}, []string{"nordic/acme group finance"}, "schedules/waves.cue", nil},
		{"one window a week", func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Windows = map[string]fleet.Window{"weekend": night} })
		}, []string{"nordic/acme", "the window weekend ends at 2026-11-29 02:00Z: 184 hours"}, "tenants/nordic/acme/tenant.cue", []string{"tenant", "windows", "weekend"}},
		{"a window for restarts only", func(r *fleet.Repository) {
			reboot := night
			reboot.For = []string{"reboot"}
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Windows = map[string]fleet.Window{"weekend": reboot} })
		}, nil, "", nil},
		{"a window every night", func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Windows = map[string]fleet.Window{"nights": nightly} })
		}, nil, "", nil},
		{"a second window helps", func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Windows = map[string]fleet.Window{"nights": nightly, "weekend": night} })
		}, nil, "", nil},
		{"a freeze of everything", func(r *fleet.Repository) { r.Freezes["year-end"] = december },
			[]string{"nordic/acme and 2 others", "one that is ready at 2026-12-17 08:00Z", "held back by freeze year-end"}, "schedules/freezes/year-end.cue", []string{"freezes", "year-end"}},
		{"a freeze that lets fixes through", func(r *fleet.Repository) {
			f := december
			f.Scope = "nonSecurity"
			r.Freezes["year-end"] = f
		}, nil, "", nil},
		{"a short freeze", func(r *fleet.Repository) {
			f := december
			f.Until = f.From.Add(30 * time.Hour)
			r.Freezes["move"] = f
		}, nil, "", nil},
		{"a freeze that is over", func(r *fleet.Repository) {
			r.Freezes["summer"] = fleet.Freeze{From: wednesday.AddDate(0, -3, 0), Until: wednesday.AddDate(0, -2, 0), Scope: "all"}
		}, nil, "", nil},
		{"two freezes, one after the other", func(r *fleet.Repository) {
			a, b := december, december
			a.Until = a.From.Add(40 * time.Hour)
			b.From, b.Until = a.Until, a.Until.Add(40*time.Hour)
			r.Freezes["a"], r.Freezes["b"] = a, b
		}, []string{"held back by freeze b"}, "schedules/freezes/b.cue", nil},
		{"the night before a freeze is the only one", func(r *fleet.Repository) {
			f := december
			f.From, f.Until = time.Date(2026, 12, 18, 20, 0, 0, 0, time.UTC), time.Date(2026, 12, 20, 6, 0, 0, 0, time.UTC)
			r.Freezes["audit"] = f
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) {
				t.Policy.CriticalWithinHours = 48
				t.Windows = map[string]fleet.Window{"nights": nightly}
			})
		}, []string{"nordic/acme", "held back by freeze audit", "the window nights ends"}, "schedules/freezes/audit.cue", nil},
		{"devices that no wave takes", func(r *fleet.Repository) {
			setWave(r, "everyone", func(w *fleet.Wave) { w.Select.Percent = ptr(50.0) })
		},
			[]string{"nordic/acme and 1 other", "no wave of the lane cve takes those that are left"}, "schedules/waves.cue", []string{"waves"}},
		{"a local time twelve hours later", func(r *fleet.Repository) {
			setWave(r, "everyone", func(w *fleet.Wave) { w.Opens.Zone = "tenant" })
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Zone, t.Policy.CriticalWithinHours = "Pacific/Honolulu", 20 })
		}, []string{"reaches wave everyone at 2026-11-19 14:00Z", ": 26 hours"}, "schedules/waves.cue", nil},
		{"and then the next window", func(r *fleet.Repository) {
			setWave(r, "everyone", func(w *fleet.Wave) { w.Opens.Zone = "tenant" })
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) {
				t.Zone, t.Windows = "Pacific/Honolulu", map[string]fleet.Window{"weekend": night}
			})
		}, []string{"the window weekend ends"}, "tenants/nordic/acme/tenant.cue", nil},
		{"grace for those reached late", func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Policy.CriticalWithinHours, t.Policy.CriticalGraceHours = 19, 4 })
		}, []string{": 20 hours"}, "schedules/waves.cue", nil},
		{"windows that are shut over Christmas", func(r *fleet.Repository) {
			shut := nightly
			shut.Holidays = "shut"
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) {
				t.Windows = map[string]fleet.Window{"nights": shut}
				t.Holidays = &fleet.Holidays{Add: map[string]string{"2026-12-23": "closed", "2026-12-24": "closed", "2026-12-25": "closed", "2026-12-26": "closed"}}
			})
		}, []string{"the window nights ends at 2026-12-28 02:00Z"}, "tenants/nordic/acme/tenant.cue", nil},
		{"an ordinary release within fifteen days", func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Policy.NonSecurityWithinDays = 15 })
		}, nil, "", nil},
		{"within fourteen", func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Policy.NonSecurityWithinDays = 14 })
		}, []string{"an ordinary release cannot reach the last device within 336 hours, as its policy promises", ": 342 hours"}, "schedules/waves.cue", []string{"waves", "everyone", "opens"}},
		{"and a freeze of ordinary releases", func(r *fleet.Repository) {
			f := december
			f.Scope = "nonSecurity"
			r.Freezes["year-end"] = f
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Policy.NonSecurityWithinDays = 15 })
		}, []string{"an ordinary release cannot", "held back by freeze year-end"}, "schedules/freezes/year-end.cue", []string{"freezes", "year-end"}},
		{"a few hours of freeze over the week's deploy cost a week", func(r *fleet.Repository) {
			r.Freezes["works"] = fleet.Freeze{From: time.Date(2026, 11, 30, 13, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 30, 16, 0, 0, 0, time.UTC), Scope: "all"}
			for _, id := range []fleet.TenantID{"nordic/acme", "nordic/birch"} {
				setTenant(r, id, func(t *fleet.Tenant) { t.Policy = fleet.Policy{} })
			}
			setTenant(r, "own/office", func(t *fleet.Tenant) { t.Policy.NonSecurityWithinDays = 13 })
		}, []string{"an ordinary release cannot", "held back by freeze works", ": 454 hours"}, "schedules/freezes/works.cue", []string{"freezes", "works"}},
		{"on-site consoles fetch for themselves", func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { t.Intune, t.Policy.CriticalWithinHours = nil, 1 })
		}, nil, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := world()
			tt.edit(r)
			found := Feasible(r, wednesday)
			if len(tt.want) == 0 {
				if len(found) > 0 {
					t.Errorf("found %+v", found)
				}
				return
			}
			f := only(t, found)
			for _, part := range tt.want {
				if !strings.Contains(f.Object+": "+f.Text, part) {
					t.Errorf("%q is missing in %s: %s", part, f.Object, f.Text)
				}
			}
			if f.Warn || f.Hint == "" || f.File != tt.file || tt.keys != nil && !slices.Equal(f.Keys, tt.keys) {
				t.Errorf("finding at %s %q, warning %v, hint %q", f.File, f.Keys, f.Warn, f.Hint)
			}
		})
	}
}

// TestFeasibleWeek has no lane for fixes: one warning, however many tenants.
func TestFeasibleWeek(t *testing.T) {
	r := world()
	for i := range r.Waves {
		r.Waves[i].Lanes = nil
	}
	f := only(t, Feasible(r, wednesday))
	// Ready right after one cut-off, it goes with the next and, behind two waves
	// that bake 28 hours each, begins on the Tuesday night after.
	if !f.Warn || !strings.Contains(f.Text, "one that is ready at 2026-11-18 16:00Z takes up to 342 hours") {
		t.Errorf("%+v", f)
	}
	for id := range r.Tenants {
		setTenant(r, id, func(t *fleet.Tenant) { t.Policy.CriticalWithinHours = 342 })
	}
	if found := Feasible(r, wednesday); len(found) > 0 {
		t.Errorf("kept, and still found: %+v", found)
	}
	if found := Feasible(&fleet.Repository{}, wednesday); found != nil {
		t.Errorf("an empty repository promises nothing: %+v", found)
	}
}

// TestFeasibleUnreadable: what cannot be read is told elsewhere, and restricts
// nothing here.
func TestFeasibleUnreadable(t *testing.T) {
	r := world()
	r.Week.Holidays = &fleet.Holidays{Country: "XX"}
	setTenant(r, "nordic/acme", func(t *fleet.Tenant) {
		t.Zone, t.Windows = "Nowhere", map[string]fleet.Window{"w": {On: []string{"Sat"}, From: "22:00", Until: "02:00", For: []string{"install"}}}
	})
	setWave(r, "everyone", func(w *fleet.Wave) { w.Opens.Zone = "tenant" })
	if found := Feasible(r, wednesday); len(found) > 0 {
		t.Errorf("found %+v", found)
	}
}

// TestFeasibleMinuteByMinute compares the instants that the proof picks with
// all of them.
func TestFeasibleMinuteByMinute(t *testing.T) {
	r := world()
	r.Freezes["a"] = fleet.Freeze{From: wednesday.Add(31 * time.Hour), Until: wednesday.Add(40 * time.Hour), Scope: "all"}
	r.Freezes["b"] = fleet.Freeze{From: wednesday.Add(90 * time.Hour), Until: wednesday.Add(97 * time.Hour), Scope: "all"}
	setTenant(r, "nordic/acme", func(t *fleet.Tenant) {
		t.Zone = "Europe/Helsinki"
		t.Windows = map[string]fleet.Window{"a": {On: []string{"Mon", "Wed"}, From: "20:10", Until: "21:40", For: []string{"install"}}, "b": {On: []string{"Fri"}, From: "01:00", Until: "03:00", For: []string{"install"}}}
	})
	p := newFeasibility(r, wednesday, "cve", true)
	acme := r.Tenants["nordic/acme"]
	got := p.delay(acme, []int{1, 2}, everything)
	var worst time.Duration
	installs := p.installs(acme, everything)
	for m := range int(horizon / time.Minute) {
		at := wednesday.Add(time.Duration(m) * time.Minute)
		steps := p.run(readiness{at, at}, everything)
		for _, i := range []int{1, 2} {
			_, done := p.install(installs, p.waves[i], steps[i].opens, 0)
			worst = max(worst, done.Sub(at))
		}
	}
	if got.took != worst {
		t.Errorf("the proof says %v (ready at %v), minute by minute it is %v", got.took, got.ready, worst)
	}
}
