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

func (d *windows) present(_ context.Context, it item) (bool, string, error) {
	return judge(it, func(rule fleet.Detect) (detection.Observation, error) { return d.observe(rule, it.Candidate) })
}

// judge puts every rule to the device and judges the answers.
func judge(it item, observe func(fleet.Detect) (detection.Observation, error)) (bool, string, error) {
	seen := make([]detection.Observation, len(it.in.Detect))
	for i, rule := range it.in.Detect {
		var err error
		if seen[i], err = observe(rule); err != nil {
			return false, "", err
		}
	}
	return detection.Judge(it.in.Detect, it.Version, it.Download, seen)
}

func (d *windows) observe(rule fleet.Detect, c Candidate) (detection.Observation, error) {
	switch {
	case rule.MSIProduct:
		if c.Download.MSI == nil {
			return detection.Observation{}, fleet.Errorf(fleet.Invalid, "testbed.wine", c.Version, "the release does not say its MSI product code")
		}
		key := `HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall\` + c.Download.MSI.ProductCode
		seen, err := d.value(key, "DisplayVersion", 64)
		if err != nil || seen.Found {
			return seen, err
		}
		return d.value(key, "DisplayVersion", 32)
	case rule.Registry != nil:
		return d.value(rule.Registry.Key, rule.Registry.Value, rule.Registry.View)
	case rule.File != nil:
		return d.file(*rule.File)
	}
	return detection.Observation{}, unanswerable("wine", detection.Name(rule))
}

// value looks a registry value up, or a key alone, in what the last program left.
func (d *windows) value(key, name string, view int) (detection.Observation, error) {
	prefix, err := os.OpenRoot(d.layer.root)
	if err != nil {
		return detection.Observation{}, err
	}
	defer prefix.Close()
	all, err := registryOf(prefix)
	if err != nil {
		return detection.Observation{}, err
	}
	text, found := all.value(key, name, view)
	return detection.Observation{Found: found, Value: strings.TrimSpace(text)}, nil
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
