package fleet

import "context"

type firstKey struct{}

// WithFirst says of changes under the context that evidence knows of none to the
// package's slots before them, finished or not: what a console's list lacks of them
// was never made, and is not waited for.
func WithFirst(ctx context.Context, id PackageID) context.Context {
	return context.WithValue(ctx, firstKey{}, id)
}

// First reports whether WithFirst was said of the package.
func First(ctx context.Context, id PackageID) bool {
	first, ok := ctx.Value(firstKey{}).(PackageID)
	return ok && first == id
}
