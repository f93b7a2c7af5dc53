package patch_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/patch"
)

func TestState(t *testing.T) {
	builds := map[string]string{"11-23H2": "22631.6199", "11-24H2": "26100.7171", "2025": "26100.7171", "broken": "x.1"}
	for version, want := range map[string]string{
		"10.0.22631.6199":   patch.Installed,
		"22631.6199":        patch.Installed,
		"10.0.26100.8000":   patch.Installed,
		"10.0.26100.7170":   patch.Pending,
		"10.0.22631":        patch.Pending, // no last number: not known to be there
		"10.0.22631.x":      patch.Pending,
		"10.0.19045.9999":   patch.Absent,
		"10.0.26200.9999":   patch.Absent, // newer than what the patch is for
		"":                  patch.Absent,
		"14.5":              patch.Absent,
		"10.0.22631.6199.1": patch.Absent,
	} {
		if got := patch.State(version, builds); got != want {
			t.Errorf("%q: %s, want %s", version, got, want)
		}
	}
}

func TestStatuses(t *testing.T) {
	seen := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	got := patch.Statuses([]fleet.Device{
		{ID: "a", Platform: "windows", OSVersion: "10.0.22631.6199", LastSeen: seen}, {ID: "b", Platform: "macos", OSVersion: "22631.9999"},
	}, fleet.OSPatch{KB: "KB5068861", Builds: map[string]string{"11-23H2": "22631.6199"}})
	if len(got) != 1 || got[0] != (fleet.DeviceStatus{Device: "a", State: patch.Installed, At: seen}) {
		t.Errorf("%+v", got)
	}
	got = patch.Statuses([]fleet.Device{{ID: "a", Platform: "windows", OSVersion: "10.0.22631.6199"}}, fleet.OSPatch{Feature: "Windows 11, version 24H2", Builds: map[string]string{"11-24H2": "26100.1742"}})
	if len(got) != 1 || got[0].State != patch.Pending {
		t.Errorf("a version that is to come: %+v", got)
	}
}

func TestVersion(t *testing.T) {
	for version, want := range map[string]string{
		"10.0.26100.1742": patch.Installed,
		"10.0.26100.7171": patch.Installed,
		"10.0.26200.1":    patch.Installed, // a later one
		"10.0.26100.1":    patch.Pending,   // a preview of it
		"10.0.26100":      patch.Pending,
		"10.0.22631.6199": patch.Pending,
		"10.0.19045.9999": patch.Pending,
		"":                patch.Pending,
	} {
		if got := patch.Version(version, map[string]string{"11-24H2": "26100.1742"}); got != want {
			t.Errorf("%q: %s, want %s", version, got, want)
		}
	}
	if got := patch.Version("10.0.26100", map[string]string{"11-24H2": "26100"}); got != patch.Installed {
		t.Errorf("a version without its first revision: %s", got)
	}
	if got := patch.Version("10.0.26100.1", map[string]string{"11-24H2": "x"}); got != patch.Pending {
		t.Errorf("a build that is none: %s", got)
	}
}
