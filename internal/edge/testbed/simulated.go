package testbed

import (
	"context"
	"maps"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/detection"
)

// Simulated is the cell that executes nothing: it lets a release leave the
// footprint that its recorded facts declare and asks the detection engine about
// it. It proves what can be proven of rules alone: that they do not hold before,
// do hold after, do not mistake the release before for this one, and let go when
// it is removed.
type Simulated struct{}

// Prepare has nothing to do.
func (Simulated) Prepare(context.Context) error { return nil }

// Run takes an installer's footprint through its life.
func (Simulated) Run(ctx context.Context, spec Spec) ([]fleet.TestStep, error) {
	in := spec.installer()
	if len(in.Detect) == 0 {
		return nil, fleet.Errorf(fleet.Invalid, "testbed.simulated", string(spec.Package.ID), "%s has no detection rule", spec.Installer)
	}
	return lifecycle(ctx, spec, func(context.Context) (endpoint, error) {
		return &imagined{in: in, there: map[string]trace{}}, nil
	})
}

// A trace is one thing on an imagined device: what tells a version, and which
// product it belongs to.
type trace struct {
	value   string
	product string // MSI upgrade code, "" for others
}

// imagined is a device that exists as what detection rules can see of it.
type imagined struct {
	in    fleet.Installer
	there map[string]trace // by place: "file c:\x.exe", "msi {code}", "package x"
}

func (d *imagined) close() error { return nil }

// install leaves the release's footprint. A newer MSI of the same product takes
// the older one away, as a major upgrade does.
func (d *imagined) install(_ context.Context, c Candidate) (string, error) {
	marks, err := footprint(d.in, c)
	if err != nil {
		return "", err
	}
	if m := c.Download.MSI; m != nil && m.UpgradeCode != "" {
		maps.DeleteFunc(d.there, func(_ string, t trace) bool { return t.product == strings.ToLower(m.UpgradeCode) })
	}
	maps.Copy(d.there, marks)
	return "", nil
}

// uninstall removes the release's own footprint, as its installer knows it.
func (d *imagined) uninstall(_ context.Context, c Candidate) (string, error) {
	marks, err := footprint(d.in, c)
	if err != nil {
		return "", err
	}
	for place := range marks {
		if _, ok := d.there[place]; !ok {
			return "", failf("there is no %s to remove", place)
		}
		delete(d.there, place)
	}
	return "", nil
}

func (d *imagined) launch(context.Context, string) (string, error) {
	return "", skipped{"a simulated device starts nothing"}
}

func (d *imagined) present(_ context.Context, c Candidate) (bool, string, error) {
	return judge(d.in.Detect, c, func(rule fleet.Detect) (detection.Observation, error) {
		t, ok := d.there[looksAt(rule, c)]
		return detection.Observation{Found: ok, Value: t.value}, nil
	})
}

// footprint is what a release leaves on a device, as far as its installer's
// rules look there and its facts tell: an MSI registers its product code, a
// program file has the version of its resource, a .deb its package name.
func footprint(in fleet.Installer, c Candidate) (map[string]trace, error) {
	marks := map[string]trace{}
	d := c.Download
	if d.MSI != nil {
		t := trace{value: d.MSI.ProductVersion, product: strings.ToLower(d.MSI.UpgradeCode)}
		marks["msi "+strings.ToLower(d.MSI.ProductCode)] = t
	}
	if d.Deb != nil {
		marks["package "+d.Deb.Package] = trace{value: d.Deb.Version}
	}
	for _, rule := range in.Detect {
		place := looksAt(rule, c)
		switch {
		case rule.MSIProduct && d.MSI == nil:
			return nil, failf("the release does not say its MSI product code")
		case rule.MSIProduct, rule.Package != "":
			// Left by the facts above, or not at all.
		case rule.File != nil && d.PE != nil && d.PE.FileVersion != "":
			marks[place] = trace{value: d.PE.FileVersion}
		default:
			marks[place] = trace{value: c.Version}
		}
	}
	return marks, nil
}

// looksAt is the place on a device where a rule looks for a release.
func looksAt(rule fleet.Detect, c Candidate) string {
	switch {
	case rule.MSIProduct && c.Download.MSI != nil:
		return "msi " + strings.ToLower(c.Download.MSI.ProductCode)
	case rule.File != nil:
		return "file " + strings.ToLower(strings.ReplaceAll(rule.File.Path, "/", `\`))
	case rule.Registry != nil:
		return "registry " + strings.ToLower(rule.Registry.Key+`\`+rule.Registry.Value)
	case rule.Bundle != "":
		return "bundle " + rule.Bundle
	case rule.Package != "":
		return "package " + rule.Package
	case rule.Script != "":
		// A detect script finds the setting of its own release.
		return "script " + rule.Script + " of " + c.Version
	}
	return "nothing"
}
