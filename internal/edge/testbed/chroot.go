package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Chroot is the Linux cell: the machine's own Debian release in a folder.
type Chroot struct{ bed Bed }

// NewChroot is the Linux cell of a bed.
func NewChroot(bed Bed) *Chroot { return &Chroot{bed} }

// aptPath is the search path of everything that runs for apt or in the cell.
const aptPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Prepare makes the cell's base if there is none: a minimal system of the
// machine's own release and mirror, with the mirror's package lists.
func (c *Chroot) Prepare(ctx context.Context) error {
	_, err := c.prepare(ctx)
	return err
}

func (c *Chroot) prepare(ctx context.Context) (string, error) {
	if os.Geteuid() != 0 {
		return "", waiting("chroot", "run as root, or leave this cell to a GitHub runner", "a Linux cell changes file ownership and mounts, which takes root")
	}
	codename, sources, err := aptSources(c.bed.System)
	if err != nil || len(sources) == 0 || sources[0].suite != codename {
		return "", waiting("chroot", "use a Debian or Ubuntu machine", "the machine's package sources name no mirror for its release %q", codename)
	}
	debootstrap, err := program("chroot", "debootstrap", "debootstrap")
	if err != nil {
		return "", err
	}
	return c.bed.base(ctx, "chroot-"+codename+"-"+runtime.GOARCH+"-v2", func(dir string) error {
		ctx, cancel := context.WithTimeout(ctx, prepareLimit)
		defer cancel()
		c.bed.say("making a " + codename + " system for Linux cells")
		args := []string{"--mount", debootstrap, "--variant=minbase", "--force-check-gpg"}
		if key := sources[0].signedBy; key != "" {
			args = append(args, "--keyring="+key)
		}
		// In a mount namespace, so that what it mounts goes when it is killed.
		args = append(args, codename, systemOf(dir), sources[0].uri)
		if err := toolEnv(ctx, c.fetchEnv(), "unshare", args...); err != nil {
			return err
		}
		if err := forget(systemOf(dir)); err != nil {
			return err
		}
		var list strings.Builder
		for _, s := range sources {
			list.WriteString(s.line())
		}
		if err := os.WriteFile(filepath.Join(dir, "sources.list"), []byte(list.String()), 0o644); err != nil {
			return err
		}
		return c.apt(ctx, dir, filepath.Join(dir, "archives"), "update")
	})
}

// forget leaves a new system without archives, lists and sources: inside a cell
// they would make apt look for a network that is not there.
func forget(system string) error {
	var err error
	for _, dir := range []string{"var/cache/apt/archives", "var/lib/apt/lists"} {
		dir = filepath.Join(system, dir)
		err = errors.Join(err, os.RemoveAll(dir), os.MkdirAll(filepath.Join(dir, "partial"), 0o755))
	}
	return errors.Join(err, os.WriteFile(filepath.Join(system, "etc/apt/sources.list"), nil, 0o644))
}

// systemOf is the part of a base that cells stand on.
func systemOf(base string) string { return filepath.Join(base, "system") }

// apt runs the machine's own apt-get as if it stood in the untouched system of a
// base, with the base's sources and lists. This is where the network is used:
// outside, before anything of a package has run, reading nothing that a package
// could have written but the .deb itself.
func (c *Chroot) apt(ctx context.Context, base, archives string, args ...string) error {
	for _, dir := range []string{filepath.Join(base, "apt/lists/partial"), filepath.Join(base, "cache"), filepath.Join(archives, "partial")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	options := []string{
		"-q", "-y",
		"-o", "Dir::Etc::sourcelist=" + filepath.Join(base, "sources.list"),
		"-o", "Dir::Etc::sourceparts=-",
		"-o", "Dir::State=" + filepath.Join(base, "apt"),
		"-o", "Dir::State::status=" + filepath.Join(systemOf(base), "var/lib/dpkg/status"),
		"-o", "Dir::Cache=" + filepath.Join(base, "cache"),
		"-o", "Dir::Cache::archives=" + archives,
		"-o", "Dir::Cache::pkgcache=pkgcache.bin", "-o", "Dir::Cache::srcpkgcache=srcpkgcache.bin", // container images turn them off
		"-o", "APT::Sandbox::User=root",
		"-o", "APT::Install-Recommends=false",
		"-o", "Acquire::Languages=none",
		"-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"-o", "Acquire::Retries=3",
	}
	return toolEnv(ctx, c.fetchEnv(), "apt-get", slices.Concat(options, args)...)
}

// fetchEnv is the environment of what fetches: the way to the network, no more.
func (c *Chroot) fetchEnv() []string {
	env := []string{aptPath, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	if c.bed.Getenv == nil {
		return env
	}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value := c.bed.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// Run takes a .deb through its life.
func (c *Chroot) Run(ctx context.Context, spec Spec) ([]fleet.TestStep, error) {
	if t := spec.installer().Type; t != "deb" {
		return nil, fleet.Errorf(fleet.Invalid, "testbed.chroot", string(spec.Package.ID), "a chroot cell installs deb packages, not %s", t)
	}
	base, err := c.prepare(ctx)
	if err != nil {
		return nil, err
	}
	bwrap, err := program("chroot", "bwrap", "bubblewrap")
	if err != nil {
		return nil, err
	}
	return lifecycle(ctx, spec, func(ctx context.Context) (endpoint, error) {
		layer, err := c.bed.layer(ctx, systemOf(base))
		if err != nil {
			return nil, err
		}
		return &debian{cell: c, base: base, layer: layer, rules: spec.installer().Detect, box: debianBox(bwrap, layer.root)}, nil
	})
}

// debianBox is the view from inside: the cell's root and nothing else, with the
// rights that package installation needs and not those by which root leaves a
// folder (mounting, devices, tracing, kernel).
func debianBox(bwrap, root string) sandbox {
	view := []string{"--bind", root, "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run", "--chdir", "/", "--hostname", "cell"}
	for _, right := range []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETFCAP"} {
		view = append(view, "--cap-add", "CAP_"+right)
	}
	return sandbox{bwrap: bwrap, view: view, env: []string{aptPath, "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "TERM=dumb"}}
}

// debian is one fresh Debian device.
type debian struct {
	cell  *Chroot
	base  string
	layer *layer
	rules []fleet.Detect
	box   sandbox
	count int // of installs
}

func (d *debian) close() error { return d.layer.remove() }

// install fetches what the package depends on outside, and installs both inside,
// where there is no network.
func (d *debian) install(ctx context.Context, c Candidate) (string, error) {
	d.count++
	scratch := filepath.Join(d.layer.dir, fmt.Sprintf("install-%d", d.count))
	archives := filepath.Join(scratch, "archives")
	if err := os.MkdirAll(archives, 0o755); err != nil {
		return "", err
	}
	setup, err := unpack(ctx, c, archives)
	if err != nil {
		return "", err
	}
	if filepath.Base(setup) != setup || filepath.Ext(setup) != ".deb" {
		return "", fleet.Errorf(fleet.Invalid, "testbed.chroot", setup, "is no name of a .deb")
	}
	if err := d.fetch(ctx, archives, filepath.Join(archives, setup)); err != nil {
		return "", err
	}
	names, err := d.place(archives, scratch)
	if err != nil {
		return "", err
	}
	call := []string{"apt-get", "-q", "-y", "--allow-downgrades", "-o", "APT::Install-Recommends=false", "-o", "APT::Sandbox::User=root",
		"-o", "DPkg::Options::=--force-unsafe-io", "install"} // the cell does not outlive a crash anyway
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
func (d *debian) fetch(ctx context.Context, archives, deb string) error {
	call := []string{"--download-only", "install", deb}
	if d.cell.apt(ctx, d.base, archives, call...) == nil {
		return nil
	}
	// The lists of the base may be older than what the mirror still has.
	unlock, err := lock(ctx, d.base+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.cell.apt(ctx, d.base, archives, "update"); err != nil {
		return err
	}
	err = d.cell.apt(ctx, d.base, archives, call...)
	var failed *fleet.Error
	if errors.As(err, &failed) && ctx.Err() == nil {
		return failf("its dependencies cannot be had: %v", failed.Err)
	}
	return err
}

// place copies the archives into the cell, through a root that no link leaves,
// and tells where they are inside.
func (d *debian) place(archives, scratch string) ([]string, error) {
	root, err := os.OpenRoot(d.layer.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	folder := "var/cache/packmill-" + filepath.Base(scratch)
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

func (d *debian) uninstall(ctx context.Context, c Candidate) (string, error) {
	if c.Download.Deb == nil {
		return "", fleet.Errorf(fleet.Invalid, "testbed.chroot", c.Version, "the release does not say which Debian package it is")
	}
	return d.do(ctx, "apt-get", "-q", "-y", "remove", "--", c.Download.Deb.Package)
}

// launch runs the command line with the cell's shell. It must end well, and in
// time.
func (d *debian) launch(ctx context.Context, command string) (string, error) {
	r, err := d.box.run(ctx, launchLimit, nil, "/bin/sh", "-c", command)
	return ended(r, err, launchLimit)
}

// do runs a program that must end well.
func (d *debian) do(ctx context.Context, argv ...string) (string, error) {
	r, err := d.box.run(ctx, installLimit, nil, argv...)
	_, err = ended(r, err, installLimit)
	return "", err
}

// ended judges how a program ended.
func ended(r result, err error, limit time.Duration) (string, error) {
	switch {
	case err != nil:
		return "", err
	case r.exit == -1:
		return "", failf("not done after %s: %s", limit, detail(r.output))
	case r.exit != 0:
		return "", failf("exit code %d: %s", r.exit, detail(r.output))
	}
	return r.output, nil
}
