package msi

import (
	"strings"
)

// A Service is a Windows service that the product installs: a row of the
// ServiceInstall table. The password column is never read.
type Service struct {
	ID           string
	Name         string // as the service manager knows it; may hold [properties]
	DisplayName  string
	Description  string
	Start        string // boot, system, auto, demand, disabled
	Shared       bool   // it shares its process with other services
	Driver       bool   // of the kernel or a file system; the installer itself refuses these
	Interactive  bool   // it may use the desktop
	Account      string // "" is LocalSystem
	Arguments    string
	Dependencies []string // services, and groups with "+" before their names
	ErrorControl int      // 0 ignore, 1 report, 3 restart with the last good configuration
	Vital        bool     // the installation fails without it
	Component    string
	Binary       string // the path of the component's key file; "" when there is none
}

// Bits of the ServiceInstall table's columns.
const (
	serviceDriver      = 0x01 | 0x02
	serviceShared      = 0x20
	serviceInteractive = 0x100
	serviceVital       = 0x8000
)

// Services reads the ServiceInstall table, in its order, and the tables that
// name the services' files.
func (f *File) Services() ([]Service, error) {
	paths, components, err := f.keyPaths()
	if err != nil {
		return nil, err
	}
	var list []Service
	columns := []string{"ServiceInstall", "Name", "ServiceType", "StartType", "ErrorControl", "Component_",
		"?", "DisplayName", "Dependencies", "StartName", "Arguments", "Description"}
	return list, f.view("ServiceInstall", columns, func(r Row, c []int) error {
		component, ok := components[r.Text(c[5])]
		if !ok {
			return r.fail(c[5], "service %q: there is no component %q", r.Text(c[1]), r.Text(c[5]))
		}
		kind, _ := r.Int(c[2])
		start, _ := r.Int(c[3])
		control, _ := r.Int(c[4])
		if start < 0 || start > 4 {
			return r.fail(c[3], "service %q has start type %d", r.Text(c[1]), start)
		}
		list = append(list, Service{
			ID:           r.Text(c[0]),
			Name:         r.Text(c[1]),
			DisplayName:  r.Text(c[6]),
			Description:  r.Text(c[10]),
			Start:        [...]string{"boot", "system", "auto", "demand", "disabled"}[start],
			Shared:       kind&serviceShared != 0,
			Driver:       kind&serviceDriver != 0,
			Interactive:  kind&serviceInteractive != 0,
			Account:      r.Text(c[8]),
			Arguments:    r.Text(c[9]),
			Dependencies: dependencies(r.Text(c[7])),
			ErrorControl: control &^ serviceVital,
			Vital:        control&serviceVital != 0,
			Component:    component.ID,
			Binary:       paths[component.ID],
		})
		return nil
	})
}

// dependencies reads "one[~]two[~][~]".
func dependencies(text string) []string {
	var list []string
	for name := range strings.SplitSeq(text, "[~]") {
		if name != "" {
			list = append(list, name)
		}
	}
	return list
}

// keyPaths are the key files' paths by component, and the components.
func (f *File) keyPaths() (map[string]string, map[string]Component, error) {
	d, err := f.folders()
	if err != nil {
		return nil, nil, err
	}
	list, err := f.components(d)
	if err != nil {
		return nil, nil, err
	}
	components := byID(list)
	files, err := f.files(d, components)
	if err != nil {
		return nil, nil, err
	}
	paths := map[string]string{}
	for _, one := range files {
		if c := components[one.Component]; c.KeyKind == KeyFile && c.KeyPath == one.ID {
			paths[c.ID] = one.Path
		}
	}
	return paths, components, nil
}

// A Shortcut is a row of the Shortcut table.
type Shortcut struct {
	ID        string
	Name      string
	Directory string // the path of the folder it is put into
	// Target is a path or text with [properties]. An advertised shortcut names no
	// file: it installs the feature and starts the component's key file, whose
	// path is here.
	Target     string
	Advertised bool
	Arguments  string
	Component  string
}

// Shortcuts reads the Shortcut table, in its order, and resolves the files and
// folders that targets name.
func (f *File) Shortcuts() ([]Shortcut, error) {
	d, err := f.folders()
	if err != nil {
		return nil, err
	}
	paths, _, err := f.keyPaths()
	if err != nil {
		return nil, err
	}
	files, err := f.Files()
	if err != nil {
		return nil, err
	}
	byFile := map[string]string{}
	for _, one := range files {
		byFile[one.ID] = one.Path
	}
	var list []Shortcut
	columns := []string{"Shortcut", "Directory_", "Name", "Component_", "Target", "?", "Arguments"}
	return list, f.view("Shortcut", columns, func(r Row, c []int) error {
		folder, err := d.path(r.Text(c[1]))
		if err != nil {
			return r.fail(c[1], "shortcut %q: %w", r.Text(c[0]), err)
		}
		_, name := names(r.Text(c[2]))
		one := Shortcut{
			ID:        r.Text(c[0]),
			Name:      name,
			Directory: folder,
			Target:    r.Text(c[4]),
			Arguments: r.Text(c[5]),
			Component: r.Text(c[3]),
		}
		if !strings.Contains(one.Target, "[") {
			one.Advertised, one.Target = true, paths[one.Component]
		} else if one.Target, err = d.expand(one.Target, byFile); err != nil {
			return r.fail(c[4], "shortcut %q: %w", one.ID, err)
		}
		list = append(list, one)
		return nil
	})
}

// expand resolves a target that begins with "[#file]", "[!file]" or "[folder]".
// Others stay as they are.
func (d *folders) expand(target string, files map[string]string) (string, error) {
	name, rest, ok := strings.Cut(target, "]")
	if !ok || !strings.HasPrefix(name, "[") {
		return target, nil
	}
	name = name[1:]
	if path := files[strings.TrimLeft(name, "#!")]; path != "" && strings.ContainsAny(name[:1], "#!") {
		return path + rest, nil
	}
	if _, ok := d.rows[name]; !ok {
		return target, nil
	}
	folder, err := d.path(name)
	if err != nil || rest == "" {
		return folder, err
	}
	return d.join(folder, strings.TrimLeft(rest, `\`))
}
