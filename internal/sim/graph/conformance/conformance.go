// Package conformance says what a console of devices must do, whatever stands
// behind it: the simulated Graph in every test run, a real tenant when somebody
// gives one. It uses nothing but the console itself.
package conformance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
)

// A Console is the device management of one tenant, as package factory asks
// for it.
type Console interface {
	Inventory(ctx context.Context) ([]fleet.Device, error)
	Observe(ctx context.Context, id fleet.PackageID, slot string) (fleet.AppState, error)
	Publish(ctx context.Context, app fleet.App, content fleet.Content) (fleet.AppState, error)
	Group(ctx context.Context, wave string, devices []string) (string, error)
	Assign(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error
	Statuses(ctx context.Context, id fleet.PackageID, slot string) ([]fleet.DeviceStatus, error)
	Probe(ctx context.Context, p fleet.DeviceProbe) error
	Unprobe(ctx context.Context, id fleet.PackageID) error
	Health(ctx context.Context, id fleet.PackageID) ([]fleet.DeviceHealth, error)
}

// A Target is a tenant to test against. The suite leaves two app objects without
// assignments and an empty group behind, under the names given here; a second
// run uses them again.
type Target struct {
	// New makes a console as a new process would: it knows nothing yet.
	New func(t testing.TB) Console
	// Package and Wave are names nobody else uses in the tenant.
	Package fleet.PackageID
	Wave    string
	// Now is the present instant; assignments are made for the day after.
	Now func() time.Time
}

// Run holds a console against the suite. The tenant needs a Windows device.
func Run(t *testing.T, target Target) {
	s := &suite{Target: target}
	t.Cleanup(func() { s.clean(t) })
	t.Run("inventory", s.inventory)
	t.Run("publish", s.publish)
	t.Run("group", s.group)
	t.Run("assign", s.assign)
	t.Run("statuses", s.statuses)
	t.Run("probes", s.probes)
}

type suite struct {
	Target
	devices []string
	groupID string
}

// clean leaves nothing that reaches a device.
func (s *suite) clean(t *testing.T) {
	c := s.New(t)
	ctx := context.WithoutCancel(t.Context())
	if err := c.Unprobe(ctx, s.Package); err != nil {
		t.Errorf("the probes stay: %v", err)
	}
	for _, slot := range []string{fleet.Stable, fleet.Candidate} {
		if err := c.Assign(ctx, s.Package, slot, nil); err != nil {
			t.Errorf("the %s slot stays assigned: %v", slot, err)
		}
	}
	if _, err := c.Group(ctx, s.Wave, nil); err != nil {
		t.Errorf("the group keeps its members: %v", err)
	}
}

// App is a release of the suite's package and its content: a command file that
// does nothing, which is detected by a key that is never there.
func (s *suite) App(t testing.TB, slot, version string) (fleet.App, fleet.Content) {
	t.Helper()
	nothing := []byte("@echo off\r\nrem " + version + "\r\nexit /b 0\r\n")
	var w memory
	info, err := intunewin.Write(t.Context(), &w, intunewin.Package{
		Name: "packmill conformance", SetupFile: "install.cmd",
		Entries: []intunewin.Entry{intunewin.BytesEntry("install.cmd", nothing), intunewin.BytesEntry("uninstall.cmd", nothing)},
	})
	if err != nil {
		t.Fatal(err)
	}
	data := w[:info.Size]
	app := fleet.App{
		Package: s.Package, Slot: slot, Name: "packmill conformance", Publisher: "packmill", Version: version,
		Artifact: fleet.DigestOf([]byte("conformance " + version)),
		File:     fleet.BuiltFile{Installer: "x64", Name: "conformance.intunewin", Digest: fleet.DigestOf(data), Size: int64(len(data))},
		Installer: fleet.Installer{
			Platform: "windows", Arch: "x64", Type: "portable", Scope: "machine", RunAs: "system", InUse: "wait", Restart: "never", Minutes: 5,
			Detect: []fleet.Detect{{Operator: "=", Registry: &fleet.RegistryRule{Key: `HKLM\Software\packmill\conformance`, Value: "Version", View: 64}}},
		},
	}
	return app, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

type memory []byte

// WriteAt writes into memory.
func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(*m) {
		*m = append(*m, make([]byte, end-len(*m))...)
	}
	return copy((*m)[off:], p), nil
}

func (s *suite) inventory(t *testing.T) {
	devices, err := s.New(t).Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, d := range devices {
		if d.ID == "" || seen[d.ID] || d.Platform == "" {
			t.Errorf("device %+v has no id of its own, or no platform", d)
		}
		seen[d.ID] = true
		if d.Platform == "windows" {
			s.devices = append(s.devices, d.ID)
		}
	}
	if len(s.devices) == 0 {
		t.Fatal("the tenant has no Windows device")
	}
	slices.Sort(s.devices)
}

// publish: a release is current once Publish returns; the same again changes
// nothing; the next one takes the same object; slots are apart.
func (s *suite) publish(t *testing.T) {
	c := s.New(t)
	var id string
	for _, version := range []string{"1.0", "1.0", "1.1"} {
		app, content := s.App(t, fleet.Stable, version)
		state, err := c.Publish(t.Context(), app, content)
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		if state.ID == "" || state.Version != version || state.Artifact != app.Artifact || id != "" && state.ID != id {
			t.Errorf("%s: state %+v", version, state)
		}
		id = state.ID
		again, err := s.New(t).Observe(t.Context(), s.Package, fleet.Stable)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(state) {
			t.Errorf("%s: published %+v, observed %+v, %v", version, state, again, err)
		}
	}
	app, content := s.App(t, fleet.Candidate, "1.2")
	state, err := s.New(t).Publish(t.Context(), app, content)
	if err != nil || state.ID == id || state.Version != "1.2" {
		t.Errorf("candidate %+v, %v", state, err)
	}
	altered := app
	altered.File.Digest = fleet.DigestOf([]byte("something else"))
	if _, err := c.Publish(t.Context(), altered, content); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("content of another digest: %v", err)
	}
	if state, err := c.Observe(t.Context(), s.Package+"-none", fleet.Stable); err != nil || state.ID != "" {
		t.Errorf("a slot that was never filled: %+v, %v", state, err)
	}
}

// group: its id stays, whatever its members, and any number of calls.
func (s *suite) group(t *testing.T) {
	for _, members := range [][]string{s.devices[:1], s.devices[:1], nil, s.devices[:1]} {
		id, err := s.New(t).Group(t.Context(), s.Wave, members)
		if err != nil {
			t.Fatal(err)
		}
		if id == "" || s.groupID != "" && id != s.groupID {
			t.Errorf("group %q, before %q", id, s.groupID)
		}
		s.groupID = id
	}
}

// assign: what is read is what was asked, instants and local times included,
// and a set replaces the one before.
func (s *suite) assign(t *testing.T) {
	tomorrow := s.Now().UTC().Truncate(time.Hour).Add(24 * time.Hour)
	for i, targets := range [][]fleet.Target{
		{{Intent: "available", Group: s.groupID, Notify: "hideAll"}},
		{{Intent: "required", Group: s.groupID, Opens: tomorrow, Deadline: tomorrow.Add(48 * time.Hour), Notify: "showReboot"}},
		{{Intent: "required", Group: s.groupID, Opens: tomorrow, LocalTime: true, Notify: "showAll"}},
		{{Intent: "required", Group: s.groupID, Exclude: true}},
		nil,
	} {
		if err := s.New(t).Assign(t.Context(), s.Package, fleet.Candidate, targets); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		state, err := s.New(t).Observe(t.Context(), s.Package, fleet.Candidate)
		if err != nil || fmt.Sprint(state.Targets) != fmt.Sprint(targets) || state.Version != "1.2" {
			t.Errorf("%d: asked %+v, observed %+v, %v", i, targets, state, err)
		}
	}
}

// statuses: they can be read, under ids that the inventory knows.
func (s *suite) statuses(t *testing.T) {
	c := s.New(t)
	list, err := c.Statuses(t.Context(), s.Package, fleet.Candidate)
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range list {
		known := slices.Contains(s.devices, status.Device)
		if !known || !slices.Contains([]string{"installed", "failed", "pending", "absent", "exempt"}, status.State) {
			t.Errorf("status %+v", status)
		}
	}
	if list, err := c.Statuses(t.Context(), s.Package+"-none", fleet.Candidate); err != nil || len(list) != 0 {
		t.Errorf("a slot that was never filled: %v, %v", list, err)
	}
}

// probes: one is made once, whatever the number of calls and processes, takes
// another text and another group, tells of devices the inventory knows, and is
// gone when it is removed.
func (s *suite) probes(t *testing.T) {
	p := fleet.DeviceProbe{Package: s.Package, Name: "alive", Script: "exit 0", Every: fleet.Duration(time.Hour), Group: s.groupID}
	day := p
	day.Script, day.Every = "'well'; exit 0", fleet.Duration(48*time.Hour)
	for _, p := range []fleet.DeviceProbe{p, p, day, p} {
		if err := s.New(t).Probe(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	second := p
	second.Name = "boot"
	if err := s.New(t).Probe(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	list, err := s.New(t).Health(t.Context(), s.Package)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range list {
		if !slices.Contains(s.devices, h.Device) || h.Signal != "alive" && h.Signal != "boot" || !slices.Contains([]string{"ok", "failed", "waiting"}, h.State) {
			t.Errorf("health %+v", h)
		}
	}
	for range 2 {
		if err := s.New(t).Unprobe(t.Context(), s.Package); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.New(t).Health(t.Context(), s.Package); err != nil || len(list) != 0 {
		t.Errorf("of probes that were removed: %+v, %v", list, err)
	}
	if err := s.New(t).Probe(t.Context(), fleet.DeviceProbe{Package: s.Package, Name: "alive"}); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("a probe without a script: %v", err)
	}
}
