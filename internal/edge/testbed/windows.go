package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/charmap"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// windows is one fresh Windows device.
type windows struct {
	layer  *layer
	box    sandbox
	log    *transcript
	placed map[string]content // by package and version
	count  int                // of command files
}

func (d *windows) close() error { return d.layer.remove() }

// A content is an unpacked candidate.
type content struct {
	folder string         // below drive_c
	file   string         // in it, that is installed
	setup  *wrapper.Setup // what the wrapper script does, nil without one
}

// workFolder is where content and command files lie, below drive_c.
const workFolder = "packmill"

func (d *windows) install(ctx context.Context, it item) (string, error) {
	at, err := d.place(ctx, it)
	if err != nil {
		return "", err
	}
	if at.setup != nil {
		return d.vendor(ctx, at, at.setup.Install)
	}
	line, _, err := d.commands(it, at)
	if err != nil {
		return "", err
	}
	return d.do(ctx, it.in, at.folder, line)
}

func (d *windows) uninstall(ctx context.Context, it item) (string, error) {
	at, err := d.place(ctx, it)
	if err != nil {
		return "", err
	}
	if at.setup != nil {
		return d.vendor(ctx, at, at.setup.Uninstall)
	}
	_, line, err := d.commands(it, at)
	if err != nil {
		return "", err
	}
	return d.do(ctx, it.in, at.folder, line)
}

// vendorAlone is what a cell says of a step that the wrapper script would do on
// a device: this much of it was tried, and no more.
const vendorAlone = "the vendor's command was run as " + wrapper.SetupName + " has it; the wrapper script was not: there is no PowerShell here"

// vendor runs the very command that the wrapper script would run.
func (d *windows) vendor(ctx context.Context, at content, c wrapper.Command) (string, error) {
	program, arguments, err := c.Line(*at.setup, wrapper.Places{
		Folder: `C:\` + strings.ReplaceAll(at.folder, "/", `\`), System: `C:\windows\system32`, Log: `C:\` + workFolder + `\vendor.log`,
	})
	if fleet.KindOf(err) == fleet.Waiting && err != nil {
		return "", skipped{"a cell has no secrets of a tenant: " + err.Error()}
	} else if err != nil {
		return "", err
	}
	// Only the program's path may name variables, which cmd expands as the
	// script does.
	if arguments, err = wrapper.BatchLine(arguments); err != nil {
		return "", err
	}
	limit := min(installLimit, time.Duration(at.setup.Minutes)*time.Minute)
	code, output, err := d.command(ctx, at.folder, strings.TrimSpace(`"`+program+`" `+arguments), limit)
	if err != nil {
		return "", err
	}
	switch at.setup.ExitCodes[strconv.Itoa(code)] {
	case wrapper.Success, wrapper.SoftReboot, wrapper.HardReboot:
		return vendorAlone, nil
	}
	return "", failf("exit code %d: %s", code, detail(output))
}

// place unpacks a candidate's content, once.
func (d *windows) place(ctx context.Context, it item) (content, error) {
	key := string(it.id) + "@" + it.Version
	if at, ok := d.placed[key]; ok {
		return at, nil
	}
	root, err := d.drive()
	if err != nil {
		return content{}, err
	}
	defer root.Close()
	at := content{folder: path.Join(workFolder, "content-"+strconv.Itoa(len(d.placed)+1))}
	if err := root.MkdirAll(at.folder, 0o755); err != nil {
		return content{}, err
	}
	dir, err := root.OpenRoot(at.folder)
	if err != nil {
		return content{}, err
	}
	defer dir.Close()
	if at.file, err = it.Unpack(ctx, dir); err != nil {
		return content{}, err
	}
	data, err := readCapped(dir, wrapper.SetupName, wrapper.MaxSetup)
	if err == nil {
		read, err := wrapper.Read(data)
		if err != nil {
			return content{}, err
		}
		at.setup = &read
	} else if !errors.Is(err, fs.ErrNotExist) {
		return content{}, err
	}
	d.placed[key] = at
	return at, nil
}

// drive is drive C:, which links do not leave.
func (d *windows) drive() (*os.Root, error) {
	prefix, err := os.OpenRoot(d.layer.root)
	if err != nil {
		return nil, err
	}
	defer prefix.Close()
	return prefix.OpenRoot("drive_c")
}

// commands are the command lines devices run in the folder of a content without
// wrapper script: its command files where it brings them, else what the type of
// the installer says.
func (d *windows) commands(it item, at content) (install, uninstall string, err error) {
	root, err := d.drive()
	if err != nil {
		return "", "", err
	}
	defer root.Close()
	_, noInstall := root.Stat(path.Join(at.folder, "install.cmd"))
	_, noUninstall := root.Stat(path.Join(at.folder, "uninstall.cmd"))
	if noInstall == nil && noUninstall == nil {
		// A cmd of its own: `call` makes every exit code a 1 in Wine.
		return "cmd /c install.cmd", "cmd /c uninstall.cmd", nil
	}
	return windowsCommands(it, at.file)
}

// do runs a command line that must end with an exit code of success.
func (d *windows) do(ctx context.Context, in fleet.Installer, folder, line string) (string, error) {
	limit := installLimit
	if in.Minutes > 0 {
		limit = min(limit, time.Duration(in.Minutes)*time.Minute)
	}
	code, output, err := d.command(ctx, folder, line, limit)
	if err != nil {
		return "", err
	}
	if succeeded(in, code) {
		return "", nil
	}
	return "", failf("exit code %d: %s", code, detail(output))
}

// launch starts the program in its folder, as the first word of the command
// names it.
func (d *windows) launch(ctx context.Context, it item, command string) (string, error) {
	name, _, _ := strings.Cut(strings.TrimSpace(command), " ")
	folder, err := d.find(it.in, strings.Trim(name, `"`))
	if err != nil {
		return "", err
	}
	code, output, err := d.command(ctx, folder, command, launchLimit)
	if err != nil {
		return "", err
	}
	if code != 0 {
		return "", failf("exit code %d: %s", code, detail(output))
	}
	return output, nil
}

// find is the folder below drive_c that holds the program, the package's own
// program folder before others.
func (d *windows) find(in fleet.Installer, name string) (string, error) {
	root, err := d.drive()
	if err != nil {
		return "", err
	}
	defer root.Close()
	var found []string
	for _, top := range []string{path.Join("Program Files", in.ProgramFiles), "Program Files", "Program Files (x86)", "users"} {
		err := fs.WalkDir(root.FS(), top, func(at string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && strings.EqualFold(e.Name(), name) {
				found = append(found, path.Dir(at))
			}
			return nil // what cannot be read does not hold the program
		})
		if err == nil && len(found) > 0 {
			return found[0], nil
		}
	}
	return "", failf("%s is in no program folder", name)
}

// startsAtMost is how often a command line is handed to Wine that does not begin
// it: on a busy machine Wine now and then cannot start a process.
const startsAtMost = 3

// wineClient is what Wine itself writes among a program's output when a process
// loses Wine's server, as one that ends with the last program now and then does.
// The step's log keeps it; it is nothing that the program said.
var wineClient = regexp.MustCompile(`(?m)^wine client error:[0-9a-f]+:.*\n?`)

// command runs a command line in a folder below drive_c and gives the exit code
// as Windows has it: what Linux sees of it is one byte. A command that is still
// running at the limit is a failure.
func (d *windows) command(ctx context.Context, folder, line string, limit time.Duration) (int, string, error) {
	root, err := d.drive()
	if err != nil {
		return 0, "", err
	}
	defer root.Close()
	step, err := d.script(root, folder, line)
	if err != nil {
		return 0, "", err
	}
	// The server writes the registry when it ends: it is given time to end by
	// itself, when the last program has, and is then told to.
	run := `cd drive_c; "$SERVER" -p0; "$WINE" cmd /c "$1" </dev/null; timeout 20 "$SERVER" -w || "$SERVER" -k`
	for start := 1; ; start++ {
		r, err := d.box.run(ctx, limit, nil, "/bin/sh", "-c", run, "sh", `C:\`+strings.ReplaceAll(step, "/", `\`)+".cmd")
		if err != nil {
			return 0, "", err
		}
		if r.exit == -1 {
			d.log.called(line, r)
			return 0, "", failf("not done after %s: %s", limit, detail(r.output))
		}
		said, err := readCapped(root, step+".exit", 64)
		if err == nil {
			code, err := strconv.ParseInt(strings.TrimSpace(string(said)), 10, 64)
			if err != nil {
				return 0, "", failf("ended with the exit code %q", said)
			}
			r.exit = int(code)
			d.log.called(line, r)
			return r.exit, wineClient.ReplaceAllString(r.output, ""), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return 0, "", err
		}
		d.log.called(line, r)
		// What never began has done nothing, so it can be begun again.
		if _, began := root.Lstat(step + ".began"); began == nil || start == startsAtMost {
			return 0, "", failf("ended without an exit code: %s", detail(r.output))
		}
	}
}

// script writes a command line as a command file, which says in files beside it
// that it began, and with which exit code it ended. It returns their path below
// drive_c, without extension.
func (d *windows) script(root *os.Root, folder, line string) (string, error) {
	if strings.ContainsAny(line, "\r\n") {
		return "", fleet.Errorf(fleet.Invalid, "testbed.wine", line, "is more than one line")
	}
	// Command files are read in the code page of a machine without a language.
	line, err := charmap.CodePage437.NewEncoder().String(line)
	if err != nil {
		return "", skipped{"the command line holds characters that command files cannot hold here"}
	}
	d.count++
	step := fmt.Sprintf("%s/step-%d", workFolder, d.count)
	says := `>C:\` + strings.ReplaceAll(step, "/", `\`)
	script := strings.Join([]string{
		"@echo off", says + ".began echo 1", `cd /d "C:\` + strings.ReplaceAll(folder, "/", `\`) + `"`,
		line, says + ".exit echo %errorlevel%", "",
	}, "\r\n")
	if err := root.MkdirAll(workFolder, 0o755); err != nil {
		return "", err
	}
	return step, root.WriteFile(step+".cmd", []byte(script), 0o644)
}

// readCapped reads a regular file of at most limit bytes.
func readCapped(root *os.Root, name string, limit int64) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, failf("%s is no file of at most %d bytes", name, limit)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}
