package graph

import (
	"fmt"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Luck is what happens to devices by chance: when they check in, whether they
// are off, which releases break on them. A field that is nil is drawn from the
// world's own seed and shares; who rehearses the same week elsewhere gives
// functions of his own, so that both tell of the same devices.
//
// A device is named by its tenant's directory and its object there.
type Luck struct {
	Phase  func(directory, object string) time.Duration // of its check-ins, below CheckIn
	Off    func(directory, object string, at time.Time) bool
	Defers func(directory, object string, id fleet.PackageID, version string) bool
	Fails  func(directory, object string, id fleet.PackageID, version string) bool
}

// phase is where in the interval a device checks in, to the second.
func (t *tenant) phase(d *device) time.Duration {
	if f := t.s.o.Luck.Phase; f != nil {
		return f(t.Directory, d.object)
	}
	n := int(t.s.o.CheckIn / time.Second)
	return time.Duration(t.s.upTo(max(n-1, 0), "phase", t.Directory, d.Name)) * time.Second
}

// off reports whether the device is switched off in the week of an instant.
func (t *tenant) off(d *device, at time.Time) bool {
	if f := t.s.o.Luck.Off; f != nil {
		return f(t.Directory, d.object, at)
	}
	year, week := at.UTC().ISOWeek()
	return t.s.chance("silent", t.Directory, d.Name, fmt.Sprintf("%d-%d", year, week)) < t.s.o.Silence
}

// defers reports whether the device's user waits for the deadline.
func (t *tenant) defers(d *device, e *epoch) bool {
	if f := t.s.o.Luck.Defers; f != nil {
		return f(t.Directory, d.object, e.Package, e.Version)
	}
	return t.s.chance("defer", t.Directory, d.Name, string(e.Package), e.Version) < t.s.o.Deferring
}

// fails reports whether a release breaks on the device.
func (t *tenant) fails(d *device, e *epoch) bool {
	if f := t.s.o.Luck.Fails; f != nil {
		return f(t.Directory, d.object, e.Package, e.Version)
	}
	rate := t.s.o.FailureRate(e.Package, e.Version, e.Artifact)
	return t.s.chance("fail", t.Directory, d.Name, string(e.Package), e.Version, string(e.Artifact)) < rate
}

// reportLag is how far reports are behind a device.
func (t *tenant) reportLag(d *device) time.Duration {
	return time.Duration(t.s.upTo(int(t.s.o.ReportLag/time.Second), "report lag", t.Directory, d.Name)) * time.Second
}
