// Package patch says from a device's build of Windows whether it has an update
// of the operating system. Nobody else tells: Windows Update reports no
// installation that a wave could be judged by, and a build says what is there,
// however it came.
//
// A build is 26100.4061: the first number is the version of Windows (24H2), the
// second rises with every cumulative update of that version. So a device whose
// second number is not below a patch's has what the patch brings, and one whose
// first is not below a version's is at that version.
package patch

import (
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// The states of a device, as fleet.DeviceStatus spells them.
const (
	Installed = "installed"
	Pending   = "pending" // it is for the device, and not there yet
	Absent    = "absent"  // it is not for the device's version of Windows
)

// State says whether a device with the given OS version ("10.0.26100.4061") has
// a patch, by the builds it brings versions of Windows to. A version that cannot
// be read, or lacks its last number, is pending where the patch may be for it:
// what is unknown is not installed.
func State(version string, builds map[string]string) string {
	family, revision, whole := parse(version)
	state := Absent
	for _, build := range builds {
		f, r, ok := parse(build)
		if !ok || f != family {
			continue
		}
		if whole && revision >= r {
			return Installed
		}
		state = Pending
	}
	return state
}

// Version says whether a device is at a version of Windows, by the build that it
// begins with: a device of a later build is, whichever update brought it there,
// and nothing that runs Windows is beyond being taken there.
func Version(version string, builds map[string]string) string {
	family, revision, _ := parse(version)
	for _, build := range builds {
		f, r, _ := parse(build)
		if f > 0 && (family > f || family == f && revision >= r) {
			return Installed
		}
	}
	return Pending
}

// parse reads the last two numbers of a build, after the "10.0." that versions of
// Windows begin with. whole is false where there is only one.
func parse(build string) (family, revision int, whole bool) {
	parts := strings.Split(strings.TrimPrefix(strings.TrimSpace(build), "10.0."), ".")
	family, err := strconv.Atoi(parts[0])
	if err != nil || len(parts) > 2 {
		return 0, 0, false
	}
	if len(parts) < 2 {
		return family, 0, false
	}
	revision, err = strconv.Atoi(parts[1])
	return family, revision, err == nil
}

// Statuses are what the inventory tells of a patch: a device is as of when it was
// last seen. Devices that are no Windows have nothing to tell.
func Statuses(devices []fleet.Device, p fleet.OSPatch) []fleet.DeviceStatus {
	state := State
	if p.Feature != "" {
		state = Version
	}
	out := make([]fleet.DeviceStatus, 0, len(devices))
	for _, d := range devices {
		if d.Platform != "windows" {
			continue
		}
		out = append(out, fleet.DeviceStatus{Device: d.ID, State: state(d.OSVersion, p.Builds), At: d.LastSeen.UTC()})
	}
	return out
}
