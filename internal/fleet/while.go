package fleet

import "context"

type whileKey struct{}

// While has writes under the context made only as long as still gives no error:
// it is asked before each attempt of each of them. Work of many calls that takes
// something away could go on long after it was allowed, and after somebody else
// brought that back. A nil still lifts an earlier one.
func While(ctx context.Context, still func() error) context.Context {
	return context.WithValue(ctx, whileKey{}, still)
}

// Still is why nothing may be written under the context any more, nil while it may.
func Still(ctx context.Context) error {
	if still, _ := ctx.Value(whileKey{}).(func() error); still != nil {
		return still()
	}
	return nil
}
