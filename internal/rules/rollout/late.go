package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
)

// Times are the timings of a wave's rows, each worked out once for all
// packages of a tenant that share it.
type Times struct {
	repo    *fleet.Repository
	id      fleet.CycleID
	wave    fleet.Wave
	consent Consent
	now     time.Time
	known   map[timeKey]Timing
}

type timeKey struct {
	tenant          fleet.TenantID
	opens, deadline time.Time
	local, security bool
	atOnce          bool
}

// TimesOf are the timings of the rows of a wave that has started, as seen at
// now, under the approval of it that was merged.
func TimesOf(f Facts, id fleet.CycleID, wave string, now time.Time) *Times {
	w, _ := WaveOf(f.Repo, id, wave)
	var consent Consent
	if a, m, _ := approved(f, id, wave, now, true); a != nil {
		consent = consentOf(a, m)
	}
	return newTimes(f.Repo, id, w, consent, now)
}

func newTimes(repo *fleet.Repository, id fleet.CycleID, wave fleet.Wave, consent Consent, now time.Time) *Times {
	return &Times{repo: repo, id: id, wave: wave, consent: consent, now: now, known: map[timeKey]Timing{}}
}

// Of is the timing of a row.
func (t *Times) Of(row fleet.PlanRow) Timing {
	security := t.repo.Packages[row.Package].Releases[row.To].Change == "security"
	key := timeKey{row.Tenant, row.NotBefore.UTC(), row.Deadline.UTC(), row.LocalTime, security, atOnce(t.repo.Tenants[row.Tenant], t.repo.Packages[row.Package])}
	timing, ok := t.known[key]
	if !ok {
		timing = TimingOf(t.repo, t.id, t.wave, row, t.consent, t.now)
		t.known[key] = timing
	}
	return timing
}

// lateness is what a stepper keeps of the rows of a wave that are not as
// planned, to tell of many tenants in one line.
type lateness struct {
	*Times
	s       *stepper
	c       *CycleState
	w       *WaveState
	waiting map[lateWait]map[fleet.TenantID]bool
	reason  map[fleet.TenantID]string
}

// A lateWait is what several tenants of a wave wait for.
type lateWait struct {
	kind  fleet.Kind
	why   string
	until time.Time
}

func (s *stepper) times(c *CycleState, w *WaveState) *lateness {
	return &lateness{
		Times: newTimes(s.f.Repo, c.ID, w.Wave, consentOf(w.Approval, w.Merge), s.now), s: s, c: c, w: w,
		waiting: map[lateWait]map[fleet.TenantID]bool{}, reason: map[fleet.TenantID]string{},
	}
}

// due reports whether a row may be pushed now, and notes why it may not.
func (l *lateness) due(row fleet.PlanRow) bool {
	t := l.Of(row)
	if t.Late != "" {
		l.reason[row.Tenant] = t.Late
	}
	if t.Due(l.now) {
		return true
	}
	wait := lateWait{fleet.Waiting, "its next time is " + startText(t.Opens, row.LocalTime), t.Push.UTC()}
	switch {
	case t.Missed:
		wait.kind, wait.why, wait.until = fleet.Stalled, "missed, and left to the next cycle: "+t.Late, time.Time{}
	case t.Late != "":
		wait.why = t.Late + "; " + wait.why
	}
	if l.waiting[wait] == nil {
		l.waiting[wait] = map[fleet.TenantID]bool{}
	}
	l.waiting[wait][row.Tenant] = true
	return false
}

// startText is a start for people: a reading says that it is one.
func startText(t time.Time, local bool) string {
	if local {
		return t.Format("2006-01-02 15:04") + " local time"
	}
	return stamp(t)
}

// late is what an action on a tenant adds to its reason: nothing is late in
// silence.
func (l *lateness) late(t fleet.TenantID) string {
	if why := l.reason[t]; why != "" {
		return "; late: " + why
	}
	return ""
}

// coming reports whether a row that is not due may still be in this cycle.
func (l *lateness) coming() bool {
	for wait := range l.waiting {
		if wait.kind == fleet.Waiting {
			return true
		}
	}
	return false
}

// tell lists what is waited for, and what was missed.
func (l *lateness) tell() {
	waits := slices.SortedFunc(maps.Keys(l.waiting), func(a, b lateWait) int {
		if n := a.until.Compare(b.until); n != 0 {
			return n
		}
		return strings.Compare(a.why, b.why)
	})
	for _, wait := range waits {
		tenants := slices.Sorted(maps.Keys(l.waiting[wait]))
		l.s.wait(Wait{Cycle: l.c.ID, Wave: l.w.Wave.Name, Tenants: tenants, Kind: wait.kind, Why: some(tenants) + ": " + wait.why, Until: wait.until})
	}
}

// some names a few tenants and counts the others.
func some(tenants []fleet.TenantID) string {
	const few = 3
	var names []string
	for _, t := range tenants[:min(few, len(tenants))] {
		names = append(names, string(t))
	}
	if more := len(tenants) - few; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// gone reports whether a wave that is to start would change no device any more,
// and says so: every row of its plan is missed.
func (s *stepper) gone(c *CycleState, w *WaveState) bool {
	rows := s.f.Plans[c.ID][w.Wave.Name].Rows
	times := s.times(c, w)
	for _, row := range rows {
		if times.due(row) || !times.Of(row).Missed {
			return false
		}
	}
	times.tell()
	return len(rows) > 0
}

// firstStart is when the first device of a wave changes: the wave's opening, or
// earlier where each tenant has its own time and clocks are ahead.
func (s *stepper) firstStart(c *CycleState, w *WaveState) time.Time {
	first := w.Opens
	for _, row := range s.f.Plans[c.ID][w.Wave.Name].Rows {
		if !row.LocalTime {
			break // all rows of a wave are alike in this
		}
		if zone, err := calendar.Zone(s.f.Repo.Tenants[row.Tenant].Zone); err == nil {
			if at := InstantOf(row.NotBefore, zone); at.Before(first) {
				first = at
			}
		}
	}
	return first
}
