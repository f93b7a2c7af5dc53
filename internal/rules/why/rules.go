package why

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func (p *pair) rule(kind, name, says string, keys []string, files ...string) {
	p.out.Rules = append(p.out.Rules, Rule{Kind: kind, Name: name, Says: says, files: files, keys: keys})
}

// rules lists everything on main that has a say in the pair, what it says and
// where.
func (p *pair) rules(c *rollout.CycleState, now time.Time) {
	p.assignments()
	p.bounds()
	p.exceptions(now)
	p.catalog()
	p.windows()
	p.schedule()
	p.stops(now)
	p.cycle(c)
}

func (p *pair) tenantFile() string { return p.tenant.ID.Dir() + "/tenant.cue" }

func (p *pair) assignments() {
	id := string(p.pkg.ID)
	for _, a := range p.tenant.Packages[p.pkg.ID] {
		says := a.Intent + " on " + a.Group
		if len(a.Exclude) > 0 {
			says += ", without " + strings.Join(a.Exclude, ", ")
		}
		p.rule(Assignment, id, says, []string{"tenant", "packages", id}, p.tenantFile())
	}
}

// bounds are the policy's bounds; the policy knows which file decided each.
func (p *pair) bounds() {
	policy := p.tenant.Policy
	says := map[string]string{
		"critical.withinHours":  fmt.Sprintf("security releases within %g hours", policy.CriticalWithinHours),
		"nonSecurity.deferDays": fmt.Sprintf("other releases not before %d days after they were published", policy.NonSecurityDeferDays),
		"reboot":                "restarts: " + policy.Reboot,
		"approval":              "approval of its own: " + policy.Approval,
		"maxFailuresPercent":    fmt.Sprintf("a gate passes with at most %g %% failures here", policy.MaxFailuresPercent),
	}
	if n := policy.CriticalGraceHours; n > 0 {
		says["critical.graceHours"] = fmt.Sprintf("a device that was away has %g hours for a security release", n)
	}
	if n := policy.NonSecurityGraceHours; n > 0 {
		says["nonSecurity.graceHours"] = fmt.Sprintf("a device that was away has %g hours for other releases", n)
	}
	if n := policy.NonSecurityWithinDays; n > 0 {
		says["nonSecurity.withinDays"] = fmt.Sprintf("other releases within %g days after that", n)
	}
	for _, field := range slices.Sorted(maps.Keys(says)) {
		p.out.Rules = append(p.out.Rules, Rule{Kind: Bound, Name: field, Says: says[field], Pos: policy.Origins[field]})
	}
}

// exceptions are the pin and the opt-out, which a tenant, its partner or the
// operator may have written.
func (p *pair) exceptions(now time.Time) {
	id := string(p.pkg.ID)
	files := []string{p.tenantFile(), "tenants/" + p.tenant.ID.Partner() + "/partner.cue", "tenants/operator.cue"}
	over := func(expires time.Time) string {
		if now.Before(expires) {
			return ""
		}
		return " (it is over)"
	}
	if pin, ok := p.tenant.Policy.Pins[p.pkg.ID]; ok {
		p.rule(Pin, id, fmt.Sprintf("stays on %s until %s%s: %s", pin.Version, pin.Expires.Format(time.DateOnly), over(pin.Expires), pin.Reason), []string{"policy", "pins", id}, files...)
	}
	if out, ok := p.tenant.Policy.OptOuts[p.pkg.ID]; ok {
		p.rule(OptOut, id, fmt.Sprintf("takes no release until %s%s: %s", out.Expires.Format(time.DateOnly), over(out.Expires), out.Reason), []string{"policy", "optOuts", id}, files...)
	}
}

func (p *pair) catalog() {
	dir := p.pkg.ID.Dir()
	p.rule(PackageRule, string(p.pkg.ID), "way back: "+p.pkg.Rollback, []string{"pkg", "rollback"}, dir+"/package.cue")
	for _, version := range p.pkg.Versions() {
		if version != p.out.Stable.Release && version != p.out.Candidate.Release && version != p.out.Next.Release {
			continue
		}
		r := p.pkg.Releases[version]
		says := fmt.Sprintf("%s release, number %d", r.Change, r.Counter)
		if r.Baseline {
			says += ", the baseline"
		}
		if r.Published != nil {
			says += ", published " + stamp(*r.Published)
		}
		if len(r.Fixes) > 0 {
			says += ", fixes " + strings.Join(r.Fixes, " ")
		}
		p.rule(ReleaseRule, version, says, []string{"pkg", "releases", version}, p.releaseFile(version))
	}
}

// releaseFile is the file of a release among those that were read: versions
// with unusual bytes are spelt otherwise in names.
func (p *pair) releaseFile(version string) string {
	return p.pkg.ID.Release(version)
}

func (p *pair) windows() {
	for _, name := range slices.Sorted(maps.Keys(p.tenant.Windows)) {
		w := p.tenant.Windows[name]
		p.rule(Window, name, fmt.Sprintf("for %s on %s from %s to %s, %s", strings.Join(w.For, " and "), strings.Join(w.On, " "), w.From, w.Until, p.tenant.Zone), []string{"tenant", "windows", name}, p.tenantFile())
	}
}

// schedule are the waves of the next release, and the steps they open on.
func (p *pair) schedule() {
	steps := map[string]bool{}
	for _, part := range p.out.Next.Waves {
		w, ok := p.facts.Repo.Wave(part.Wave)
		if !ok {
			continue
		}
		says := fmt.Sprintf("opens on step %s, soaks %gh", w.Opens.Step, w.Soak.Std().Hours())
		if part.Devices > 0 {
			says = fmt.Sprintf("takes %d devices of the tenant, ", part.Devices) + says
		} else {
			says = "takes no device of the tenant, " + says
		}
		p.rule(WaveRule, w.Name, says, []string{"waves", w.Name}, "schedules/waves.cue")
		if s, ok := p.facts.Repo.Week.Steps[w.Opens.Step]; ok && !steps[w.Opens.Step] {
			steps[w.Opens.Step] = true
			p.rule(WeekStep, w.Opens.Step, fmt.Sprintf("%s at %s, %s", s.On, s.At, p.facts.Repo.Week.Zone), []string{"week", "steps", w.Opens.Step}, "schedules/week.cue")
		}
	}
}

// stops are the holds on releases of the package, and freezes that are not over.
func (p *pair) stops(now time.Time) {
	for _, name := range slices.Sorted(maps.Keys(p.facts.Repo.Holds)) {
		if h := p.facts.Repo.Holds[name]; h.Package == p.pkg.ID {
			says := h.Kind + " of " + h.Release + ": " + h.Reason
			if h.Expires != nil {
				says += ", until " + stamp(*h.Expires)
			}
			p.rule(Hold, name, says, []string{"holds", name}, "schedules/holds/"+name+".cue")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.facts.Repo.Freezes)) {
		if f := p.facts.Repo.Freezes[name]; now.Before(f.Until) {
			p.rule(Freeze, name, fmt.Sprintf("%s changes are frozen from %s to %s: %s", f.Scope, stamp(f.From), stamp(f.Until), f.Reason), []string{"freezes", name}, "schedules/freezes/"+name+".cue")
		}
	}
}

// cycle is the entry of the next release in its open cycle, and the decisions
// on its gates, refusals included.
func (p *pair) cycle(c *rollout.CycleState) {
	if c == nil {
		return
	}
	id := string(c.ID)
	if e := c.Entry(p.pkg.ID); e != nil {
		p.rule(CycleEntry, id, "carries "+e.Entry.Release+" as "+e.Entry.Artifact.Short(), []string{"cycles", id, "entries", string(p.pkg.ID)}, c.ID.Dir()+"/cycle.cue")
	}
	if a, ok := p.facts.Repo.TenantApprovals[p.tenant.ID][c.ID]; ok {
		says := a.Decision + " by those who speak for the tenant"
		if a.Because != "" {
			says += ": " + a.Because
		}
		p.rule(Approval, string(p.tenant.ID), says, []string{"approvals", id}, fleet.TenantApprovalFile(p.tenant.ID, c.ID))
	}
	for _, w := range c.Waves {
		a, ok := p.facts.Repo.Approvals[c.ID][w.Wave.Name]
		if !ok {
			continue
		}
		says := a.Decision + " for plan " + a.Plan.Short()
		if a.Because != "" {
			says += ": " + a.Because
		}
		if w.Refusal != "" && a.Decision == "approved" {
			says += "; does not count: " + w.Refusal
		}
		p.rule(Approval, w.Wave.Name, says, []string{"approvals", id, w.Wave.Name}, fleet.ApprovalFile(c.ID, w.Wave.Name))
	}
}
