package drift

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func doc(t testing.TB, s string) map[string]any {
	t.Helper()
	d, err := Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func choice(id, value string) string {
	return fmt.Sprintf(`{"settingInstance":{"@odata.type":"#c","settingDefinitionId":%q,"choiceSettingValue":{"value":%q,"children":[]}}}`, id, value)
}

// TestCompare has a row for each way in which three documents may differ.
func TestCompare(t *testing.T) {
	policy := func(settings ...string) string {
		return `{"name":"Edge","settings":[` + strings.Join(settings, ",") + `]}`
	}
	ring := func(days string) string { return `{"@odata.type":"#ring","displayName":"Ring","days":` + days + `}` }
	secret := `{"settings":[{"settingInstance":{"settingDefinitionId":"s","simpleSettingValue":{"@odata.type":"#secret","value":"%s","valueState":"%s"}}}]}`
	for _, tt := range []struct {
		what, base, want, have string
		is                     []string // path state
	}{
		{"nothing", ring("3"), ring("3"), ring("3"), nil},
		{"git moved", ring("3"), ring("5"), ring("3"), []string{"days apply"}},
		{"the tenant moved", ring("3"), ring("3"), ring("7"), []string{"days drift"}},
		{"both moved", ring("3"), ring("5"), ring("7"), []string{"days conflict"}},
		{"both moved alike", ring("3"), ring("5"), ring("5"), nil},
		{"the tenant reset", ring("3"), ring("3"), `{"@odata.type":"#ring","displayName":"Ring","days":null}`, []string{"days drift"}},
		{"git states no more", ring("3"), `{"@odata.type":"#ring","displayName":"Ring"}`, ring("3"), []string{"days apply"}},
		{"the service adds", ring("3"), ring("3"), `{"id":"1","@odata.type":"#ring","days":3,"more":{"a":[1]},"displayName":"Ring","days@odata.type":"#x"}`, nil},
		{"order", policy(choice("a", "1"), choice("b", "2")), policy(choice("a", "1"), choice("b", "2")), policy(choice("b", "2"), choice("a", "1")), nil},
		{"a value", policy(choice("a", "1")), policy(choice("a", "1")), policy(choice("a", "0")), []string{"settings/a/choiceSettingValue/value drift"}},
		{"one more", policy(choice("a", "1")), policy(choice("a", "1")), policy(choice("a", "1"), choice("b", "1")), []string{"settings/b drift"}},
		{"one less", policy(choice("a", "1"), choice("b", "1")), policy(choice("a", "1"), choice("b", "1")), policy(choice("a", "1")), []string{"settings/b drift"}},
		{"git adds one", policy(choice("a", "1")), policy(choice("a", "1"), choice("b", "1")), policy(choice("a", "1")), []string{"settings/b apply"}},
		{"both add one", policy(choice("a", "1")), policy(choice("a", "1"), choice("b", "1")), policy(choice("a", "1"), choice("c", "1")), []string{"settings/b apply", "settings/c drift"}},
		{"a list", `{"l":[1,2]}`, `{"l":[1,2]}`, `{"l":[1,2,3]}`, []string{"l/# drift"}},
		{"a mask", `{"omaSettings":[{"omaUri":"./a","value":"x"}]}`, `{"omaSettings":[{"omaUri":"./a","value":"x"}]}`, `{"omaSettings":[{"omaUri":"./a","value":"****"}]}`, nil},
		{"a mask over what git moved", `{"omaSettings":[{"omaUri":"./a","value":"x"}]}`, `{"omaSettings":[{"omaUri":"./a","value":"y"}]}`, `{"omaSettings":[{"omaUri":"./a","value":"****"}]}`, []string{"omaSettings/.|a/value apply"}},
		{"a token", fmt.Sprintf(secret, "x", "notEncrypted"), fmt.Sprintf(secret, "x", "notEncrypted"), fmt.Sprintf(secret, "0d1c", "encryptedValueToken"), nil},
		{"numbers", `{"n":18446744073709551615}`, `{"n":18446744073709551615}`, `{"n":18446744073709551614}`, []string{"n drift"}},
		{"not known", "", ring("5"), ring("3"), []string{"days conflict"}},
	} {
		var base map[string]any
		if tt.base != "" {
			base = doc(t, tt.base)
		}
		var got []string
		for _, c := range Compare(base, doc(t, tt.want), doc(t, tt.have)) {
			got = append(got, c.Path+" "+string(c.State))
		}
		if !slices.Equal(got, tt.is) {
			t.Errorf("%s: %v, want %v", tt.what, got, tt.is)
		}
	}
	for _, bad := range []string{"", "[]", "null", `{"a":`, strings.Repeat(" ", maxBytes+1)} {
		if _, err := Parse([]byte(bad)); err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%.10s: %v", bad, err)
		}
	}
}

// A maker makes random documents of one shape.
type maker struct{ *rand.Rand }

func (m maker) value(depth int) any {
	switch n := m.IntN(8); {
	case n == 0:
		return nil
	case n < 3:
		return json.Number(fmt.Sprint(m.IntN(4)))
	case n < 5 || depth == 0:
		return []string{"x", "y", "****"}[m.IntN(2)]
	case n == 5:
		list := []any{}
		for range m.IntN(3) {
			list = append(list, m.value(depth-1))
		}
		return list
	default:
		return m.document(depth - 1)
	}
}

func (m maker) document(depth int) map[string]any {
	out := map[string]any{}
	for _, name := range []string{"a", "b", "c"} {
		if m.IntN(4) > 0 {
			out[name] = m.value(depth)
		}
	}
	if depth == 3 {
		list := []any{}
		for _, i := range m.Perm(4) {
			if m.IntN(3) > 0 {
				list = append(list, map[string]any{"settingInstance": map[string]any{"settingDefinitionId": fmt.Sprint("s", i), "v": m.value(1)}})
			}
		}
		out["settings"] = list
	}
	return out
}

// noise is what a service makes of a document: more properties, other order,
// nulls where there was nothing.
func (m maker) noise(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{"server": json.Number("1"), "empty": nil, "nested": map[string]any{"x": true}}
		for name, value := range v {
			out[name] = m.noise(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = m.noise(element)
		}
		if keysOf(v) != nil {
			m.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		}
		return out
	}
	return v
}

// TestCompareProperties holds for any three documents, whatever a service adds
// to the tenant's.
func TestCompareProperties(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(6, 4))}
	moved := 0
	for i := range 4000 {
		base, want, have := m.document(3), m.document(3), m.document(3)
		noisy := m.noise(have).(map[string]any)
		fail := func(what string, changes []Change) {
			t.Helper()
			t.Fatalf("%d: %s: %+v\nbase %s\nwant %s\nhave %s", i, what, changes, jsonOf(base), jsonOf(want), jsonOf(have))
		}
		if c := Compare(base, base, m.noise(base).(map[string]any)); len(c) > 0 {
			fail("what a service adds is a difference", c)
		}
		if c := Compare(base, want, m.noise(base).(map[string]any)); len(Moved(c)) > 0 {
			fail("git's move is the tenant's", c)
		}
		if c := Compare(base, base, noisy); slices.ContainsFunc(c, func(c Change) bool { return c.State != Drift }) {
			fail("the tenant's move is git's", c)
		}
		if c := Compare(base, want, m.noise(want).(map[string]any)); len(c) > 0 {
			fail("what is as git wants it differs", c)
		}
		got := Compare(base, want, noisy)
		moved += len(got)
		for j, c := range got {
			if c.Want == c.Have || c.State == Same || stateOf(c, true) != c.State {
				fail("a change is none", got)
			}
			if j > 0 && comparePaths(got[j-1].Path, c.Path) >= 0 {
				fail("paths are out of order", got)
			}
		}
		adopted := Adopted(want, noisy)
		if c := Compare(adopted, adopted, noisy); len(c) > 0 {
			fail("what was adopted is not as the tenant has it", c)
		}
		if strings.Contains(jsonOf(adopted["settings"]), ":null") {
			fail("nulls were adopted", nil)
		}
	}
	if moved < 10_000 {
		t.Errorf("only %d changes in all", moved)
	}
}

// FuzzCompare: no document that can be read makes a comparison fail, and a
// document never differs from itself.
func FuzzCompare(f *testing.F) {
	f.Add([]byte(`{"settings":[` + choice("a", "1") + `,` + choice("a", "2") + `]}`))
	f.Add([]byte(`{"a/b":{"":[[],{}]},"omaSettings":[{"omaUri":"x","value":"****"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		if err != nil {
			return
		}
		if c := Compare(d, d, d); len(c) > 0 {
			t.Errorf("%+v", c)
		}
		Compare(nil, d, Adopted(d, d))
	})
}
