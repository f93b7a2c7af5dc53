package assign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// A shift is an assignment of a kind of object that has hours.
type shift struct {
	Entry
	Hours int `json:"hours,omitempty"`
}

func to(group string, hours int) shift {
	return shift{Entry{Target: TargetOf(fleet.Target{Group: group})}, hours}
}

func alike(x, y shift) bool { return x.Hours == y.Hours }

// owns takes groups whose id begins with "own" for packmill's.
func owns(_ context.Context, group string) (bool, error) { return strings.HasPrefix(group, "own"), nil }

const theirs = `{"later":{"b":1,"a":[2]},"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"theirs"}}`

// told is a set as the service tells it.
func told(t *testing.T, set ...json.RawMessage) []shift {
	t.Helper()
	var raws []json.RawMessage
	for i, a := range set {
		raws = append(raws, json.RawMessage(fmt.Sprintf(`{"id":"%d","source":"direct",%s`, i, string(a)[1:])))
	}
	out, err := Parse[shift](raws, "id", "source")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestParse(t *testing.T) {
	set := told(t, json.RawMessage(theirs))
	if len(set) != 1 || string(set[0].Raw) != theirs || set[0].Key() != "theirs" {
		t.Errorf("%+v, sent again as %s", set, set[0].Raw)
	}
	if empty, err := Parse[shift](nil); err != nil || len(empty) != 0 {
		t.Errorf("of nothing %v, %v", empty, err)
	}
	for _, hostile := range []string{``, `[]`, `{"target":7}`, `{"hours":"many"}`} {
		if got, err := Parse[shift]([]json.RawMessage{json.RawMessage(hostile)}); err == nil {
			t.Errorf("%q was read as %+v", hostile, got)
		}
	}
	if set, err := Parse[shift]([]json.RawMessage{json.RawMessage(`{}`), json.RawMessage(`{"target":null}`)}); err != nil || set[1].Key() != "" {
		t.Errorf("without targets %+v, %v", set, err)
	}
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		a, b []shift
		want bool
	}{
		{nil, []shift{}, true},
		{[]shift{to("b", 1), to("a", 2)}, []shift{to("a", 2), to("b", 1)}, true},
		{[]shift{to("a", 1)}, []shift{to("a", 2)}, false},
		{[]shift{to("a", 1)}, []shift{to("b", 1)}, false},
		{[]shift{to("a", 1)}, []shift{to("a", 1), to("b", 1)}, false},
		{[]shift{to("a", 1), to("b", 1)}, []shift{to("a", 1), to("a", 1)}, false},
	} {
		if got := Same(c.a, c.b, alike); got != c.want {
			t.Errorf("%v and %v: %v", Keys(c.a), Keys(c.b), got)
		}
	}
}

func TestSplit(t *testing.T) {
	present := []shift{to("named", 0), to("theirs", 0), to("own", 0), to(AllDevices, 0), to(AllUsers, 0)}
	named := []string{"named", AllUsers}
	for _, c := range []struct {
		owns          GroupOwner
		ours, foreign []string
	}{
		{owns, []string{"named", "own", AllUsers}, []string{"theirs", AllDevices}},
		{nil, []string{"named", AllUsers}, []string{"theirs", "own", AllDevices}},
	} {
		ours, foreign, err := Split(t.Context(), c.owns, named, present)
		if err != nil || !slices.Equal(Keys(ours), c.ours) || !slices.Equal(Keys(foreign), c.foreign) {
			t.Errorf("ours %v, foreign %v, %v", Keys(ours), Keys(foreign), err)
		}
	}
	lost := errors.New("no answer")
	fails := func(context.Context, string) (bool, error) { return false, lost }
	if ours, foreign, err := Split(t.Context(), fails, named, present); !errors.Is(err, lost) || ours != nil || foreign != nil {
		t.Errorf("ours %v, foreign %v, %v", ours, foreign, err)
	}
}

// A world is an object of a tenant, which dies before a write of that number.
type world struct {
	marked []string
	set    []json.RawMessage
	writes []string
	dies   int // 0 for never
}

var errKilled = errors.New("killed")

func (w *world) write(what string) error {
	if len(w.writes)+1 == w.dies {
		return errKilled
	}
	w.writes = append(w.writes, what)
	return nil
}

func (w *world) replace(t *testing.T, want []shift) error {
	t.Helper()
	return Object[shift]{
		Owns: owns, Marked: w.marked, Alike: alike,
		Mark: func(targets []string) error {
			if err := w.write("mark " + strings.Join(targets, ",")); err != nil {
				return err
			}
			w.marked = targets
			return nil
		},
		Send: func(set []json.RawMessage) error {
			if err := w.write("send"); err != nil {
				return err
			}
			w.set = set
			return nil
		},
	}.Replace(t.Context(), told(t, w.set...), want)
}

func TestReplace(t *testing.T) {
	w := &world{set: []json.RawMessage{json.RawMessage(theirs)}}
	for _, c := range []struct {
		want   []shift
		writes string
		set    []string
	}{
		{nil, "", []string{"theirs"}},
		{[]shift{to(AllDevices, 1), to("own", 1)}, "mark all devices; send", []string{"theirs", AllDevices, "own"}},
		{[]shift{to("own", 1), to(AllDevices, 1)}, "", []string{"theirs", AllDevices, "own"}},
		{[]shift{to(AllDevices, 1), to("own", 2)}, "send", []string{"theirs", AllDevices, "own"}},
		{[]shift{to("a", 1)}, "mark a,all devices; send; mark a", []string{"theirs", "a"}},
		{nil, "send; mark ", []string{"theirs"}},
	} {
		w.writes = nil
		err := w.replace(t, c.want)
		if got := strings.Join(w.writes, "; "); err != nil || got != c.writes {
			t.Errorf("%v: writes %q, want %q, %v", Keys(c.want), got, c.writes, err)
		}
		if got := Keys(told(t, w.set...)); !slices.Equal(got, c.set) || string(w.set[0]) != theirs {
			t.Errorf("%v: the set is %v, with %s", Keys(c.want), got, w.set[0])
		}
	}
	w = &world{marked: []string{"a"}, set: []json.RawMessage{json.RawMessage(`{"target":{"groupId":"a"}}`)}}
	if err := w.replace(t, nil); err != nil || w.set == nil || len(w.set) != 0 {
		t.Errorf("a set that nothing is left of is sent as %v (nil: %v), %v", w.set, w.set == nil, err)
	}
}

// TestReplaceAfterDeath kills a change before each of its writes: what stands
// then is still told apart, so that a withdrawal leaves the people's part alone.
func TestReplaceAfterDeath(t *testing.T) {
	for dies := 1; ; dies++ {
		w := &world{set: []json.RawMessage{json.RawMessage(theirs)}}
		if err := w.replace(t, []shift{to("a", 1), to("b", 1)}); err != nil {
			t.Fatal(err)
		}
		w.writes, w.dies = nil, dies
		err := w.replace(t, []shift{to("b", 2), to("c", 1), to("own", 1)})
		w.dies = 0
		if err := w.replace(t, nil); err != nil {
			t.Fatal(err)
		}
		if len(w.set) != 1 || string(w.set[0]) != theirs || len(w.marked) != 0 {
			t.Errorf("dead before write %d: left %s, marker %v", dies, w.set, w.marked)
		}
		if err == nil {
			if dies != 4 {
				t.Errorf("the change took %d writes", dies-1)
			}
			return
		}
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
	}
}
