package cli

import (
	"strings"

	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/rehearsal"
)

// A killPoint is where the demo kills the runner, once, by SIGKILL.
type killPoint string

// The points of a change on a tenant after which a crash is most awkward.
const (
	afterIntent  killPoint = "after-intent"
	afterUpload  killPoint = "after-upload"
	afterCall    killPoint = "after-call"
	afterReceipt killPoint = "after-receipt"
	neverKill    killPoint = "never"
)

func killPoints() []string {
	return []string{string(afterIntent), string(afterUpload), string(afterCall), string(afterReceipt)}
}

// killAfter is how many times the point is passed before the kill: in the
// middle of the tenants. They are served eight at a time, with one push of
// intents before and one of receipts after, which passes the point once for
// each evidence shard: the eight have seven. Uploads and calls are for
// each package.
func (p killPoint) killAfter() int {
	switch p {
	case afterIntent:
		return 8 // of those that come after the first eight
	case afterReceipt:
		return 3 // of the first eight
	default:
		return 12
	}
}

// words are the point as the story calls it.
func (p killPoint) words() string { return strings.ReplaceAll(string(p), "-", " ") }

// rehearsed is the point as a rehearsal knows it, in the step it happens in: it
// makes each change on a tenant at once, so that an upload and a call are one.
func (p killPoint) rehearsed(step string) rehearsal.Kill {
	k := rehearsal.Kill{Step: step, Chunk: 1, After: rehearsal.AfterCall, Says: p.words()}
	switch p {
	case afterIntent:
		k.Chunk, k.After = 2, rehearsal.AfterIntents
	case afterReceipt:
		k.After = rehearsal.AfterReceipts
	}
	return k
}

// matches reports whether an event of a simulator is the point being passed.
// subject is the message of the pushed commit.
func (p killPoint) matches(e event.Event, subject func(branch string) string) bool {
	switch {
	case e.Service == "graph" && e.Name == "blocklist":
		return p == afterUpload
	case e.Service == "graph" && e.Name == "assign":
		return p == afterCall
	case e.Service == "forge" && e.Name == "push" && strings.HasPrefix(e.Detail, "evidence/"):
		folder := subject(e.Detail)
		return p == afterIntent && strings.Contains(folder, "/intents/") || p == afterReceipt && strings.Contains(folder, "/receipts/")
	default:
		return false
	}
}

// observe is told everything that happens in the world, after it is on disk
// and before whoever caused it hears of it.
func (d *demo) observe(e event.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch.Observe(e)
	if d.armed == nil || !d.journal.KillAt.matches(e, d.subject) {
		return
	}
	if d.passed++; d.passed == d.journal.KillAt.killAfter() {
		_ = d.armed.Kill() // SIGKILL; that it is gone already is as good
		d.armed = nil
		d.killed = true
	}
}

// subject is the message of a branch's newest commit on the forge.
func (d *demo) subject(branch string) string {
	repo, err := gitrepo.Open(d.world.GitDir())
	if err != nil {
		return ""
	}
	id, err := repo.Ref("refs/heads/" + branch)
	if err != nil || id == "" {
		return ""
	}
	info, err := repo.CommitInfo(id)
	if err != nil {
		return ""
	}
	return info.Message
}
