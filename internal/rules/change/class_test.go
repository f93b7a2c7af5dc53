package change

import (
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// TestClass gives one change of every kind that can loosen or tighten.
func TestClass(t *testing.T) {
	acme := func(edit func(p *fleet.Policy)) func(r *fleet.Repository) {
		return func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) { edit(&t.Policy) })
		}
	}
	because := fleet.Because{Reason: "r", Expires: noon.AddDate(0, 0, 20)}
	wave := func(edit func(w *fleet.Wave)) func(r *fleet.Repository) {
		return func(r *fleet.Repository) {
			r.Waves = slices.Clone(r.Waves)
			edit(&r.Waves[0])
		}
	}
	freeze := fleet.Freeze{From: noon, Until: noon.AddDate(0, 0, 10), Scope: "all", Reason: "r"}
	with := func(f fleet.Freeze) func(r *fleet.Repository) {
		return func(r *fleet.Repository) { r.Freezes = map[string]fleet.Freeze{"year-end": f} }
	}
	exposure := func(devices, approvers int) func(r *fleet.Repository) {
		return func(r *fleet.Repository) {
			r.Operator.Trust.Exposure = &fleet.Exposure{PerMerge: &fleet.Budget{Devices: &devices, Approvers: approvers}}
		}
	}
	later, soon, narrow := freeze, freeze, freeze
	later.Until, soon.Until, narrow.Scope = later.Until.AddDate(0, 0, 1), soon.Until.AddDate(0, 0, -1), "nonSecurity"
	tests := []struct {
		name       string
		base, head func(r *fleet.Repository)
		class      string
		looser     []string
	}{
		{"nothing", nil, nil, "", nil},
		{"a release", nil, func(r *fleet.Repository) { addRelease(r, "24.09", func(*fleet.Download, *fleet.Release) {}) }, "", nil},
		{"pin", nil, acme(func(p *fleet.Policy) {
			p.Pins = map[fleet.PackageID]fleet.PinnedTo{zip: {Version: "24.*", Reason: "r", Expires: because.Expires}}
		}), Loosening, []string{"nordic/acme: pins.igor-pavlov/7-zip nothing → 24.* until 2026-12-08: r"}},
		{"opt-out", nil, acme(func(p *fleet.Policy) { p.OptOuts = map[fleet.PackageID]fleet.Because{zip: because} }), Loosening, []string{"nordic/acme: optOuts.igor-pavlov/7-zip nothing → until 2026-12-08: r"}},
		{"driver block", nil, acme(func(p *fleet.Policy) { p.DriverBlock = map[string]fleet.Because{"intel/*": because} }), Loosening, []string{"nordic/acme: driverBlock.intel/* nothing → until 2026-12-08: r"}},
		{"driver block ends", acme(func(p *fleet.Policy) { p.DriverBlock = map[string]fleet.Because{"intel/*": because} }), nil, Tightening, nil},
		{"a stricter bound with a pin", nil, acme(func(p *fleet.Policy) {
			p.MaxFailuresPercent = 1
			*p = declared(*p)
			p.OptOuts = map[fleet.PackageID]fleet.Because{zip: because}
		}), Loosening, []string{"nordic/acme: optOuts.igor-pavlov/7-zip nothing → until 2026-12-08: r"}},
		{"a word below may no longer choose", nil, acme(func(p *fleet.Policy) { p.Bounds["approval"] = `"implicit" | "partner"` }), Tightening, nil},
		{"a word below may choose again", acme(func(p *fleet.Policy) { p.Bounds["approval"] = `"implicit" | "partner"` }), nil, Loosening,
			[]string{`nordic/acme: approval "implicit" | "partner" → "implicit" | "partner" | "site"`}},
		{"a bound that cannot be read", nil, acme(func(p *fleet.Policy) { p.MaxFailuresPercent, p.Bounds["maxFailuresPercent"] = 1, "f(1)" }), Loosening, []string{"nordic/acme: maxFailuresPercent 2 → 1"}},
		{"one that has the same value", nil, acme(func(p *fleet.Policy) { p.Bounds["maxFailuresPercent"] = "f(2)" }), Loosening,
			[]string{"nordic/acme: maxFailuresPercent number & >=0 & <=2 → f(2)"}},
		{"stricter gate", nil, wave(func(w *fleet.Wave) { w.Gate.Success = 99 }), Tightening, nil},
		{"easier gate", nil, wave(func(w *fleet.Wave) { w.Gate.Error = 3 }), Loosening, []string{"wave dogfood: gate.error 2 → 3"}},
		{"stricter and easier gate", nil, wave(func(w *fleet.Wave) { w.Gate.Error, w.Gate.Success = 3, 99 }), Loosening, []string{"wave dogfood: gate.error 2 → 3"}},
		{"other devices", nil, wave(func(w *fleet.Wave) { w.Select.Tenants = map[string]fleet.Values{"role": {"own"}} }), Loosening,
			[]string{"wave dogfood: select.tenants.role nothing → own, which nothing proves to tighten"}},
		{"a wave is gone", nil, func(r *fleet.Repository) { r.Waves = r.Waves[1:] }, Loosening, []string{"wave dogfood removed"}},
		{"another weekday", nil, func(r *fleet.Repository) {
			r.Week.Steps = map[string]fleet.WeekStep{"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"}, "dogfood": {On: "Thu", At: "09:00"}, "deploy": {On: "Tue", At: "14:00"}}
		}, Loosening, []string{"the week: steps.deploy.on Mon → Tue, which nothing proves to tighten"}},
		{"more approvers", nil, func(r *fleet.Repository) { r.Operator.Trust.Approvals = 3 }, Tightening, nil},
		{"a budget of exposure", nil, exposure(200, 2), Tightening, nil},
		{"a smaller budget", exposure(200, 2), exposure(100, 3), Tightening, nil},
		{"a larger budget", exposure(200, 2), exposure(201, 2), Loosening, []string{"the operator: trust.exposure.perMerge.devices 200 → 201"}},
		{"fewer approvers beyond it", exposure(200, 3), exposure(200, 2), Loosening, []string{"the operator: trust.exposure.perMerge.approvers 3 → 2"}},
		{"no budget", exposure(200, 2), nil, Loosening, []string{"the operator: trust.exposure.perMerge.approvers 2 → nothing", "the operator: trust.exposure.perMerge.devices 200 → nothing"}},
		{"freeze", nil, with(freeze), Loosening, []string{"freeze year-end added"}},
		{"longer freeze", with(freeze), with(later), Loosening, []string{"freeze year-end changed"}},
		{"shorter freeze", with(freeze), with(soon), Tightening, nil},
		{"freeze lets security through", with(freeze), with(narrow), Tightening, nil},
		{"freeze stops security, too", with(narrow), with(freeze), Loosening, []string{"freeze year-end changed"}},
		{"freeze ends", with(freeze), nil, Tightening, nil},
		{"hold is taken away", func(r *fleet.Repository) {
			r.Holds = map[string]fleet.Hold{"h": {Kind: "hold", Package: zip, Release: "24.08", Reason: "r"}}
		}, nil, Loosening, []string{"hold h removed"}},
		{"a tenant with a pin", func(r *fleet.Repository) { delete(r.Tenants, "nordic/acme") }, acme(func(p *fleet.Policy) { p.OptOuts = map[fleet.PackageID]fleet.Because{zip: because} }), Loosening,
			[]string{"nordic/acme: optOuts.igor-pavlov/7-zip nothing → until 2026-12-08: r"}},
		{"a tenant", func(r *fleet.Repository) { delete(r.Tenants, "nordic/acme") }, nil, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, head := world(), world()
			for _, side := range []struct {
				r    *fleet.Repository
				edit func(r *fleet.Repository)
			}{{base, tt.base}, {head, tt.head}} {
				if side.edit != nil {
					side.edit(side.r)
				}
			}
			c := compare(t, base, head)
			if c.Class != tt.class || !slices.Equal(c.Looser, tt.looser) {
				t.Errorf("class %q, looser %q; want %q, %q", c.Class, c.Looser, tt.class, tt.looser)
			}
		})
	}
}

// TestCaps raises the operator's limit and uses it in one change.
func TestCaps(t *testing.T) {
	raise := func(r *fleet.Repository) {
		for id := range r.Tenants {
			setTenant(r, id, func(t *fleet.Tenant) { t.Policy.MaxExceptionDays = 900; t.Policy = declared(t.Policy) })
		}
	}
	until := func(days int) func(r *fleet.Repository) {
		return func(r *fleet.Repository) {
			setTenant(r, "nordic/acme", func(t *fleet.Tenant) {
				t.Policy.OptOuts = map[fleet.PackageID]fleet.Because{zip: {Reason: "r", Expires: noon.AddDate(0, 0, days)}}
			})
		}
	}
	freeze := func(days int) func(r *fleet.Repository) {
		return func(r *fleet.Repository) {
			r.Freezes = map[string]fleet.Freeze{"f": {From: noon, Until: noon.AddDate(0, 0, days), Scope: "all", Reason: "r"}}
		}
	}
	for _, tt := range []struct {
		name    string
		edit    func(r *fleet.Repository)
		refused int
	}{
		{"an opt-out of 90 days", until(90), 0}, {"of 91 days", until(91), 1},
		{"a freeze of 90 days", freeze(90), 0}, {"a freeze of 91 days", freeze(91), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			head := edited(func(r *fleet.Repository) { raise(r); tt.edit(r) })
			if got := Compare(world(), head, Options{Now: noon}).Refusals(); len(got) != tt.refused {
				t.Errorf("refused: %v", got)
			}
			raised := world()
			raise(raised)
			if got := Compare(raised, head, Options{Now: noon}).Refusals(); len(got) != 0 {
				t.Errorf("allowed by the base: %v", got)
			}
		})
	}
	old := world()
	until(500)(old)
	if got := Compare(old, edited(until(500)), Options{Now: noon.Add(time.Hour)}).Refusals(); len(got) != 0 {
		t.Errorf("an exception that was there before is refused again: %v", got)
	}
}
