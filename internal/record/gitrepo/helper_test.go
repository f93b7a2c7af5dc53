package gitrepo

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

// files is content by path, as CommitSpec takes it; "\x00" stands for removal.
type files map[string]string

func (f files) bytes() map[string][]byte {
	out := map[string][]byte{}
	for path, text := range f {
		if text == gone {
			out[path] = nil
			continue
		}
		out[path] = []byte(text)
	}
	return out
}

const gone = "\x00"

func newRepo(t testing.TB) *Repo {
	t.Helper()
	r, err := Init(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func spec(message string, f files, parents ...string) CommitSpec {
	return CommitSpec{
		Parents: parents, Files: f.bytes(), Message: message,
		Author: fleet.Identity{Name: "Mill", Email: "mill@example.com"},
		When:   time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC),
	}
}

func commitFiles(t testing.TB, r *Repo, message string, f files, parents ...string) string {
	t.Helper()
	id, err := r.Commit(t.Context(), spec(message, f, parents...))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// content reads all files of a commit.
func content(t testing.TB, r *Repo, commit string) files {
	t.Helper()
	tree, err := r.Tree(commit)
	if err != nil {
		t.Fatal(err)
	}
	list, err := tree.Files(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	out := files{}
	for _, f := range list {
		data, err := tree.Read(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		out[f.Path] = string(data)
	}
	return out
}

// stock runs the git program in the repository.
func stock(t testing.TB, dir string, args ...string) string {
	t.Helper()
	testreq.Program(t, "git")
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(cmd.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Git", "GIT_AUTHOR_EMAIL=git@example.com", "GIT_COMMITTER_NAME=Git", "GIT_COMMITTER_EMAIL=git@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func wantKind(t testing.TB, err error, kind fleet.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one of kind %s", kind)
	}
	if got := fleet.KindOf(err); got != kind {
		t.Errorf("kind %s, want %s: %v", got, kind, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}
