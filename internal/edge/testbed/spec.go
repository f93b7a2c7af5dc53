package testbed

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Limits on the time one program may take.
const (
	prepareLimit = 15 * time.Minute
	installLimit = 10 * time.Minute
	launchLimit  = 60 * time.Second
	probeLimit   = 2 * time.Minute
)

// limitOf is the time one step may take as a whole: a step that calls several
// programs, each within its own limit, must end as well.
func limitOf(step string) time.Duration {
	switch step {
	case stepUpgrade, stepUpgradeOlder, stepRollback, stepDowngrade, stepNeighbours:
		return 4 * installLimit
	case stepInstall, stepUninstall:
		return installLimit + probeLimit
	}
	return 2 * probeLimit
}

// A Spec is one run of one cell: an installer of a package, taken through its
// life on a fresh device.
type Spec struct {
	Package     fleet.Package
	Installer   string // key in Package.Installers, or in Settings of a configuration
	Environment fleet.Environment
	This        Candidate
	Previous    *Candidate // the release before, nil when there is none to install
	Without     string     // why there is no Previous
	Older       *Candidate // the release before Previous, nil when there is none to install
	Neighbours  []Neighbour
	// Keep stores what a step's programs wrote and gives its digest; nil keeps
	// nothing.
	Keep func(ctx context.Context, step string, log []byte) (fleet.Digest, error)
}

// A Neighbour is another package that the package must leave alone.
type Neighbour struct {
	ID        fleet.PackageID
	Installer fleet.Installer
	Candidate *Candidate // nil when there is none to install
	Without   string     // why there is no Candidate
}

// An item is a candidate with the installer whose commands and rules are its own.
type item struct {
	Candidate
	id fleet.PackageID
	in fleet.Installer
}

// item is a release of the package under test.
func (s Spec) item(c Candidate) item { return item{c, s.Package.ID, s.installer()} }

// installer is the installer under test. A configuration's scripts count as one
// that its detect script detects; what packmill makes a Debian package of is one.
func (s Spec) installer() fleet.Installer {
	set := s.Package.Settings[s.Installer]
	switch {
	case set.Platform() == "linux":
		name := fleet.LinuxPackage(s.Package.ID, s.Installer)
		return fleet.Installer{Platform: "linux", Type: "deb", Detect: []fleet.Detect{{Operator: "=", Package: name}}}
	case set.Scripts != nil:
		return fleet.Installer{Platform: "windows", Arch: "x64", Type: "script", Detect: []fleet.Detect{{Operator: "=", Script: set.Scripts.Detect}}}
	case set.Platform() == "windows": // by scripts that packmill writes
		return fleet.Installer{Platform: "windows", Arch: "x64", Type: "script", Detect: []fleet.Detect{{Operator: "=", Script: "detect.ps1"}}}
	}
	in := s.Package.Installers[s.Installer]
	if in.Platform == "linux" && in.Type == "portable" {
		in.Type = "deb"
	}
	return in
}

// A Candidate is the built content of one release.
type Candidate struct {
	Version  string
	Download fleet.Download
	// Unpack writes the content into an empty folder and tells which of its
	// files is installed: the .deb, the .msi, or the command file that puts a
	// portable program in place. A simulated cell does not ask.
	Unpack func(ctx context.Context, dir *os.Root) (setup string, err error)
}

// packageName is the name in the system's package manager: what the file says,
// else what the detection rules look for, "" where neither tells.
func packageName(it item) string {
	if it.Download.Deb != nil {
		return it.Download.Deb.Package
	}
	for _, rule := range it.in.Detect {
		if rule.Package != "" {
			return rule.Package
		}
	}
	return ""
}

// A failure is what a package did wrong: it fails a step, not the run.
type failure struct{ text string }

func (f failure) Error() string { return f.text }

// skipped is why a cell has no answer to a step.
type skipped struct{ why string }

func (s skipped) Error() string { return s.why }

func failf(format string, args ...any) error { return failure{fmt.Sprintf(format, args...)} }

// waiting is the error of a machine that lacks a part.
func waiting(cell, hint, format string, args ...any) error {
	err := fleet.Errorf(fleet.Waiting, "testbed."+cell, cell, format, args...)
	err.Hint = hint
	return err
}
