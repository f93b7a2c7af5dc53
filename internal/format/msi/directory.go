package msi

import (
	"slices"
	"strings"
)

const (
	maxDepth = 256      // folders within folders
	maxPath  = 32_767   // UTF-16 characters of a path under Windows; here bytes
	maxPaths = 64 << 20 // bytes of all paths of one reading
)

// folders resolves the Directory table. A folder whose name is a property takes
// that property's value, as costing does: the system's folders, which only a
// machine knows, stay as "[ProgramFiles64Folder]", and so does the root,
// "[TARGETDIR]". What custom actions and command lines change is not known here.
type folders struct {
	rows  map[string]folderRow
	paths map[string]string
	given map[string]string // the Property table
	left  int               // bytes of paths that may still be made
}

type folderRow struct {
	parent, name string
	row          Row
	column       int
}

// systemFolders are the properties that the installer sets to folders of the
// machine: the Windows Installer reference, "System Folder Properties".
const systemFolders = " AdminToolsFolder AppDataFolder CommonAppDataFolder CommonFiles64Folder CommonFilesFolder DesktopFolder" +
	" FavoritesFolder FontsFolder LocalAppDataFolder MyPicturesFolder NetHoodFolder PersonalFolder PrintHoodFolder" +
	" ProgramFiles64Folder ProgramFilesFolder ProgramMenuFolder RecentFolder SendToFolder StartMenuFolder StartupFolder" +
	" System16Folder System64Folder SystemFolder TempFolder TemplateFolder WindowsFolder WindowsVolume "

func (f *File) folders() (*folders, error) {
	d := &folders{rows: map[string]folderRow{}, paths: map[string]string{}, given: f.Properties, left: maxPaths}
	return d, f.view("Directory", []string{"Directory", "Directory_Parent", "DefaultDir"}, func(r Row, c []int) error {
		id := r.Text(c[0])
		if _, twice := d.rows[id]; twice || id == "" {
			return r.fail(c[0], "no folder of its own: %q", id)
		}
		name, _, _ := strings.Cut(r.Text(c[2]), ":") // "target:source"
		_, name = names(name)
		if strings.ContainsAny(name, `\/`) || name == ".." {
			return r.fail(c[2], "folder %q has the name %q", id, name)
		}
		d.rows[id] = folderRow{parent: r.Text(c[1]), name: name, row: r, column: c[1]}
		return nil
	})
}

// names are the parts of "short|long"; both are the same where there is one.
func names(text string) (short, long string) {
	short, long, two := strings.Cut(text, "|")
	if !two {
		return short, short
	}
	return short, long
}

// path is a folder's path, without a separator at its end.
func (d *folders) path(id string) (string, error) {
	var chain []string // folders whose paths are not known yet, innermost first
	at, base := id, ""
	for {
		if known, ok := d.paths[at]; ok {
			base = known
			break
		}
		row, ok := d.rows[at]
		if value := d.given[at]; value != "" && (ok || isSystemFolder(at)) {
			base = strings.TrimRight(value, `\`)
			d.paths[at] = base
			break
		}
		if isSystemFolder(at) || ok && (row.parent == "" || row.parent == at) {
			base = "[" + at + "]"
			d.paths[at] = base
			break
		}
		if !ok {
			if len(chain) == 0 {
				return "", invalid("table \"Directory\": there is no folder %q", id)
			}
			inner := d.rows[chain[len(chain)-1]]
			return "", inner.row.fail(inner.column, "its parent %q is no folder", at)
		}
		if slices.Contains(chain, at) {
			return "", row.row.fail(row.column, "folder %q is inside itself", at)
		}
		if len(chain) == maxDepth {
			return "", row.row.fail(row.column, "folder %q has more than %d folders around it", id, maxDepth)
		}
		chain = append(chain, at)
		at = row.parent
	}
	for i := len(chain) - 1; i >= 0; i-- {
		if name := d.rows[chain[i]].name; name != "." && name != "" {
			var err error
			if base, err = d.join(base, name); err != nil {
				return "", err
			}
		}
		d.paths[chain[i]] = base
	}
	return base, nil
}

func isSystemFolder(id string) bool {
	return id != "" && !strings.Contains(id, " ") && strings.Contains(systemFolders, " "+id+" ")
}

// join puts a name below a folder.
func (d *folders) join(folder, name string) (string, error) {
	path := folder + `\` + name
	if d.left -= len(path); len(path) > maxPath || d.left < 0 {
		return "", invalid("table \"Directory\": a path of %d bytes, or all together more than %d", len(path), maxPaths)
	}
	return path, nil
}
