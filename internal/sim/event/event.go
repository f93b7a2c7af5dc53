// Package event is the one word all simulators share: what just happened in
// the simulated world.
//
// A simulator tells an event after its state change is on disk and before the
// answer is sent. That is the instant at which a crash is most awkward for the
// caller, so the crash tests and `packmill demo` kill the caller from here.
package event

// An Event is one change of a simulated service. Service and Name are stable
// and lower case, for example graph/"commit", graph/"assign", forge/"push".
type Event struct {
	Service string // forge, graph, vendors, mailbox
	Name    string // what happened
	Detail  string // to what: a branch, a pull request's number, an app's id
}

// An Observer is told events one after another. It may be nil where an Options
// type takes one; see Observe.
type Observer func(Event)

// Observe tells e to o, if there is an observer.
func (o Observer) Observe(e Event) {
	if o != nil {
		o(e)
	}
}
