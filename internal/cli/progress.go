package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/packmill/packmill/internal/view"
)

// quietFor is how long a log without a terminal hears nothing of a long job.
const quietFor = 30 * time.Second

// A progress tells how far long work is: one line that is rewritten on a
// terminal, a line now and then in a log, folded into a group on GitHub
// Actions. It is safe for concurrent use.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	width    int
	groups   bool // GitHub Actions: fold the lines
	now      func() time.Time

	shown time.Time // when the last line was written; zero before the first call
	open  bool      // a line stands on the terminal, or a group is open
}

// progress is the callback for factory.Factory. Its line disappears with the
// result, and when done reaches total.
func (a *app) progress() func(done, total int, what string) {
	p := &progress{w: a.stderr, groups: a.getenv("GITHUB_ACTIONS") == "true", now: time.Now}
	if f, ok := a.stderr.(*os.File); ok && a.getenv("CI") == "" && term.IsTerminal(int(f.Fd())) {
		p.terminal, p.width = true, 80
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			p.width = w
		}
	}
	a.endProgress()
	a.running = p
	return p.step
}

// endProgress clears the line of the running progress, if any, so that what is
// printed next stands alone.
func (a *app) endProgress() {
	if a.running != nil {
		a.running.end()
		a.running = nil
	}
}

func (p *progress) step(done, total int, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case total > 0 && done >= total:
		p.close()
	case p.terminal:
		p.draw(done, total, what)
	default:
		p.log(done, total, what)
	}
}

// draw rewrites the line, ten times a second at most.
func (p *progress) draw(done, total int, what string) {
	now := p.now()
	if p.open && now.Sub(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown, p.open = now, true
	line := []rune(told(done, total, what))
	fmt.Fprintf(p.w, "\r%s\x1b[K", string(line[:min(len(line), p.width-1)]))
}

// log writes a line if the log has been quiet for long. Work that is shorter
// than that leaves no line at all.
func (p *progress) log(done, total int, what string) {
	now := p.now()
	if p.shown.IsZero() {
		p.shown = now
	}
	if now.Sub(p.shown) < quietFor {
		return
	}
	p.shown = now
	if p.groups && !p.open {
		fmt.Fprintln(p.w, "::group::progress")
	}
	p.open = true
	fmt.Fprintln(p.w, told(done, total, what))
}

func told(done, total int, what string) string {
	if total <= 0 {
		return fmt.Sprintf("%d %s", done, view.Plain(what))
	}
	return fmt.Sprintf("%d/%d %s", done, total, view.Plain(what))
}

func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close()
}

func (p *progress) close() {
	if !p.open {
		return
	}
	p.open = false
	switch {
	case p.terminal:
		fmt.Fprint(p.w, "\r\x1b[K")
	case p.groups:
		fmt.Fprintln(p.w, "::endgroup::")
	}
}
