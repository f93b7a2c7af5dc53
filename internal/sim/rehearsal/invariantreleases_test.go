package rehearsal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/change"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func aboutReleases() []invariant {
	return []invariant{
		{17, "a mode never gets looser by adding a party", neverLooser, []guard{
			{"the nearest party's word replaces the others'", func(w *world) { w.meets = says.nearest }},
		}},
		{18, "revoked digests never return", neverReturns, []guard{
			{"a revocation is gone with its file", func(w *world) { w.recalls = forgetRevocations }},
		}},
		{19, "a tenant's release counter never falls but by a way back", neverFalls, []guard{
			{"a lane that is closed is forgotten", func(w *world) { w.step = lied(hideLane) }},
		}},
		{20, "one entry is open at a time for a package on a tenant", oneOpen, []guard{
			{"only the newest cycle is looked at", func(w *world) { w.step = lied(newestAlone) }},
		}},
		{21, "a package that is released every week reaches everybody every few weeks", nobodyStarves, []guard{
			{"nobody counts how often a package was passed over", func(w *world) { w.entries = uncounted }},
		}},
	}
}

// says is what operator, partner, tenant and group say of the policy: field →
// CUE.
type says [4]map[string]string

// nearest is what holds where the last of them to speak of a field replaces
// what the others say.
func (s says) nearest() says {
	all := maps.Clone(s[0])
	for _, level := range s[1:] {
		maps.Copy(all, level)
	}
	return says{all}
}

// files are the four levels as a repository.
func (s says) files() memTree {
	const head = "package tenants\n\nimport \"github.com/packmill/packmill/schema\"\n\n"
	out := memTree{}
	for i, f := range [][2]string{
		{"tenants/operator.cue", `operator: schema.#Operator & {name: "O", approvers: a: [{login: "a", name: "A", from: "2026-01-01"}]}`},
		{"tenants/nordic/partner.cue", `partner: schema.#Partner & {name: "P", contacts: []}`},
		{"tenants/nordic/acme/tenant.cue", `tenant: schema.#Tenant & {id: "nordic/acme", zone: "UTC", packages: {}}`},
		{"tenants/nordic/acme/groups/finance/group.cue", `group: schema.#Group & {name: "Finance"}`},
	} {
		out[f[0]] = head + f[1] + "\n"
		for _, field := range slices.Sorted(maps.Keys(s[i])) {
			out[f[0]] += "policy: " + field + ": " + s[i][field] + "\n"
		}
	}
	return out
}

// A memTree is a repository in memory: path → text.
type memTree map[string]string

func (m memTree) Commit() string { return "" }

func (m memTree) Files(prefix string) ([]desired.File, error) {
	var out []desired.File
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if strings.HasPrefix(name, prefix+"/") {
			out = append(out, desired.File{Path: name, Blob: fleet.DeriveID("blob", m[name]), Size: int64(len(m[name]))})
		}
	}
	return out, nil
}

func (m memTree) Read(path string) ([]byte, error) { return []byte(m[path]), nil }

// neverLooser lets one party after the other begin to say something, stricter
// or looser. What then holds for the group is proven to allow nothing that was
// not allowed before; or the repository is refused.
func neverLooser(w *world) error {
	operator := map[string]string{
		"critical: withinHours": "<=72", "nonSecurity: deferDays": ">=0", "reboot": `"anytime" | "windowOnly"`, "maxFailuresPercent": "<=5",
		"approval": `"implicit" | "partner" | "site"`, "maxExceptionDays": "90",
	}
	words := [][2]string{
		{"critical: withinHours", "<=24"}, {"critical: withinHours", "<=200"}, {"critical: withinHours", "100"}, {"maxFailuresPercent", "<=50"}, {"maxFailuresPercent", "1"},
		{"maxFailuresPercent", "20"}, {"reboot", `"windowOnly"`}, {"approval", `"site"`}, {"approval", `"implicit"`}, {"nonSecurity: deferDays", ">=7"},
	}
	met, refused := 0, 0
	for level := 1; level <= 3; level++ {
		for n, word := range words {
			before := says{operator}
			if level > 1 {
				other := words[(n+3)%len(words)]
				before[1] = map[string]string{other[0]: other[1]}
			}
			after := before
			after[level] = map[string]string{word[0]: word[1]}
			was, err := w.policyOf(before)
			if err != nil {
				continue // nobody may say that to begin with
			}
			is, err := w.policyOf(after)
			if err != nil {
				refused++
				continue
			}
			met++
			p, err := change.Prove(was.Bounds, is.Bounds)
			if err != nil {
				return err
			}
			if !p.Tightens() || is.CriticalWithinHours > was.CriticalWithinHours || is.MaxFailuresPercent > was.MaxFailuresPercent {
				return fmt.Errorf("%q at level %d makes %v looser", word, level, p.Looser)
			}
		}
	}
	if err := enough(8, met, "policies that are met"); err != nil {
		return err
	}
	return enough(1, refused, "policies that are refused")
}

// policyOf is the policy of the group.
func (w *world) policyOf(s says) (fleet.Policy, error) {
	repo, err := desired.LoadPart(context.Background(), w.meets(s).files(), desired.Part{}, desired.Options{Evaluator: desired.InProcess{}})
	if err != nil {
		return fleet.Policy{}, err
	}
	return repo.Tenants["nordic/acme"].Groups["finance"].Policy, nil
}

// neverReturns is after a release was revoked, taken back, and the file of its
// revocation deleted: nothing that production says brings it to anybody.
func neverReturns(w *world) error {
	s, m, err := w.deploying(12)
	if err != nil {
		return err
	}
	if err := w.lives(s, m, on(11, 24, 0, 0), 3*time.Hour, nil); err != nil {
		return err
	}
	s.Hold("revoke-app", revoked())
	if err := w.lives(s, m, on(11, 29, 0, 0), 3*time.Hour, nil); err != nil {
		return err
	}
	s.mend(func(r *fleet.Repository) { delete(r.Holds, "revoke-app") })
	f := s.Facts()
	f.Record = w.recalls(f.Record)
	gone := artifactOf(bad, "2.0")
	for days := range 21 {
		now := s.Now.AddDate(0, 0, days)
		if e, ok := w.entries(f.Repo, f.Record, now)[bad]; ok && e.Artifact == gone {
			return fmt.Errorf("it travels again in the cycle of %s", now)
		}
		actions, _, err := w.step(f, now)
		if err != nil {
			return err
		}
		for _, a := range actions {
			if a.Artifact == gone && (a.Kind == rollout.Promote || a.Kind == rollout.Deploy) || a.Kind == rollout.Deploy && slices.Contains(a.Packages, bad) {
				return fmt.Errorf("%s is due at %s on %s", a.Kind, now, a.Tenant)
			}
		}
	}
	release(bad, "3.0", 3, "minor")(f.Repo)
	for _, t := range f.Repo.TenantIDs() {
		if way := rollout.WayBackOf(f.Repo, f.Record, t, bad, fleet.Entry{Release: "3.0", Artifact: artifactOf(bad, "3.0")}); way.To.Artifact == gone {
			return fmt.Errorf("the way back from the next release leads to it on %s", t)
		}
	}
	took := 0
	for _, c := range s.Calls {
		if c.Artifact == gone && c.Action == "rollback" {
			took++
		}
	}
	return enough(10, took, "ways back")
}

func forgetRevocations(rec *fleet.Record) *fleet.Record {
	out := *rec
	out.Merges = slices.Clone(rec.Merges)
	for i := range out.Merges {
		out.Merges[i].Revokes = nil
	}
	out.Intents = slices.DeleteFunc(slices.Clone(rec.Intents), func(i fleet.Intent) bool { return i.Action == "rollback" })
	return &out
}

// neverFalls has a fix that overtakes the release of the week in its own lane.
func neverFalls(w *world) error {
	in := invented()
	in.Facts.Repo = withLane(cloned(in.Facts.Repo))
	s := NewState(w.blind(in))
	m := Builtin()
	counters, fixes := map[rollout.Slot]int{}, 0
	watch := func(s *State, c Change) error {
		if c.Kind != CallMade || c.Call.Action == "withdraw" {
			return nil
		}
		at := rollout.Slot{Tenant: c.Call.Tenant, Package: c.Call.Package}
		counter := s.facts.Repo.Packages[at.Package].Releases[c.Call.Release].Counter
		if c.Call.Action == "rollback" {
			counters[at] = 0
			return nil
		}
		if counter < counters[at] {
			return fmt.Errorf("at %s %s of %s %s on %s, which has a release with counter %d", c.At, c.Call.Action, at.Package, c.Call.Release, at.Tenant, counters[at])
		}
		if counters[at] = counter; counter == 3 && c.Call.Action == "promote" {
			fixes++
		}
		return nil
	}
	if err := w.lives(s, m, on(11, 19, 12, 0), time.Hour, watch); err != nil {
		return err
	}
	s.mend(release(good, "3.0", 3, "security"))
	if err := w.lives(s, m, on(11, 28, 0, 0), time.Hour, watch); err != nil {
		return err
	}
	return enough(12, fixes, "tenants with the fix")
}

// hideLane hides the cycles of a lane once they are closed, and their evidence.
func hideLane(f *rollout.Facts, _ time.Time) {
	for _, id := range f.Repo.CycleIDs() {
		if _, closed := f.Repo.Approvals[id][rollout.CloseGate]; id.Lane() == fleet.LaneWeek || !closed {
			continue
		}
		hideCycle(f, id)
		f.Repo.Packages = maps.Clone(f.Repo.Packages)
		p := f.Repo.Packages[good]
		p.Releases = maps.Clone(p.Releases)
		delete(p.Releases, "3.0") // or it would travel again
		f.Repo.Packages[good] = p
	}
}

func hideCycle(f *rollout.Facts, id fleet.CycleID) {
	delete(f.Repo.Cycles, id)
	f.Record.Intents = slices.DeleteFunc(slices.Clone(f.Record.Intents), func(i fleet.Intent) bool { return i.Cycle == id })
	f.Record.Receipts = slices.DeleteFunc(slices.Clone(f.Record.Receipts), func(r fleet.Receipt) bool { return r.Cycle == id })
}

// oneOpen has a first wave that takes more than a week to judge, and a newer
// release every week.
func oneOpen(w *world) error {
	in := Invented(Size{Tenants: 4, Packages: 2, Devices: 400})
	in.Facts.Repo = cloned(in.Facts.Repo)
	in.Facts.Repo.Waves[0].Gate.Looks = []fleet.Duration{fleet.Duration(200 * time.Hour)}
	s := NewState(w.blind(in))
	open := map[rollout.Slot]fleet.Intent{}
	replaced := 0
	watch := func(s *State, c Change) error {
		if c.Kind != CallMade {
			return nil
		}
		at := rollout.Slot{Tenant: c.Call.Tenant, Package: c.Call.Package}
		if c.Call.Action != "assign" {
			delete(open, at)
			return nil
		}
		if before, ok := open[at]; ok && before.Artifact != c.Call.Artifact {
			if !ended(s.facts, before) {
				return fmt.Errorf("at %s %s comes to %s, and %s of %s has no last word there yet", c.At, c.Call.Release, at.Tenant, before.Release, before.Cycle)
			}
			replaced++
		}
		open[at] = c.Call.Intent
		return nil
	}
	for n, at := range []time.Time{on(11, 24, 0, 0), on(12, 1, 0, 0), on(12, 12, 0, 0)} {
		if err := w.lives(s, Builtin(), at, 2*time.Hour, watch); err != nil {
			return err
		}
		s.mend(release(good, fmt.Sprintf("%d.0", n+3), n+3, "minor"))
	}
	return enough(1, replaced, "entries that took another one's place")
}

// ended reports whether what an intent brought has its last word in its wave.
func ended(f rollout.Facts, i fleet.Intent) bool {
	wave, err := rollout.WaveOf(f.Repo, i.Cycle, i.Wave)
	return err == nil && slices.ContainsFunc(f.Record.Verdicts, func(v fleet.Verdict) bool {
		return v.Cycle == i.Cycle && v.Wave == i.Wave && v.Artifact == i.Artifact && gate.Settled(wave.Gate, &v)
	})
}

func newestAlone(f *rollout.Facts, _ time.Time) {
	if ids := f.Repo.CycleIDs(); len(ids) > 1 {
		for _, id := range ids[:len(ids)-1] {
			hideCycle(f, id)
		}
	}
}

// reaches is how many weeks may go by until a release of a package that is
// released every week got to everybody.
const reaches = 5

// nobodyStarves is a package with a release a week, and waves that take two:
// each cycle's last wave would open when the next cycle has been opened, and
// takes its place.
func nobodyStarves(w *world) error {
	in := Invented(Size{Tenants: 3, Packages: 1, Devices: 30})
	repo, rec := cloned(in.Facts.Repo), *in.Facts.Record
	f := rollout.Facts{Repo: repo, Record: &rec}
	var open []fleet.CycleID
	last := 0
	for n := range 20 {
		now := on(11, 18, 14, 0).AddDate(0, 0, 7*n)
		cycles, err := w.derive(f, now)
		if err != nil {
			return err
		}
		for _, c := range cycles {
			e := c.Entry(good)
			if n >= slices.Index(open, c.ID)+2 && now.Sub(c.Cycle.CutOff) >= 14*24*time.Hour && !e.SupersededIn(&c.Waves[1]) && !c.Closed {
				last = n
				everybody(f, c, now)
			}
		}
		version := fmt.Sprintf("%d.0", n+2)
		release(good, version, n+2, "minor")(repo)
		rec.Builds = append(rec.Builds, fleet.Built{Package: good, Version: version, Artifact: artifactOf(good, version)})
		rec.Tests = append(rec.Tests, fleet.Tested{Package: good, Version: version, Artifact: artifactOf(good, version), Installer: "x64", Result: "passed"})
		if e, ok := w.entries(repo, &rec, now)[good]; ok {
			id := fleet.CycleOf(now)
			open = append(open, id)
			repo.Cycles[id] = fleet.Cycle{CutOff: now, Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{good: e}}
			approve(f, id, "dogfood", now)
			rec.Starts = append(rec.Starts, fleet.WaveStart{Cycle: id, Wave: "dogfood", Opens: now, At: now})
		}
		if n-last > reaches {
			return fmt.Errorf("no release reached everybody from week %d to week %d", last, n)
		}
	}
	return enough(8, len(open), "cycles")
}

// everybody lets the entry of a cycle get into its last wave, and closes it.
func everybody(f rollout.Facts, c rollout.CycleState, now time.Time) {
	for _, t := range f.Repo.TenantIDs() {
		f.Record.Intents = append(f.Record.Intents, fleet.Intent{
			ID: string(c.ID) + string(t), Cycle: c.ID, Wave: "everyone", Tenant: t, Package: good, Artifact: c.Entry(good).Entry.Artifact, Action: "assign", At: now,
		})
	}
	approve(f, c.ID, rollout.CloseGate, now)
}

func approve(f rollout.Facts, id fleet.CycleID, gate string, now time.Time) {
	file := fleet.ApprovalFile(id, gate)
	f.Repo.Blobs[file] = "approval"
	f.Repo.Approvals[id] = put(f.Repo.Approvals[id], gate, fleet.Approval{Cycle: id, Gate: gate, Decision: "approved", Plan: "p", ValidUntil: now.AddDate(1, 0, 0)})
	f.Record.Merges = append(f.Record.Merges, fleet.Merge{Commit: file, Approves: string(id) + "/" + gate, Plan: "p", ApprovalBlobs: map[string]string{file: "approval"}, Approvers: []string{"ada"}, At: now})
}

// uncounted looks at no cycle but the newest.
func uncounted(repo *fleet.Repository, rec *fleet.Record, cutOff time.Time) map[fleet.PackageID]fleet.Entry {
	repo = cloned(repo)
	if ids := repo.CycleIDs(); len(ids) > 1 {
		for _, id := range ids[:len(ids)-1] {
			delete(repo.Cycles, id)
		}
	}
	return rollout.Entries(repo, rec, cutOff)
}
