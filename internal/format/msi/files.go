package msi

import (
	"strings"
)

// A Component is what is installed together: the unit of the Component table.
type Component struct {
	ID        string
	GUID      string // "" is not registered, and so never removed
	Directory string // the folder's path, as [InstalledFile.Path] has it
	Condition string // it is installed where this holds; "" is always
	KeyPath   string // a key of the table that KeyKind names; "" for a folder
	KeyKind   KeyKind

	Is64        bool // registry and folders of 64-bit Windows
	Permanent   bool // it stays when the product is removed
	SharedCount bool // its key file is counted among shared ones
	Transitive  bool // its condition is looked at again on a repair
	NoOverwrite bool // it is left alone where its key path exists
}

// A KeyKind says what shows that a component is installed.
type KeyKind string

// What a component's key path may be.
const (
	KeyFile     KeyKind = "file"
	KeyRegistry KeyKind = "registry"
	KeyODBC     KeyKind = "odbc"
	KeyFolder   KeyKind = "folder"
)

// Attributes of the Component table.
const (
	componentRegistryKey = 0x004
	componentShared      = 0x008
	componentPermanent   = 0x010
	componentODBC        = 0x020
	componentTransitive  = 0x040
	componentKeep        = 0x080
	component64          = 0x100
)

// Components reads the Component table, in its order.
func (f *File) Components() ([]Component, error) {
	d, err := f.folders()
	if err != nil {
		return nil, err
	}
	return f.components(d)
}

func (f *File) components(d *folders) ([]Component, error) {
	var list []Component
	columns := []string{"Component", "Directory_", "Attributes", "?", "ComponentId", "Condition", "KeyPath"}
	return list, f.view("Component", columns, func(r Row, c []int) error {
		attributes, _ := r.Int(c[2])
		path, err := d.path(r.Text(c[1]))
		if err != nil {
			return r.fail(c[1], "component %q: %w", r.Text(c[0]), err)
		}
		one := Component{
			ID:          r.Text(c[0]),
			GUID:        r.Text(c[3]),
			Directory:   path,
			Condition:   r.Text(c[4]),
			KeyPath:     r.Text(c[5]),
			KeyKind:     KeyFile,
			Is64:        attributes&component64 != 0,
			Permanent:   attributes&componentPermanent != 0,
			SharedCount: attributes&componentShared != 0,
			Transitive:  attributes&componentTransitive != 0,
			NoOverwrite: attributes&componentKeep != 0,
		}
		switch {
		case one.KeyPath == "":
			one.KeyKind = KeyFolder
		case attributes&componentRegistryKey != 0:
			one.KeyKind = KeyRegistry
		case attributes&componentODBC != 0:
			one.KeyKind = KeyODBC
		}
		list = append(list, one)
		return nil
	})
}

// An InstalledFile is a file that the product installs: a row of the File table
// with what its component and folder say.
type InstalledFile struct {
	ID        string
	Component string
	ShortName string // 8.3
	Name      string
	Size      int64  // bytes, unpacked
	Version   string // of its version resource; "" when it has none
	Companion string // the file whose version decides whether this one is replaced
	Language  string // LCIDs, separated by commas
	Sequence  int    // its place in the cabinets, from 1
	Is64      bool   // its component is a 64-bit one

	// Path is where it comes to lie when nobody chooses another folder, such as
	// `[ProgramFiles64Folder]\Hello\hello.exe`: folders that only a machine knows
	// stand in brackets.
	Path string

	Hidden, System, ReadOnly bool
	Vital                    bool // the installation fails without it
}

// Attributes of the File table.
const (
	fileReadOnly = 0x001
	fileHidden   = 0x002
	fileSystem   = 0x004
	fileVital    = 0x200
)

// Files reads the File, Component and Directory tables; files in the order of
// the File table.
func (f *File) Files() ([]InstalledFile, error) {
	d, err := f.folders()
	if err != nil {
		return nil, err
	}
	components, err := f.components(d)
	if err != nil {
		return nil, err
	}
	return f.files(d, byID(components))
}

func byID(list []Component) map[string]Component {
	m := make(map[string]Component, len(list))
	for _, c := range list {
		m[c.ID] = c
	}
	return m
}

func (f *File) files(d *folders, components map[string]Component) ([]InstalledFile, error) {
	var list []InstalledFile
	columns := []string{"File", "Component_", "FileName", "FileSize", "?", "Version", "Language", "Attributes", "Sequence"}
	err := f.view("File", columns, func(r Row, c []int) error {
		component, ok := components[r.Text(c[1])]
		if !ok {
			return r.fail(c[1], "file %q: there is no component %q", r.Text(c[0]), r.Text(c[1]))
		}
		size, _ := r.Int(c[3])
		if size < 0 {
			return r.fail(c[3], "file %q has %d bytes", r.Text(c[0]), size)
		}
		attributes, _ := r.Int(c[6])
		sequence, _ := r.Int(c[7])
		short, long := names(r.Text(c[2]))
		if long == "" || long == ".." || strings.ContainsAny(long, `\/`) {
			return r.fail(c[2], "file %q has the name %q", r.Text(c[0]), long)
		}
		path, err := d.join(component.Directory, long)
		if err != nil {
			return err
		}
		list = append(list, InstalledFile{
			ID:        r.Text(c[0]),
			Component: component.ID,
			ShortName: short,
			Name:      long,
			Size:      int64(size),
			Version:   r.Text(c[4]),
			Language:  r.Text(c[5]),
			Sequence:  sequence,
			Is64:      component.Is64,
			Path:      path,
			ReadOnly:  attributes&fileReadOnly != 0,
			Hidden:    attributes&fileHidden != 0,
			System:    attributes&fileSystem != 0,
			Vital:     attributes&fileVital != 0,
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	companions(list)
	return list, nil
}

// companions tells versions from keys of other files, which stand in the same
// column.
func companions(list []InstalledFile) {
	ids := make(map[string]bool, len(list))
	for _, one := range list {
		ids[one.ID] = true
	}
	for i := range list {
		if ids[list[i].Version] {
			list[i].Companion, list[i].Version = list[i].Version, ""
		}
	}
}
