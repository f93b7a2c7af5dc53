package testbed

import (
	"context"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/detection"
	"github.com/packmill/packmill/internal/rules/version"
)

// Simulated is the cell that executes nothing: it lets a release leave the
// traces that its recorded facts declare and asks the detection engine about
// them, on the machine that validate tries rules on. It proves what can be
// proven of rules alone: that they do not hold before, do hold after, do not
// mistake the release before for this one, and let go when it is removed.
type Simulated struct{}

// Prepare has nothing to do.
func (Simulated) Prepare(context.Context, string) error { return nil }

// Run takes an installer's traces through its life.
func (Simulated) Run(ctx context.Context, spec Spec) ([]fleet.TestStep, error) {
	if len(spec.installer().Detect) == 0 {
		return nil, fleet.Errorf(fleet.Invalid, "testbed.simulated", string(spec.Package.ID), "%s has no detection rule", spec.Installer)
	}
	return lifecycle(ctx, spec, 1, func(context.Context, *transcript) (endpoint, error) { return newImagined(), nil })
}

// imagined is a device that exists as what detection rules can see of it.
type imagined struct {
	machine  *detection.Machine
	products map[string]item // MSI upgrade code, folded → what is installed of it
}

func newImagined() *imagined {
	return &imagined{machine: detection.NewMachine(), products: map[string]item{}}
}

func (d *imagined) close() error { return nil }

// install leaves the release's traces. A newer MSI of the same product takes the
// older one away, as a major upgrade does, and does not let it back.
func (d *imagined) install(_ context.Context, it item) (string, error) {
	for _, rule := range it.in.Detect {
		if rule.MSIProduct && it.Download.MSI == nil {
			return "", failf("the release does not say its MSI product code")
		}
	}
	if m := it.Download.MSI; m != nil && m.UpgradeCode != "" {
		code := strings.ToLower(m.UpgradeCode)
		if there, ok := d.products[code]; ok {
			if newer(there.Download.MSI.ProductVersion, m.ProductVersion) {
				return "", failf("a newer version, %s, is installed", there.Version)
			}
			d.machine.Take(there.in, there.Version, there.Download)
		}
		d.products[code] = it
	}
	d.machine.Leave(it.in, it.Version, it.Download)
	return "", nil
}

// newer reports whether the first product version comes after the second.
func newer(a, b string) bool {
	first, err := version.Parse(version.Windows, a)
	second, other := version.Parse(version.Windows, b)
	return err == nil && other == nil && version.Compare(first, second) > 0
}

// uninstall removes the release's own traces, as its installer knows them.
func (d *imagined) uninstall(_ context.Context, it item) (string, error) {
	if !d.machine.Take(it.in, it.Version, it.Download) {
		return "", failf("there is nothing of it to remove")
	}
	if m := it.Download.MSI; m != nil {
		delete(d.products, strings.ToLower(m.UpgradeCode))
	}
	return "", nil
}

func (d *imagined) launch(context.Context, item, string) (string, error) {
	return "", skipped{"a simulated device starts nothing"}
}

func (d *imagined) present(_ context.Context, it item) (bool, string, error) {
	return detection.Present(it.in.Detect, it.Version, it.Download, d.machine)
}

func (d *imagined) survey(context.Context) (survey, error) {
	s := survey{}
	for _, thing := range d.machine.Things() {
		s[thing] = true
	}
	return s, nil
}

func (d *imagined) running(context.Context, []string) (string, error) {
	return "", skipped{"a simulated device runs nothing"}
}

func (d *imagined) complaints(context.Context) ([]string, error) {
	return nil, skipped{"a simulated device has no log"}
}

func (d *imagined) ports(context.Context) (survey, error) {
	return nil, skipped{"a simulated device has no network"}
}

func (d *imagined) alter(context.Context, item, []string) ([]string, error) { return nil, nil }

func (d *imagined) altered(context.Context, string) (bool, error) { return false, nil }
