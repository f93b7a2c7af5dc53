package forge

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// stockGit runs the git program as a person would, with a token in a header.
func stockGit(t testing.TB, dir, token, stdin string, args ...string) (string, error) {
	t.Helper()
	req := httptest.NewRequest("GET", "/", nil)
	req.SetBasicAuth("x", token)
	args = append([]string{"-C", dir, "-c", "http.extraHeader=Authorization: " + req.Header.Get("Authorization")}, args...)
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func must(t testing.TB) func(string, error) string {
	return func(out string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return out
	}
}

// TestStockGit clones and pushes with the git program, a pack that is too large
// for one piece among others.
func TestStockGit(t *testing.T) {
	w := newWorld(t, nil)
	url := w.serve(w.server) + w.server.GitPath()
	dir := filepath.Join(t.TempDir(), "clone")
	must(t)(stockGit(t, ".", writerToken, "", "clone", "-q", url, dir))
	if err := os.WriteFile(filepath.Join(dir, "large"), []byte(strings.Repeat("0123456789abcdef", 1<<12)), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t)(stockGit(t, dir, writerToken, "", "switch", "-q", "-c", "bump/large"))
	must(t)(stockGit(t, dir, writerToken, "", "add", "."))
	must(t)(stockGit(t, dir, writerToken, "", "commit", "-q", "-m", "Large"))
	must(t)(stockGit(t, dir, writerToken, "", "-c", "http.postBuffer=1000", "-c", "core.compression=0", "push", "-q", "origin", "bump/large"))
	if out, err := stockGit(t, dir, writerToken, "", "push", "origin", "HEAD:main"); err == nil || !strings.Contains(out, "Changes must be made through a pull request") {
		t.Errorf("a direct push: %v, %s", err, out)
	}
	if out, err := stockGit(t, dir, writerToken, "", "push", "origin", "HEAD:refs/pull/1/head"); err == nil || !strings.Contains(out, "Only branches and tags") {
		t.Errorf("a push elsewhere: %v, %s", err, out)
	}
	// One refused ref does not keep the others out.
	if out, err := stockGit(t, dir, writerToken, "", "push", "origin", "HEAD:main", "HEAD:bump/beside"); err == nil {
		t.Errorf("a push of both: %s", out)
	}
	must(t)(stockGit(t, dir, writerToken, "", "fetch", "-q", "--depth=1", "origin", "bump/beside"))
	if out, err := stockGit(t, dir, "wrong", "", "fetch", "-q"); err == nil {
		t.Errorf("a wrong token: %s", out)
	}
	if out, err := stockGit(t, dir, readerToken, "", "push", "origin", "HEAD:bump/mine"); err == nil || !strings.Contains(out, "403") {
		t.Errorf("a reader: %v, %s", err, out)
	}
}

func TestHostileObjectsAreNotTaken(t *testing.T) {
	w := newWorld(t, nil)
	url := w.serve(w.server) + w.server.GitPath()
	dir := filepath.Join(t.TempDir(), "clone")
	must(t)(stockGit(t, ".", writerToken, "", "clone", "-q", url, dir))
	blob := must(t)(stockGit(t, dir, "", "x", "hash-object", "-w", "--stdin"))
	raw := ""
	for i := 0; i < len(blob); i += 2 {
		var b byte
		if _, err := fmt.Sscanf(blob[i:i+2], "%02x", &b); err != nil {
			t.Fatal(err)
		}
		raw += string([]byte{b})
	}
	for name, tree := range map[string]string{
		"git folder": "100644 .git\x00" + raw,
		"parent":     "100644 ..\x00" + raw,
		"separator":  "100644 a/b\x00" + raw,
		"twice":      "100644 a\x00" + raw + "100644 a\x00" + raw,
	} {
		id := must(t)(stockGit(t, dir, "", tree, "hash-object", "-w", "--stdin", "--literally", "-t", "tree"))
		commit := must(t)(stockGit(t, dir, "", "", "commit-tree", "-m", "Hostile", id))
		out, err := stockGit(t, dir, writerToken, "", "push", "origin", commit+":refs/heads/hostile")
		if err == nil {
			t.Errorf("%s was taken: %s", name, out)
		}
	}
}

func TestGitDoors(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		method, path, token string
		status              int
	}{
		{"GET", "/operator/fleet.git/info/refs?service=git-upload-pack", "", 401},
		{"GET", "/operator/fleet.git/info/refs?service=git-upload-pack", readerToken, 200},
		{"GET", "/operator/fleet.git/info/refs?service=git-receive-pack", readerToken, 403},
		{"GET", "/operator/fleet.git/info/refs", readerToken, 403},
		{"GET", "/operator/fleet.git/config", readerToken, 404},
		{"GET", "/operator/fleet.git/HEAD", readerToken, 404},
		{"GET", "/operator/fleet.git/objects/info/packs", readerToken, 404},
		{"GET", "/operator/other.git/info/refs?service=git-upload-pack", readerToken, 404},
		{"GET", "/../../etc/passwd", readerToken, 404},
		{"POST", "/operator/fleet.git/git-receive-pack", readerToken, 403},
	} {
		req := httptest.NewRequest(c.method, "http://forge.example"+c.path, http.NoBody)
		if c.token != "" {
			req.SetBasicAuth("any", c.token)
		}
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, req)
		if rec.Code != c.status && (rec.Code < 300 || rec.Code > 308 || c.status != 404) {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, rec.Code, c.status)
		}
		if strings.Contains(rec.Body.String(), "token-of") {
			t.Errorf("%s %s tells a token", c.method, c.path)
		}
	}
}

// TestManyAtOnce pushes and calls from many sides at once; nothing gets lost.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	url := w.serve(w.server) + w.server.GitPath()
	main := w.main()
	const n = 6
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			clone, err := gitrepo.Clone(t.Context(), url, filepath.Join(t.TempDir(), "clone"), gitrepo.Auth{Token: botToken})
			if err != nil {
				t.Error(err)
				return
			}
			name := fmt.Sprintf("bump/%d", i)
			id, err := clone.Commit(t.Context(), gitrepo.CommitSpec{
				Parents: []string{main}, Files: map[string][]byte{name: []byte(name)}, Message: name, Author: fleet.Identity{Name: "Mill"}, When: start,
			})
			if err == nil {
				err = clone.Push(t.Context(), []string{id + ":refs/heads/" + name, id + ":refs/heads/evidence/race"}, false)
			}
			// One of them is first on the shared branch.
			if err != nil && !errors.Is(err, gitrepo.ErrNotFastForward) {
				t.Error(err)
				return
			}
			if err := clone.Push(t.Context(), []string{id + ":refs/heads/" + name}, false); err != nil {
				t.Error(err)
			}
			w.call(botToken, "POST", repoPath+"/pulls", fmt.Sprintf(`{"title":%q,"head":%q,"base":"main"}`, name, name)).want(t, 201)
		})
	}
	wg.Wait()
	w.reopen()
	if got := w.call(botToken, "GET", repoPath+"/pulls", ""); len(got.list) != n {
		t.Errorf("%d pull requests, want %d", len(got.list), n)
	}
}
