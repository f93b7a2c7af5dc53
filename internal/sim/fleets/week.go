package fleets

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// The cycles of the two weeks.
const (
	FirstCycle  = fleet.CycleID("2026-W46")
	SecondCycle = fleet.CycleID("2026-W47")
)

// weeks lets the first cycle go all its way, and the second one up to Soaking.
func (m *mill) weeks(ctx context.Context) error {
	if err := m.cycle(ctx, 0, FirstCycle, "dogfood", "pilot", "everyone"); err != nil {
		return err
	}
	if err := m.finish(ctx, FirstCycle); err != nil {
		return err
	}
	return m.cycle(ctx, 1, SecondCycle, "dogfood", "pilot")
}

// cycle lets a week pass: inventories, builds, the cycle's opening, and the
// waves that are named, each up to its first look.
func (m *mill) cycle(ctx context.Context, week int, id fleet.CycleID, waves ...string) error {
	steps, err := calendar.StepsOf(m.repo.Week, id)
	if err != nil {
		return err
	}
	m.now = steps[calendar.Detect]
	if err := m.inventories(ctx); err != nil {
		return err
	}
	if err := m.mill(ctx, week, id); err != nil {
		return err
	}
	m.now = steps[calendar.CutOff].Add(time.Hour)
	if err := m.open(ctx, week, id, steps[calendar.CutOff]); err != nil {
		return err
	}
	for i, wave := range waves {
		w, _ := m.repo.Wave(wave)
		opens := steps[w.Opens.Step]
		if i > 0 {
			m.now = opens.Add(-w.Arm.Std() - time.Hour)
			if err := m.approve(ctx, id, wave, opens); err != nil {
				return err
			}
		}
		if wave == "everyone" {
			if err := m.beat(ctx, "announce "+string(id), steps["announce"]); err != nil {
				return err
			}
		}
		m.now = opens.Add(-w.Arm.Std())
		if err := m.rollOut(ctx, id, w, opens); err != nil {
			return err
		}
		m.now = opens.Add(w.Gate.Looks[0].Std() + 10*time.Minute)
		if err := m.judge(ctx, id, w, opens); err != nil {
			return err
		}
	}
	return nil
}

func (m *mill) beat(ctx context.Context, command string, at time.Time) error {
	m.now = at
	rows := []fleet.Heartbeat{{Command: command, Main: m.repo.Commit, At: at}}
	m.rec.Heartbeats = append(m.rec.Heartbeats, rows...)
	return m.write(ctx, m.tell(evidence.Control, evidence.HeartbeatDir, rows))
}

// inventories are all devices as the week's detect step reads them.
func (m *mill) inventories(ctx context.Context) error {
	var batches []evidence.Batch
	for i := range m.size.Tenants {
		t := m.size.tenant(i)
		rows := slices.Clone(m.devices[t])
		for n := range rows {
			// One in twenty-five was last seen too long ago to take part.
			away := n % 5
			if n%25 == 24 {
				away = 30
			}
			rows[n].At, rows[n].LastSeen = m.now, m.day(away)
		}
		m.rec.Inventory = append(m.rec.Inventory, rows...)
		batches = append(batches, m.tell(evidence.Shard(t), evidence.InventoryDir(t), rows))
	}
	return m.write(ctx, batches...)
}

// day is the date some days ago.
func (m *mill) day(ago int) string { return m.now.AddDate(0, 0, -ago).Format(time.DateOnly) }

// mill detects, builds and tests what is new in a week.
func (m *mill) mill(ctx context.Context, week int, id fleet.CycleID) error {
	var found []fleet.Detection
	var built []fleet.Built
	var tested []fleet.Tested
	for i := range m.size.Packages {
		if m.size.weekOf(i) != week {
			continue
		}
		pkg := m.size.pkg(i)
		found = append(found, fleet.Detection{Package: pkg, Current: before, Found: newest, State: "new", At: m.now})
		for _, version := range []string{before, newest} {
			file := fleet.BuiltFile{Installer: "x64", Name: pkg.Slug() + ".intunewin", MediaType: "application/octet-stream", Digest: artifact(pkg, version+" file"), Size: 1 << 20}
			built = append(built, fleet.Built{Package: pkg, Version: version, Artifact: artifact(pkg, version), Inputs: artifact(pkg, version+" inputs"), Files: []fleet.BuiltFile{file}, At: m.now})
		}
		var run []fleet.TestStep
		for _, name := range []string{"absent", "install", "detect", "launch", "upgrade", "uninstall", "gone"} {
			run = append(run, fleet.TestStep{Name: name, Result: "passed"})
		}
		tested = append(tested, fleet.Tested{Package: pkg, Version: newest, Artifact: artifact(pkg, newest), Cell: "windows-11", Installer: "x64", Result: "passed", Steps: run, At: m.now})
	}
	m.rec.Detections, m.rec.Builds, m.rec.Tests = append(m.rec.Detections, found...), append(m.rec.Builds, built...), append(m.rec.Tests, tested...)
	err := m.write(ctx, m.tell(evidence.Control, evidence.DetectedDir(id), found), m.tell(evidence.Control, evidence.BuiltDir(id), built), m.tell(evidence.Control, evidence.TestedDir(id), tested))
	if err != nil {
		return err
	}
	return m.beat(ctx, "detect", m.now.Add(time.Minute))
}

func artifact(id fleet.PackageID, version string) fleet.Digest {
	return fleet.DigestOf([]byte(string(id) + "@" + version))
}

// open merges the cycle with its plans and the first wave's approval.
func (m *mill) open(ctx context.Context, week int, id fleet.CycleID, cutOff time.Time) error {
	cycle := fleet.Cycle{CutOff: cutOff.UTC(), Entries: map[fleet.PackageID]fleet.Entry{}}
	for _, w := range m.repo.Waves {
		cycle.Waves = append(cycle.Waves, w.Name)
	}
	for i := range m.size.Packages {
		if pkg := m.size.pkg(i); m.size.weekOf(i) == week {
			cycle.Entries[pkg] = fleet.Entry{Release: newest, Artifact: artifact(pkg, newest)}
		}
	}
	plans := map[string]fleet.PlanRecord{}
	for _, gate := range cycle.Waves {
		plan, err := rollout.Plan(m.repo, m.rec, id, cycle, gate)
		if err != nil {
			return err
		}
		plans[gate] = fleet.PlanRecord{Digest: plan.Digest(), Inputs: plan.Evidence, Summary: plan.Summary()}
		if len(plan.Rows) == 0 {
			return fmt.Errorf("wave %s of %s reaches nothing", gate, id)
		}
	}
	m.repo.Cycles[id], m.repo.Plans[id], m.repo.Approvals[id] = cycle, plans, map[string]fleet.Approval{}
	first := cycle.Waves[0]
	steps, err := calendar.StepsOf(m.repo.Week, id)
	if err != nil {
		return err
	}
	approval := m.approval(id, first, steps["dogfood"].Add(24*time.Hour))
	return m.merge(ctx, approval, map[string][]byte{
		desired.CyclePath(id): desired.CycleFile(id, cycle), desired.PlanPath(id): desired.PlanFile(id, plans),
		desired.ApprovalPath(id, first): desired.ApprovalFile(approval),
	})
}

// approve merges the approval of a wave.
func (m *mill) approve(ctx context.Context, id fleet.CycleID, gate string, opens time.Time) error {
	approval := m.approval(id, gate, opens.Add(24*time.Hour))
	return m.merge(ctx, approval, map[string][]byte{desired.ApprovalPath(id, gate): desired.ApprovalFile(approval)})
}

// approval is that of a wave's plan, or of closing: the last wave's.
func (m *mill) approval(id fleet.CycleID, gate string, until time.Time) fleet.Approval {
	plan, ok := m.repo.Plans[id][gate]
	if !ok {
		plan = m.repo.Plans[id]["everyone"]
	}
	return fleet.Approval{Cycle: id, Gate: gate, Decision: "approved", Summary: plan.Summary, Plan: plan.Digest, ValidUntil: until.UTC()}
}

// merge puts files that bring one approval on main, and records the merge.
func (m *mill) merge(ctx context.Context, a fleet.Approval, files map[string][]byte) error {
	m.merges++
	file := desired.ApprovalPath(a.Cycle, a.Gate)
	row := fleet.Merge{
		PR: m.merges, Title: fmt.Sprintf("Open %s of %s", a.Gate, a.Cycle), Author: "packmill-bot", MergedBy: "ines", Base: m.repo.Commit,
		Head: hash(40, "head", m.merges), Commit: hash(40, "commit", m.merges), Tree: hash(40, "tree", m.merges),
		Checks: []fleet.Check{{Name: "validate", Conclusion: "success"}}, Approves: path.Join(string(a.Cycle), a.Gate), Plan: a.Plan, Approvers: []string{"ines"},
		ApprovalBlobs: map[string]string{file: blobID(files[file])}, At: m.now,
	}
	if m.disk != nil {
		if err := m.disk.merge(ctx, &row, m.now, files); err != nil {
			return err
		}
	}
	row.Reviews = []fleet.Review{{Login: "ines", ID: 1, State: "APPROVED", Commit: row.Head, At: m.now}}
	m.repo.Commit = row.Commit
	m.repo.Approvals[a.Cycle][a.Gate] = a
	for name, data := range files {
		m.repo.Blobs[name] = blobID(data)
	}
	m.rec.Merges = append(m.rec.Merges, row)
	return m.write(ctx, m.tell(evidence.Control, evidence.MergesDir, []fleet.Merge{row}))
}
