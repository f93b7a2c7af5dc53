package testbed

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/detection"
)

// linux is what all Linux devices of a bed have: a system in a folder, of which
// nothing runs but the program that was called.
type linux struct {
	layer *layer
	box   sandbox
	log   *transcript
}

// linuxBox is the view from inside: the cell's root and nothing else, with the
// rights that package installation needs and not those by which root leaves a
// folder (mounting, devices, tracing, kernel).
func linuxBox(bwrap, root string) sandbox {
	view := []string{"--bind", root, "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run", "--chdir", "/", "--hostname", "cell"}
	for _, right := range []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETFCAP"} {
		view = append(view, "--cap-add", "CAP_"+right)
	}
	return sandbox{bwrap: bwrap, view: view, env: []string{aptPath, "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "TERM=dumb"}}
}

func (d *linux) close() error { return d.layer.remove() }

// run runs a program inside and notes it.
func (d *linux) run(ctx context.Context, limit time.Duration, argv ...string) (result, error) {
	r, err := d.box.run(ctx, limit, nil, argv...)
	if err == nil {
		d.log.called(strings.Join(argv, " "), r)
	}
	return r, err
}

// launch runs the command line with the cell's shell. It must end well, and in
// time.
func (d *linux) launch(ctx context.Context, _ item, command string) (string, error) {
	r, err := d.run(ctx, launchLimit, "/bin/sh", "-c", command)
	return ended(r, err, launchLimit)
}

// do runs a program that must end well.
func (d *linux) do(ctx context.Context, argv ...string) (string, error) {
	r, err := d.run(ctx, installLimit, argv...)
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

// Nothing runs in the folder between two calls, so there is no service to ask,
// no journal and no socket.

func (d *linux) running(context.Context, []string) (string, error) {
	return "", skipped{"not looked at: no service manager runs in this cell"}
}

func (d *linux) complaints(context.Context) ([]string, error) {
	return nil, skipped{"not looked at: this cell has no journal"}
}

func (d *linux) ports(context.Context) (survey, error) {
	return nil, skipped{"not looked at: nothing runs on in this cell, and it has no network"}
}

// survey leaves out what package managers write for themselves, and what lasts
// no restart.
func (d *linux) survey(context.Context) (survey, error) {
	root, err := os.OpenRoot(d.layer.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	s := survey{}
	if err := s.files(root.FS(), "/", passing); err != nil {
		return nil, err
	}
	accounts, err := readCapped(root, "etc/passwd", maxOutput)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(accounts)) {
		name, _, _ := strings.Cut(line, ":")
		s["account "+name] = true
	}
	return s, nil
}

// passing reports whether a path of a Linux system is none of a package's doing.
func passing(inside string) bool {
	for _, dir := range []string{
		"/dev", "/proc", "/sys", "/run", "/tmp", "/var/tmp", "/var/cache", "/var/log", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/rpm", "/root/.rpmdb",
		"/usr/lib/sysimage/rpm", "/etc/ld.so.cache", "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-",
	} {
		if inside == dir || strings.HasPrefix(inside, dir+"/") {
			return true
		}
	}
	return false
}

// file looks for a file, whose version no Linux system knows.
func (d *linux) file(cell string, rule fleet.Detect) (detection.Observation, error) {
	if rule.File == nil || rule.File.Version {
		return detection.Observation{}, unanswerable(cell, detection.Name(rule))
	}
	root, err := os.OpenRoot(d.layer.root)
	if err != nil {
		return detection.Observation{}, err
	}
	defer root.Close()
	_, err = root.Lstat(strings.TrimPrefix(rule.File.Path, "/"))
	return detection.Observation{Found: err == nil}, nil
}

// alteration is what a cell adds to a setting, and looks for again. Most
// configuration files take a line with # for a comment.
const alteration = "# altered by the device's user"

// append alters files. What is no file, or not there, is left out: a package may
// declare what only a program writes.
func (d *linux) append(names []string) ([]string, error) {
	root, err := os.OpenRoot(d.layer.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var out []string
	for _, name := range names {
		if err := appendTo(root, strings.TrimPrefix(name, "/"), "\n"+alteration+"\n"); err == nil {
			out = append(out, name)
		}
	}
	return out, nil
}

// appendTo writes to the end of a regular file that is there.
func appendTo(root *os.Root, name, text string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fs.ErrInvalid
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

func (d *linux) altered(_ context.Context, setting string) (bool, error) {
	root, err := os.OpenRoot(d.layer.root)
	if err != nil {
		return false, err
	}
	defer root.Close()
	data, err := readCapped(root, strings.TrimPrefix(setting, "/"), maxSetting)
	return err == nil && bytes.Contains(data, []byte(alteration)), nil
}

// maxSetting is how large a configuration file may be.
const maxSetting = 8 << 20
