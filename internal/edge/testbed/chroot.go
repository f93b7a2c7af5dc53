package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/detection"
)

// Chroot is the cell for .deb packages: a Debian system in a folder, of the
// machine's own release or of another that its mirror has.
type Chroot struct{ bed Bed }

// NewChroot is the Debian cell of a bed.
func NewChroot(bed Bed) *Chroot { return &Chroot{bed} }

// Prepare makes the base of a release, of the machine's own if the name is
// empty, if there is none.
func (c *Chroot) Prepare(ctx context.Context, release string) error {
	_, err := c.prepare(ctx, release)
	return err
}

func (c *Chroot) prepare(ctx context.Context, release string) (string, error) {
	return c.bed.debian(ctx, "chroot", release)
}

// Run takes a .deb through its life.
func (c *Chroot) Run(ctx context.Context, spec Spec) ([]fleet.TestStep, error) {
	if t := spec.installer().Type; t != "deb" {
		return nil, fleet.Errorf(fleet.Invalid, "testbed.chroot", string(spec.Package.ID), "a chroot cell installs deb packages, not %s", t)
	}
	base, err := c.prepare(ctx, spec.Environment.Runner.Release)
	if err != nil {
		return nil, err
	}
	bwrap, err := program("chroot", "bwrap", "bubblewrap")
	if err != nil {
		return nil, err
	}
	archives, err := c.bed.scratch(ctx)
	if err != nil {
		return nil, err
	}
	from := &debSource{bed: c.bed, base: base, dir: archives.dir, had: map[string]string{}}
	steps, err := lifecycle(ctx, spec, 1, func(ctx context.Context, log *transcript) (endpoint, error) {
		layer, err := c.bed.layer(ctx, systemOf(base))
		if err != nil {
			return nil, err
		}
		return &debian{linux: linux{layer: layer, box: linuxBox(bwrap, layer.root), log: log}, from: from}, nil
	})
	return steps, errors.Join(err, archives.remove())
}

// A debSource is where the devices of one run have their .deb files from: each
// release once, with what it depends on.
type debSource struct {
	bed  Bed
	base string
	dir  string
	had  map[string]string // by package and version: folder of .deb files
}

// archives is the folder with a candidate's .deb and its dependencies.
func (s *debSource) archives(ctx context.Context, it item) (string, error) {
	key := string(it.id) + "@" + it.Version
	if dir, ok := s.had[key]; ok {
		return dir, nil
	}
	dir := filepath.Join(s.dir, fmt.Sprintf("release-%d", len(s.had)+1))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	setup, err := unpack(ctx, it.Candidate, dir)
	if err != nil {
		return "", err
	}
	if filepath.Base(setup) != setup || filepath.Ext(setup) != ".deb" {
		return "", fleet.Errorf(fleet.Invalid, "testbed.chroot", setup, "is no name of a .deb")
	}
	if err := s.fetch(ctx, dir, filepath.Join(dir, setup)); err != nil {
		return "", err
	}
	s.had[key] = dir
	return dir, nil
}

// debian is one fresh Debian device.
type debian struct {
	linux
	from  *debSource
	count int // of installs
}

// install fetches what the package depends on outside, and installs both inside,
// where there is no network.
func (d *debian) install(ctx context.Context, it item) (string, error) {
	archives, err := d.from.archives(ctx, it)
	if err != nil {
		return "", err
	}
	names, err := d.place(archives)
	if err != nil {
		return "", err
	}
	call := []string{"apt-get", "-q", "-y", "--allow-downgrades", "-o", "APT::Install-Recommends=false", "-o", "APT::Sandbox::User=root",
		"-o", "DPkg::Options::=--force-unsafe-io", // the cell does not outlive a crash anyway
		"-o", "DPkg::Options::=--force-confdef", "-o", "DPkg::Options::=--force-confold", // nobody is asked
		"install"}
	return d.do(ctx, append(call, names...)...)
}

// unpack writes a candidate's content below dir and nowhere else.
func unpack(ctx context.Context, c Candidate, dir string) (setup string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	return c.Unpack(ctx, root)
}

// fetch downloads a .deb's dependencies beside it.
func (s *debSource) fetch(ctx context.Context, archives, deb string) error {
	call := []string{"--download-only", "install", deb}
	if s.bed.apt(ctx, s.base, archives, call...) == nil {
		return nil
	}
	// The lists of the base may be older than what the mirror still has.
	unlock, err := lock(ctx, s.base+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.bed.apt(ctx, s.base, archives, "update"); err != nil {
		return err
	}
	err = s.bed.apt(ctx, s.base, archives, call...)
	var failed *fleet.Error
	if errors.As(err, &failed) && ctx.Err() == nil {
		return failf("its dependencies cannot be had: %v", failed.Err)
	}
	return err
}

// place copies the archives into the cell, through a root that no link leaves,
// and tells where they are inside.
func (d *debian) place(archives string) ([]string, error) {
	d.count++
	root, err := os.OpenRoot(d.layer.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	folder := fmt.Sprintf("var/cache/packmill-%d", d.count)
	if err := root.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return nil, err
	}
	var inside []string
	for _, deb := range debs {
		name := folder + "/" + filepath.Base(deb)
		if err := copyInto(root, name, deb); err != nil {
			return nil, err
		}
		inside = append(inside, "/"+name)
	}
	return inside, nil
}

// copyInto copies a file into a root, as a new file.
func copyInto(root *os.Root, name, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (d *debian) uninstall(ctx context.Context, it item) (string, error) {
	name := packageName(it)
	if name == "" {
		return "", fleet.Errorf(fleet.Invalid, "testbed.chroot", it.Version, "neither the release nor a detection rule says which Debian package it is")
	}
	return d.do(ctx, "apt-get", "-q", "-y", "remove", "--", name)
}

func (d *debian) present(ctx context.Context, it item) (bool, string, error) {
	return judge(it, func(rule fleet.Detect) (detection.Observation, error) { return d.observe(ctx, rule) })
}

func (d *debian) observe(ctx context.Context, rule fleet.Detect) (detection.Observation, error) {
	if rule.Package == "" {
		return d.file("chroot", rule)
	}
	r, err := d.run(ctx, probeLimit, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", "--", rule.Package)
	if err != nil || r.exit != 0 {
		return detection.Observation{}, err
	}
	status, version, _ := strings.Cut(strings.TrimSpace(r.output), " ")
	if status != "installed" {
		return detection.Observation{}, nil
	}
	return detection.Observation{Found: true, Value: version}, nil
}

// alter changes what is declared, or the package's conffiles (Debian Policy,
// appendix E): each line names one and its digest, "obsolete" behind those that
// the release has given up.
func (d *debian) alter(ctx context.Context, it item, declared []string) ([]string, error) {
	name := packageName(it)
	if len(declared) > 0 || name == "" {
		return d.append(declared)
	}
	r, err := d.run(ctx, probeLimit, "dpkg-query", "-W", "-f", "${Conffiles}", "--", name)
	if err != nil || r.exit != 0 {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(r.output) {
		if words := strings.Fields(line); len(words) == 2 {
			found = append(found, words[0])
		}
	}
	return d.append(found)
}
