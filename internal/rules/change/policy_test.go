package change

import (
	"reflect"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// TestPolicyDirections edits one field of every kind and asks for its side.
func TestPolicyDirections(t *testing.T) {
	later := noon.AddDate(0, 1, 0)
	pin := func(expires time.Time) map[fleet.PackageID]fleet.PinnedTo {
		return map[fleet.PackageID]fleet.PinnedTo{zip: {Version: "24.*", Reason: "r", Expires: expires}}
	}
	tests := []struct {
		name      string
		base      func(p *fleet.Policy)
		head      func(p *fleet.Policy)
		field     string
		direction string
	}{
		{"fewer hours", nil, func(p *fleet.Policy) { p.CriticalWithinHours = 48 }, "criticalWithinHours", Tighter},
		{"more hours", nil, func(p *fleet.Policy) { p.CriticalWithinHours = 96 }, "criticalWithinHours", Looser},
		{"a limit where there was none", nil, func(p *fleet.Policy) { p.NonSecurityWithinDays = 14 }, "nonSecurityWithinDays", Tighter},
		{"no limit any more", func(p *fleet.Policy) { p.NonSecurityWithinDays = 14 }, func(p *fleet.Policy) { p.NonSecurityWithinDays = 0 }, "nonSecurityWithinDays", Looser},
		{"a longer limit", func(p *fleet.Policy) { p.NonSecurityWithinDays = 14 }, func(p *fleet.Policy) { p.NonSecurityWithinDays = 21 }, "nonSecurityWithinDays", Looser},
		{"grace where there was none", nil, func(p *fleet.Policy) { p.CriticalGraceHours = 24 }, "criticalGraceHours", Looser},
		{"no grace any more", func(p *fleet.Policy) { p.NonSecurityGraceHours = 24 }, func(p *fleet.Policy) { p.NonSecurityGraceHours = 0 }, "nonSecurityGraceHours", Tighter},
		{"longer deferral", nil, func(p *fleet.Policy) { p.NonSecurityDeferDays = 30 }, "nonSecurityDeferDays", Looser},
		{"shorter deferral", nil, func(p *fleet.Policy) { p.NonSecurityDeferDays = 1 }, "nonSecurityDeferDays", Looser},
		{"any reboot", nil, func(p *fleet.Policy) { p.Reboot = "anytime" }, "reboot", Looser},
		{"fewer failures", nil, func(p *fleet.Policy) { p.MaxFailuresPercent = 0.5 }, "maxFailuresPercent", Tighter},
		{"partner approves", nil, func(p *fleet.Policy) { p.Approval = "partner" }, "approval", Tighter},
		{"site no longer approves", func(p *fleet.Policy) { p.Approval = "site" }, func(p *fleet.Policy) { p.Approval = "partner" }, "approval", Looser},
		{"longer exceptions", nil, func(p *fleet.Policy) { p.MaxExceptionDays = 365 }, "maxExceptionDays", Looser},
		{"shorter pin", func(p *fleet.Policy) { p.Pins = pin(later) }, func(p *fleet.Policy) { p.Pins = pin(noon) }, "pins.igor-pavlov/7-zip", Tighter},
		{"longer pin", func(p *fleet.Policy) { p.Pins = pin(noon) }, func(p *fleet.Policy) { p.Pins = pin(later) }, "pins.igor-pavlov/7-zip", Looser},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := func(r *fleet.Repository, edit func(p *fleet.Policy)) {
				if edit != nil {
					setTenant(r, "nordic/acme", func(t *fleet.Tenant) { edit(&t.Policy); t.Policy = declared(t.Policy) })
				}
			}
			base := world()
			at(base, tt.base)
			c := compare(t, base, edited(func(r *fleet.Repository) { at(r, tt.base); at(r, tt.head) }))
			if len(c.Policies) != 1 || len(c.Policies[0].Edits) != 1 {
				t.Fatalf("policies: %+v", c.Policies)
			}
			e := c.Policies[0].Edits[0]
			if e.Field != tt.field || e.Direction != tt.direction {
				t.Errorf("got %+v, want %s %s", e, tt.field, tt.direction)
			}
			if looser := len(c.Findings) == 1; looser != (tt.direction == Looser) {
				t.Errorf("findings: %q", texts(c.Findings))
			}
			if want := map[string]string{Tighter: Tightening, Looser: Loosening}[tt.direction]; c.Class != want || c.Policies[0].Class != want {
				t.Errorf("class %q, of the policy %q, want %q", c.Class, c.Policies[0].Class, want)
			}
			if rows := len(c.Looser); (rows == 1) != (tt.direction == Looser) {
				t.Errorf("rows that got looser: %q", c.Looser)
			}
			if len(c.Tenants) != 0 {
				t.Errorf("the policy is told once: %+v", c.Tenants)
			}
		})
	}
}

func TestNewExceptionIsLooser(t *testing.T) {
	because := fleet.Because{Reason: "drops docks", Expires: noon.AddDate(0, 1, 0)}
	with := func(r *fleet.Repository) {
		setTenant(r, "nordic/acme", func(t *fleet.Tenant) {
			t.Policy.OptOuts = map[fleet.PackageID]fleet.Because{zip: because}
			t.Policy.DriverBlock = map[string]fleet.Because{"intel/wifi-23.*": because}
		})
	}
	c := compare(t, world(), edited(with))
	if n := len(c.Findings); n != 2 {
		t.Errorf("%d findings, want one for each new exception: %q", n, texts(c.Findings))
	}
	want := Edit{"optOuts.igor-pavlov/7-zip", "", "until 2026-12-18: drops docks", Looser}
	if got := c.Policies[0].Edits[1]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	was := world()
	with(was)
	for _, e := range compare(t, was, edited(func(*fleet.Repository) {})).Policies[0].Edits {
		if e.Direction == Looser {
			t.Errorf("ending an exception is not loosening: %+v", e)
		}
	}
}

// TestPoliciesGroup gives three tenants the same edit: it is told once.
func TestPoliciesGroup(t *testing.T) {
	c := compare(t, world(), edited(func(r *fleet.Repository) {
		for id := range r.Tenants {
			setTenant(r, id, func(t *fleet.Tenant) { t.Policy.MaxFailuresPercent = 5; t.Policy = declared(t.Policy) })
		}
		setTenant(r, "nordic/acme", func(t *fleet.Tenant) {
			strict := t.Policy
			strict.MaxFailuresPercent = 1
			t.Groups = map[string]fleet.Group{"finance": {Name: "Finance", Policy: declared(strict)}}
		})
	}))
	if len(c.Policies) != 2 {
		t.Fatalf("policies: %+v", c.Policies)
	}
	if want := []string{"direct/cedar", "nordic/acme", "nordic/birch"}; !reflect.DeepEqual(c.Policies[0].Subjects, want) || c.Policies[0].Reach.Devices != 100 {
		t.Errorf("policy: %+v", c.Policies[0])
	}
	if want := []string{"nordic/acme group finance"}; !reflect.DeepEqual(c.Policies[1].Subjects, want) {
		t.Errorf("policy: %+v", c.Policies[1])
	}
	if e := c.Policies[1].Edits[0]; e.Old != "2" || e.New != "1" || e.Direction != Tighter {
		t.Errorf("a new group is compared with the tenant it was part of: %+v", e)
	}
	wantFindings(t, c, "decide direct/cedar and 2 others: policy gets looser: maxFailuresPercent 2 → 5")
}

func TestWaveDirections(t *testing.T) {
	c := compare(t, world(), edited(func(r *fleet.Repository) {
		w := append([]fleet.Wave{}, r.Waves...)
		w[0].Gate.Success, w[0].Soak = 95, fleet.Duration(48*time.Hour)
		w[1].Advance, w[1].Gate.Silent = "merge", "excluded"
		r.Waves = w
	}))
	wantFindings(t, c,
		"decide wave dogfood: the way to go on gets easier: gate.success 98 → 95",
		"decide wave everyone: the way to go on gets easier: gate.silent failed → excluded")
	want := []Edit{{"gate.success", "98", "95", Looser}, {"soak", "24h0m0s", "48h0m0s", Tighter}}
	if len(c.Waves) != 2 || !reflect.DeepEqual(c.Waves[0].Edits, want) {
		t.Errorf("waves: %+v", c.Waves)
	}
}

// TestMissedWindowDirections lets late assignments out, and longer.
func TestMissedWindowDirections(t *testing.T) {
	with := func(rule string, within time.Duration) *fleet.Repository {
		return edited(func(r *fleet.Repository) {
			r.Waves = append([]fleet.Wave{}, r.Waves...)
			r.Waves[0].OnMissedWindow, r.Waves[0].Within = rule, fleet.Duration(within)
		})
	}
	easier := "decide wave dogfood: the way to go on gets easier: "
	next, hour, eight := with("next", 0), with("runIfWithin", 0), with("runIfWithin", 8*time.Hour)
	wantFindings(t, compare(t, next, hour), easier+"onMissedWindow next → runIfWithin")
	wantFindings(t, compare(t, hour, next))
	wantFindings(t, compare(t, hour, eight), easier+"within nothing → 8h0m0s")
	wantFindings(t, compare(t, eight, hour))
}

func TestGateDirections(t *testing.T) {
	tests := fleet.Stop{Good: 1, Bad: 5, Alpha: 0.05, Beta: 0.1, Every: fleet.Duration(time.Hour)}
	looser := tests
	looser.Bad = 10
	for name, c := range map[string]struct {
		was, is fleet.Gate
		field   string
		want    string
	}{
		"fewer sign-offs":           {fleet.Gate{SignOffs: 2}, fleet.Gate{SignOffs: 1}, "gate.signOffs", Looser},
		"no sign-offs":              {fleet.Gate{SignOffs: 2}, fleet.Gate{}, "gate.signOffs", Looser},
		"sign-offs":                 {fleet.Gate{}, fleet.Gate{SignOffs: 1}, "gate.signOffs", Tighter},
		"no report deadline":        {fleet.Gate{ReportDeadline: 5}, fleet.Gate{}, "gate.reportDeadline", Looser},
		"a report deadline":         {fleet.Gate{}, fleet.Gate{ReportDeadline: 5}, "gate.reportDeadline", Tighter},
		"more looks":                {fleet.Gate{MaxExtend: 3}, fleet.Gate{MaxExtend: 4}, "gate.maxExtend", Looser},
		"a worse rate stops it":     {fleet.Gate{Stop: &tests}, fleet.Gate{Stop: &looser}, "gate.stop.bad", Looser},
		"nothing stops it early":    {fleet.Gate{Stop: &tests}, fleet.Gate{}, "gate.stop.bad", Looser},
		"one signal is looked at":   {fleet.Gate{}, fleet.Gate{Signals: []string{"install"}}, "gate.signals", Looser},
		"all signals are looked at": {fleet.Gate{Signals: []string{"install"}}, fleet.Gate{}, "gate.signals", Tighter},
		"another signal":            {fleet.Gate{Signals: []string{"install"}}, fleet.Gate{Signals: []string{"crash"}}, "gate.signals", Looser},
		"one more signal":           {fleet.Gate{Signals: []string{"install"}}, fleet.Gate{Signals: []string{"crash", "install"}}, "gate.signals", Tighter},
	} {
		got := compare(t, edited(func(r *fleet.Repository) {
			r.Waves = []fleet.Wave{{Name: "dogfood", Gate: c.was}}
		}), edited(func(r *fleet.Repository) {
			r.Waves = []fleet.Wave{{Name: "dogfood", Gate: c.is}}
		}))
		found := ""
		for _, w := range got.Waves {
			for _, e := range w.Edits {
				if e.Field == c.field {
					found = e.Direction
				}
			}
		}
		if found != c.want {
			t.Errorf("%s: %q, want %q: %+v", name, found, c.want, got.Waves)
		}
	}
}

func TestTrust(t *testing.T) {
	c := compare(t, world(), edited(func(r *fleet.Repository) {
		r.Operator.Approvers = map[string][]fleet.Person{"releases": {{Login: "ann", Name: "Ann", From: "2025-01-01"}, {Login: "mallory", Name: "M", From: "2026-11-01"}}}
		r.Operator.Trust = fleet.Trust{Approvals: 1, Keys: map[string]fleet.TrustedKey{"k": {PEM: "x", Uses: []string{"build"}, From: "2026-01-01"}}}
		r.Publishers = map[string]fleet.Publisher{"igor-pavlov": {Name: "Igor Pavlov", Hosts: []string{"github.com", "cdn.example"}, Unsigned: "accepted"}}
	}))
	wantFindings(t, c,
		"decide igor-pavlov: installers are taken from cdn.example from now on",
		"decide k: is a trusted key from now on, or trusted for something else",
		"decide mallory: may approve as releases from 2026-11-01",
		"decide trust.approvals: fewer persons must approve a merge: 1 instead of 2")
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"", "1", "24h0m0s", "-3", "1e400", "NaN", "h"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		there := smallerIsTighter(Edit{Old: a, New: b})
		back := smallerIsTighter(Edit{Old: b, New: a})
		if (there == Tighter) != (back == Looser) || (there == Looser) != (back == Tighter) {
			t.Errorf("%q → %q is %q, and back is %q", a, b, there, back)
		}
	})
}
