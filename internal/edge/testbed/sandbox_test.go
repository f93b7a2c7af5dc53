package testbed

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/testreq"
)

// TestSandbox runs programs of this machine in a sandbox that shows them its
// programs only.
func TestSandbox(t *testing.T) {
	box := wineBox(winePrograms{bwrap: testreq.Program(t, "bwrap")}, t.TempDir())
	run := func(limit time.Duration, script string) result {
		t.Helper()
		r, err := box.run(t.Context(), limit, nil, "/bin/sh", "-c", script)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := run(time.Minute, "echo out; echo err >&2; exit 3"); r.exit != 3 || r.output != "out\nerr\n" {
		t.Errorf("%+v", r)
	}
	if r := run(time.Second, "echo before; sleep 60"); r.exit != -1 || r.output != "before\n" {
		t.Errorf("a program that does not end: %+v", r)
	}
	if r := run(time.Second, "sleep 60 & echo $!"); r.exit != 0 {
		t.Errorf("a program that leaves another behind: %+v", r)
	}
	if r := run(time.Minute, "yes | head -c 1000000"); len(r.output) != maxOutput {
		t.Errorf("%d bytes of output are kept", len(r.output))
	}
	if r := run(time.Minute, "ls / /etc"); strings.Contains(r.output, "home") || strings.Contains(r.output, "passwd") || !strings.Contains(r.output, "prefix") {
		t.Errorf("the sandbox shows %s", r.output)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := box.run(ctx, time.Minute, nil, "/bin/true"); err == nil {
		t.Error("a run whose context has ended is no result")
	}
	broken := sandbox{bwrap: box.bwrap, view: []string{"--ro-bind", "/no/such/folder", "/usr"}}
	if r, err := broken.run(t.Context(), time.Minute, nil, "/bin/true"); err == nil {
		t.Errorf("a sandbox that cannot be made is no result of the package: %+v", r)
	}
}

func TestCappedBuffer(t *testing.T) {
	b := &cappedBuffer{limit: 5}
	if n, err := io.Copy(b, strings.NewReader("0123456789")); n != 10 || err != nil || b.String() != "01234" {
		t.Errorf("%d %v %q", n, err, b)
	}
}

func TestDetail(t *testing.T) {
	if got := detail("  a\x1b[31m\tred\r\nline\xff \x00"); got != "a[31m red line" {
		t.Errorf("%q", got)
	}
	long := detail(strings.Repeat("ä", 5000) + "end")
	if !strings.HasPrefix(long, "…") || !strings.HasSuffix(long, "end") || len([]rune(long)) != maxDetail+1 {
		t.Errorf("%d runes: %q", len([]rune(long)), long)
	}
	long = opening("begin" + strings.Repeat("ä", 5000))
	if !strings.HasPrefix(long, "begin") || !strings.HasSuffix(long, "…") || len([]rune(long)) != maxDetail+1 {
		t.Errorf("%d runes: %q", len([]rune(long)), long)
	}
}
