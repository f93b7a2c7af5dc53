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

// Feasible proves for every tenant that a critical fix can reach its last
// device within the hours that its policy promises, whenever within the
// horizon the fix is ready: cut-off, soak and looks of the waves before, the
// tenant's next window, and every freeze added up. The hours count from the
// lane's cut-off, at which a fix is built and tested. People are taken to
// approve at once; what they take comes on top.
//
// A repository whose waves name no lane for fixes sends them with the week.
// That is told as a warning, once: it has not declared another way.
func Feasible(repo *fleet.Repository, now time.Time) []Finding {
	p := &feasibility{repo: repo, now: now, lane: fleet.LaneSecurity, worst: map[string]delay{}}
	if p.waves = fleet.WavesIn(repo.Waves, p.lane); len(p.waves) > 0 {
		return p.lanes()
	}
	p.lane = fleet.LaneWeek
	if p.waves = fleet.WavesIn(repo.Waves, p.lane); len(p.waves) > 0 {
		return p.week()
	}
	return nil
}

// feasibility is one run of the proof.
type feasibility struct {
	repo  *fleet.Repository
	now   time.Time
	lane  string
	waves []fleet.Wave
	worst map[string]delay // by calendar: tenants with equal ones have equal delays
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
		if policy.CriticalWithinHours > 0 {
			out = append(out, promise{who, t, policy.CriticalWithinHours, policy.Origins["critical.withinHours"]})
		}
	}
	for _, id := range p.repo.TenantIDs() {
		t := p.repo.Tenants[id]
		if t.Intune == nil {
			continue // its consoles fetch for themselves
		}
		add(string(id), t, t.Policy)
		for _, name := range slices.Sorted(maps.Keys(t.Groups)) {
			if g := t.Groups[name]; g.Policy.CriticalWithinHours < t.Policy.CriticalWithinHours {
				add(string(id)+" group "+name, t, g.Policy)
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

// lanes proves every promise against the lane for fixes.
func (p *feasibility) lanes() []Finding {
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
			Text: fmt.Sprintf("no critical fix reaches all its devices within %g hours, as %s promises: no wave of the lane %s takes those that are left", pr.hours, ruleWords(pr.rule), p.lane),
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
		f.Hint = "let the freeze pass security fixes (scope: \"nonSecurity\"), or end it earlier"
	case bare.took <= limit && free.window != "":
		f.File, f.Keys = pr.t.ID.Dir()+"/tenant.cue", []string{"tenant", "windows", free.window}
		f.Hint = "open a window for installations more often, or promise more hours"
	default:
		f.File, f.Keys = wavesFile, []string{"waves", p.waves[all.wave].Name, "lanes", p.lane}
		f.Hint = "let the waves of the lane open and soak for less, or promise more hours"
	}
	return f, true
}

func ruleWords(rule fleet.Pos) string {
	if rule.File == "" {
		return "its policy"
	}
	return rule.String()
}

// words tell the case that breaks a promise.
func (p *feasibility) words(pr promise, d delay) string {
	s := fmt.Sprintf("a critical fix cannot reach the last device within %g hours, as %s promises: one that is ready at %s reaches wave %s at %s",
		pr.hours, ruleWords(pr.rule), stamp(d.ready), p.waves[d.wave].Name, stamp(d.began))
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

// week warns that fixes go with the week, if that breaks a promise.
func (p *feasibility) week() []Finding {
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
		if !matches(w.Select.Tenants, t) {
			continue
		}
		waves = append(waves, i)
		if s := w.Select; len(s.Attributes) == 0 && (s.Percent == nil || *s.Percent >= 100) {
			return waves, true
		}
	}
	return waves, false
}

func matches(labels map[string]fleet.Values, t fleet.Tenant) bool {
	for key, want := range labels {
		if !want.Admit(t.Label(key)) {
			return false
		}
	}
	return true
}

// calendarKey names what of a tenant decides how long a fix takes to it.
func calendarKey(t fleet.Tenant, waves []int, m mode) string {
	data, err := json.Marshal(struct {
		Zone    string
		Windows map[string]fleet.Window
		Waves   []int
		Mode    mode
	}{t.Zone, t.Windows, waves, m})
	if err != nil {
		return string(t.ID) // a calendar of its own
	}
	return string(data)
}
