package fleet

import (
	"errors"
	"fmt"
	"strings"
)

// A Kind says what to do about an error, and so which exit code it has.
type Kind int

// The kinds. Holds and Waiting do not fail a run; the others do.
const (
	Internal Kind = iota // a defect or an outage: report it, try again
	Invalid              // an input is wrong: fix the file
	Refused              // policy or verification says no
	Waiting              // not yet: listed, never a failure
	Stalled              // a person must act
)

// String is the kind in lower case, as JSON output spells it.
func (k Kind) String() string {
	switch k {
	case Invalid:
		return "invalid"
	case Refused:
		return "refused"
	case Waiting:
		return "waiting"
	case Stalled:
		return "stalled"
	default:
		return "internal"
	}
}

// A Pos is a place in a file of the repository. Line and Col count from 1;
// zero means unknown.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
}

// String is "file:line:col", as far as known.
func (p Pos) String() string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
	}
}

// An Error is the one error type of packmill: what was done (Op), to what
// (Object), where (Pos), how it counts (Kind), why (Err) and the next step for
// a person (Hint). Only the command line turns it into text for people.
type Error struct {
	Op     string // for example "intune.commit"
	Object string // for example "igor-pavlov/7-zip" or a tenant id
	Pos    Pos
	Kind   Kind
	Err    error
	Hint   string // the next command or edit; empty when there is none
}

// Error is one line: position, object, cause.
func (e *Error) Error() string {
	var b strings.Builder
	if s := e.Pos.String(); s != "" {
		b.WriteString(s + ": ")
	}
	if e.Object != "" {
		b.WriteString(e.Object + ": ")
	}
	if e.Err != nil {
		b.WriteString(e.Err.Error())
	} else {
		b.WriteString(e.Op + ": " + e.Kind.String())
	}
	return b.String()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the outermost *Error in err's chain, Internal when
// there is none. Of joined errors the worst counts, in the order Internal,
// Invalid, Refused, Stalled, Waiting.
func KindOf(err error) Kind {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		worst := Waiting
		for _, e := range joined.Unwrap() {
			if k := KindOf(e); severity(k) > severity(worst) {
				worst = k
			}
		}
		return worst
	}
	if e, ok := err.(*Error); ok {
		return e.Kind
	}
	if inner := errors.Unwrap(err); inner != nil {
		return KindOf(inner)
	}
	return Internal
}

// severity orders kinds from what may wait to what is broken.
func severity(k Kind) int {
	switch k {
	case Waiting:
		return 0
	case Stalled:
		return 1
	case Refused:
		return 2
	case Invalid:
		return 3
	default:
		return 4
	}
}

// Errors is a list of findings reported together, in file order.
type Errors []*Error

// Error is one finding a line.
func (l Errors) Error() string {
	lines := make([]string, len(l))
	for i, e := range l {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single findings.
func (l Errors) Unwrap() []error {
	out := make([]error, len(l))
	for i, e := range l {
		out[i] = e
	}
	return out
}

// Errorf makes an Error of the given kind with a formatted cause.
func Errorf(kind Kind, op, object, format string, args ...any) *Error {
	return &Error{Op: op, Object: object, Kind: kind, Err: fmt.Errorf(format, args...)}
}
