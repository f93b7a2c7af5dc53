package testbed

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A run collects steps. After a failed step the others on the same device are
// skipped; after an error nothing more is done.
type run struct {
	ctx    context.Context
	spec   Spec
	open   func(context.Context, *transcript) (endpoint, error)
	log    *transcript // of the step that runs
	steps  []fleet.TestStep
	broken string // name of the step that failed on this device
	err    error
}

// reported is what a step found that is for people to judge.
type reported struct{ text string }

func (r reported) Error() string { return r.text }

// found is the outcome of a step that looks for things nobody declared.
func found(things []string, none string) (string, error) {
	if len(things) == 0 {
		return none, nil
	}
	return "", reported{strings.Join(things, "; ")}
}

// device opens a fresh device, lets do something with it and closes it.
func (r *run) device(do func(endpoint)) {
	r.broken = "" // this device is not touched by what failed on another
	if r.err != nil {
		return
	}
	d, err := r.open(r.ctx, r.log)
	if err != nil {
		r.err = err
		return
	}
	do(d)
	r.err = errors.Join(r.err, d.close())
}

// step runs one step within its limit and keeps its log. A step that is not done
// at its limit has failed: what is not known is not passed.
func (r *run) step(name string, do func(context.Context) (string, error)) {
	switch {
	case r.err != nil:
		return
	case r.broken != "":
		r.skip(name, "after the failed step "+r.broken)
		return
	case r.ctx.Err() != nil:
		r.err = r.ctx.Err()
		return
	}
	r.log.reset()
	limit := limitOf(name)
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	text, err := do(ctx)
	late := ctx.Err() != nil && r.ctx.Err() == nil
	cancel()
	if err != nil && late {
		err = failf("not done after %s: %v", limit, err)
	}
	s := fleet.TestStep{Name: name}
	var f failure
	var none skipped
	var told reported
	switch {
	case errors.As(err, &none):
		s.Result, s.Detail = "skipped", none.why
	case errors.As(err, &told):
		s.Result, s.Detail = "reported", opening(told.text)
		r.log.lines("reported", strings.Split(told.text, "; "))
	case errors.As(err, &f):
		s.Result, s.Detail = "failed", detail(f.text)
		r.log.lines("failed", []string{f.text})
		r.broken = name
	case err != nil:
		r.err = err
		return
	default:
		s.Result, s.Detail = "passed", opening(text)
	}
	if log := r.log.bytes(); len(log) > 0 && r.spec.Keep != nil {
		if s.Log, r.err = r.spec.Keep(r.ctx, name, log); r.err != nil {
			return
		}
	}
	r.steps = append(r.steps, s)
}

func (r *run) skip(name, why string) {
	if r.err == nil {
		r.steps = append(r.steps, fleet.TestStep{Name: name, Result: "skipped", Detail: why})
	}
}

// maxLog is how much of one step's log is kept.
const maxLog = 1 << 20

// A transcript is what the programs of a step were called with and wrote. It
// holds no times, so that the same run gives the same log where it can.
type transcript struct{ kept cappedBuffer }

func (t *transcript) reset() { t.kept = cappedBuffer{limit: maxLog} }

func (t *transcript) bytes() []byte { return t.kept.kept }

// called notes a call and how it ended. A nil transcript notes nothing.
func (t *transcript) called(line string, r result) {
	if t == nil {
		return
	}
	ended := fmt.Sprintf("[exit code %d]", r.exit)
	if r.exit == -1 {
		ended = "[still running at its limit]"
	}
	output := strings.ToValidUTF8(strings.ReplaceAll(r.output, "\r\n", "\n"), "\uFFFD")
	if output != "" && !strings.HasSuffix(output, "\n") {
		output += "\n"
	}
	fmt.Fprintf(&t.kept, "$ %s\n%s%s\n", line, output, ended)
}

// lines notes a list under a heading.
func (t *transcript) lines(heading string, list []string) {
	if t == nil {
		return
	}
	fmt.Fprintf(&t.kept, "# %s\n", heading)
	for _, line := range list {
		fmt.Fprintf(&t.kept, "%s\n", line)
	}
}
