package policy

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// Targets that are not groups, as fleet.Target spells them.
const (
	allDevices = "all devices"
	allUsers   = "all users"
)

const (
	odataAllDevices = "#microsoft.graph.allDevicesAssignmentTarget"
	odataAllUsers   = "#microsoft.graph.allLicensedUsersAssignmentTarget"
	odataGroup      = "#microsoft.graph.groupAssignmentTarget"
	odataExclusion  = "#microsoft.graph.exclusionGroupAssignmentTarget"
	odataHourly     = "#microsoft.graph.deviceHealthScriptHourlySchedule"
	odataDaily      = "#microsoft.graph.deviceHealthScriptDailySchedule"
	odataOnce       = "#microsoft.graph.deviceHealthScriptRunOnceSchedule"
)

// mostHours is the longest interval of an hourly schedule.
const mostHours = 23

// An assignment as it is read and sent. Raw keeps what was read, so that a
// foreign one goes back unchanged.
type assignment struct {
	Target    target          `json:"target"`
	Remediate *bool           `json:"runRemediationScript,omitempty"`
	Schedule  *schedule       `json:"runSchedule,omitempty"`
	Raw       json.RawMessage `json:"-"`
}

type target struct {
	ODataType  string `json:"@odata.type"`
	GroupID    string `json:"groupId,omitempty"`
	FilterID   string `json:"deviceAndAppManagementAssignmentFilterId,omitempty"`
	FilterType string `json:"deviceAndAppManagementAssignmentFilterType,omitempty"`
}

// filter is a target's filter as a fleet.Target has it: the service says "none"
// of a target without one.
func (t target) filter() (id string, exclude bool) {
	if t.FilterID == "" || t.FilterType == "" || t.FilterType == "none" {
		return "", false
	}
	return t.FilterID, t.FilterType == "exclude"
}

type schedule struct {
	ODataType string `json:"@odata.type"`
	Interval  int    `json:"interval"`
	UseUTC    *bool  `json:"useUtc,omitempty"`
	Time      string `json:"time,omitempty"`
	Date      string `json:"date,omitempty"`
}

// key names an assignment's target within an object.
func (a assignment) key() string {
	switch a.Target.ODataType {
	case odataAllDevices:
		return allDevices
	case odataAllUsers:
		return allUsers
	case odataExclusion:
		return "-" + a.Target.GroupID
	}
	return a.Target.GroupID
}

func (a assignment) asTarget() fleet.Target {
	t := fleet.Target{Intent: "required", Group: a.Target.GroupID, Exclude: a.Target.ODataType == odataExclusion}
	t.Filter, t.Unfiltered = a.Target.filter()
	switch a.Target.ODataType {
	case odataAllDevices:
		t.Group = allDevices
	case odataAllUsers:
		t.Group = allUsers
	}
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
		var a assignment
		switch {
		case t.Group == "" || t.Exclude && (t.Group == allDevices || t.Group == allUsers):
			return nil, fleet.Errorf(fleet.Invalid, "policy.assign", s.String(), "a target names no group")
		case t.Group == allDevices:
			a.Target.ODataType = odataAllDevices
		case t.Group == allUsers:
			a.Target.ODataType = odataAllUsers
		case t.Exclude:
			a.Target = target{ODataType: odataExclusion, GroupID: t.Group}
		default:
			a.Target = target{ODataType: odataGroup, GroupID: t.Group}
		}
		if t.Filter != "" && !t.Exclude {
			a.Target.FilterID, a.Target.FilterType = t.Filter, "include"
			if t.Unfiltered {
				a.Target.FilterType = "exclude"
			}
		}
		if seen[a.key()] {
			return nil, fleet.Errorf(fleet.Invalid, "policy.assign", s.String(), "%q is a target twice", t.Group)
		}
		seen[a.key()] = true
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b assignment) int { return strings.Compare(a.key(), b.key()) })
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
		for _, o := range objects {
			// A second object with our marker must not go on deploying.
			if err := c.clear(ctx, o); err != nil {
				return err
			}
			set := want
			if o.key.kind == fleet.PartHealthScript {
				set = timed(o, begun)
			}
			if err := c.replaceSet(ctx, o, set); err != nil {
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
		if out[i].Target.ODataType == odataExclusion {
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

// replaceSet makes packmill's part of an object's assignments equal to want. The
// marker names what will be ours before it is, and forgets it only afterwards: a
// crash in between leaves nothing behind that nobody owns.
func (c *Client) replaceSet(ctx context.Context, o *object, want []assignment) error {
	present, err := c.assignments(ctx, o)
	if err != nil {
		return err
	}
	ours, foreign, err := c.split(ctx, o.marker, want, present)
	if err != nil {
		return err
	}
	named, err := c.foreignTargets(ctx, want)
	if err != nil {
		return err
	}
	before := o.marker
	both := o.marker
	both.Targets = slices.Compact(slices.Sorted(slices.Values(slices.Concat(before.Targets, named))))
	if len(both.Targets) != len(before.Targets) {
		if err := c.mark(ctx, o, both); err != nil {
			return err
		}
	}
	if !same(ours, want) {
		all := []json.RawMessage{}
		for _, a := range foreign {
			all = append(all, a.Raw)
		}
		for _, a := range want {
			data, err := json.Marshal(a)
			if err != nil {
				return err
			}
			all = append(all, data)
		}
		// The whole set again has the same effect.
		if err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, o.assignTo(o.id), map[string]any{o.assign: all}, nil); err != nil {
			return err
		}
	}
	if !slices.Equal(named, o.marker.Targets) {
		m := o.marker
		m.Targets = named
		return c.mark(ctx, o, m)
	}
	return nil
}

// assignments reads the assignment set of an object.
func (c *Client) assignments(ctx context.Context, o *object) ([]assignment, error) {
	raws, err := msgraph.List[json.RawMessage](ctx, c.api, msgraph.Fresh, o.assignments(o.id))
	if err != nil {
		return nil, err
	}
	out := make([]assignment, 0, len(raws))
	for _, raw := range raws {
		var a assignment
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, err
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return nil, err
		}
		for _, readOnly := range []string{"id", "source", "sourceId"} {
			delete(fields, readOnly)
		}
		if a.Raw, err = json.Marshal(fields); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// split tells packmill's assignments from those of the tenant's people.
func (c *Client) split(ctx context.Context, m Marker, want, present []assignment) (ours, foreign []assignment, err error) {
	own := map[string]bool{}
	for _, k := range m.Targets {
		own[k] = true
	}
	for _, a := range want {
		own[a.key()] = true
	}
	for _, a := range present {
		mine := own[a.key()]
		if !mine && a.Target.GroupID != "" {
			if mine, err = c.dir.OwnsGroup(ctx, a.Target.GroupID); err != nil {
				return nil, nil, err
			}
		}
		if mine {
			ours = append(ours, a)
		} else {
			foreign = append(foreign, a)
		}
	}
	return ours, foreign, nil
}

// foreignTargets are the keys of wanted targets that the marker must name, since
// nothing else shows that packmill assigned them; sorted.
func (c *Client) foreignTargets(ctx context.Context, want []assignment) ([]string, error) {
	var out []string
	for _, a := range want {
		if a.Target.GroupID != "" {
			own, err := c.dir.OwnsGroup(ctx, a.Target.GroupID)
			if err != nil {
				return nil, err
			}
			if own {
				continue
			}
		}
		out = append(out, a.key())
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// same compares two sets by what they do.
func same(a, b []assignment) bool {
	if len(a) != len(b) {
		return false
	}
	by := map[string]assignment{}
	for _, x := range a {
		by[x.key()] = x
	}
	for _, y := range b {
		x, ok := by[y.key()]
		xf, xout := x.Target.filter()
		yf, yout := y.Target.filter()
		if !ok || xf != yf || xout != yout || (x.Remediate != nil && *x.Remediate) != (y.Remediate != nil && *y.Remediate) || !x.Schedule.same(y.Schedule) {
			return false
		}
	}
	return true
}

func (s *schedule) same(o *schedule) bool {
	if s == nil || o == nil {
		return s == nil && o == nil
	}
	clock := func(s string) string { return s[:min(len(s), len("15:04:05"))] } // the service adds fractions
	return s.ODataType == o.ODataType && s.Interval == o.Interval && clock(s.Time) == clock(o.Time) && s.Date == o.Date
}
