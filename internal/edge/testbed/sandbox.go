package testbed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A sandbox is a bubblewrap invocation: what the processes inside see. Every
// call starts a new one, and when it ends, however it ends, the kernel kills all
// that still runs in it.
type sandbox struct {
	bwrap string   // path of the program
	view  []string // mounts and capabilities
	env   []string // NAME=value; nothing is inherited
	most  int      // of a program's output that is kept, maxOutput if 0
}

// isolation is what every sandbox has: no network, no processes, queues or host
// name but its own, no terminal to write to, no way to gain rights.
func isolation() []string {
	return []string{
		"--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
		"--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL",
	}
}

// A result is how a call ended. Exit is -1 for a call that was still running at
// its limit; its output is what it had written until then.
type result struct {
	exit   int
	output string
}

// run runs a program in the sandbox for at most limit. An error means that the
// sandbox did not work or ctx ended, never that the program failed.
func (s sandbox) run(ctx context.Context, limit time.Duration, input io.Reader, argv ...string) (result, error) {
	args := slices.Concat(isolation(), s.view)
	for _, pair := range s.env {
		name, value, _ := strings.Cut(pair, "=")
		args = append(args, "--setenv", name, value)
	}
	args = append(append(args, "--"), argv...)
	r, err := within(ctx, limit, cmp.Or(s.most, maxOutput), func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, s.bwrap, args...)
		cmd.Env, cmd.Stdin = []string{}, input
		return cmd
	})
	if err == nil && r.exit > 0 && strings.HasPrefix(r.output, "bwrap: ") {
		return result{}, fmt.Errorf("the sandbox cannot be made: %s", detail(r.output))
	}
	return r, err
}

// within runs a program for at most limit, and holds no more of what it writes
// than most bytes. An error means that it could not be run or ctx ended, never
// that it failed; a program that is still running at its limit has exit code -1.
func within(ctx context.Context, limit time.Duration, most int, command func(context.Context) *exec.Cmd) (result, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := command(limited)
	out := &cappedBuffer{limit: most}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return result{}, ctx.Err()
	case limited.Err() != nil:
		return result{exit: -1, output: out.String()}, nil
	case errors.As(err, &exit):
		return result{exit: exit.ExitCode(), output: out.String()}, nil
	}
	return result{output: out.String()}, err
}

// maxOutput is how much of a program's output is kept.
const maxOutput = 64 << 10

// A cappedBuffer keeps the first bytes and drops the rest in silence, so that a
// program that never stops talking neither blocks nor fills memory.
type cappedBuffer struct {
	kept  []byte
	limit int
}

// Write keeps what fits and takes everything.
func (b *cappedBuffer) Write(p []byte) (int, error) {
	if room := b.limit - len(b.kept); room > 0 {
		b.kept = append(b.kept, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (b *cappedBuffer) String() string { return string(b.kept) }

// maxDetail is how much of an output goes into a step's detail: evidence is kept
// for ever.
const maxDetail = 400

// detail is the end of an output as one line of plain text: where a program that
// failed says why.
func detail(output string) string {
	runes := []rune(plain(output))
	if len(runes) > maxDetail {
		return "…" + string(runes[len(runes)-maxDetail:])
	}
	return string(runes)
}

// opening is the start of an output as one line of plain text: where a program
// that works says what it is.
func opening(output string) string {
	runes := []rune(plain(output))
	if len(runes) > maxDetail {
		return string(runes[:maxDetail]) + "…"
	}
	return string(runes)
}

// plain is text without what a terminal or a page would take for more than text.
func plain(output string) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(output, ""))
	return strings.Join(strings.Fields(text), " ")
}
