package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// An Event is one line of the story of a week.
type Event struct {
	At   time.Time `json:"at"`
	Step string    `json:"step"` // name of the moment
	Text string    `json:"text"`
}

// A WeekRun is one run of packmill, as its story is told: what it did, and the
// facts after it.
type WeekRun struct {
	At    time.Time
	Step  string
	Zone  *time.Location // in which times of day are told
	Facts rollout.Facts
	Done  []rollout.Outcome
}

// Week tells what a run did, in lines for people who see this for the first
// time. Failures come first.
func Week(r WeekRun) []Event {
	t := &teller{WeekRun: r, done: map[string][]rollout.Outcome{}}
	for _, o := range r.Done {
		if o.Err == "" {
			t.done[o.Kind] = append(t.done[o.Kind], o)
		}
	}
	t.failures()
	t.detections()
	t.builds()
	t.simple(rollout.OpenCycle, "Cut-off. The cycle and its plan are proposed: %s.")
	t.announced()
	t.starts()
	t.deploys()
	t.verdicts()
	t.ways()
	t.simple(rollout.ProposeApproval, "The next wave is proposed: %s.")
	t.promoted()
	t.simple(rollout.ProposeClose, "Every release has its last word: %s.")
	return t.events
}

// Merged tells that people merged a pull request.
func Merged(at time.Time, step, approves, merges string, number int, title string) Event {
	return Event{at, step, fmt.Sprintf("%s approves and %s merges #%d: %s", approves, merges, number, title)}
}

// Killed tells that the runner was killed while it changed tenants.
func Killed(at time.Time, step, point string) Event {
	return Event{at, step, fmt.Sprintf("The runner is killed (SIGKILL, %s) while it assigns the wave: some tenants are changed, one is half changed, and receipts are missing.", point)}
}

// A teller turns the outcomes of one run into lines.
type teller struct {
	WeekRun
	done   map[string][]rollout.Outcome
	events []Event
}

func (t *teller) tell(format string, args ...any) {
	t.events = append(t.events, Event{t.At, t.Step, fmt.Sprintf(format, args...)})
}

func (t *teller) simple(kind, format string) {
	for _, o := range t.done[kind] {
		t.tell(format, o.Note)
	}
}

func (t *teller) name(id fleet.PackageID) string { return t.Facts.Repo.Packages[id].Name }

// failures tells what went wrong, a kind of action at a time: the next run
// tries it again.
func (t *teller) failures() {
	count, first := map[string]int{}, map[string]string{}
	for _, o := range t.Done {
		if o.Err == "" {
			continue
		}
		if count[o.Kind]++; count[o.Kind] == 1 {
			first[o.Kind], _, _ = strings.Cut(o.Err, "\n")
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		t.tell("%s did not wholly succeed, and is tried again: %s.", kind, first[kind])
	}
}

func (t *teller) detections() {
	if len(t.done[rollout.Detect]) == 0 {
		return
	}
	for _, x := range t.Facts.Record.Detections {
		switch {
		case !x.At.Equal(t.At):
		case x.Hold != "":
			t.tell("%s is held (%s): %s. A hold is never a pull request.", t.name(x.Package), x.Hold, x.Why)
		case x.Found != "" && x.Found != x.Current && t.Facts.Repo.Packages[x.Package].Kind == "configuration":
			t.tell("%s %s → %s: its files have changed; hashed and proposed like any release.", t.name(x.Package), x.Current, x.Found)
		case x.Found != "" && x.Found != x.Current:
			t.tell("%s %s → %s: downloaded, hashed, read, proposed.", t.name(x.Package), x.Current, x.Found)
		}
	}
}

func (t *teller) builds() {
	if n := len(t.done[rollout.Build]); n > 0 {
		t.tell("%d artifacts are built and signed, each with its provenance; %d are tested before any device sees them.", n, len(t.done[rollout.Test]))
	}
}

// starts tells waves by their time in evidence: the run that started one may
// have been killed before it could report.
func (t *teller) starts() {
	for _, w := range t.Facts.Record.Starts {
		if !w.At.Before(t.At) {
			t.tell("Wave %s is frozen: %d devices. Its assignments go out now and fire on the devices at %s.", w.Wave, w.Devices, w.Opens.In(t.Zone).Format("Mon 15:04"))
		}
	}
}

func (t *teller) deploys() {
	if len(t.done[rollout.Deploy]) == 0 {
		return
	}
	tenants, changes, recovered := map[fleet.TenantID]bool{}, 0, 0
	for _, o := range t.done[rollout.Deploy] {
		tenants[o.Tenant] = true
		changes += len(o.Packages)
	}
	for _, r := range t.Facts.Record.Receipts {
		if r.Recovered && !r.At.Before(t.At) {
			recovered++
		}
	}
	line := fmt.Sprintf("%d changes on %s, each with an intent before and a receipt after.", changes, plural(len(tenants), "tenant"))
	if recovered > 0 {
		line = fmt.Sprintf("A new runner takes up where the killed one stopped: %d intents without a receipt are looked at and finished, nothing is done twice. ", recovered) + line
	}
	t.tell("%s", line)
}

func (t *teller) verdicts() {
	for _, o := range t.done[rollout.Judge] {
		count := map[string][]string{}
		for _, v := range t.Facts.Record.Verdicts {
			if v.Wave != o.Wave || v.Look != o.Look || v.Cycle != o.Cycle {
				continue
			}
			count[v.Decision] = append(count[v.Decision], t.name(v.Package))
			if v.Decision == "fail" {
				t.tell("%s FAILS wave %s: %d of %d devices failed. It is halted at once and withdrawn; the others go on.", t.name(v.Package), v.Wave, v.Counts.Failed, v.Counts.Succeeded+v.Counts.Failed)
			}
		}
		if names := count["pass"]; len(names) > 0 {
			t.tell("Wave %s after %s: %s pass.", o.Wave, hoursOf(o.Look), strings.Join(names, ", "))
		}
		if names := count["inconclusive"]; len(names) > 0 {
			t.tell("Wave %s after %s: too few reports to judge %s yet.", o.Wave, hoursOf(o.Look), strings.Join(names, ", "))
		}
	}
}

func hoursOf(d fleet.Duration) string { return fmt.Sprintf("%d h", int(d.Std().Hours())) }

func (t *teller) ways() {
	t.simple(rollout.ProposeRevoke, "Taking it back is proposed, since that changes devices again: %s.")
	for _, o := range t.done[rollout.RollBack] {
		for _, id := range o.Packages {
			name := t.Facts.Repo.Tenants[o.Tenant].Name
			way := rollout.WayBackOf(t.Facts.Repo, t.Facts.Record, o.Tenant, id, fleet.Entry{Release: o.Version, Artifact: o.Artifact})
			switch way.Mode {
			case rollout.BackPrevious:
				t.tell("%s goes back to %s on %s.", t.name(id), way.To.Release, name)
			case rollout.BackUninstall:
				t.tell("%s is removed from %s.", t.name(id), name)
			default:
				t.tell("%s is stopped on %s, and waits for its next release.", t.name(id), name)
			}
		}
	}
}

func (t *teller) announced() {
	partners := map[string]bool{}
	var id fleet.CycleID
	for _, n := range t.Facts.Record.Notices {
		if n.Sent && !n.At.Before(t.At) {
			partners[n.Partner], id = true, n.Cycle
		}
	}
	cycle := t.Facts.Repo.Cycles[id]
	if len(partners) == 0 || len(cycle.Waves) == 0 {
		return
	}
	at := "soon"
	if opens, err := rollout.WaveOpens(t.Facts.Repo, id, cycle, cycle.Waves[len(cycle.Waves)-1]); err == nil {
		at = "at " + opens.In(t.Zone).Format("15:04")
	}
	t.tell("%s told what comes %s, each in its own language.", are(len(partners), "partner"), at)
}

// are is a number of things and the verb that goes with it.
func are(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return plural(n, noun) + " are"
}

func (t *teller) promoted() {
	names, tenants := map[string]bool{}, map[fleet.TenantID]bool{}
	for _, o := range t.done[rollout.Promote] {
		for _, id := range o.Packages {
			names[t.name(id)+" "+o.Version] = true
		}
		tenants[o.Tenant] = true
	}
	if len(names) > 0 {
		t.tell("Released to everyone: %s.", strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	}
}
