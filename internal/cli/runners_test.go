package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/world"
)

// monday opens a copy of the world on the eve of its last wave, with as many
// more clones of its repository as a test has runners.
func monday(t *testing.T, more int) *demo {
	t.Helper()
	d, err := openDemo(context.Background(), packmillProgram(t), copied(t, mondayWorld(t)), 1, neverKill)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	for i := range more {
		if err := copyTree(d.work(), d.runnerClone(i)); err != nil {
			t.Fatal(err)
		}
		repo, err := gitrepo.Open(d.runnerClone(i))
		if err != nil {
			t.Fatal(err)
		}
		if err := repo.SetRemote(d.world.RemoteURL()); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *demo) runnerClone(i int) string { return filepath.Join(d.dir, fmt.Sprintf("runner-%d", i)) }

// atOnce starts a runner in each clone, or all in the first, at the same time,
// waits for all, and returns what those that failed say.
func (d *demo) atOnce(t *testing.T, at time.Time, oneClone bool, calls ...[]string) []string {
	t.Helper()
	var all sync.WaitGroup
	failures := make([]string, len(calls))
	for i, args := range calls {
		clone := i
		if oneClone {
			clone = 0
		}
		cmd := exec.Command(d.exe, append([]string{"-C", d.runnerClone(clone), "--now", at.Format(time.RFC3339)}, args...)...)
		var out bytes.Buffer
		cmd.Env = append(d.environment(world.Bot), fmt.Sprintf("GITHUB_RUN_ID=%d", 100+clone))
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			if err := cmd.Wait(); err != nil {
				failures[i] = fmt.Sprintf("runner %d, packmill %s: %v\n%s", i, strings.Join(args, " "), err, out.String())
			}
		})
	}
	all.Wait()
	return slices.DeleteFunc(failures, func(s string) bool { return s == "" })
}

// TestTwoRunners lets two runners carry out the week's last wave at once, each in
// its own clone or both in one: the same run twice, and two shards side by side.
// The week ends exactly as it does with one runner.
//
// Whoever pushes the intents of some tenants first has them to itself; the other
// finds them there, and leaves those tenants alone. In one clone they take turns.
// Shards share no tenant.
func TestTwoRunners(t *testing.T) {
	thorough(t, "runs the end of the week four times")
	want := endOf(t, finishedWorld(t, neverKill))
	at := stepNamed(killStep).at
	run := []string{"run", "--yes"}
	shard := func(i int) []string { return []string{"apply", "--yes", "--shard", fmt.Sprintf("%d/2", i)} }
	for name, rounds := range map[string][][][]string{
		"run":       {{run, run}, {run}},
		"one clone": {{run, run}},
		// A shard reads the devices of its own tenants, and begins when the other
		// has read its own; the second may look before the first has begun.
		"shards": {{{"notify", "--yes"}}, {shard(0), shard(1)}, {shard(0), shard(1)}, {shard(0), shard(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := monday(t, 2)
			calls := map[string]int{}
			d.watch = counting(calls)
			d.world.SetTime(at)
			for _, round := range rounds {
				for _, failure := range d.atOnce(t, at, name == "one clone", round...) {
					t.Error(failure)
				}
			}
			t.Logf("calls: %v", calls)
			d.mu.Lock()
			d.watch = nil
			d.mu.Unlock()
			oneEffectEach(t, d)
			d.journal.Done = append(d.journal.Done, killStep)
			if err := d.run(context.Background()); err != nil {
				t.Fatal(err)
			}
			endOf(t, d.dir).same(t, want)
		})
	}
}

func stepNamed(name string) demoStep {
	steps := demoSteps()
	return steps[slices.IndexFunc(steps, func(s demoStep) bool { return s.name == name })]
}

// counting counts what simulators tell of, by service and name. The demo calls
// it under its lock.
func counting(calls map[string]int) event.Observer {
	return func(e event.Event) { calls[e.Service+"/"+e.Name]++ }
}

// oneEffectEach checks in evidence that no tenant was told the same twice: one
// intent that was carried out for each package, and one receipt that says so.
func oneEffectEach(t *testing.T, d *demo) {
	t.Helper()
	facts, _, err := d.facts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	intents, done := map[string][]string{}, map[string]int{}
	for _, i := range facts.Record.Intents {
		if i.Wave == "everyone" && i.Action == "assign" {
			key := fmt.Sprintf("%s %s %s", i.Tenant, i.Package, i.Artifact.Short())
			if !slices.Contains(intents[key], i.ID) {
				intents[key] = append(intents[key], i.ID)
			}
		}
	}
	for _, r := range facts.Record.Receipts {
		if r.Outcome == "done" {
			done[r.Intent]++
		}
	}
	if len(intents) == 0 {
		t.Fatal("nothing was assigned")
	}
	for _, key := range slices.Sorted(maps.Keys(intents)) {
		if ids := intents[key]; len(ids) != 1 || done[ids[0]] == 0 {
			t.Errorf("%s: intents %v, receipts of the first: %d", key, ids, done[ids[0]])
		}
	}
}

// TestLateRunner lets the runner of the last wave come late: it was to open at
// 12:00Z, and all of its tenants but one install whenever a wave opens. At 19:00Z
// the clinic, which installs from 20:00 to 23:00 in Stockholm, is within its
// nightly window and goes on; at 22:30Z nobody is. Nobody else is told anything:
// what was missed travels in the next cycle.
func TestLateRunner(t *testing.T) {
	long(t, "needs half a week")
	const clinic = fleet.TenantID("nordic/pine-clinic")
	for at, want := range map[string]string{"2026-11-23T19:00:00Z": "2026-11-23T19:00:00Z", "2026-11-23T22:30:00Z": ""} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			d := monday(t, 0)
			now, err := time.Parse(time.RFC3339, at)
			if err != nil {
				t.Fatal(err)
			}
			facts, _, err := d.facts(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			before := journals(t, d, facts.Repo)
			d.world.SetTime(now)
			out, err := d.child(context.Background(), now, false, "run", "--yes", "--format", "json")
			if err != nil {
				t.Fatal(err)
			}
			var report runReport
			if err := json.Unmarshal(out, &report); err != nil {
				t.Fatal(err)
			}
			var changed []fleet.TenantID
			after := journals(t, d, facts.Repo)
			for _, id := range facts.Repo.TenantIDs() {
				if before[id] != after[id] {
					changed = append(changed, id)
				}
			}
			var within []fleet.TenantID
			if want != "" {
				within = append(within, clinic)
			}
			if len(before) != 12 || !slices.Equal(changed, within) {
				t.Errorf("of %d tenants it changed %v, want %v\n%s", len(before), changed, within, out)
			}
			if got := strings.Join(begins(t, d.dir, facts.Repo.Tenants[clinic].Intune.Directory), " "); got != want {
				t.Errorf("the clinic's devices begin at %q, want %q", got, want)
			}
			missed := slices.ContainsFunc(report.Waits, func(w rollout.Wait) bool { return strings.Contains(w.Why, "missed, and left to the next cycle") })
			if !missed {
				t.Errorf("nobody is told what was missed:\n%s", out)
			}
		})
	}
}

// journals is what each tenant was told, as the simulated service has it on disk: app
// objects with their contents and assignments, groups with their members.
func journals(t *testing.T, d *demo, repo *fleet.Repository) map[fleet.TenantID]string {
	t.Helper()
	out := map[fleet.TenantID]string{}
	for _, id := range repo.TenantIDs() {
		data, err := os.ReadFile(filepath.Join(d.dir, "graph", repo.Tenants[id].Intune.Directory, "journal.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		out[id] = string(fleet.DigestOf(data))
	}
	return out
}

var startsAt = regexp.MustCompile(`"startDateTime":"([^"]*)"`)

// begins are the instants, sorted, at which devices of a tenant may begin with
// what its candidate slots assign.
func begins(t *testing.T, dir, tenant string) []string {
	t.Helper()
	var now endState
	now.tenants(t, dir)
	var out []string
	for _, app := range now.Apps {
		if words := strings.Fields(app); words[0] == tenant[:8] && words[2] == fleet.Candidate {
			for _, m := range startsAt.FindAllStringSubmatch(app, -1) {
				out = append(out, m[1])
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
