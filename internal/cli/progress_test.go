package cli

import (
	"bytes"
	"testing"
	"time"
)

// TestProgress walks a clock along and reads what stands on the terminal or in
// the log.
func TestProgress(t *testing.T) {
	start := time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)
	type step struct {
		after       time.Duration
		done, total int
		what        string
	}
	tests := []struct {
		name  string
		p     *progress
		steps []step
		want  string
	}{
		{"short work leaves no line in a log", &progress{}, []step{{0, 0, 3, "a"}, {10 * time.Second, 2, 3, "b"}, {20 * time.Second, 3, 3, "c"}}, ""},
		{"a log hears every 30 s", &progress{}, []step{{0, 0, 9, "a"}, {31 * time.Second, 1, 9, "b"}, {40 * time.Second, 2, 9, "c"}, {62 * time.Second, 3, 9, "d"}}, "1/9 b\n3/9 d\n"},
		{"groups are closed", &progress{groups: true}, []step{{0, 0, 9, "a"}, {31 * time.Second, 1, 9, "b"}, {70 * time.Second, 9, 9, "c"}}, "::group::progress\n1/9 b\n::endgroup::\n"},
		{"a terminal has one line", &progress{terminal: true, width: 12}, []step{{0, 0, 9, "a"}, {time.Millisecond, 1, 9, "b"}, {time.Second, 2, 9, "a long name\x1b[2J"}, {2 * time.Second, 9, 9, "c"}}, "\r0/9 a\x1b[K\r2/9 a long \x1b[K\r\x1b[K"},
		{"without a total", &progress{terminal: true, width: 80}, []step{{0, 4, 0, "files"}}, "\r4 files\x1b[K\r\x1b[K"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			now := start
			p := tt.p
			p.w, p.now = &out, func() time.Time { return now }
			for _, s := range tt.steps {
				now = start.Add(s.after)
				p.step(s.done, s.total, s.what)
			}
			p.end()
			p.end()
			if out.String() != tt.want {
				t.Errorf("\n got %q\nwant %q", out.String(), tt.want)
			}
		})
	}
}

// TestResultEndsProgress prints a result while a line stands.
func TestResultEndsProgress(t *testing.T) {
	a, _ := printer(nil)
	var told bytes.Buffer
	a.stderr = &told
	report := a.progress()
	a.running.terminal, a.running.width = true, 80
	report(1, 2, "x")
	if err := a.write(formatCSV, listed()); err != nil {
		t.Fatal(err)
	}
	if told.String() != "\r1/2 x\x1b[K\r\x1b[K" || a.running != nil {
		t.Errorf("%q", told.String())
	}
}
