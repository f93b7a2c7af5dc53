package proof

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// horizon is how far ahead a proof looks: two months of weeks, freezes and
// windows. What lies further ahead, a later proof sees in time.
const horizon = 8 * 7 * 24 * time.Hour

// Feasible proves for every tenant that a release can reach its last device in
// the time that its policy promises, whenever within the horizon it is ready:
// cut-off, soak and looks of the waves before, the tenant's next window, and
// every freeze added up. People are taken to approve at once; what they take
// comes on top.
//
// Critical fixes go in their lane, and their hours count from its cut-off, at
// which a fix is built and tested. A repository whose waves name no such lane
// sends them with the week. That is told as a warning, once: it has not declared
// another way. All other releases go with the week, and where a policy limits
// the days after their deferral, these count from when it ends.
func Feasible(repo *fleet.Repository, now time.Time) []Finding {
	var out []Finding
	if p := newFeasibility(repo, now, fleet.LaneSecurity, true); len(p.waves) > 0 {
		out = p.broken()
	} else {
		out = newFeasibility(repo, now, fleet.LaneWeek, true).warning()
	}
	return append(out, newFeasibility(repo, now, fleet.LaneWeek, false).broken()...)
}

// feasibility is the proof for one lane and kind of release.
type feasibility struct {
	repo     *fleet.Repository
	now      time.Time
	lane     string
	security bool
	waves    []fleet.Wave
	worst    map[string]delay // by calendar: tenants with equal ones have equal delays
}

func newFeasibility(repo *fleet.Repository, now time.Time, lane string, security bool) *feasibility {
	return &feasibility{repo, now, lane, security, fleet.WavesIn(repo.Waves, lane), map[string]delay{}}
}

// limit is what a policy promises, in hours, 0 for nothing; and its field.
func (p *feasibility) limit(policy fleet.Policy) (hours float64, field string) {
	if p.security {
		return policy.CriticalWithinHours, "critical.withinHours"
	}
	return policy.NonSecurityWithinDays * 24, "nonSecurity.withinDays"
}

// grace is how long a device has at least that is reached late.
func (p *feasibility) grace(policy fleet.Policy) time.Duration {
	hours := policy.NonSecurityGraceHours
	if p.security {
		hours = policy.CriticalGraceHours
	}
	return time.Duration(hours * float64(time.Hour))
}

// A promise is one limit that a policy states.
type promise struct {
	who   string // tenant, or "<tenant> group <group>"
	t     fleet.Tenant
	hours float64
	rule  fleet.Pos
}

// promises are the limits of all tenants and groups, sorted. A group's counts
// where it is stricter than its tenant's.
func (p *feasibility) promises() []promise {
	var out []promise
	add := func(who string, t fleet.Tenant, policy fleet.Policy) {
		if hours, field := p.limit(policy); hours > 0 {
			t.Policy = policy
			out = append(out, promise{who, t, hours, policy.Origins[field]})
		}
	}
	for _, id := range p.repo.TenantIDs() {
		t := p.repo.Tenants[id]
		if t.Intune == nil {
			continue // its consoles fetch for themselves
		}
		add(string(id), t, t.Policy)
		for _, name := range slices.Sorted(maps.Keys(t.Groups)) {
			own, _ := p.limit(t.Policy)
			if hours, _ := p.limit(t.Groups[name].Policy); own == 0 || hours < own {
				add(string(id)+" group "+name, t, t.Groups[name].Policy)
			}
		}
	}
	return out
}

// A cause is what a finding is about: tenants with the same cause share one.
type cause struct {
	file, keys string
	rule       fleet.Pos
}

// broken are the promises that cannot be kept.
func (p *feasibility) broken() []Finding {
	var order []cause
	shared := map[cause][]string{}
	findings := map[cause]Finding{}
	for _, pr := range p.promises() {
		f, broken := p.check(pr)
		if !broken {
			continue
		}
		c := cause{f.File, fmt.Sprint(f.Keys), pr.rule}
		if len(shared[c]) == 0 {
			order = append(order, c)
			findings[c] = f
		}
		shared[c] = append(shared[c], pr.who)
	}
	out := make([]Finding, 0, len(order))
	for _, c := range order {
		f := findings[c]
		f.Object = shared[c][0]
		if n := len(shared[c]) - 1; n == 1 {
			f.Object += " and 1 other"
		} else if n > 1 {
			f.Object += fmt.Sprintf(" and %d others", n)
		}
		out = append(out, f)
	}
	return out
}

// check judges one promise.
func (p *feasibility) check(pr promise) (Finding, bool) {
	waves, whole := p.taking(pr.t)
	if !whole {
		return Finding{
			File: wavesFile, Keys: []string{"waves"},
			Text: fmt.Sprintf("%s does not reach all its devices within %g hours, as %s promises: no wave of the lane %s takes those that are left", p.what(), pr.hours, ruleWords(pr.rule), p.lane),
			Hint: "let a last wave of the lane select every device (select: percent: 100)",
		}, true
	}
	limit := time.Duration(pr.hours * float64(time.Hour))
	all := p.delay(pr.t, waves, everything)
	if all.took <= limit {
		return Finding{}, false
	}
	f := Finding{Text: p.words(pr, all)}
	free := p.delay(pr.t, waves, withoutFreezes)
	switch bare := p.delay(pr.t, waves, withoutWindows); {
	case free.took <= limit:
		f.File, f.Keys = "schedules/freezes/"+all.freeze+".cue", []string{"freezes", all.freeze}
		f.Hint = "end the freeze earlier, or promise more time"
		if p.security {
			f.Hint = "let the freeze pass security fixes (scope: \"nonSecurity\"), or end it earlier"
		}
	case bare.took <= limit && free.window != "":
		f.File, f.Keys = pr.t.ID.Dir()+"/tenant.cue", []string{"tenant", "windows", free.window}
		f.Hint = "open a window for installations more often, or promise more time"
	default:
		f.File, f.Keys = wavesFile, []string{"waves", p.waves[all.wave].Name, "lanes", p.lane}
		if p.lane == fleet.LaneWeek {
			f.Keys = []string{"waves", p.waves[all.wave].Name, "opens"}
		}
		f.Hint = "let the waves of the lane open and soak for less, or promise more time"
	}
	return f, true
}

// what the proof is about, as a sentence begins.
func (p *feasibility) what() string {
	if p.security {
		return "a critical fix"
	}
	return "an ordinary release"
}

func ruleWords(rule fleet.Pos) string {
	if rule.File == "" {
		return "its policy"
	}
	return rule.String()
}

// words tell the case that breaks a promise.
func (p *feasibility) words(pr promise, d delay) string {
	s := fmt.Sprintf("%s cannot reach the last device within %g hours, as %s promises: one that is ready at %s reaches wave %s at %s",
		p.what(), pr.hours, ruleWords(pr.rule), stamp(d.ready), p.waves[d.wave].Name, stamp(d.began))
	if d.freeze != "" {
		s += ", held back by freeze " + d.freeze
	}
	if d.window != "" {
		s += fmt.Sprintf(", and the window %s ends at %s", d.window, stamp(d.done))
	}
	return s + fmt.Sprintf(": %s hours", hours(d.took))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

func hours(d time.Duration) string { return fmt.Sprintf("%.4g", d.Hours()) }

// warning tells that fixes go with the week, if that breaks a promise.
func (p *feasibility) warning() []Finding {
	var worst delay
	var broken []promise
	var limit float64
	for _, pr := range p.promises() {
		waves, whole := p.taking(pr.t)
		if !whole {
			continue
		}
		d := p.delay(pr.t, waves, everything)
		if d.took <= time.Duration(pr.hours*float64(time.Hour)) {
			continue
		}
		if broken = append(broken, pr); len(broken) == 1 || d.took > worst.took {
			worst, limit = d, pr.hours
		}
	}
	if len(broken) == 0 {
		return nil
	}
	others := ""
	if n := len(broken) - 1; n > 0 {
		others = fmt.Sprintf(", and %d more tenants or groups wait too long", n)
	}
	return []Finding{{
		File: wavesFile, Keys: []string{"waves"}, Object: broken[0].who, Warn: true,
		Text: fmt.Sprintf("no wave takes part in the lane %s, so a critical fix goes with the week: one that is ready at %s takes up to %s hours; the policy promises %g%s",
			fleet.LaneSecurity, stamp(worst.ready), hours(worst.took), limit, others),
		Hint: "name the lane in the waves: lanes: cve: {after: \"0h\", soak: \"4h\", looks: [\"4h\"]}",
	}}
}

// taking are the waves, by index, that take devices of a tenant; whole is
// whether together they take all of them.
func (p *feasibility) taking(t fleet.Tenant) (waves []int, whole bool) {
	for i, w := range p.waves {
		if !matches(w.Select, t) {
			continue
		}
		waves = append(waves, i)
		if s := w.Select; len(s.Attributes) == 0 && (s.Percent == nil || *s.Percent >= 100) {
			return waves, true
		}
	}
	return waves, false
}

// matches reports whether a wave may take devices of a tenant; one for on-site
// consoles takes none.
func matches(s fleet.Select, t fleet.Tenant) bool {
	for key, want := range s.Tenants {
		if !want.Admit(t.Label(key)) {
			return false
		}
	}
	return !s.Sites
}

// calendarKey names what of a tenant decides how long a fix takes to it.
func (p *feasibility) calendarKey(t fleet.Tenant, waves []int, m mode) string {
	data, err := json.Marshal(struct {
		Zone     string
		Windows  map[string]fleet.Window
		Holidays *fleet.Holidays
		Grace    time.Duration
		Waves    []int
		Mode     mode
	}{t.Zone, t.Windows, t.Holidays, p.grace(t.Policy), waves, m})
	if err != nil {
		return string(t.ID) // a calendar of its own
	}
	return string(data)
}
