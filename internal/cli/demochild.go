package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/edge/forge"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/sim/world"
)

// work is the mill's clone of the repository.
func (d *demo) work() string { return filepath.Join(d.dir, "work") }

// environment is what a child process gets: nothing of this one's but what
// every program needs, and the world.
func (d *demo) environment(login string) []string {
	// The week is one workflow run: a step that was killed is tried again.
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TMPDIR=" + os.TempDir(), "GITHUB_RUN_ID=1"}
	for k, v := range d.world.Env(login) {
		env = append(env, k+"="+v)
	}
	slices.Sort(env)
	return env
}

// child runs packmill as a process of its own at the step's instant. armed
// makes it the one that observe may kill.
func (d *demo) child(ctx context.Context, at time.Time, armed bool, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, d.exe, append([]string{"-C", d.work(), "--now", at.Format(time.RFC3339)}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = d.environment(world.Bot), &stdout, &stderr
	apart(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if armed {
		d.mu.Lock()
		d.armed, d.passed = cmd.Process, 0
		d.mu.Unlock()
	}
	err := cmd.Wait()
	d.mu.Lock()
	d.armed = nil
	killed := d.killed
	d.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		if killed && armed {
			return nil, errKilled
		}
		return nil, fmt.Errorf("packmill %s: %w\n%s\n%s", args[0], err, bytes.TrimSpace(stdout.Bytes()), bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// errKilled says that a child was killed as planned.
var errKilled = errors.New("killed")

// runChild does what is due and tells what it did.
func (d *demo) runChild(ctx context.Context, s demoStep, armed bool) (runReport, error) {
	var report runReport
	data, err := d.child(ctx, s.at, armed, "run", "--yes", "--format", "json")
	if err != nil {
		return report, err
	}
	return report, json.Unmarshal(data, &report)
}

// facts reads main and evidence as the mill's clone has them.
func (d *demo) facts(ctx context.Context) (rollout.Facts, *factory.Factory, error) {
	env := d.world.Env(world.Bot)
	inside := &app{stdin: d.a.stdin, stdout: d.a.stdout, stderr: d.a.stderr, repo: d.work(), now: d.world.Now().Format(time.RFC3339),
		getenv: func(k string) string { return env[k] }}
	mill, _, err := inside.factory(ctx)
	if err != nil {
		return rollout.Facts{}, nil, err
	}
	mill.Progress = nil
	facts, err := mill.Observe(ctx)
	return facts, mill, err
}

// account is the forge as one of its accounts sees it.
func (d *demo) account(login string) (*forge.Client, error) {
	env := d.world.Env(login)
	inside := &app{getenv: func(k string) string { return env[k] }}
	return inside.forge(fleet.NewManualClock(d.world.Now()), env["GITHUB_REPOSITORY"], env["GITHUB_TOKEN"])
}

// clone opens the mill's clone and points it at the forge, whose port is
// another one each time.
func (d *demo) clone(ctx context.Context) (*gitrepo.Repo, error) {
	repo, err := gitrepo.Open(d.work())
	if err != nil {
		return nil, err
	}
	if err := repo.SetRemote(d.world.RemoteURL()); err != nil {
		return nil, err
	}
	repo = repo.WithAuth(gitrepo.Auth{User: "x-access-token", Token: world.Token(world.Bot)})
	return repo, repo.Fetch(ctx)
}
