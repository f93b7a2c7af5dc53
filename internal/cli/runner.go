package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// runner names this run in the intents that it writes. A workflow run that is
// tried again has the name of its first attempt, and a clone on a person's
// machine always the same: both go on at once with what they left behind. What
// another runner left is left to it for rollout.Claim.
func (a *app) runner(git *gitrepo.Repo) string {
	if id := a.getenv("GITHUB_RUN_ID"); id != "" {
		return "github/" + id
	}
	host, _ := os.Hostname()
	dir, err := filepath.Abs(git.Dir())
	if err != nil {
		dir = git.Dir()
	}
	return "clone/" + fleet.DeriveID("runner", host, dir)[:12]
}

// lockPatience is how long a run waits for another of its clone before it says
// so.
const lockPatience = 2 * time.Second

// alone waits until no other run acts from this clone: they would have one name.
// The lock ends with the process, however that ends.
func (a *app) alone(ctx context.Context, git *gitrepo.Repo) (release func(), err error) {
	told := time.AfterFunc(lockPatience, func() {
		fmt.Fprintln(a.stderr, "packmill: another run acts from this clone: waiting for it")
	})
	defer told.Stop()
	return git.Occupy(ctx)
}
