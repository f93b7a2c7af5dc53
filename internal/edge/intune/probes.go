package intune

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/edge/intune/marker"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/probe"
	"github.com/packmill/packmill/internal/transport"
)

// A probe is a device health script with a detection part alone: what Intune's
// portal calls a remediation. It is found by a marker in its description, like
// a wave's group.

const (
	odataScript = "#microsoft.graph.deviceHealthScript"
	odataHourly = "#microsoft.graph.deviceHealthScriptHourlySchedule"
	odataDaily  = "#microsoft.graph.deviceHealthScriptDailySchedule"
)

// mostHours is the longest interval of an hourly schedule.
const mostHours = 23

type healthScript struct {
	ODataType       string     `json:"@odata.type"`
	ID              string     `json:"id,omitempty"`
	DisplayName     string     `json:"displayName,omitempty"`
	Description     string     `json:"description,omitempty"`
	Publisher       string     `json:"publisher,omitempty"`
	Detection       string     `json:"detectionScriptContent,omitempty"` // base64
	RunAsAccount    string     `json:"runAsAccount,omitempty"`
	RunAs32Bit      *bool      `json:"runAs32Bit,omitempty"`
	Enforce         *bool      `json:"enforceSignatureCheck,omitempty"`
	CreatedDateTime *time.Time `json:"createdDateTime,omitempty"`
}

type scriptAssignment struct {
	assign.Entry
	Remediate bool            `json:"runRemediationScript"`
	Schedule  *scriptSchedule `json:"runSchedule,omitempty"`
}

type scriptSchedule struct {
	ODataType string `json:"@odata.type"`
	Interval  int    `json:"interval"`
	Time      string `json:"time,omitempty"`
	UseUTC    *bool  `json:"useUtc,omitempty"`
}

// A runState is what a script last did on a device.
type runState struct {
	Detection string     `json:"detectionState"`
	Output    string     `json:"preRemediationDetectionScriptOutput"`
	Updated   *time.Time `json:"lastStateUpdateDateTime"`
	Device    *struct {
		ID string `json:"id"`
	} `json:"managedDevice"`
}

// A ProbeMarker is packmill's text in the description of a script. Spec names the
// text and the schedule as last written: lists do not tell the text.
type ProbeMarker struct {
	Package fleet.PackageID `json:"package"`
	Probe   string          `json:"probe"`
	ID      string          `json:"id,omitempty"`   // of the script itself; a copy has another
	Half    bool            `json:"half,omitempty"` // made a moment ago, and not named yet
	Spec    string          `json:"spec"`
}

func (m ProbeMarker) line() string { return marker.Line(m) }

// ParseProbeMarker finds the marker in a script's description. A description
// without one is somebody else's script.
func ParseProbeMarker(description string) (ProbeMarker, bool) {
	return marker.Find(description, func(m ProbeMarker) bool { return m.Package != "" && m.Probe != "" })
}

// Probe makes a probe run on the devices of a group, and on those of groups it
// was added to before. Calling it again finds what was made.
func (c *Client) Probe(ctx context.Context, p fleet.DeviceProbe) error {
	object := string(p.Package) + " " + p.Name
	if p.Package == "" || p.Name == "" || p.Script == "" || p.Group == "" {
		return fleet.Errorf(fleet.Invalid, "intune.probe", object, "a probe has no package, name, script or group")
	}
	return c.api.Fail("intune.probe", object, c.api.Persist(ctx, func() error {
		id, err := c.ensureProbe(ctx, p)
		if err != nil {
			return err
		}
		return c.assignProbe(ctx, id, p)
	}))
}

// ensureProbe finds the probe's script, creates it, or brings it up to date.
// Others of packmill's with its marker, which a lost answer or a delayed list left
// behind, go.
func (c *Client) ensureProbe(ctx context.Context, p fleet.DeviceProbe) (string, error) {
	same, err := c.sameProbes(ctx, p)
	if err != nil {
		return "", err
	}
	off := false
	m := ProbeMarker{Package: p.Package, Probe: p.Name, Half: true, Spec: fleet.DeriveID("intune-probe", p.Script, p.Every.String())}
	want := healthScript{
		ODataType: odataScript, DisplayName: "packmill probe " + p.Name + " of " + string(p.Package), Publisher: "packmill", Description: m.line(),
		Detection: base64.StdEncoding.EncodeToString([]byte(p.Script)), RunAsAccount: "system", RunAs32Bit: &off, Enforce: &off,
	}
	if len(same) == 0 {
		var made healthScript
		if err := c.api.Call(ctx, msgraph.Final, http.MethodPost, scriptsPath, want, &made); err != nil {
			return "", err
		}
		if made.ID == "" {
			return "", fmt.Errorf("the service created a script without telling its id")
		}
		m.ID, m.Half = made.ID, false
		return made.ID, c.describe(ctx, made.ID, m.line())
	}
	for _, spare := range same[1:] {
		if err := c.dropProbe(ctx, spare); err != nil {
			return "", err
		}
	}
	used := same[0]
	if m.ID, m.Half = used.id, false; used.ProbeMarker == m {
		return used.id, nil
	}
	want.Description = m.line()
	return used.id, c.api.Call(ctx, msgraph.Fresh, http.MethodPatch, scriptPath(used.id), want, nil)
}

// describe changes nothing of a script but its description.
func (c *Client) describe(ctx context.Context, id, description string) error {
	body := map[string]any{"@odata.type": odataScript, "description": description}
	return c.api.Call(ctx, msgraph.Fresh, http.MethodPatch, scriptPath(id), body, nil)
}

// sameProbes are the scripts of a probe. None is only believed when a second
// list, a while later, shows none either: a run may have been killed, or an
// answer lost, just after one was made.
func (c *Client) sameProbes(ctx context.Context, p fleet.DeviceProbe) ([]foundProbe, error) {
	for again := false; ; again = true {
		all, err := c.ownProbes(ctx, p.Package)
		if err != nil {
			return nil, err
		}
		same := slices.DeleteFunc(all, func(f foundProbe) bool { return f.Probe != p.Name })
		if again || len(same) > 0 {
			return same, nil
		}
		if err := c.api.Clock().Sleep(ctx, listWait); err != nil {
			return nil, err
		}
	}
}

// scriptAssignments reads the groups that a script runs on.
func (c *Client) scriptAssignments(ctx context.Context, id string) ([]scriptAssignment, error) {
	raws, err := msgraph.List[json.RawMessage](ctx, c.api, msgraph.Fresh, scriptPath(id)+"/assignments")
	if err != nil {
		return nil, err
	}
	return assign.Parse[scriptAssignment](raws, "id", "source", "sourceId")
}

// settledScript is scriptAssignments for what a write or a deletion rests on.
func (c *Client) settledScript(ctx context.Context, id string) ([]scriptAssignment, error) {
	return assign.Settled(ctx, c.api, "script "+id, func(ctx context.Context) ([]scriptAssignment, error) { return c.scriptAssignments(ctx, id) })
}

// assignProbe adds a group to those a script runs on, and waits until it is told
// so. The call that Graph has replaces the whole set.
func (c *Client) assignProbe(ctx context.Context, id string, p fleet.DeviceProbe) error {
	present, err := c.settledScript(ctx, id)
	if err != nil {
		return err
	}
	schedule := scheduleOf(p.Every)
	seat := func(a scriptAssignment) bool {
		return a.Target.GroupID == p.Group && a.Target.ODataType == assign.TypeGroup
	}
	runs := func(a scriptAssignment) bool {
		return seat(a) && a.Schedule != nil && a.Schedule.Interval == schedule.Interval && a.Schedule.ODataType == schedule.ODataType
	}
	if slices.ContainsFunc(present, runs) {
		return nil
	}
	ours := scriptAssignment{assign.Entry{Target: assign.Target{ODataType: assign.TypeGroup, GroupID: p.Group}}, false, schedule}
	if err := c.assignScript(ctx, id, slices.DeleteFunc(present, seat), ours); err != nil {
		return err
	}
	return c.api.Poll(ctx, "assigned", func() (bool, error) {
		now, err := c.scriptAssignments(ctx, id)
		return slices.ContainsFunc(now, runs), err
	})
}

// assignScript replaces the set of groups that a script runs on: by some that
// were read, as they were, and others.
func (c *Client) assignScript(ctx context.Context, id string, kept []scriptAssignment, more ...scriptAssignment) error {
	set := []any{}
	for _, a := range kept {
		set = append(set, a.Raw)
	}
	for _, a := range more {
		set = append(set, a)
	}
	return c.api.Call(ctx, msgraph.Fresh, http.MethodPost, scriptPath(id)+"/assign", map[string]any{"deviceHealthScriptAssignments": set}, nil)
}

// scheduleOf is the schedule that comes nearest to an interval and is not
// rarer than one that Intune has: hours up to 23, then days.
func scheduleOf(every fleet.Duration) *scriptSchedule {
	hours := max(int((every.Std()+time.Hour-1)/time.Hour), 1)
	if hours <= mostHours {
		return &scriptSchedule{ODataType: odataHourly, Interval: hours}
	}
	local := false
	return &scriptSchedule{ODataType: odataDaily, Interval: min((hours+23)/24, mostHours), Time: "12:00:00", UseUTC: &local}
}

// Unprobe removes all probes of a package. What they told is gone with them. One
// that people of the tenant run on groups of theirs becomes theirs instead: it
// loses packmill's groups, and then packmill's line.
func (c *Client) Unprobe(ctx context.Context, id fleet.PackageID) error {
	return c.api.Fail("intune.unprobe", string(id), c.api.Persist(ctx, func() error {
		all, err := c.ownProbes(ctx, id)
		if err != nil {
			return err
		}
		for _, p := range all {
			if err := c.dropProbe(ctx, p); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (c *Client) deleteScript(ctx context.Context, id string) error {
	// What was just created may not be found yet; what stays so is gone.
	err := c.api.Call(ctx, msgraph.Fresh, http.MethodDelete, scriptPath(id), nil, nil)
	if transport.StatusOf(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// Health reads what the probes of a package found, in the order of devices and
// signals, the newest of each.
func (c *Client) Health(ctx context.Context, id fleet.PackageID) ([]fleet.DeviceHealth, error) {
	all, err := c.ownProbes(ctx, id)
	if err != nil {
		return nil, c.api.Fail("intune.health", string(id), err)
	}
	type seat struct{ device, signal string }
	newest := map[seat]fleet.DeviceHealth{}
	for _, p := range all {
		states, err := msgraph.List[runState](ctx, c.api, msgraph.Fresh, msgraph.Query(scriptPath(p.id)+"/deviceRunStates", "$expand", "managedDevice($select=id)", "$top", "1000"))
		if err != nil {
			return nil, c.api.Fail("intune.health", string(id), err)
		}
		var managed []string
		for _, s := range states {
			if s.Device != nil {
				managed = append(managed, s.Device.ID)
			}
		}
		ids, err := c.directoryIDs(ctx, managed)
		if err != nil {
			return nil, c.api.Fail("intune.health", string(id), err)
		}
		for _, s := range states {
			if s.Device == nil || ids[s.Device.ID] == "" {
				continue // retired since it reported
			}
			h := fleet.DeviceHealth{Device: ids[s.Device.ID], Signal: p.Probe, State: healthOf(s), At: when(s.Updated).UTC()}
			if old, ok := newest[seat{h.Device, h.Signal}]; !ok || h.At.After(old.At) {
				newest[seat{h.Device, h.Signal}] = h
			}
		}
	}
	out := make([]fleet.DeviceHealth, 0, len(newest))
	for _, h := range newest {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b fleet.DeviceHealth) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Signal, b.Signal))
	})
	return out, nil
}

// healthOf reads a run state. A script that ended with an error of its own did
// not exit with 0, which alone is healthy.
func healthOf(s runState) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s.Output), "\n")
	switch {
	case strings.TrimSpace(first) == probe.Waiting:
		return "waiting"
	case s.Detection == "success":
		return "ok"
	case s.Detection == "fail" || s.Detection == "scriptError":
		return "failed"
	}
	return "waiting"
}
