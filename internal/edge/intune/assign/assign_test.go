package assign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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

	before []json.RawMessage // told instead of the set
	stale  int               // so many times after each change
	old    int               // so many times yet
	reads  int
}

// patient waits without time passing for anybody else.
type patient struct{ clock *fleet.ManualClock }

func (p patient) Clock() fleet.Clock { return p.clock }

func (p patient) Poll(_ context.Context, what string, ask func() (bool, error)) error {
	for range 20 {
		if done, err := ask(); err != nil || done {
			return err
		}
	}
	return fmt.Errorf("never %s", what)
}

// change sets the set as a person or packmill does; it is told as it was for a
// while.
func (w *world) change(set []json.RawMessage) { w.before, w.set, w.old = w.set, set, w.stale }

func (w *world) read(t *testing.T) []shift {
	w.reads++
	if w.old > 0 {
		w.old--
		return told(t, w.before...)
	}
	return told(t, w.set...)
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
		Name: "the object", Owns: owns, Marked: w.marked, Alike: alike, Waits: patient{fleet.NewManualClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))},
		Read: func(context.Context) ([]shift, error) { return w.read(t), nil },
		Mark: func(_ context.Context, targets []string) error {
			if err := w.write("mark " + strings.Join(targets, ",")); err != nil {
				return err
			}
			w.marked = targets
			return nil
		},
		Send: func(_ context.Context, set []json.RawMessage) error {
			if err := w.write("send"); err != nil {
				return err
			}
			w.change(set)
			return nil
		},
	}.Replace(t.Context(), want)
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

// TestStopWhereOldIsTold withdraws what a run assigned that died just afterwards,
// while the service still tells the set as it was before: it is found, and what
// people assigned meanwhile stays.
func TestStopWhereOldIsTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		marked []string
		ours   []json.RawMessage
	}{
		{"packmill's group", nil, []json.RawMessage{json.RawMessage(`{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"own"}}`)}},
		{"a named target", []string{"a"}, []json.RawMessage{json.RawMessage(`{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"a"}}`)}},
		{"named, and not sent", []string{"a"}, nil},
	} {
		for stale := range 10 {
			w := &world{marked: c.marked, stale: stale}
			w.change(append([]json.RawMessage{json.RawMessage(theirs)}, c.ours...))
			if err := w.replace(t, nil); err != nil || len(w.marked) > 0 {
				t.Errorf("%s, told %d times: %v, marker %v", c.name, stale, err, w.marked)
			}
			if stale >= agreeing { // who assigns meanwhile cannot be told from who took his away
				w.set = slices.DeleteFunc(w.set, func(raw json.RawMessage) bool { return string(raw) == theirs })
			} else if len(w.set) == 0 || string(w.set[0]) != theirs {
				t.Errorf("%s, told %d times: theirs is lost, left %s", c.name, stale, w.set)
			} else {
				w.set = w.set[1:]
			}
			if len(w.set) > 0 {
				t.Errorf("%s, told %d times: left %s", c.name, stale, w.set)
			}
			if w.old > 0 && c.ours != nil {
				t.Errorf("%s: done while the service still tells the set before, %d times", c.name, w.old)
			}
		}
	}
}

// TestUnseenTargetIsWithdrawn: what the marker names is withdrawn, although it is
// never seen before it would be given up.
func TestUnseenTargetIsWithdrawn(t *testing.T) {
	w := &world{marked: []string{"a"}, stale: 1000}
	w.change([]json.RawMessage{json.RawMessage(`{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"a"}}`)})
	w.stale = 0
	if err := w.replace(t, nil); err != nil || len(w.set) > 0 || len(w.marked) > 0 {
		t.Errorf("left %s, marker %v, %v", w.set, w.marked, err)
	}
}

// TestMovingSet gives up on a set that somebody keeps changing.
func TestMovingSet(t *testing.T) {
	n := 0
	_, err := Settled(t.Context(), patient{fleet.NewManualClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))}, "app x", func(context.Context) ([]shift, error) {
		n++
		return told(t, json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))), nil
	})
	if fleet.KindOf(err) != fleet.Waiting || n != mostReads+1 {
		t.Errorf("after %d reads: %v", n, err)
	}
}

// TestPeoplesTargets: what people assigned otherwise than is wanted is refused
// before any write, and is nobody's obstacle to a stop; what they assigned alike
// becomes packmill's; their exclusions stay.
func TestPeoplesTargets(t *testing.T) {
	group := func(id string, hours int) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"hours":%d,"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"%s"}}`, hours, id))
	}
	not := func(id string) json.RawMessage {
		return json.RawMessage(`{"target":{"@odata.type":"#microsoft.graph.exclusionGroupAssignmentTarget","groupId":"` + id + `"}}`)
	}
	out := func(id string) shift {
		return shift{Entry{Target: TargetOf(fleet.Target{Group: id, Exclude: true})}, 0}
	}
	w := &world{set: []json.RawMessage{group("a", 1), group("own", 1), not("vip")}}
	if err := w.replace(t, []shift{to("a", 2), to("b", 1)}); fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), "group a") || len(w.writes) > 0 {
		t.Errorf("%v after writes %v", err, w.writes)
	}
	if err := w.replace(t, []shift{to("own", 2), out("vip")}); err != nil || strings.Join(w.writes, "; ") != "mark =-vip; send" {
		t.Errorf("writes %v, %v", w.writes, err)
	}
	ours, foreign, err := Split(t.Context(), owns, w.marked, told(t, w.set...))
	if err != nil || !slices.Equal(Keys(ours), []string{"own", "-vip"}) || !slices.Equal(Keys(foreign), []string{"a"}) {
		t.Errorf("ours %v, foreign %v, %v", Keys(ours), Keys(foreign), err)
	}
	for range 2 {
		if err := w.replace(t, nil); err != nil || len(w.marked) > 0 || !slices.Equal(Keys(told(t, w.set...)), []string{"a", "-vip"}) {
			t.Errorf("stopped: %v, left %s, marker %v", err, w.set, w.marked)
		}
	}
	// What packmill leaves out itself goes with packmill's part, and what people
	// take off meanwhile is packmill's from then on.
	for _, set := range [][]json.RawMessage{nil, {not("vip")}} {
		w = &world{set: set}
		for i, want := range [][]shift{{to("a", 1), out("vip")}, {to("a", 2), out("vip")}, nil} {
			if err := w.replace(t, want); err != nil {
				t.Fatal(err)
			}
			if i == 0 && set != nil {
				w.set = w.set[:1]
			}
		}
		if len(w.set) > 0 {
			t.Errorf("of %s left %s", set, w.set)
		}
	}
	w = &world{set: []json.RawMessage{group("a", 1)}}
	for _, want := range [][]shift{{to("a", 1)}, nil} {
		if err := w.replace(t, want); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.set) > 0 {
		t.Errorf("what was assigned alike is packmill's: left %s", w.set)
	}
}
