package rollout

import (
	"fmt"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// punctual is how late an assignment may come, on a tenant without windows, and
// still count as in time: runners start when they start.
const punctual = time.Hour

// A Timing is when a row of a started wave is carried out. An assignment is
// pushed early and the device's clock starts it, so a late runner changes
// nothing as long as it comes before that; one that comes later must not let
// devices change at a time that nobody agreed to.
type Timing struct {
	Opens    time.Time // start on devices; a reading where the row's is
	Deadline time.Time // install by; a reading where the row's is
	Push     time.Time // instant from which it may be pushed; zero for as soon as the wave has started
	Late     string    // why it is not as planned, "" when it is
	Missed   bool      // not in this cycle any more, because of Late
}

// Due reports whether the row may be pushed now.
func (t Timing) Due(now time.Time) bool { return !t.Missed && !now.Before(t.Push) }

// TimingOf says when a row of a wave is carried out, as seen at now. It goes as
// planned before its start and within its own time, which is the rest of the
// tenant's window that holds the start, or an hour where the tenant has no
// windows. After that the wave's onMissedWindow decides: "next" moves it to the
// tenant's next window, the one that is open now included, or to the next time
// of the wave's step; "runIfWithin" lets it go out late on a tenant without
// windows too, for as long as the wave says. A start that a freeze holds, or
// that the tenant's windows do not allow any longer, moves in the same way, and
// a deadline that lies in a freeze moves to where that begins.
//
// People who approve a wave when it should have begun already mean it to begin:
// on a tenant without windows the hour counts from their merge then, and in a
// lane outside the week it may begin until the approval ends. What would
// start after the end of what they approved is missed: it waits for the next
// cycle.
func TimingOf(repo *fleet.Repository, id fleet.CycleID, wave fleet.Wave, row fleet.PlanRow, consent Consent, now time.Time) Timing {
	release := repo.Packages[row.Package].Releases[row.To]
	security := release.Change == "security"
	b, err := newTimetable(repo, id, wave, repo.Tenants[row.Tenant], security, row.Deadline.Sub(row.NotBefore))
	if err != nil {
		return Timing{Late: err.Error(), Missed: true}
	}
	opens, deadline := row.NotBefore, row.Deadline
	if row.LocalTime {
		opens, deadline = InstantOf(opens, b.zone), InstantOf(deadline, b.zone)
	}
	late, moves := b.late(opens, consent, now)
	t := Timing{Opens: opens, Deadline: b.freezes(opens, deadline), Late: late}
	if moves {
		span, ok := b.next(later(opens, now))
		switch {
		case !ok:
			return Timing{Late: late + "; there is no time for it within three weeks", Missed: true}
		case span.From.After(consent.Until):
			return Timing{Late: late + "; its next time is " + stamp(span.From) + ", after what was approved", Missed: true}
		}
		t.Opens, t.Deadline, t.Push = span.From, span.Until, span.From.Add(-wave.Arm.Std())
	}
	if thawed := b.thawed(now); thawed.After(now) {
		t.Push = later(t.Push, thawed)
	}
	if atOnce(repo.Tenants[row.Tenant], repo.Packages[row.Package]) {
		t.Push = later(t.Push, t.Opens)
	}
	if row.LocalTime {
		t.Opens, t.Deadline = reading(t.Opens, b.zone), reading(t.Deadline, b.zone)
	}
	return t
}

// late says why a row that was to start at an instant is not as planned at now,
// and whether it moves to another time for that.
func (b timetable) late(opens time.Time, consent Consent, now time.Time) (why string, moves bool) {
	if name := b.frozen(opens); name != "" {
		return "its start was in the freeze " + name, true
	}
	if b.windows.restricted() {
		span, ok := b.windows.at(opens)
		switch {
		case !ok:
			return "its start, " + stamp(opens) + ", is in none of the tenant's windows now", true
		case !now.Before(span.Until):
			return "its window ended at " + stamp(span.Until), true
		}
		return "", false
	}
	over := now.Sub(opens)
	switch within := b.within(); {
	case over <= punctual:
		return "", false
	case b.wave.OnMissedWindow == "runIfWithin" && over <= within:
		return fmt.Sprintf("its start was at %s, within the wave's %s", stamp(opens), within), false
	case now.Sub(consent.Merged) <= punctual:
		return "its start was at " + stamp(opens) + ", and people approved it at " + stamp(consent.Merged), false
	case b.lane && !now.After(consent.Until):
		return "its start was at " + stamp(opens) + ", and a lane does not wait for the week", false
	default:
		return "its start was at " + stamp(opens), true
	}
}

// within is how late a row may be on a tenant without windows where the wave
// lets it.
func (b timetable) within() time.Duration {
	if b.wave.Within > 0 {
		return b.wave.Within.Std()
	}
	return punctual
}

// A Consent is what people let happen in a wave, and when they did. The zero
// value lets nothing happen late.
type Consent struct {
	Merged time.Time // by people; the zero time where nobody was asked
	Until  time.Time // the end of what they approved
}

// consentOf is what an approval and the merge that brought it let happen: its
// gate opens until the approval ends, and devices install until the deadline
// that it names.
func consentOf(a *fleet.Approval, m *fleet.Merge) Consent {
	var c Consent
	if a != nil {
		c.Until = later(a.ValidUntil, a.Summary.Deadline)
		if m != nil && len(m.Approvers) > 0 {
			c.Merged = m.At
		}
	}
	return c
}
