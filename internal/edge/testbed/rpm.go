package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/detection"
)

// RPM is the cell for .rpm packages: a system in a folder whose package manager
// is rpm. Its base is the machine's own Debian release with rpm added, so that
// scripts find a shell; what a package requires of other packages cannot be had
// there and is not looked at.
type RPM struct{ bed Bed }

// NewRPM is the rpm cell of a bed.
func NewRPM(bed Bed) *RPM { return &RPM{bed} }

// Prepare makes the cell's base if there is none.
func (c *RPM) Prepare(ctx context.Context, release string) error {
	_, err := c.bed.debian(ctx, "rpm", release, "rpm")
	return err
}

// Run takes an .rpm through its life.
func (c *RPM) Run(ctx context.Context, spec Spec) ([]fleet.TestStep, error) {
	if t := spec.installer().Type; t != "rpm" {
		return nil, fleet.Errorf(fleet.Invalid, "testbed.rpm", string(spec.Package.ID), "an rpm cell installs rpm packages, not %s", t)
	}
	base, err := c.bed.debian(ctx, "rpm", "", "rpm")
	if err != nil {
		return nil, err
	}
	bwrap, err := program("rpm", "bwrap", "bubblewrap")
	if err != nil {
		return nil, err
	}
	return lifecycle(ctx, spec, 1, func(ctx context.Context, log *transcript) (endpoint, error) {
		layer, err := c.bed.layer(ctx, systemOf(base))
		if err != nil {
			return nil, err
		}
		return &redhat{linux: linux{layer: layer, box: linuxBox(bwrap, layer.root), log: log}}, nil
	})
}

// redhat is one fresh device with rpm.
type redhat struct {
	linux
	count int // of installs
}

// install upgrades or installs, and refuses an older release over a newer one,
// as rpm does by itself.
func (d *redhat) install(ctx context.Context, it item) (string, error) {
	name, err := d.place(ctx, it.Candidate)
	if err != nil {
		return "", err
	}
	return d.do(ctx, "rpm", "-U", "--nodeps", "--", name)
}

// place unpacks a candidate's file into the cell and tells where it is inside.
func (d *redhat) place(ctx context.Context, c Candidate) (string, error) {
	d.count++
	dir := filepath.Join(d.layer.dir, fmt.Sprintf("install-%d", d.count))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	setup, err := unpack(ctx, c, dir)
	if err != nil {
		return "", err
	}
	if filepath.Base(setup) != setup || filepath.Ext(setup) != ".rpm" {
		return "", fleet.Errorf(fleet.Invalid, "testbed.rpm", setup, "is no name of an .rpm")
	}
	root, err := os.OpenRoot(d.layer.root)
	if err != nil {
		return "", err
	}
	defer root.Close()
	folder := fmt.Sprintf("var/cache/packmill-%d", d.count)
	if err := root.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	return "/" + folder + "/" + setup, copyInto(root, folder+"/"+setup, filepath.Join(dir, setup))
}

func (d *redhat) uninstall(ctx context.Context, it item) (string, error) {
	name := packageName(it)
	if name == "" {
		return "", fleet.Errorf(fleet.Invalid, "testbed.rpm", it.Version, "no detection rule says which package it is")
	}
	return d.do(ctx, "rpm", "-e", "--nodeps", "--", name)
}

func (d *redhat) present(ctx context.Context, it item) (bool, string, error) {
	return judge(it, func(rule fleet.Detect) (detection.Observation, error) {
		if rule.Package == "" {
			return d.file("rpm", rule)
		}
		return d.installed(ctx, rule.Package, it)
	})
}

// installed asks rpm for a package. Epoch and release are part of the answer
// where the release's own version has them.
func (d *redhat) installed(ctx context.Context, name string, it item) (detection.Observation, error) {
	want, _, _ := detection.Wants(fleet.Detect{Package: name}, it.Version, it.Download)
	format := "%{VERSION}"
	if strings.Contains(want, "-") {
		format += "-%{RELEASE}"
	}
	if strings.Contains(want, ":") {
		format = "%{EPOCH}:" + format
	}
	r, err := d.run(ctx, probeLimit, "rpm", "-q", "--qf", format+"\n", "--", name)
	if err != nil || r.exit != 0 {
		return detection.Observation{}, err
	}
	version, _, _ := strings.Cut(strings.TrimSpace(r.output), "\n")
	return detection.Observation{Found: true, Value: version}, nil
}

// alter changes what is declared, or what the package marks as %config.
func (d *redhat) alter(ctx context.Context, it item, declared []string) ([]string, error) {
	name := packageName(it)
	if len(declared) > 0 || name == "" {
		return d.append(declared)
	}
	r, err := d.run(ctx, probeLimit, "rpm", "-q", "--configfiles", "--", name)
	if err != nil || r.exit != 0 {
		return nil, err
	}
	return d.append(strings.Fields(r.output))
}
