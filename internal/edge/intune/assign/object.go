package assign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// An Object is what Replace changes.
type Object[A Assignment] struct {
	Name   string                                                 // what errors call it
	Owns   GroupOwner                                             // nil where a marker names all of packmill's targets
	Marked []string                                               // targets that the object's marker names
	Read   func(ctx context.Context) ([]A, error)                 // the present set
	Mark   func(ctx context.Context, targets []string) error      // writes a marker that names these instead
	Alike  func(x, y A) bool                                      // whether two assignments of one target do the same
	Send   func(ctx context.Context, set []json.RawMessage) error // replaces the set
	Waits  Patience
	New    bool // this run made it, and has not assigned it: one answer is enough
}

// Replace makes packmill's part of the present set equal to want, waits until the
// service tells that, and writes nothing when it is. The marker names what will be
// ours before it is, and forgets it only afterwards: a crash in between leaves
// nothing behind that nobody owns.
//
// Stalled, before anything is written, where the tenant's people have assigned one
// of the wanted targets otherwise. What they assigned just as it is wanted becomes
// packmill's; an exclusion of theirs stays when packmill's go. Before each attempt to
// send a set, one that is not of this moment is compared with what is there now.
func (o Object[A]) Replace(ctx context.Context, want []A) error {
	for range mostReplaces {
		err := o.replace(ctx, want)
		if !errors.Is(err, errOvertaken) {
			return err
		}
		o.New = false
	}
	return moving(o.Name)
}

func (o *Object[A]) replace(ctx context.Context, want []A) error {
	present, err := o.present(ctx, want)
	if err != nil {
		return err
	}
	looked := o.Waits.Clock().Now()
	if err := o.free(ctx, present, want); err != nil {
		return err
	}
	named, err := o.toName(ctx, present, want)
	if err != nil {
		return err
	}
	ours, foreign, err := o.split(ctx, present, want)
	if err != nil {
		return err
	}
	unseen := len(want) == 0 && len(ours) == 0 && o.names()
	both := slices.Compact(slices.Sorted(slices.Values(slices.Concat(o.Marked, named))))
	if len(both) != len(o.Marked) {
		if err := o.Mark(ctx, both); err != nil {
			return err
		}
		o.Marked = both
	}
	// What the marker names and nobody sees may show up yet: it is withdrawn unseen.
	if !Same(ours, want, o.Alike) || unseen {
		set, err := merged(foreign, want)
		if err != nil {
			return err
		}
		if err := o.Send(o.unchanged(ctx, looked, present, want, foreign), set); err != nil {
			return err
		}
		if err := o.shown(ctx, want); err != nil {
			return err
		}
	}
	if !slices.Equal(named, o.Marked) {
		return o.Mark(ctx, named)
	}
	return nil
}

// unchanged is a context under which a set is sent only while the one is there that
// it was made from: waiting for the service, and attempts again, take minutes. What
// an attempt whose answer was lost has sent is sent again.
func (o Object[A]) unchanged(ctx context.Context, looked time.Time, present, want, foreign []A) context.Context {
	first := true
	return fleet.While(ctx, func() error {
		fresh := first && o.Waits.Clock().Now().Sub(looked) < pause
		first = false
		if err := fleet.Still(ctx); err != nil || fresh {
			return err
		}
		now, err := o.Read(ctx)
		if err != nil || agree(now, present) {
			return err
		}
		ours, others, err := o.split(ctx, now, want)
		if err == nil && !(Same(ours, want, o.Alike) && agree(others, foreign)) {
			err = errOvertaken
		}
		return err
	})
}

// Free is the first part of Replace alone: Stalled where the tenant's people have
// assigned one of the wanted targets otherwise. It is for who changes several
// objects, and changes none unless all can be.
func (o Object[A]) Free(ctx context.Context, want []A) error {
	present, err := o.settled(ctx)
	if err != nil {
		return err
	}
	return o.free(ctx, present, want)
}

// settled is the set that a decision rests on.
func (o Object[A]) settled(ctx context.Context) ([]A, error) {
	if o.New {
		return o.Read(ctx)
	}
	return Settled(ctx, o.Waits, o.Name, o.Read)
}

// present is the set as it stands. That nothing of packmill's is in it a
// withdrawal believes only after a while: it would stop nothing and say it had,
// when a run that assigned the object died a moment ago.
func (o Object[A]) present(ctx context.Context, want []A) ([]A, error) {
	present, err := o.settled(ctx)
	if err != nil || len(want) > 0 || o.Owns == nil && !o.names() {
		return present, err
	}
	for range doubts {
		ours, _, err := o.split(ctx, present, nil)
		if err != nil || len(ours) > 0 {
			return present, err
		}
		if err := o.Waits.Clock().Sleep(ctx, pause); err != nil {
			return nil, err
		}
		now, err := o.Read(ctx)
		if err == nil && !agree(present, now) {
			now, err = Settled(ctx, o.Waits, o.Name, o.Read)
		}
		if err != nil {
			return nil, err
		}
		present = now
	}
	return present, nil
}

// shown waits until the service tells what was written: whoever reads next, a
// plan or a receipt, must not take the earlier state for the present one.
func (o Object[A]) shown(ctx context.Context, want []A) error {
	return o.Waits.Poll(ctx, "assigned", func() (bool, error) {
		present, err := o.Read(ctx)
		if err != nil {
			return false, err
		}
		ours, _, err := o.split(ctx, present, want)
		return Same(ours, want, o.Alike), err
	})
}

// split is Split for what is wanted: of an exclusion that people made before, only
// where it is.
func (o Object[A]) split(ctx context.Context, present, want []A) (ours, foreign []A, err error) {
	wanted := Keys(want)
	named := slices.DeleteFunc(slices.Clone(o.Marked), func(name string) bool { return strings.HasPrefix(name, held) })
	return Split(ctx, o.Owns, slices.Concat(named, wanted), present)
}

// names reports whether the marker names a target of packmill's own.
func (o Object[A]) names() bool {
	return slices.ContainsFunc(o.Marked, func(name string) bool { return !strings.HasPrefix(name, held) })
}

// free refuses to write over what people assigned otherwise.
func (o Object[A]) free(ctx context.Context, present, want []A) error {
	for _, a := range present {
		i := slices.IndexFunc(want, func(w A) bool { return w.Key() == a.Key() })
		if i < 0 || o.Alike(a, want[i]) {
			continue
		}
		mine, err := o.Owns.mine(ctx, o.Marked, a)
		if err != nil {
			return err
		}
		if !mine {
			return &fleet.Error{Op: "intune.assign", Object: o.Name, Kind: fleet.Stalled,
				Err:  fleet.Theirs(fmt.Errorf("the tenant's people have assigned it to %s, otherwise than the repository says", a.entry().Target.called())),
				Hint: "remove that assignment in the tenant, and the next run makes packmill's; or have tenant.cue assign others"}
		}
	}
	return nil
}

// toName are the names that the marker must hold for a wanted set, since nothing
// else shows that packmill assigned them; sorted.
func (o Object[A]) toName(ctx context.Context, present, want []A) ([]string, error) {
	var out []string
	for _, w := range want {
		own, err := o.Owns.owns(ctx, w.entry())
		if err != nil {
			return nil, err
		}
		if own {
			continue
		}
		name := w.Key()
		excluded := w.entry().Target.ODataType == TypeExclusion
		stands := slices.ContainsFunc(present, func(a A) bool { return a.Key() == name })
		if excluded && stands && !slices.Contains(o.Marked, name) {
			name = held + name
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
