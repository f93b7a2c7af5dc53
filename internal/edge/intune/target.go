package intune

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/fleet"
)

var errNoApp = errors.New("the tenant has no app object for the slot")

// toAssignments turns targets into what Graph takes, in order of their keys.
func toAssignments(k slotKey, targets []fleet.Target) ([]assignment, error) {
	var out []assignment
	seen := map[string]bool{}
	for _, t := range targets {
		a, err := toAssignment(k, t)
		if err != nil {
			return nil, err
		}
		if seen[a.Key()] {
			return nil, fleet.Errorf(fleet.Invalid, "intune.assign", k.String(), "%q is a target twice", t.Group)
		}
		seen[a.Key()] = true
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b assignment) int { return strings.Compare(a.Key(), b.Key()) })
	return out, nil
}

func toAssignment(k slotKey, t fleet.Target) (assignment, error) {
	bad := func(format string, args ...any) (assignment, error) {
		return assignment{}, fleet.Errorf(fleet.Invalid, "intune.assign", k.String(), format, args...)
	}
	if !slices.Contains([]string{"required", "available", "uninstall"}, t.Intent) {
		return bad("%q is no intent the service knows", t.Intent)
	}
	a := assignment{ODataType: odataAssignment, Intent: t.Intent}
	switch {
	case t.Group == "":
		return bad("a target names no group")
	case (t.Group == assign.AllDevices || t.Group == assign.AllUsers) && t.Exclude:
		return bad("%q cannot be left out of an assignment", t.Group)
	case t.Exclude && t.Filter != "":
		return bad("group %q is left out whole: the service knows no filter there", t.Group)
	}
	a.Target = assign.TargetOf(t)
	if t.Exclude {
		// Settings stay null: the service refuses any for an exclusion.
		return a, nil
	}
	settings, err := toSettings(k, t)
	a.Settings = settings
	return a, err
}

// The limits of restartSettings, in minutes, as the service's own pages state
// them.
const (
	mostGrace     = 20_160
	mostCountdown = 240
)

// toSettings are the settings of an assignment that is no exclusion.
func toSettings(k slotKey, t fleet.Target) (*assignmentSettings, error) {
	bad := func(format string, args ...any) (*assignmentSettings, error) {
		return nil, fleet.Errorf(fleet.Invalid, "intune.assign", k.String(), format, args...)
	}
	if !t.Deadline.IsZero() && t.Deadline.Before(t.Opens) {
		return bad("the deadline for %q lies before its start", t.Group)
	}
	s := &assignmentSettings{ODataType: odataSettings, Notifications: "showReboot", Delivery: background}
	if t.Notify != "" {
		s.Notifications = t.Notify
	}
	if !slices.Contains([]string{"showAll", "showReboot", "hideAll"}, s.Notifications) {
		return bad("%q is no kind of notification", t.Notify)
	}
	if t.Foreground {
		s.Delivery = foreground
	}
	if r := t.Restart; r != (fleet.Restart{}) {
		if r.Grace < 1 || r.Grace > mostGrace || r.Countdown < 1 || r.Countdown > min(mostCountdown, r.Grace) || r.Snooze < 0 || r.Snooze > r.Grace {
			return bad("a restart after %d minutes with a countdown of %d and %d to put it off is none the service takes", r.Grace, r.Countdown, r.Snooze)
		}
		s.Restart = &restartSettings{Grace: r.Grace, Countdown: r.Countdown, Snooze: positive(r.Snooze)}
	}
	deadline := t.Deadline
	if t.Intent == "available" {
		deadline = time.Time{} // nothing is forced on whom it is only offered
	}
	if !t.Opens.IsZero() || !deadline.IsZero() {
		s.InstallTime = &installTimeSettings{
			UseLocalTime: t.LocalTime, StartDateTime: instant(t.Opens, t.LocalTime), DeadlineDateTime: instant(deadline, t.LocalTime),
		}
	}
	return s, nil
}

// instant is a time as installTimeSettings takes it, nil for none. Local time
// is the wall clock's reading with a Z that the service does not mean.
func instant(t time.Time, local bool) *string {
	if t.IsZero() {
		return nil
	}
	if !local {
		t = t.UTC()
	}
	s := t.Format(wallClock) + "Z"
	return &s
}

// asTarget is the assignment as the vocabulary tells it.
func (a assignment) asTarget() fleet.Target {
	t := a.Target.Told()
	t.Intent = a.Intent
	if a.Target.FilterID != "" && a.Target.FilterType != assign.FilterNone {
		t.Filter, t.Unfiltered = a.Target.FilterID, a.Target.FilterType == assign.FilterExclude
	}
	if a.Settings == nil {
		return t
	}
	t.Notify, t.Foreground = a.Settings.Notifications, a.Settings.Delivery == foreground
	if r := a.Settings.Restart; r != nil {
		t.Restart = fleet.Restart{Grace: r.Grace, Countdown: r.Countdown}
		if r.Snooze != nil {
			t.Restart.Snooze = *r.Snooze
		}
	}
	if i := a.Settings.InstallTime; i != nil {
		t.Opens, t.Deadline, t.LocalTime = parseInstant(i.StartDateTime), parseInstant(i.DeadlineDateTime), i.UseLocalTime
	}
	return t
}

func parseInstant(s *string) time.Time {
	if s == nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, *s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// alike compares two assignments of one target by what they do.
func alike(a, b assignment) bool { return a.asTarget() == b.asTarget() }
