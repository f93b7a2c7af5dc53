package testbed

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/pe"
	"github.com/packmill/packmill/internal/rules/detection"
)

// unanswerable is the error of a rule that a cell cannot put to its device.
func unanswerable(cell, what string) error {
	return fleet.Errorf(fleet.Invalid, "testbed."+cell, what, "this cell cannot evaluate such a detection rule: leave the installer to another environment of the matrix")
}

func (d *debian) present(ctx context.Context, c Candidate) (bool, string, error) {
	return judge(d.rules, c, func(rule fleet.Detect) (detection.Observation, error) { return d.observe(ctx, rule) })
}

func (d *windows) present(ctx context.Context, c Candidate) (bool, string, error) {
	return judge(d.in.Detect, c, func(rule fleet.Detect) (detection.Observation, error) { return d.observe(ctx, rule, c) })
}

// judge puts every rule to the device and judges the answers.
func judge(rules []fleet.Detect, c Candidate, observe func(fleet.Detect) (detection.Observation, error)) (bool, string, error) {
	seen := make([]detection.Observation, len(rules))
	for i, rule := range rules {
		var err error
		if seen[i], err = observe(rule); err != nil {
			return false, "", err
		}
	}
	return detection.Judge(rules, c.Version, c.Download, seen)
}

func (d *debian) observe(ctx context.Context, rule fleet.Detect) (detection.Observation, error) {
	switch {
	case rule.Package != "":
		r, err := d.box.run(ctx, probeLimit, nil, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", "--", rule.Package)
		if err != nil || r.exit != 0 {
			return detection.Observation{}, err
		}
		status, version, _ := strings.Cut(strings.TrimSpace(r.output), " ")
		if status != "installed" {
			return detection.Observation{}, nil
		}
		return detection.Observation{Found: true, Value: version}, nil
	case rule.File != nil && !rule.File.Version:
		r, err := d.box.run(ctx, probeLimit, nil, "test", "-e", rule.File.Path)
		return detection.Observation{Found: err == nil && r.exit == 0}, err
	}
	return detection.Observation{}, unanswerable("chroot", detection.Name(rule))
}

func (d *windows) observe(ctx context.Context, rule fleet.Detect, c Candidate) (detection.Observation, error) {
	switch {
	case rule.MSIProduct:
		if c.Download.MSI == nil {
			return detection.Observation{}, fleet.Errorf(fleet.Invalid, "testbed.wine", c.Version, "the release does not say its MSI product code")
		}
		key := `HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall\` + c.Download.MSI.ProductCode
		seen, err := d.registry(ctx, key, "DisplayVersion", 64)
		if err != nil || seen.Found {
			return seen, err
		}
		return d.registry(ctx, key, "DisplayVersion", 32)
	case rule.Registry != nil:
		return d.registry(ctx, rule.Registry.Key, rule.Registry.Value, rule.Registry.View)
	case rule.File != nil:
		return d.file(*rule.File)
	}
	return detection.Observation{}, unanswerable("wine", detection.Name(rule))
}

// registry asks the cell's own registry program for a value, or for a key alone.
func (d *windows) registry(ctx context.Context, key, value string, view int) (detection.Observation, error) {
	query := []string{"reg", "query", key}
	if value != "" {
		query = append(query, "/v", value)
	}
	if view == 32 {
		query = append(query, "/reg:32")
	} else {
		query = append(query, "/reg:64")
	}
	const run = `cd drive_c; "$SERVER" -p0; "$WINE" "$@" </dev/null; status=$?; "$SERVER" -k; exit $status`
	r, err := d.box.run(ctx, probeLimit, nil, append([]string{"/bin/sh", "-c", run, "sh"}, query...)...)
	if err != nil || r.exit != 0 {
		return detection.Observation{}, err
	}
	if value == "" {
		return detection.Observation{Found: true}, nil
	}
	text, found := registryValue(r.output, value)
	return detection.Observation{Found: found, Value: text}, nil
}

// registryValue finds a value in what `reg query` prints: lines of four blanks,
// name, type and data, four blanks between them.
func registryValue(output, name string) (string, bool) {
	for line := range strings.Lines(output) {
		fields := strings.SplitN(strings.Trim(line, "\r\n"), "    ", 4)
		if len(fields) == 4 && fields[0] == "" && strings.EqualFold(fields[1], name) && strings.HasPrefix(fields[2], "REG_") {
			return strings.TrimSpace(fields[3]), true
		}
	}
	return "", false
}

// file looks for a file on drive C:, and reads its version resource where the
// rule compares it.
func (d *windows) file(rule fleet.FileRule) (detection.Observation, error) {
	root, err := d.drive()
	if err != nil {
		return detection.Observation{}, err
	}
	defer root.Close()
	name, ok := resolveCase(root, rule.Path)
	if !ok {
		return detection.Observation{}, nil
	}
	if !rule.Version {
		return detection.Observation{Found: true}, nil
	}
	f, err := root.Open(name)
	if err != nil {
		return detection.Observation{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return detection.Observation{}, err
	}
	program, err := pe.Read(f, info.Size())
	var invalid *fleet.Error
	if errors.As(err, &invalid) && invalid.Kind == fleet.Invalid {
		return detection.Observation{Found: true}, nil // it is there, and tells no version
	} else if err != nil {
		return detection.Observation{}, err
	}
	return detection.Observation{Found: true, Value: program.Facts.FileVersion}, nil
}

// places are the variables that detection paths are written with.
var places = strings.NewReplacer(
	"%programfiles%", `c:\program files`, "%programw6432%", `c:\program files`, "%programfiles(x86)%", `c:\program files (x86)`,
	"%programdata%", `c:\programdata`, "%systemdrive%", `c:`, "%systemroot%", `c:\windows`, "%windir%", `c:\windows`,
)

// resolveCase finds a Windows path on drive C:, whatever its case.
func resolveCase(root *os.Root, windowsPath string) (string, bool) {
	name, ok := strings.CutPrefix(places.Replace(strings.ToLower(strings.ReplaceAll(windowsPath, "/", `\`))), `c:\`)
	if !ok {
		return "", false
	}
	at := "."
	for word := range strings.SplitSeq(name, `\`) {
		entries, err := fs.ReadDir(root.FS(), at)
		if err != nil {
			return "", false
		}
		next := ""
		for _, e := range entries {
			if strings.EqualFold(e.Name(), word) {
				next = e.Name()
			}
		}
		if next == "" {
			return "", false
		}
		at = path.Join(at, next)
	}
	return at, true
}
