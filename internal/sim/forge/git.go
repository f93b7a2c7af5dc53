package forge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A program is the git program, run with nothing of the user's configuration.
type program struct {
	path     string
	execPath string // git's folder of helper programs
}

func findGit() (*program, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("forge: the git program is needed: %w", err)
	}
	p := &program{path: path}
	out, err := p.run(context.Background(), "", nil, "--exec-path")
	if err != nil {
		return nil, fmt.Errorf("forge: %w", err)
	}
	p.execPath = strings.TrimSpace(out)
	return p, nil
}

// cleanEnv is an environment for git without the user's and the system's
// settings. safe.directory is for folders that a container mounts.
func cleanEnv() []string {
	return []string{
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
}

// An exitError is git saying no: its exit code and what it said.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return fmt.Sprintf("git: exit code %d: %s", e.code, e.text) }

// run runs git in a repository ("" for none) and returns its standard output.
func (p *program) run(ctx context.Context, gitDir string, env []string, args ...string) (string, error) {
	if gitDir != "" {
		args = append([]string{"--git-dir=" + gitDir}, args...)
	}
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, append(cleanEnv(), env...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = &exitError{exit.ExitCode(), strings.TrimSpace(said.String())}
	}
	return out.String(), err
}

// updateHook is the rule for each pushed ref. It runs inside git's quarantine,
// where the new objects are readable and not yet part of the repository.
const updateHook = `#!/bin/sh
# The simulated forge's rules for a pushed ref. Usage: update <ref> <old> <new>
ref=$1 old=$2 new=$3
zero=0000000000000000000000000000000000000000
refuse() {
	echo "error: GH013: Repository rule violations found for $ref." >&2
	echo "- $1" >&2
	exit 1
}
case $ref in
refs/heads/main)
	[ "$new" = $zero ] && refuse "Cannot delete this branch"
	[ "$old" = $zero ] || refuse "Changes must be made through a pull request."
	;;
refs/heads/evidence/*)
	[ -n "$FORGE_MAY_WRITE_EVIDENCE" ] || refuse "Cannot update this protected ref."
	[ "$new" = $zero ] && refuse "Cannot delete this branch"
	[ "$old" = $zero ] || git merge-base --is-ancestor "$old" "$new" || refuse "Cannot force-push to this branch"
	;;
refs/heads/* | refs/tags/*) ;;
*) refuse "Only branches and tags can be pushed." ;;
esac
exit 0
`

// prepare makes the bare repository if there is none, and its hook and
// settings as they should be.
func (s *Server) prepare() error {
	ctx := context.Background()
	if err := os.MkdirAll(s.gitDir, 0o755); err != nil {
		return err
	}
	// A killed server leaves the bodies it was reading.
	left, err := filepath.Glob(filepath.Join(s.o.Dir, "push-*.tmp"))
	if err != nil {
		return err
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(s.gitDir, "HEAD")); err != nil {
		if _, err := s.git.run(ctx, "", nil, "init", "--quiet", "--bare", "--initial-branch=main", s.gitDir); err != nil {
			return err
		}
	}
	hook := filepath.Join(s.gitDir, "hooks", "update")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(hook+".new", []byte(updateHook), 0o755); err != nil {
		return err
	}
	if err := os.Rename(hook+".new", hook); err != nil {
		return err
	}
	// fsckObjects refuses hostile trees as GitHub does. Nothing may be packed
	// behind our back: the same pushes leave the same files.
	for _, setting := range [][2]string{
		{"receive.fsckObjects", "true"}, {"receive.autogc", "false"}, {"gc.auto", "0"},
		{"http.receivepack", "true"}, {"uploadpack.allowAnySHA1InWant", "true"}, {"uploadpack.allowFilter", "true"},
	} {
		if _, err := s.git.run(ctx, s.gitDir, nil, "config", setting[0], setting[1]); err != nil {
			return err
		}
	}
	return nil
}

// mergeTree gives the tree of the clean merge of two commits; ok is false when
// they conflict.
func (s *Server) mergeTree(ctx context.Context, base, head string) (tree string, ok bool, err error) {
	out, err := s.git.run(ctx, s.gitDir, nil, "merge-tree", "--write-tree", "--no-messages", base, head)
	var exit *exitError
	if errors.As(err, &exit) && exit.code == 1 {
		return "", false, nil
	}
	tree, _, _ = strings.Cut(out, "\n")
	return tree, err == nil, err
}

// commitMerge writes the merge commit. The same inputs give the same commit.
func (s *Server) commitMerge(ctx context.Context, tree, base, head, message string, by User, at time.Time) (string, error) {
	date := fmt.Sprintf("@%d +0000", at.Unix())
	name := by.Name
	if name == "" {
		name = by.Login
	}
	out, err := s.git.run(ctx, s.gitDir, []string{
		"GIT_AUTHOR_NAME=" + name, "GIT_AUTHOR_EMAIL=" + mailOf(by), "GIT_AUTHOR_DATE=" + date,
		"GIT_COMMITTER_NAME=Forge", "GIT_COMMITTER_EMAIL=noreply@forge.example", "GIT_COMMITTER_DATE=" + date,
	}, "commit-tree", tree, "-p", base, "-p", head, "-m", message)
	return strings.TrimSpace(out), err
}

// mailOf is the address GitHub puts into commits of users who hide theirs.
func mailOf(u User) string {
	return fmt.Sprintf("%d+%s@users.noreply.forge.example", u.ID, u.Login)
}

// lineCounts are the lines added and removed by file between two commits.
func (s *Server) lineCounts(ctx context.Context, from, to string) (map[string][2]int, error) {
	out, err := s.git.run(ctx, s.gitDir, nil, "diff-tree", "-r", "-z", "--no-renames", "--numstat", from, to)
	if err != nil {
		return nil, err
	}
	counts := map[string][2]int{}
	for line := range strings.SplitSeq(out, "\x00") {
		parts := strings.SplitN(line, "\t", 3)
		if len(parts) != 3 {
			continue
		}
		var n [2]int
		for i := range n {
			if parts[i] != "-" { // a binary file has no lines
				if _, err := fmt.Sscan(parts[i], &n[i]); err != nil {
					return nil, fmt.Errorf("numstat line %q: %w", line, err)
				}
			}
		}
		counts[parts[2]] = n
	}
	return counts, nil
}
