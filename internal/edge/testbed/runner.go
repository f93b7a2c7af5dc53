package testbed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/detection"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// Runner is the cell that is this machine itself: packages are installed on it,
// as its administrator, outside of any sandbox. It is for the runners of a CI
// service, which are thrown away after their job, and runs nowhere else. There is
// one device only, so each life begins by removing what the one before left.
type Runner struct {
	OS   string // windows, macos, linux
	Arch string // x64, arm64
	Work string // folder for installers, which nobody else uses
	// Inside is how programs call Work, where that is another name.
	Inside string
	Root   bool // this process is the administrator
	Now    func() time.Time
	// Exec runs a program, without input, for at most limit; output is cut off
	// after most bytes.
	Exec func(ctx context.Context, limit time.Duration, most int, argv ...string) (result, error)
}

// Disposable reports whether a machine says that nobody needs it after this job:
// a runner that GitHub hosts (GitHub: "Default environment variables"). A runner
// of one's own says "self-hosted", and may be anything.
func Disposable(getenv func(string) string) bool {
	return getenv("GITHUB_ACTIONS") == "true" && getenv("RUNNER_ENVIRONMENT") == "github-hosted"
}

// NewRunner is the cell of this machine, which the caller knows to be disposable.
// now is the machine's own clock, by which its log tells what is new.
func NewRunner(goos, goarch, work string, now func() time.Time) (*Runner, error) {
	system := map[string]string{"windows": "windows", "darwin": "macos", "linux": "linux"}[goos]
	if system == "" {
		return nil, fleet.Errorf(fleet.Invalid, "testbed.runner", goos, "no package is installed on such a system")
	}
	return &Runner{
		OS: system, Arch: map[string]string{"amd64": "x64"}[goarch] + map[string]string{"arm64": "arm64"}[goarch], Work: work, Inside: work,
		Root: os.Geteuid() == 0, Now: now, Exec: execute,
	}, nil
}

// execute runs a program of this machine with the environment of this process.
func execute(ctx context.Context, limit time.Duration, most int, argv ...string) (result, error) {
	return within(ctx, limit, most, func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, argv[0], argv[1:]...) })
}

// Run takes an installer through its life on this machine.
func (r *Runner) Run(ctx context.Context, spec Spec) ([]fleet.TestStep, error) {
	in, env := spec.installer(), spec.Environment
	if in.Platform != r.OS || env.Arch != r.Arch {
		return nil, fleet.Errorf(fleet.Invalid, "testbed.runner", string(spec.Package.ID), "this machine is %s for %s, the cell is %s for %s", r.OS, r.Arch, in.Platform, env.Arch)
	}
	var speaks dialect = unix{mac: r.OS == "macos", root: r.Root}
	if r.OS == "windows" {
		speaks = powershell{}
	}
	return lifecycle(ctx, spec, 1, func(_ context.Context, log *transcript) (endpoint, error) {
		return &hosted{runner: r, speaks: speaks, log: log, since: r.Now()}, nil
	})
}

// A dialect is how a system is told what to do, as programs to call. What they
// print is the same everywhere: an observation is a line "found" and a line with
// the version; a list is one thing a line, named as in a survey. A line that
// begins with notLooked says why there is no answer.
type dialect interface {
	// install and uninstall run in the folder where the content lies.
	install(it item, at brought) ([]string, error)
	uninstall(it item, at brought) ([]string, error)
	launch(it item, command string) []string
	observe(rule fleet.Detect, c Candidate) ([]string, error)
	running(service string) []string // exit code 0 if it does
	complaints(since time.Time) []string
	ports() []string
	survey() []string
	alter(setting string) []string   // exit code 0 if it could
	altered(setting string) []string // exit code 0 if it is
}

const notLooked = "not looked at: "

// hosted is this machine as one device.
type hosted struct {
	runner *Runner
	speaks dialect
	log    *transcript
	since  time.Time
	placed int
	there  []item // installed by this cell, and not removed since
}

// maxListing is how much of a list of everything is read.
const maxListing = 64 << 20

func (d *hosted) call(ctx context.Context, limit time.Duration, argv []string) (result, error) {
	r, err := d.runner.Exec(ctx, limit, maxOutput, argv...)
	if err == nil {
		d.log.called(shownCall(argv), r)
	}
	return r, err
}

// shownCall is a call as a log shows it: an encoded script as its text.
func shownCall(argv []string) string {
	if n := len(argv); n > 1 && argv[n-2] == "-EncodedCommand" {
		return strings.Join(argv[:n-2], " ") + " " + decodeCommand(argv[n-1])
	}
	return strings.Join(argv, " ")
}

// list calls a program that prints one thing a line.
func (d *hosted) list(ctx context.Context, argv []string) ([]string, error) {
	r, err := d.runner.Exec(ctx, probeLimit, maxListing, argv...)
	switch {
	case err != nil:
		return nil, err
	case r.exit != 0:
		return nil, fleet.Errorf(fleet.Internal, "testbed.runner", shownCall(argv), "exit code %d: %s", r.exit, detail(r.output))
	case len(r.output) == maxListing:
		return nil, fleet.Errorf(fleet.Internal, "testbed.runner", shownCall(argv), "answers with more than %d bytes", maxListing)
	}
	var out []string
	for line := range strings.Lines(r.output) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, notLooked) {
			return nil, skipped{line}
		} else if line != "" {
			out = append(out, line)
		}
	}
	return out, nil
}

func (d *hosted) things(ctx context.Context, argv []string) (survey, error) {
	lines, err := d.list(ctx, argv)
	s := survey{}
	for _, line := range lines {
		s[line] = true
	}
	return s, err
}

// A brought is an unpacked candidate, and what it has beside the vendor's file.
type brought struct {
	folder   string
	setup    string // the vendor's file, in the folder
	commands bool   // install.cmd and uninstall.cmd
	script   bool   // the wrapper script, which is then what devices run
	signed   bool   // that script is
}

// place unpacks a candidate into a new folder.
func (d *hosted) place(ctx context.Context, it item) (at brought, err error) {
	d.placed++
	name := fmt.Sprintf("content-%d-%d", d.since.UnixNano(), d.placed)
	dir := filepath.Join(d.runner.Work, name)
	at.folder = filepath.Join(d.runner.Inside, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return at, err
	}
	if at.setup, err = unpack(ctx, it.Candidate, dir); err != nil {
		return at, err
	}
	_, missing := os.Stat(filepath.Join(dir, wrapper.InstallScript))
	at.commands = !errors.Is(missing, fs.ErrNotExist)
	script, err := os.ReadFile(filepath.Join(dir, wrapper.ScriptName))
	if errors.Is(err, fs.ErrNotExist) {
		return at, nil
	}
	at.script, at.signed = err == nil, wrapper.Signed(script)
	return at, err
}

func (d *hosted) install(ctx context.Context, it item) (string, error) {
	if err := d.change(ctx, it, d.speaks.install); err != nil {
		return "", err
	}
	d.there = append(slices.DeleteFunc(d.there, func(o item) bool { return o.id == it.id && o.Version == it.Version }), it)
	return "", nil
}

func (d *hosted) uninstall(ctx context.Context, it item) (string, error) {
	if err := d.change(ctx, it, d.speaks.uninstall); err != nil {
		return "", err
	}
	d.there = slices.DeleteFunc(d.there, func(o item) bool { return o.id == it.id && o.Version == it.Version })
	return "", nil
}

// change places the content, and installs or removes it.
func (d *hosted) change(ctx context.Context, it item, how func(item, brought) ([]string, error)) error {
	at, err := d.place(ctx, it)
	if err != nil {
		return err
	}
	argv, err := how(it, at)
	if err != nil {
		return err
	}
	limit := installLimit
	if it.in.Minutes > 0 {
		limit = min(limit, time.Duration(it.in.Minutes)*time.Minute)
	}
	r, err := d.call(ctx, limit, argv)
	if err == nil && d.runner.OS == "windows" && r.exit != -1 && at.succeeded(it.in, r.exit) {
		r.exit = 0
	}
	_, err = ended(r, err, limit)
	return err
}

// succeeded reports whether an exit code says that it worked. The wrapper script
// has translated the vendor's.
func (b brought) succeeded(in fleet.Installer, code int) bool {
	if b.script {
		return code == 0 || code == 3010 || code == 1641
	}
	return succeeded(in, code)
}

func (d *hosted) launch(ctx context.Context, it item, command string) (string, error) {
	r, err := d.call(ctx, launchLimit, d.speaks.launch(it, command))
	return ended(r, err, launchLimit)
}

func (d *hosted) present(ctx context.Context, it item) (bool, string, error) {
	return judge(it, func(rule fleet.Detect) (detection.Observation, error) {
		argv, err := d.speaks.observe(rule, it.Candidate)
		if err != nil {
			return detection.Observation{}, err
		}
		lines, err := d.list(ctx, argv)
		if err != nil || len(lines) == 0 || lines[0] != "found" {
			return detection.Observation{}, err
		}
		return detection.Observation{Found: true, Value: strings.Join(lines[1:min(2, len(lines))], "")}, nil
	})
}

func (d *hosted) running(ctx context.Context, services []string) (string, error) {
	for _, name := range services {
		r, err := d.call(ctx, probeLimit, d.speaks.running(name))
		if err != nil {
			return "", err
		}
		if r.exit != 0 {
			return "", failf("service %s does not run: %s", name, detail(r.output))
		}
	}
	return strings.Join(services, ", "), nil
}

func (d *hosted) complaints(ctx context.Context) ([]string, error) {
	return d.list(ctx, d.speaks.complaints(d.since))
}

func (d *hosted) ports(ctx context.Context) (survey, error) {
	return d.things(ctx, d.speaks.ports())
}

func (d *hosted) survey(ctx context.Context) (survey, error) {
	return d.things(ctx, d.speaks.survey())
}

func (d *hosted) alter(ctx context.Context, _ item, declared []string) ([]string, error) {
	var out []string
	for _, name := range declared {
		r, err := d.call(ctx, probeLimit, d.speaks.alter(name))
		if err != nil {
			return nil, err
		}
		if r.exit == 0 {
			out = append(out, name)
		}
	}
	return out, nil
}

func (d *hosted) altered(ctx context.Context, setting string) (bool, error) {
	r, err := d.call(ctx, probeLimit, d.speaks.altered(setting))
	return err == nil && r.exit == 0, err
}

// close removes what is still installed, the last first. What cannot be removed
// would falsify the next life.
func (d *hosted) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*installLimit)
	defer cancel()
	for _, it := range slices.Backward(slices.Clone(d.there)) {
		present, _, err := d.present(ctx, it)
		if err == nil && present {
			_, err = d.uninstall(ctx, it)
		}
		if err != nil {
			return fleet.Errorf(fleet.Internal, "testbed.runner", string(it.id), "%s stays on the machine: %w", it.Version, err)
		}
	}
	return nil
}
