// Package assign is what the packages of Intune share about who an object is
// assigned to.
//
// Graph has no call to assign one thing more: its assign action replaces the
// whole set. So packmill reads the set, tells its own part from that of the
// tenant's people, and sends all of it back, theirs to the letter ([Parse], [Split],
// [Replace]). An assignment is packmill's when its group is, or when the object's
// marker names its target; nobody can tell by a name.
//
// The package makes no request and knows no kind of object. What an assignment
// says beside its target (settings, schedules), how its target is named in a
// marker, how two are compared, and every path is for the packages above: their
// type of an assignment embeds [Entry].
package assign

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
)

// held stands in a marker before the target of an exclusion that people had made
// when packmill came to want it too. It counts as packmill's, and stays when
// packmill's own go: what else they assigned would reach that group.
const held = "="

// An Entry is what every assignment has, whatever it assigns. Raw is what was
// read, ready to be sent again, so that a foreign one goes back unchanged.
type Entry struct {
	Target Target          `json:"target"`
	Raw    json.RawMessage `json:"-"`
}

// Key names the target within its set and in markers. A package that has written
// its markers with other names has a Key of its own.
func (e Entry) Key() string { return e.Target.Key() }

func (e Entry) entry() Entry { return e }

func (e *Entry) keep(raw json.RawMessage) { e.Raw = raw }

// An Assignment is a type that embeds Entry.
type Assignment interface {
	Key() string
	entry() Entry
}

// Parse reads a set as Graph tells it. Properties that the service alone writes
// are left out of Raw; it keeps all others, those nobody knows yet among them.
func Parse[A Assignment, P interface {
	*A
	keep(json.RawMessage)
}](raws []json.RawMessage, readOnly ...string) ([]A, error) {
	out := make([]A, len(raws))
	for i, raw := range raws {
		if err := json.Unmarshal(raw, &out[i]); err != nil {
			return nil, err
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return nil, err
		}
		for _, name := range readOnly {
			delete(fields, name)
		}
		data, err := json.Marshal(fields)
		if err != nil {
			return nil, err
		}
		P(&out[i]).keep(data)
	}
	return out, nil
}

// Keys are the names of a set's targets, in the set's order.
func Keys[A Assignment](set []A) []string {
	out := make([]string, len(set))
	for i, a := range set {
		out[i] = a.Key()
	}
	return out
}

// Same compares two sets: each target of one is in the other, and the two
// assignments are alike. The order is nothing.
func Same[A Assignment](a, b []A, alike func(x, y A) bool) bool {
	byKey := func(x, y A) int { return cmp.Compare(x.Key(), y.Key()) }
	return slices.EqualFunc(slices.SortedStableFunc(slices.Values(a), byKey), slices.SortedStableFunc(slices.Values(b), byKey),
		func(x, y A) bool { return x.Key() == y.Key() && alike(x, y) })
}

// GroupOwner reports whether a group is one that packmill made. It may ask the
// directory.
type GroupOwner func(ctx context.Context, group string) (bool, error)

// Split tells packmill's assignments from those of the tenant's people: those
// with a name among named, as a marker has it, and those of packmill's groups.
// Without owns, names alone tell.
func Split[A Assignment](ctx context.Context, owns GroupOwner, named []string, present []A) (ours, foreign []A, err error) {
	for _, a := range present {
		mine, err := owns.mine(ctx, named, a)
		if err != nil {
			return nil, nil, err
		}
		if mine {
			ours = append(ours, a)
		} else {
			foreign = append(foreign, a)
		}
	}
	return ours, foreign, nil
}

func (owns GroupOwner) mine(ctx context.Context, named []string, a Assignment) (bool, error) {
	if slices.Contains(named, a.Key()) || slices.Contains(named, held+a.Key()) {
		return true, nil
	}
	return owns.owns(ctx, a.entry())
}

func (owns GroupOwner) owns(ctx context.Context, e Entry) (bool, error) {
	if owns == nil || e.Target.GroupID == "" {
		return false, nil
	}
	return owns(ctx, e.Target.GroupID)
}

// merged is the whole set: what is foreign as it was read, then packmill's.
func merged[A Assignment](foreign, want []A) ([]json.RawMessage, error) {
	set := make([]json.RawMessage, 0, len(foreign)+len(want))
	for _, a := range foreign {
		set = append(set, a.entry().Raw)
	}
	for _, a := range want {
		data, err := json.Marshal(a)
		if err != nil {
			return nil, err
		}
		set = append(set, data)
	}
	return set, nil
}
