package fleet

import (
	"context"
	"errors"
)

// ErrAwaitsApproval is within the error of a change that people of the tenant
// must approve there before it is made (Intune: "Multi Admin Approval").
var ErrAwaitsApproval = errors.New("an approval in the tenant is awaited")

// ErrNotYet is within the error of a change that a tenant's service, which works
// and answers, cannot make so far: what it looks for has not appeared there, or the
// time has not come. It is no sign of an outage.
var ErrNotYet = errors.New("not yet")

// ErrTheirs is within the error of a change that what the tenant's people did stands
// against: an assignment, an edit, a page of theirs. Nothing was written, and nothing
// is broken.
var ErrTheirs = errors.New("the tenant's people")

// Theirs is an error with ErrTheirs in it, which says what it said before.
func Theirs(err error) error { return theirs{err} }

type theirs struct{ error }

func (t theirs) Unwrap() []error { return []error{t.error, ErrTheirs} }

type reasonKey struct{}

// WithReason tells whoever makes changes in a tenant under the context why they
// are made: where people there must approve them, they read it.
func WithReason(ctx context.Context, reason string) context.Context {
	return context.WithValue(ctx, reasonKey{}, reason)
}

// ReasonOf is the reason given for changes under the context, "" when none was.
func ReasonOf(ctx context.Context) string {
	reason, _ := ctx.Value(reasonKey{}).(string)
	return reason
}
