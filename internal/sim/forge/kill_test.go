package forge

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// serveDir names the folder that a child of TestKilled serves.
const serveDir = "FORGE_TEST_SERVE_DIR"

// TestServeUntilKilled is no test: it is the child process of TestKilled.
func TestServeUntilKilled(t *testing.T) {
	dir := os.Getenv(serveDir)
	if dir == "" {
		t.Skip("runs as a child of TestKilled only")
	}
	s, err := New(killOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stdout, "\nserving %s\n", l.Addr())
	t.Fatal(http.Serve(l, s))
}

func killOptions(dir string) Options {
	return Options{
		Dir: dir, Owner: "operator", Name: "fleet", Users: users(), Protected: Protection{Reviews: 1, DismissStale: true}, Settle: -1,
		Now: func() time.Time { return start },
	}
}

// child starts a server in a process of its own.
func child(t *testing.T, dir string) (base string, cmd *exec.Cmd) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestServeUntilKilled$")
	cmd.Env = append(os.Environ(), serveDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if addr, ok := strings.CutPrefix(lines.Text(), "serving "); ok {
			return "http://" + addr, cmd
		}
	}
	t.Fatalf("the child serves nothing: %v", cmd.Wait())
	return "", nil
}

// send sends one call; ok is false when no answer came.
func send(base, token, method, path, body string) (object, bool) {
	client := http.Client{Timeout: time.Minute}
	req, err := http.NewRequest(method, base+apiRoot+repoPath+path, strings.NewReader(body))
	if err != nil {
		return nil, false
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return nil, false
	}
	defer resp.Body.Close()
	var out object
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode >= 300 {
		return out, false
	}
	return out, true
}

// TestKilled kills the server with SIGKILL while calls rain on it, again and
// again, and demands that whatever was answered is there afterwards.
func TestKilled(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Settle = -1 })
	const n = 12
	for i := range n {
		name := fmt.Sprintf("bump/%02d", i)
		w.branch(name, "main", map[string]string{name: name})
	}
	opened, merged := map[int]bool{}, map[int]string{}
	kills := 0
	for round := 0; len(merged) < n && round < 60; round++ {
		base, cmd := child(t, w.o.Dir)
		// The deadline differs from round to round, so that the kill falls into
		// different calls.
		timer := time.AfterFunc(time.Duration(40+37*round%200)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for alive := true; alive && len(merged) < n; {
			alive = rain(base, n, opened, merged)
		}
		if !timer.Stop() {
			kills++
		}
		_ = cmd.Process.Kill() // it may be dead
		_ = cmd.Wait()         // a killed process always reports an error
	}
	if len(merged) < n {
		t.Fatalf("only %d of %d were merged: the server never lived long enough", len(merged), n)
	}
	if kills == 0 {
		t.Error("the server was never killed at work")
	}
	w.reopen()
	line, err := w.server.repo.FirstParents(t.Context(), w.main(), "")
	if err != nil || len(line) != n+1 {
		t.Fatalf("main has %d commits, want %d (%v)", len(line), n+1, err)
	}
	onMain := map[string]bool{}
	for _, c := range line {
		onMain[c.ID] = true
	}
	for number, commit := range merged {
		if !onMain[commit] || w.server.state.pull(number).Commit != commit {
			t.Errorf("pull request %d was merged as %s, and is %+v", number, commit, w.server.state.pull(number))
		}
	}
	must(t)(stockGit(t, w.server.GitDir(), "", "", "fsck", "--strict", "--no-dangling"))
}

// rain opens, approves and merges what is not yet, until the server is dead.
func rain(base string, n int, opened map[int]bool, merged map[int]string) bool {
	for i := range n {
		name, number := fmt.Sprintf("bump/%02d", i), i+1
		if !opened[number] {
			_, ok := send(base, botToken, "POST", "/pulls", fmt.Sprintf(`{"title":%q,"head":%q,"base":"main"}`, name, name))
			if !ok {
				// An answer that did not come may still have been a success.
				p, there := send(base, botToken, "GET", fmt.Sprintf("/pulls/%d", number), "")
				if !there || p["title"] != name {
					return false
				}
			}
			opened[number] = true
		}
		if merged[number] != "" {
			continue
		}
		if _, ok := send(base, writerToken, "POST", fmt.Sprintf("/pulls/%d/reviews", number), `{"event":"APPROVE"}`); !ok {
			return false
		}
		out, ok := send(base, adminToken, "PUT", fmt.Sprintf("/pulls/%d/merge", number), `{}`)
		if !ok {
			p, there := send(base, botToken, "GET", fmt.Sprintf("/pulls/%d", number), "")
			if !there || p["merged"] != true {
				return false
			}
			out = object{"sha": p["merge_commit_sha"]}
		}
		merged[number], _ = out["sha"].(string)
	}
	return true
}
