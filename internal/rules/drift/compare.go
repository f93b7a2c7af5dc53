package drift

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A State says who moved a value, or an object, since it was last applied.
type State string

// The states of values and objects, in rising order of what people must do.
const (
	Same     State = "same"
	Apply    State = "apply"    // git moved: the next release brings it
	Missing  State = "missing"  // the tenant has no such object any more
	Drift    State = "drift"    // the tenant moved
	Conflict State = "conflict" // both did, to different values
	Foreign  State = "foreign"  // somebody else's object
)

// A Change is a value that is not the same everywhere. Values are JSON; "" is
// none, and an element of a list as a whole is "present".
type Change struct {
	Path  string `json:"path"` // names separated by "/": "settings/edge_smartscreen/choiceSettingValue/value"
	State State  `json:"state"`
	Base  string `json:"base"` // as it was last applied
	Want  string `json:"want"` // as git has it
	Have  string `json:"have"` // as the tenant has it
}

const (
	present  = "present"
	mask     = `"****"`
	settings = "settings/"
	maxBytes = 8 << 20
	maxDepth = 80
)

// Parse reads a document: one JSON object.
func Parse(data []byte) (map[string]any, error) {
	if len(data) > maxBytes {
		return nil, fleet.Errorf(fleet.Invalid, "drift.parse", "", "a configuration has %d bytes, more than %d", len(data), maxBytes)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "drift.parse", "", "offset %d: a configuration is no JSON object: %w", d.InputOffset(), err)
	}
	if doc == nil {
		return nil, fleet.Errorf(fleet.Invalid, "drift.parse", "", "a configuration is no JSON object")
	}
	return doc, nil
}

// Compare gives what differs between the three documents, in the order of
// paths. A nil base is one that is not known: what then differs between git and
// the tenant is a conflict, since nobody can say who moved.
func Compare(base, want, have map[string]any) []Change {
	known := base != nil
	b, w, h := leaves{}, leaves{}, leaves{}
	b.add("", base, 0)
	w.add("", want, 0)
	h.add("", have, 0)
	paths := map[string]bool{}
	for path := range b {
		paths[path] = true
	}
	for path := range w {
		paths[path] = true
	}
	for path, value := range h {
		if value == present && strings.HasPrefix(path, settings) {
			paths[path] = true
		}
	}
	var out []Change
	whole := "" // the element that is there on one side alone, with all it holds
	for _, path := range slices.SortedFunc(maps.Keys(paths), comparePaths) {
		if whole != "" && strings.HasPrefix(path, whole) {
			continue
		}
		c := Change{Path: path, Base: b[path], Want: w[path], Have: h[path]}
		if h.secret(path) {
			c.Have = c.Base
			if !known {
				c.Have = c.Want
			}
		}
		if c.State = stateOf(c, known); c.State == Same {
			continue
		}
		out = append(out, c)
		if c.Base == present || c.Want == present || c.Have == present {
			whole = path + "/"
		}
	}
	return out
}

// comparePaths orders an element before what it holds, and both before the
// elements behind it.
func comparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

func stateOf(c Change, known bool) State {
	switch {
	case c.Want == c.Have:
		return Same
	case !known:
		return Conflict
	case c.Have == c.Base:
		return Apply
	case c.Want == c.Base:
		return Drift
	}
	return Conflict
}

// Worst is the state of an object with these changes.
func Worst(changes []Change) State {
	order := []State{Same, Apply, Missing, Drift, Conflict}
	worst := Same
	for _, c := range changes {
		if slices.Index(order, c.State) > slices.Index(order, worst) {
			worst = c.State
		}
	}
	return worst
}

// Moved are the changes that a person in the tenant made.
func Moved(changes []Change) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return c.State != Drift && c.State != Conflict })
}

// leaves are a document's values by path.
type leaves map[string]string

func (l leaves) add(path string, v any, depth int) {
	if depth > maxDepth {
		return // no console nests so deep: what lies below is not compared
	}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if strings.Contains(name, "@odata.") && name != "@odata.type" {
				continue
			}
			l.add(join(path, name), value, depth+1)
		}
	case []any:
		l.list(path, v, depth)
	case nil:
	default:
		l[path] = jsonOf(v)
	}
}

func (l leaves) list(path string, list []any, depth int) {
	keys := keysOf(list)
	if keys == nil {
		l[join(path, "#")] = strconv.Itoa(len(list))
	}
	for i, element := range list {
		if keys == nil {
			l.add(join(path, strconv.Itoa(i)), element, depth+1)
			continue
		}
		at := join(path, keys[i])
		l[at] = present
		l.add(at, inner(element), depth+1)
	}
}

// keysOf are the names of a list's elements, nil where they have none of their
// own. An empty list has no elements to name.
func keysOf(list []any) []string {
	keys := []string{}
	for _, element := range list {
		key := ""
		if m, ok := inner(element).(map[string]any); ok {
			for _, name := range []string{"settingDefinitionId", "omaUri", "ruleName"} {
				if s, ok := m[name].(string); ok && s != "" {
					key = strings.ReplaceAll(s, "/", "|") // of an OMA-URI
					break
				}
			}
		}
		if key == "" || slices.Contains(keys, key) {
			return nil
		}
		keys = append(keys, key)
	}
	return keys
}

// inner is a setting without what it is wrapped in.
func inner(element any) any {
	if m, ok := element.(map[string]any); ok {
		if instance, ok := m["settingInstance"]; ok {
			return instance
		}
	}
	return element
}

// secret reports whether a value is one that a console does not give back.
func (l leaves) secret(path string) bool {
	if l[path] == mask {
		return true
	}
	parent := path[:max(strings.LastIndexByte(path, '/'), 0)]
	last := path[len(parent):]
	return (last == "/value" || last == "/valueState" || last == "/@odata.type") && l[parent+"/valueState"] == `"encryptedValueToken"`
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "/" + name
}

func jsonOf(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Adopted is what git has to say for the tenant's values to be its own: the
// tenant's document, cut down to what git states and to the settings the tenant
// added. Where git states nothing that is kept either.
func Adopted(want, have map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range want {
		if kept := adopt(value, have[name]); kept != nil {
			out[name] = kept
		}
	}
	return out
}

// adopt cuts a value of the tenant down to the form of git's.
func adopt(want, have any) any {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok || cmp.Compare(kind(w), kind(h)) != 0 {
			return stripped(have)
		}
		return Adopted(w, h)
	case []any:
		h, ok := have.([]any)
		if !ok {
			return stripped(have)
		}
		return adoptList(w, h)
	}
	if jsonOf(have) == mask {
		return want
	}
	return stripped(have)
}

func kind(m map[string]any) string {
	s, _ := m["@odata.type"].(string)
	return s
}

// adoptList gives the tenant's elements in git's order, then those git has not.
func adoptList(want, have []any) any {
	wantKeys, haveKeys := keysOf(want), keysOf(have)
	out := []any{}
	if wantKeys == nil || haveKeys == nil {
		for i, h := range have {
			if i < len(want) {
				out = append(out, adopt(want[i], h))
			} else {
				out = append(out, stripped(h))
			}
		}
		return out
	}
	for i, key := range wantKeys {
		if j := slices.Index(haveKeys, key); j >= 0 {
			out = append(out, adopt(want[i], have[j]))
		}
	}
	for j, key := range haveKeys {
		if !slices.Contains(wantKeys, key) {
			out = append(out, stripped(have[j]))
		}
	}
	return out
}

// stripped is a value without nulls, and without the ids of settings.
func stripped(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		_, wraps := v["settingInstance"]
		for name, value := range v {
			if value == nil || wraps && name == "id" || strings.Contains(name, "@odata.") && name != "@odata.type" {
				continue
			}
			out[name] = stripped(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = stripped(element)
		}
		return out
	}
	return v
}
