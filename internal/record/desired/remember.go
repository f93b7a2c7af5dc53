package desired

import (
	"context"
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/packmill/packmill/internal/fleet"
)

// Remember is an evaluator that evaluates schedules and tenants apart, side by
// side, and does not evaluate again what it did lately: two commits of main
// mostly share their tenants. It is safe for concurrent use. What it remembers
// is named by content and lives as long as it does.
func Remember(e Evaluator) Evaluator { return &remembering{evaluator: e} }

// remembered is how many results of each part are kept.
const remembered = 4

type remembering struct {
	evaluator Evaluator
	mu        sync.Mutex
	known     map[string][]rememberedPart // newest last
}

type rememberedPart struct {
	content [sha256.Size]byte
	result  *childResult
}

func (r *remembering) evaluate(ctx context.Context, files []childFile) (*childResult, error) {
	byPart := map[string][]childFile{}
	for _, f := range files {
		part, _, _ := strings.Cut(f.Path, "/")
		byPart[part] = append(byPart[part], f)
	}
	// CUE packages of their own: nothing reaches from one into the other.
	parts := []string{"schedules", "tenants"}
	results, errs := make([]*childResult, len(parts)), make([]error, len(parts))
	var group sync.WaitGroup
	for i, part := range parts {
		if len(byPart[part]) > 0 {
			group.Go(func() { results[i], errs[i] = r.part(ctx, part, byPart[part]) })
		}
	}
	group.Wait()
	for _, err := range errs { // of two that failed the first tells why
		if err != nil {
			return nil, err
		}
	}
	return joined(results), nil
}

func (r *remembering) part(ctx context.Context, part string, files []childFile) (*childResult, error) {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d:%s%d:", len(f.Path), f.Path, len(f.Data))
		h.Write(f.Data)
	}
	content := [sha256.Size]byte(h.Sum(nil))
	r.mu.Lock()
	for _, known := range r.known[part] {
		if known.content == content {
			r.mu.Unlock()
			return known.result, nil
		}
	}
	r.mu.Unlock()
	result, err := r.evaluator.evaluate(ctx, files)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string][]rememberedPart{}
	}
	list := append(r.known[part], rememberedPart{content, result})
	r.known[part] = list[max(0, len(list)-remembered):]
	return result, nil
}

// joined puts the results of the parts together: maps as one, of everything
// else what one of the parts has. The maps are new: a loader writes into them.
func joined(results []*childResult) *childResult {
	out := &childResult{Repository: &fleet.Repository{}, MaxDays: -1}
	for _, r := range results {
		if r == nil {
			continue
		}
		out.Findings, out.Exceptions = append(out.Findings, r.Findings...), append(out.Exceptions, r.Exceptions...)
		out.MaxDays = max(out.MaxDays, r.MaxDays) // -1 of a part without the operator
		unite(reflect.ValueOf(out.Repository).Elem(), reflect.ValueOf(r.Repository).Elem())
	}
	return out
}

func unite(into, from reflect.Value) {
	for i := range into.NumField() {
		a, b := into.Field(i), from.Field(i)
		switch {
		case b.IsZero():
		case b.Kind() != reflect.Map:
			a.Set(b)
		default:
			if a.IsNil() {
				a.Set(reflect.MakeMapWithSize(a.Type(), b.Len()))
			}
			for entries := b.MapRange(); entries.Next(); {
				a.SetMapIndex(entries.Key(), entries.Value())
			}
		}
	}
}
