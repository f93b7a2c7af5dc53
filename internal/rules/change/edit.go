package change

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// shown is how much of a compound value an edit tells, in bytes.
const shown = 160

// edits are the fields in which two values differ, in the spelling of their
// JSON form, which is that of the schema. Lists are compared by position.
func edits(base, head any) []Edit {
	var out []Edit
	walk("", tree(base), tree(head), &out)
	slices.SortFunc(out, func(a, b Edit) int { return cmp.Compare(a.Field, b.Field) })
	return out
}

// tree is a value's JSON form as maps, slices and scalars. Vocabulary types
// always have one.
func tree(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		panic("change: value has no JSON form: " + err.Error())
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		panic("change: JSON does not read back: " + err.Error())
	}
	return out
}

func walk(field string, base, head any, out *[]Edit) {
	a, aMap := base.(map[string]any)
	b, bMap := head.(map[string]any)
	if aMap && bMap || aMap && head == nil && field != "" || bMap && base == nil && field != "" {
		walkMap(field, a, b, out)
		return
	}
	x, xList := base.([]any)
	y, yList := head.([]any)
	if xList && yList && compound(x) && compound(y) {
		for i := range max(len(x), len(y)) {
			walk(fmt.Sprintf("%s[%d]", field, i), at(x, i), at(y, i), out)
		}
		return
	}
	if old, now := written(base), written(head); old != now {
		*out = append(*out, Edit{Field: field, Old: old, New: now})
	}
}

func walkMap(field string, a, b map[string]any, out *[]Edit) {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		walk(join(field, k), a[k], b[k], out)
	}
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

func compound(list []any) bool {
	for _, v := range list {
		if _, ok := v.(map[string]any); !ok {
			return false
		}
	}
	return true
}

// written is a value as an edit tells it: text as it is, all else as compact
// JSON, cut when it is long. Absent and empty are the same.
func written(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return clip(v)
	case []any:
		if len(v) == 0 {
			return ""
		}
	case map[string]any:
		if len(v) == 0 {
			return ""
		}
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic("change: JSON does not write back: " + err.Error())
	}
	return clip(string(data))
}

func clip(s string) string {
	if len(s) <= shown {
		return s
	}
	runes := []rune(s)
	return string(runes[:min(len(runes), shown)]) + "…"
}
