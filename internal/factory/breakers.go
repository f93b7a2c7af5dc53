package factory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/transport"
)

// When a run gives up. They are no policy: a tenant that fails is tried again by
// the next run, which is due within the hour.
const (
	// tenantPatience is how many changes in a row may fail on a tenant before
	// the run leaves the rest of them: each may wait minutes for a service that
	// is not there.
	tenantPatience = 3
	// outageTenants and outageShare are how many tenants, and what part of those
	// tried so far, fail in one way before the run begins with no more tenants.
	// A handful of customers who each took a consent back is not an outage among
	// hundreds; five of the first twenty is.
	outageTenants = 5
	outageShare   = 0.25
)

// notTried is the detail of a receipt of what the run left.
const notTried = "not tried: the tenant failed again and again"

// A TenantResult is what a run did on one tenant, in changes.
type TenantResult struct {
	Tenant  fleet.TenantID `json:"tenant"`
	Done    int            `json:"done"`
	Failed  int            `json:"failed"`
	Waiting int            `json:"waiting"` // for a service or another run; the next run goes on
	Skipped int            `json:"skipped"` // not tried, because of what failed
	Why     string         `json:"why,omitempty"`
}

// A toll is what became of the tenants of a run, and knows when to give up. It
// is safe for concurrent use. Only withdrawals are tried whatever it says: what
// stops a release must reach whom it can.
type toll struct {
	mu     sync.Mutex
	fates  map[made]fate
	errs   map[made]error
	heards map[fleet.TenantID]*heard
	alike  map[string]map[fleet.TenantID]bool
	out    error
}

// A made is one effect as the runs' rounds have in common.
type made struct {
	rollout.Slot
	action, wave string
	artifact     fleet.Digest
}

func madeOf(e rollout.Effect) made { return made{e.Slot(), e.Action, e.Wave, e.Entry.Artifact} }

// A fate is what became of a change.
type fate int

const (
	fateDone fate = iota
	fateFailed
	fateWaiting
	fateSkipped
)

// heard is what a tenant's calls have told so far.
type heard struct {
	succeeded bool
	streak    int // failures in a row
}

func newToll() *toll {
	return &toll{fates: map[made]fate{}, errs: map[made]error{}, heards: map[fleet.TenantID]*heard{}, alike: map[string]map[fleet.TenantID]bool{}}
}

// heard notes how one change went, while others are under way.
func (t *toll) heard(e rollout.Effect, err error) {
	var ours *movedSlotError
	if errors.Is(err, errExpired) || errors.Is(err, context.Canceled) || errors.Is(err, fleet.ErrAwaitsApproval) || errors.Is(err, fleet.ErrNotYet) || errors.Is(err, fleet.ErrTheirs) || errors.As(err, &ours) {
		return // says nothing about the service, nor about us
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.heards[e.Tenant]
	if h == nil {
		h = &heard{}
		t.heards[e.Tenant] = h
	}
	if err == nil {
		h.succeeded, h.streak = true, 0
		return
	}
	h.streak++
	way := wayOf(e, err)
	if t.alike[way] == nil {
		t.alike[way] = map[fleet.TenantID]bool{}
	}
	t.alike[way][e.Tenant] = true
	if n := len(t.alike[way]); t.out == nil && n >= outageTenants && float64(n) >= outageShare*float64(len(t.heards)) {
		t.out = fmt.Errorf("%d of the first %d tenants failed in the same way (%s): an outage of the service or a defect of packmill must not be met by the others too", n, len(t.heards), way)
	}
}

// wayOf is in what way a change failed: what two tenants' failures have in
// common when their names are left out.
func wayOf(e rollout.Effect, err error) string {
	way := []string{e.Action}
	var named *fleet.Error
	if errors.As(err, &named) {
		way = append(way, named.Op)
	}
	if status := transport.StatusOf(err); status != 0 {
		way = append(way, fmt.Sprint(status))
	} else if named == nil {
		way = append(way, strings.ReplaceAll(err.Error(), string(e.Tenant), "the tenant"))
	}
	return strings.Join(append(way, fleet.KindOf(err).String()), ", ")
}

// gaveUp reports whether an effect is not tried any more, because its tenant
// fails again and again.
func (t *toll) gaveUp(e rollout.Effect) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.heards[e.Tenant]
	return !stops(e.Action) && h != nil && h.streak >= tenantPatience
}

// proven is how many tenants have taken a change in this run.
func (t *toll) proven() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.heards {
		if h.succeeded {
			n++
		}
	}
	return n
}

// failing is how many tenants' last call failed.
func (t *toll) failing() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.heards {
		if h.streak > 0 {
			n++
		}
	}
	return n
}

// outage is why no more tenants may begin, nil while they may.
func (t *toll) outage() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out
}

func (t *toll) note(e rollout.Effect, f fate, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fates[madeOf(e)], t.errs[madeOf(e)] = f, err
}

func (t *toll) done(e rollout.Effect)             { t.note(e, fateDone, nil) }
func (t *toll) skip(e rollout.Effect)             { t.note(e, fateSkipped, nil) }
func (t *toll) wait(e rollout.Effect, why string) { t.note(e, fateWaiting, errors.New(why)) }

func (t *toll) fail(e rollout.Effect, err error) {
	if fleet.KindOf(err) == fleet.Waiting || errors.Is(err, fleet.ErrAwaitsApproval) {
		t.note(e, fateWaiting, err)
		return
	}
	t.note(e, fateFailed, err)
}

// results are what became of each tenant, by name.
func (t *toll) results() []TenantResult {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := map[fleet.TenantID]*TenantResult{}
	changes := slices.SortedFunc(maps.Keys(t.fates), func(a, b made) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Package, b.Package), cmp.Compare(a.action, b.action), cmp.Compare(a.wave, b.wave), cmp.Compare(a.artifact, b.artifact))
	})
	var order []fleet.TenantID
	for _, at := range changes {
		r := of[at.Tenant]
		if r == nil {
			r = &TenantResult{Tenant: at.Tenant}
			of[at.Tenant], order = r, append(order, at.Tenant)
		}
		switch t.fates[at] {
		case fateDone:
			r.Done++
		case fateFailed:
			r.Failed++
		case fateWaiting:
			r.Waiting++
		case fateSkipped:
			r.Skipped++
		}
		if err := t.errs[at]; err != nil && (r.Why == "" || t.fates[at] == fateFailed && r.Failed == 1) {
			r.Why = err.Error()
		}
	}
	out := make([]TenantResult, len(order))
	for i, id := range order {
		out[i] = *of[id]
		if out[i].Why == "" && out[i].Skipped > 0 && t.out != nil {
			out[i].Why = "not begun: " + t.out.Error()
		}
	}
	return out
}

// errorOf is what went wrong with an action on a tenant: "" if nothing did.
// known says that the action was tried at all.
func (t *toll) errorOf(a rollout.Action, of string) (text string, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for at, f := range t.fates {
		if at.Tenant != a.Tenant || at.action != of || !slices.Contains(a.Packages, at.Package) {
			continue
		}
		known = true
		switch {
		case f == fateSkipped && text == "":
			text = notTried
			if t.out != nil {
				text = "not begun: " + t.out.Error()
			}
		case t.errs[at] != nil:
			text = t.errs[at].Error()
		}
	}
	return text, known
}

// ended is the error of a run: an outage is a person's to look at, whatever
// failed on the way to it.
func (t *toll) ended(failures []error) error {
	out := t.outage()
	if out == nil {
		return errors.Join(failures...)
	}
	return &fleet.Error{Op: "factory.run", Kind: fleet.Stalled, Err: errors.Join(append([]error{out}, failures...)...),
		Hint: "look at the service's health and at one of the tenants; the next run begins with those that are left"}
}
