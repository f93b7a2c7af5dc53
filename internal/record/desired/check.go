package desired

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

var errMissing = errors.New("is missing")

// check runs every rule that goes beyond one value. Each package, cycle and
// tenant is judged as far as it could be decoded; whether a name exists is
// asked of the file list, so that one broken file is no chain of findings.
func (l *loader) check() {
	x := &checks{loader: l, packages: map[string]bool{}, releases: map[string]map[string]bool{}, payload: map[string]map[string]place{}, syntax: map[string]*ast.File{}, files: map[string]place{}, unread: map[string]bool{}}
	for _, p := range l.places {
		x.files[p.Path] = p
		switch p.role {
		case rolePackage:
			x.packages[p.keys[0]] = true
		case roleRelease:
			if x.releases[p.keys[0]] == nil {
				x.releases[p.keys[0]] = map[string]bool{}
			}
			x.releases[p.keys[0]][p.keys[1]] = true
		case rolePayload:
			if x.payload[p.keys[0]] == nil {
				x.payload[p.keys[0]] = map[string]place{}
			}
			x.payload[p.keys[0]][p.keys[1]] = p
		}
	}
	x.catalog()
	x.schedules()
	x.tenants()
	x.proofs()
}

// checks is the state of one run of the rules.
type checks struct {
	*loader
	files    map[string]place
	packages map[string]bool             // ids that have a package.cue
	releases map[string]map[string]bool  // id → versions that have a file
	payload  map[string]map[string]place // id → path below the package → file
	syntax   map[string]*ast.File
	unread   map[string]bool // folders of tenants with a group that could not be read
}

// at is the position of a field in a file, or of the deepest field above it
// that the file spells out.
func (x *checks) at(file string, keys ...string) fleet.Pos {
	f, ok := x.syntax[file]
	if !ok {
		if data, err := x.tree.Read(file); err == nil && len(data) <= MaxPolicyFile {
			f, _ = parser.ParseFile(file, data)
		}
		x.syntax[file] = f
	}
	best, _ := within(f, file, keys)
	return best
}

// find are the sources of a field, or of a list's element when the key is an
// index and a list stands there.
func find(sources []source, key string) []source {
	if n, ok := indexOf(key); ok && len(sources) > 0 {
		if list, ok := sources[0].expr.(*ast.ListLit); ok && n < len(list.Elts) {
			file := sources[0].file
			return []source{{file, position(file, list.Elts[n].Pos()), strip(list.Elts[n])}}
		}
	}
	fields, _ := members(sources)
	for _, m := range fields {
		if m.name == key {
			return m.sources
		}
	}
	return nil
}

// fault reports a finding about the field that keys lead to in a file.
func (x *checks) fault(file string, keys []string, format string, args ...any) {
	x.say(x.at(file, keys...), pathOf(keys), format, args...)
}

// index is the key of a list's element.
func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

func indexOf(key string) (int, bool) {
	inner, ok := strings.CutPrefix(key, "[")
	n, err := strconv.Atoi(strings.TrimSuffix(inner, "]"))
	return n, ok && err == nil
}

// zone reports a time zone that does not load.
func (x *checks) zone(file string, keys []string, name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		x.fault(file, keys, "%q is no IANA time zone such as Europe/Helsinki", name)
		return nil
	}
	return loc
}

// glob reports a pattern on versions that cannot be read.
func (x *checks) glob(file string, keys []string, pattern string) {
	switch _, err := version.Allowed(pattern, "1"); {
	case err != nil:
		x.fault(file, keys, "%q is no pattern such as 24.*", pattern)
	case strings.ContainsAny(pattern, "<>=^|"):
		x.fault(file, keys, "%q is no pattern such as 24.*: only * stands for other characters, there are no comparisons", pattern)
	}
}

// day parses a date that the schema has checked.
func day(date string) time.Time {
	t, _ := time.Parse(time.DateOnly, date)
	return t
}

// k makes a key list.
func k(keys ...string) []string { return keys }

// duplicates are the elements of list that occur more than once, by index.
func duplicates[T comparable](list []T) []int {
	var found []int
	for i, v := range list {
		if slices.Index(list, v) < i {
			found = append(found, i)
		}
	}
	return found
}

// hostOf is the host of an https address without its port.
func hostOf(url string) string {
	rest, ok := strings.CutPrefix(url, "https://")
	if !ok {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, ":")
	return strings.ToLower(host)
}
