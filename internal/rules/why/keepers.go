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

// keep notes a reason, once.
func (p *pair) keep(k Keeper) {
	same := func(o Keeper) bool { return o.Why == k.Why && (o.Wave == k.Wave || o.Wave == "") }
	if !slices.ContainsFunc(p.out.Kept, same) {
		p.out.Kept = append(p.out.Kept, k)
	}
}

// kept gathers every reason why the next release is not there: what the
// tenant's policy says, what the release lacks, what stops it, what the cycle
// waits for.
func (p *pair) kept(c *rollout.CycleState, waits []rollout.Wait, now time.Time) error {
	if err := p.policies(c); err != nil {
		return err
	}
	if p.out.Next.Release != "" {
		p.lacks()
		p.stopped(c, now)
		p.frozen(c, now)
		p.unheard(c, now)
		p.memberless()
	}
	p.upstream()
	for _, w := range waits {
		if p.concerns(w) {
			p.keep(keeperOf(w))
		}
	}
	p.calls(now)
	return nil
}

func keeperOf(w rollout.Wait) Keeper {
	kind := "wait"
	if w.Kind == fleet.Stalled {
		kind = "gate"
	}
	return Keeper{Kind: kind, Name: string(w.Cycle), Wave: w.Wave, Why: w.Why, Until: w.Until, Command: w.Command}
}

// concerns reports whether a wait is about the pair: it names the tenant, or no
// other one and the package; or it names neither, and is of the pair's cycle or
// of none. What it keeps back it says, or its sentence does.
func (p *pair) concerns(w rollout.Wait) bool {
	if len(w.Tenants)+len(w.Packages) > 0 {
		return (len(w.Tenants) == 0 || slices.Contains(w.Tenants, p.tenant.ID)) && (len(w.Packages) == 0 || slices.Contains(w.Packages, p.pkg.ID))
	}
	if mentions(w.Why, string(p.tenant.ID)) {
		return true
	}
	for id := range p.facts.Repo.Tenants {
		if mentions(w.Why, string(id)) {
			return false
		}
	}
	if mentions(w.Why, string(p.pkg.ID)) {
		return true
	}
	for id := range p.facts.Repo.Packages {
		if mentions(w.Why, string(id)) {
			return false
		}
	}
	return w.Cycle == "" || w.Cycle == p.out.Next.Cycle
}

// mentions reports whether a text has an id in it as a word of its own.
func mentions(text, id string) bool {
	for rest := text; ; {
		i := strings.Index(rest, id)
		if i < 0 {
			return false
		}
		end := i + len(id)
		if (i == 0 || !idByte(rest[i-1])) && (end == len(rest) || !idByte(rest[end])) {
			return true
		}
		rest = rest[end:]
	}
}

func idByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '/' || c == '.'
}

// lacks tells what the next release needs before it may enter a cycle.
func (p *pair) lacks() {
	next := p.out.Next
	built := rollout.BuiltOf(p.facts.Record, p.pkg.ID, next.Release)
	switch {
	case next.Open:
		return // it was all there when the cycle was opened
	case built == nil:
		p.keep(Keeper{Kind: "tests", Name: next.Release, Why: next.Release + " is not built yet", Command: "packmill run"})
		return
	}
	tests := rollout.TestsOf(p.facts.Record, built.Artifact)
	if len(tests) == 0 {
		p.keep(Keeper{Kind: "tests", Name: next.Release, Why: next.Release + " is built and not tested yet", Command: "packmill run"})
	}
	for _, t := range tests {
		if t.Result == "failed" {
			p.keep(Keeper{Kind: "tests", Name: next.Release, Why: fmt.Sprintf("%s failed its tests in cell %s%s", next.Release, t.Cell, failedStep(t))})
		}
	}
	for _, id := range p.facts.Repo.CycleIDs() {
		if e, ok := p.facts.Repo.Cycles[id].Entries[p.pkg.ID]; ok && e.Release == next.Release {
			p.keep(Keeper{Kind: CycleEntry, Name: string(id), Why: next.Release + " travelled in " + string(id) + " already, and does not travel again"})
		}
	}
}

func failedStep(t fleet.Tested) string {
	for _, s := range t.Steps {
		if s.Result == "failed" {
			return ": " + s.Name + " " + s.Detail
		}
	}
	return ""
}

// stopped tells the verdict, the holds and the revocations that stop the next
// release.
func (p *pair) stopped(c *rollout.CycleState, now time.Time) {
	entry := p.entry()
	if c != nil {
		if e := c.Entry(p.pkg.ID); e != nil && e.Halted != nil {
			p.keep(Keeper{Kind: "gate", Name: string(e.Halted.Cycle), Why: "halted by wave " + e.Halted.Wave + " of " + string(e.Halted.Cycle) + ": " + e.Halted.Rule})
		}
	}
	p.ended(c)
	told := false
	for _, name := range slices.Sorted(maps.Keys(p.facts.Repo.Holds)) {
		h := p.facts.Repo.Holds[name]
		if !h.Of(p.pkg.ID, entry) || h.Kind != "revocation" && h.Expires != nil && !now.Before(*h.Expires) {
			continue
		}
		k := Keeper{Kind: Hold, Name: name, Why: h.Kind + ": " + h.Reason}
		if h.Expires != nil && h.Kind != "revocation" {
			k.Until = *h.Expires
		}
		told = told || h.Kind == "revocation"
		p.keep(k)
	}
	if h, ok := rollout.Revocation(p.facts.Repo, p.facts.Record, p.pkg.ID, entry); ok && !told {
		p.keep(Keeper{Kind: Hold, Name: "", Why: "revoked, and stays so though the file is gone: " + h.Reason})
	}
}

// ended tells the newer release that takes the place of the next one, and the
// waves that will never open.
func (p *pair) ended(c *rollout.CycleState) {
	if c == nil {
		return
	}
	if e := c.Entry(p.pkg.ID); e != nil && e.Superseded != nil {
		p.keep(Keeper{Kind: CycleEntry, Name: string(e.Superseded.Cycle), Why: "superseded by " + e.Superseded.Release + " in " + string(e.Superseded.Cycle)})
	}
	for _, w := range c.Waves {
		if w.Ended != "" {
			p.keep(Keeper{Kind: Approval, Name: w.Wave.Name, Wave: w.Wave.Name, Why: w.Ended})
		}
	}
}

// entry is the next release with its artifact, as far as it has one.
func (p *pair) entry() fleet.Entry {
	next := p.out.Next
	if e, ok := p.facts.Repo.Cycles[next.Cycle].Entries[p.pkg.ID]; ok && next.Open {
		return e
	}
	e := fleet.Entry{Release: next.Release}
	if built := rollout.BuiltOf(p.facts.Record, p.pkg.ID, next.Release); built != nil {
		e.Artifact = built.Artifact
	}
	return e
}

// frozen tells every freeze that is in force now or will be when a wave of the
// pair opens.
func (p *pair) frozen(c *rollout.CycleState, now time.Time) {
	var passes []string
	if c != nil && c.Cycle.Overrides != nil {
		passes = c.Cycle.Overrides.Freezes
	}
	security := p.pkg.Releases[p.out.Next.Release].Change == "security"
	for _, name := range slices.Sorted(maps.Keys(p.facts.Repo.Freezes)) {
		f := p.facts.Repo.Freezes[name]
		if slices.Contains(passes, name) {
			continue
		}
		alone := *p.facts.Repo
		alone.Freezes = map[string]fleet.Freeze{name: f}
		if alone.Frozen(now, security) != "" {
			p.keep(Keeper{Kind: Freeze, Name: name, Why: "frozen: " + f.Reason, Until: f.Until})
			continue
		}
		for _, w := range p.out.Next.Waves {
			if w.NotBefore.After(now) && w.Devices > 0 && alone.Frozen(w.NotBefore, security) != "" {
				p.keep(Keeper{Kind: Freeze, Name: name, Wave: w.Wave, Why: "will be frozen when the wave opens: " + f.Reason, Until: f.Until})
			}
		}
	}
}

// unheard tells what a partner or a site has yet to say on the waves of an open
// cycle, or has said against them.
func (p *pair) unheard(c *rollout.CycleState, now time.Time) {
	if c == nil {
		return
	}
	for _, w := range p.out.Next.Waves {
		if w.Late != "" {
			p.keep(Keeper{Kind: WaveRule, Name: w.Wave, Wave: w.Wave, Why: w.Late})
		}
		if w.Devices == 0 {
			continue
		}
		if ok, said := rollout.TenantApproved(p.facts, c.ID, w.Wave, p.tenant.ID, now); !ok {
			p.keep(Keeper{Kind: Bound, Name: "approval", Wave: w.Wave, Why: said})
		}
	}
}

// memberless says that no wave reaches a device of the tenant, when nothing else
// says why.
func (p *pair) memberless() {
	for _, w := range p.out.Next.Waves {
		if w.Devices > 0 || w.Skipped != "" {
			return
		}
	}
	devices, read := rollout.LatestInventory(p.facts.Record, time.Time{})[p.tenant.ID]
	served := 0
	for _, d := range devices {
		if rollout.Serves(p.pkg, d.Platform) {
			served++
		}
	}
	switch {
	case !read:
		p.keep(Keeper{Kind: "devices", Why: "no inventory of the tenant is recorded, so that no wave has a device of it", Command: "packmill run"})
	case served == 0:
		p.keep(Keeper{Kind: "devices", Why: fmt.Sprintf("the package has nothing for any of the tenant's %d devices", len(devices))})
	case len(p.out.Kept) == 0:
		p.keep(Keeper{Kind: WaveRule, Why: fmt.Sprintf("no wave selects any of the tenant's %d devices that the package is for", served)})
	}
}

// upstream tells what was found upstream and is not a release yet.
func (p *pair) upstream() {
	var last *fleet.Detection
	for i := range p.facts.Record.Detections {
		if d := &p.facts.Record.Detections[i]; d.Package == p.pkg.ID {
			last = d
		}
	}
	if last == nil || last.Found == "" {
		return
	}
	_, merged := p.pkg.Releases[last.Found]
	switch {
	case last.State == fleet.StateHeld:
		p.keep(Keeper{Kind: "upstream", Name: last.Found, Why: last.Found + " upstream is held (" + last.Hold + "): " + last.Why})
	case last.State == fleet.StateNew && !merged:
		p.keep(Keeper{Kind: "upstream", Name: last.Found, Why: last.Found + " was found upstream; its pull request waits for a merge", Command: "packmill propose"})
	}
}

// calls tells of intents without a receipt, and of calls that failed since the
// last one that was carried out.
func (p *pair) calls(now time.Time) {
	var failures []Keeper
	for _, i := range p.intents() {
		r := p.receiptOf(i)
		what := i.Action + " of " + i.Release
		switch {
		case r == nil && now.After(i.NotAfter):
			failures = append(failures, Keeper{Kind: "call", Name: i.ID, Wave: i.Wave, Why: what + " was begun and nothing is known of it", Command: "packmill run"})
		case r == nil:
			failures = append(failures, Keeper{Kind: "call", Name: i.ID, Wave: i.Wave, Why: what + " is under way", Until: i.NotAfter})
		case r.Outcome == "done":
			failures = nil
		default:
			failures = append(failures, Keeper{Kind: "call", Name: i.ID, Wave: i.Wave, Why: strings.TrimSuffix(what+" "+r.Outcome+": "+r.Detail, ": "), Command: "packmill run"})
		}
	}
	for _, k := range failures {
		p.keep(k)
	}
}
