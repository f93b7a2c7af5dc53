package policy

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const (
	odataHourly = "#microsoft.graph.deviceHealthScriptHourlySchedule"
	odataDaily  = "#microsoft.graph.deviceHealthScriptDailySchedule"
	odataOnce   = "#microsoft.graph.deviceHealthScriptRunOnceSchedule"
)

// mostHours is the longest interval of an hourly schedule.
const mostHours = 23

// An assignment as it is read and sent.
type assignment struct {
	assign.Entry
	Remediate *bool     `json:"runRemediationScript,omitempty"`
	Schedule  *schedule `json:"runSchedule,omitempty"`
}

// filterOf is a target's filter as a fleet.Target has it: the service says "none"
// of a target without one.
func filterOf(t assign.Target) (id string, exclude bool) {
	if t.FilterID == "" || t.FilterType == "" || t.FilterType == assign.FilterNone {
		return "", false
	}
	return t.FilterID, t.FilterType == assign.FilterExclude
}

type schedule struct {
	ODataType string `json:"@odata.type"`
	Interval  int    `json:"interval"`
	UseUTC    *bool  `json:"useUtc,omitempty"`
	Time      string `json:"time,omitempty"`
	Date      string `json:"date,omitempty"`
}

func (a assignment) asTarget() fleet.Target {
	t := a.Target.Told()
	t.Intent = "required"
	t.Filter, t.Unfiltered = filterOf(a.Target)
	return t
}

// toAssignments turns targets into what Graph takes, in order of their keys.
// To remove a configuration is to assign it to nobody: such targets are none.
func toAssignments(s slot, targets []fleet.Target) ([]assignment, error) {
	var out []assignment
	seen := map[string]bool{}
	for _, t := range targets {
		if t.Intent == "uninstall" {
			continue
		}
		if t.Intent != "required" {
			return nil, fleet.Errorf(fleet.Refused, "policy.assign", s.String(), "a configuration is in force or not: nothing can be %q", t.Intent)
		}
		if t.Group == "" || t.Exclude && (t.Group == assign.AllDevices || t.Group == assign.AllUsers) {
			return nil, fleet.Errorf(fleet.Invalid, "policy.assign", s.String(), "a target names no group")
		}
		a := assignment{Entry: assign.Entry{Target: assign.TargetOf(t)}}
		if seen[a.Key()] {
			return nil, fleet.Errorf(fleet.Invalid, "policy.assign", s.String(), "%q is a target twice", t.Group)
		}
		seen[a.Key()] = true
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b assignment) int { return strings.Compare(a.Key(), b.Key()) })
	return out, nil
}

// Assign replaces packmill's part of the assignment set of each of the slot's
// objects, from the next check-in on: starts and deadlines of targets are not
// the console's to keep. Only a remediation is kept from targets whose start is
// still to come: the app beside it knows its start, and would be overtaken. Empty targets withdraw, and find nothing to do on a slot
// without objects.
func (c *Client) Assign(ctx context.Context, id fleet.PackageID, name string, targets []fleet.Target) error {
	s := slot{id, name}
	if err := checkSlot("policy.assign", s); err != nil {
		return err
	}
	want, err := toAssignments(s, targets)
	if err != nil {
		return err
	}
	begun, err := toAssignments(s, begunBy(targets, c.api.Clock().Now()))
	if err != nil {
		return err
	}
	return c.api.Fail("policy.assign", s.String(), c.api.Persist(ctx, func() error {
		objects, err := c.find(ctx, s, false)
		if err != nil {
			return err
		}
		if len(objects) == 0 && len(want) > 0 {
			return &fleet.Error{Op: "policy.assign", Object: s.String(), Kind: fleet.Stalled,
				Err: errNoObject, Hint: "publish the release into the slot first"}
		}
		if len(want) == 0 {
			return c.withdraw(ctx, objects)
		}
		sets := make([][]assignment, len(objects))
		for i, o := range objects { // all are looked at before any is changed
			if sets[i] = want; o.key.kind == fleet.PartHealthScript {
				sets[i] = timed(o, begun)
			}
			if len(objects) == 1 {
				break // Replace looks itself
			}
			if err := c.set(o).Free(ctx, sets[i]); err != nil {
				return err
			}
		}
		for i, o := range objects {
			// A second object with our marker must not go on deploying.
			if err := c.clear(ctx, o); err != nil {
				return err
			}
			if err := c.replaceSet(ctx, o, sets[i]); err != nil {
				return err
			}
		}
		return nil
	}))
}

// withdraw takes packmill's assignments of all objects away: one that cannot be
// changed keeps no other from stopping.
func (c *Client) withdraw(ctx context.Context, objects []*object) error {
	var errs []error
	for _, o := range objects {
		errs = append(errs, c.replaceSet(ctx, o, nil), c.clear(ctx, o))
	}
	return errors.Join(errs...)
}

// westmost is how far the last place on earth is behind UTC.
const westmost = 12 * time.Hour

// begunBy are the targets whose start has come everywhere, none if those that are
// left only leave groups out.
func begunBy(targets []fleet.Target, now time.Time) []fleet.Target {
	var out []fleet.Target
	some := false
	for _, t := range targets {
		opens := t.Opens
		if t.LocalTime && !opens.IsZero() {
			opens = opens.Add(westmost)
		}
		if opens.After(now) {
			continue
		}
		out = append(out, t)
		some = some || !t.Exclude
	}
	if !some {
		return nil
	}
	return out
}

// timed gives the assignments of a health script their schedule. One that runs
// once keeps the instant that its marker tells.
func timed(o *object, want []assignment) []assignment {
	out := slices.Clone(want)
	yes := true
	for i := range out {
		if out[i].Target.ODataType == assign.TypeExclusion {
			continue
		}
		out[i].Remediate, out[i].Schedule = &yes, scheduleOf(o.marker.Every, time.Unix(o.marker.At, 0).UTC())
	}
	return out
}

// scheduleOf is the schedule that comes nearest to an interval and is not rarer
// than one that Intune has: hours up to 23, then days; and once, an hour after
// an instant.
func scheduleOf(every fleet.Duration, at time.Time) *schedule {
	no, yes := false, true
	if every <= 0 {
		at = at.Add(time.Hour)
		return &schedule{ODataType: odataOnce, Interval: 1, UseUTC: &yes, Time: at.Format("15:04:05"), Date: at.Format(time.DateOnly)}
	}
	hours := max(int((every.Std()+time.Hour-1)/time.Hour), 1)
	if hours <= mostHours {
		return &schedule{ODataType: odataHourly, Interval: hours}
	}
	return &schedule{ODataType: odataDaily, Interval: min((hours+23)/24, mostHours), Time: "12:00:00", UseUTC: &no}
}

// replaceSet makes packmill's part of an object's assignments equal to want.
func (c *Client) replaceSet(ctx context.Context, o *object, want []assignment) error {
	return c.set(o).Replace(ctx, want)
}

func (c *Client) set(o *object) assign.Object[assignment] {
	return assign.Object[assignment]{
		Name: o.key.String(), Owns: c.dir.OwnsGroup, Marked: o.marker.Targets, Alike: alike, Waits: c.api,
		Read: func(ctx context.Context) ([]assignment, error) { return c.assignments(ctx, o) },
		Mark: func(ctx context.Context, targets []string) error {
			m := o.marker
			m.Targets = targets
			return c.mark(ctx, o, m)
		},
		Send: func(ctx context.Context, set []json.RawMessage) error {
			// The whole set again has the same effect.
			return c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, o.assignTo(o.id), map[string]any{o.assign: set}, nil)
		},
	}
}

// assignments reads the assignment set of an object.
func (c *Client) assignments(ctx context.Context, o *object) ([]assignment, error) {
	raws, err := msgraph.List[json.RawMessage](ctx, c.api, msgraph.Fresh, o.assignments(o.id))
	if err != nil {
		return nil, err
	}
	return assign.Parse[assignment](raws, "id", "source", "sourceId")
}

// settled reads the assignment set of an object that a deletion rests on.
func (c *Client) settled(ctx context.Context, o *object) ([]assignment, error) {
	return assign.Settled(ctx, c.api, o.key.String(), func(ctx context.Context) ([]assignment, error) { return c.assignments(ctx, o) })
}

// split tells packmill's assignments, which the marker names or whose group is
// packmill's, from those of the tenant's people.
func (c *Client) split(ctx context.Context, m Marker, present []assignment) (ours, foreign []assignment, err error) {
	return assign.Split(ctx, c.dir.OwnsGroup, m.Targets, present)
}

// alike compares two assignments of one target by what they do.
func alike(a, b assignment) bool {
	af, aout := filterOf(a.Target)
	bf, bout := filterOf(b.Target)
	return af == bf && aout == bout && (a.Remediate != nil && *a.Remediate) == (b.Remediate != nil && *b.Remediate) && a.Schedule.same(b.Schedule)
}

func (s *schedule) same(o *schedule) bool {
	if s == nil || o == nil {
		return s == nil && o == nil
	}
	clock := func(s string) string { return s[:min(len(s), len("15:04:05"))] } // the service adds fractions
	return s.ODataType == o.ODataType && s.Interval == o.Interval && clock(s.Time) == clock(o.Time) && s.Date == o.Date
}
