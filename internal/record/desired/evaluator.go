package desired

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// An Evaluator evaluates the files of the policy lane.
type Evaluator interface {
	evaluate(ctx context.Context, files []childFile) (*childResult, error)
}

// Limits bound one evaluation of the policy lane.
type Limits struct {
	Memory int64          `json:"memory"` // bytes beyond what a program maps when it starts
	CPU    fleet.Duration `json:"cpu"`    // full seconds
	Wall   fleet.Duration `json:"wall"`
	Output int64          `json:"output"` // bytes
}

// DefaultLimits suffice for some thousands of tenants.
func DefaultLimits() Limits {
	return Limits{Memory: 1 << 30, CPU: fleet.Duration(time.Minute), Wall: fleet.Duration(2 * time.Minute), Output: 128 << 20}
}

// InProcess evaluates in this process and without limits. It is for files that
// packmill wrote itself; CUE can neither be cancelled nor bounded.
type InProcess struct{}

func (InProcess) evaluate(_ context.Context, files []childFile) (*childResult, error) {
	return evaluateFiles(files, func(string) {})
}

// A ChildEvaluator evaluates in a child process whose main calls PolicyChild.
// The child gets an empty environment, the files on its standard input and
// nothing else, and ends when a limit is reached.
type ChildEvaluator struct {
	Command []string // program and arguments
	Limits  Limits   // DefaultLimits when zero
}

func (c ChildEvaluator) evaluate(ctx context.Context, files []childFile) (*childResult, error) {
	limits := c.Limits
	if limits == (Limits{}) {
		limits = DefaultLimits()
	}
	input, err := json.Marshal(childInput{Limits: limits, Files: files})
	if err != nil {
		return nil, err
	}
	timed, cancel := context.WithTimeout(ctx, limits.Wall.Std())
	defer cancel()
	cmd := exec.CommandContext(timed, c.Command[0], c.Command[1:]...)
	cmd.Env = []string{}
	cmd.Stdin = bytes.NewReader(input)
	cmd.WaitDelay = time.Second
	stderr := &head{limit: 64 << 10}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the evaluation: %w", err)
	}
	capped := &io.LimitedReader{R: stdout, N: limits.Output}
	told := readChild(capped)
	full := capped.N <= 0
	if full {
		cancel()
	}
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case told.Result != nil && waitErr == nil:
		return told.Result, nil
	case told.Fault != "":
		return nil, errors.New(told.Fault)
	}
	return nil, died(told.At, timed.Err() != nil && !full, full, waitErr, stderr.String(), limits)
}

// readChild reads the child's lines up to the result, or as far as they go.
func readChild(r io.Reader) childLine {
	var last childLine
	decoder := json.NewDecoder(bufio.NewReader(r))
	for {
		var line childLine
		switch err := decoder.Decode(&line); {
		case err != nil:
			return last
		case line.At != "":
			last.At = line.At
		default:
			last.Result, last.Fault = line.Result, line.Fault
		}
	}
}

// errLimit is the cause of findings about evaluations that did not end.
var errLimit = errors.New("the evaluation was stopped")

// died names the limit a child died of. It is the author's fault: these files
// can be written so that they evaluate in milliseconds.
func died(at string, late, full bool, waitErr error, stderr string, l Limits) error {
	var why string
	switch {
	case late:
		why = fmt.Sprintf("not done after %s", l.Wall)
	case full:
		why = fmt.Sprintf("its result is larger than %d MiB", l.Output>>20)
	case strings.Contains(stderr, "stack exceeds") || strings.Contains(stderr, "stack overflow"):
		why = "its expressions are nested too deeply"
	case outOfMemory(stderr):
		why = fmt.Sprintf("it needs more than %d MiB of memory", l.Memory>>20)
	case waitErr != nil && strings.Contains(waitErr.Error(), "killed"):
		why = fmt.Sprintf("it needs more than %s of CPU time", l.CPU)
	default:
		first, _, _ := strings.Cut(stderr, "\n")
		return &fleet.Error{Op: "desired.evaluate", Object: at, Kind: fleet.Internal, Err: fmt.Errorf("the evaluation ended without a result: %v: %s", waitErr, first)}
	}
	return &fleet.Error{
		Op: "desired.evaluate", Pos: fleet.Pos{File: at}, Kind: fleet.Invalid, Err: fmt.Errorf("%w: %s", errLimit, why),
		Hint: "write the values out: no large comprehensions, no doubling references, few alternatives",
	}
}

// outOfMemory reads what a Go program says at the wall. It may be a thread that
// needs memory next: there is none for its stack then. Or it is the collector
// that needs some for its own lists, which goes on without looking whether it got
// any: a fault on the system's stack (goroutine 0), where no code of ours or CUE's
// runs. A fault in theirs is a panic.
func outOfMemory(stderr string) bool {
	for _, words := range []string{"out of memory", "cannot allocate", "pthread_create failed", "failed to create new OS thread"} {
		if strings.Contains(stderr, words) {
			return true
		}
	}
	return strings.HasPrefix(stderr, "SIGSEGV: ") && strings.Contains(stderr, "\n\ngoroutine 0 ")
}

// A head keeps the first bytes that are written to it.
type head struct {
	bytes.Buffer
	limit int
}

func (h *head) Write(p []byte) (int, error) {
	if room := h.limit - h.Len(); room > 0 {
		h.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
