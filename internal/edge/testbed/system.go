package testbed

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// aptPath is the search path of everything that runs for apt or in the cell.
const aptPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// debian gives the base of a Debian release, the machine's own if the name is
// empty, and makes it if there is none: a minimal system and the packages to
// include, from the machine's own mirror, with the mirror's package lists.
func (b Bed) debian(ctx context.Context, kind, release string, include ...string) (string, error) {
	if os.Geteuid() != 0 {
		return "", waiting(kind, "run as root, or leave this cell to a GitHub runner", "a Linux cell changes file ownership and mounts, which takes root")
	}
	own, sources, err := aptSources(b.System)
	if err != nil || len(sources) == 0 || sources[0].suite != own {
		return "", waiting(kind, "use a Debian or Ubuntu machine", "the machine's package sources name no mirror for its release %q", own)
	}
	if release == "" {
		release = own
	}
	sources = ofRelease(sources, own, release)
	debootstrap, err := program(kind, "debootstrap", "debootstrap")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat("/usr/share/debootstrap/scripts/" + release); err != nil {
		return "", waiting(kind, "install a newer debootstrap, or name another release", "this machine's debootstrap knows no release %q", release)
	}
	return b.base(ctx, kind+"-"+release+"-"+runtime.GOARCH+"-v2", func(dir string) error {
		ctx, cancel := context.WithTimeout(ctx, prepareLimit)
		defer cancel()
		b.say("making a " + release + " system for cells of kind " + kind)
		args := []string{"--mount", debootstrap, "--variant=minbase", "--force-check-gpg"}
		if key := sources[0].signedBy; key != "" {
			args = append(args, "--keyring="+key)
		}
		if len(include) > 0 {
			args = append(args, "--include="+strings.Join(include, ","))
		}
		// In a mount namespace, so that what it mounts goes when it is killed.
		args = append(args, release, systemOf(dir), sources[0].uri)
		if err := toolEnv(ctx, b.fetchEnv(), "unshare", args...); err != nil {
			if release == own || ctx.Err() != nil {
				return err
			}
			return waiting(kind, "name a release that the mirror has", "a %s system cannot be made from this machine's mirror: %w", release, err)
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
		return b.apt(ctx, dir, filepath.Join(dir, "archives"), "update")
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
func (b Bed) apt(ctx context.Context, base, archives string, args ...string) error {
	for _, dir := range []string{filepath.Join(base, "apt/lists/partial"), filepath.Join(base, "cache"), filepath.Join(archives, "partial")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	// A copy: apt locks the folder in which the status lies, and others want to
	// know what depends on what at the same time.
	status := filepath.Join(archives, "status")
	data, err := os.ReadFile(filepath.Join(systemOf(base), "var/lib/dpkg/status"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(status, data, 0o644); err != nil {
		return err
	}
	options := []string{
		"-q", "-y",
		"-o", "Dir::Etc::sourcelist=" + filepath.Join(base, "sources.list"),
		"-o", "Dir::Etc::sourceparts=-",
		"-o", "Dir::State=" + filepath.Join(base, "apt"),
		"-o", "Dir::State::status=" + status,
		"-o", "Dir::Cache=" + filepath.Join(base, "cache"),
		"-o", "Dir::Cache::archives=" + archives,
		"-o", "Dir::Cache::pkgcache=pkgcache.bin", "-o", "Dir::Cache::srcpkgcache=srcpkgcache.bin", // container images turn them off
		"-o", "APT::Sandbox::User=root",
		"-o", "APT::Install-Recommends=false",
		"-o", "Acquire::Languages=none",
		"-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"-o", "Acquire::Retries=3",
	}
	return toolEnv(ctx, b.fetchEnv(), "apt-get", slices.Concat(options, args)...)
}

// fetchEnv is the environment of what fetches: the way to the network, no more.
func (b Bed) fetchEnv() []string {
	env := []string{aptPath, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	if b.Getenv == nil {
		return env
	}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value := b.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}
