package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/world"
)

// demoProcess runs the demo command as people do, with nothing of theirs in its
// environment.
func demoProcess(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(packmillProgram(t), append([]string{"demo"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir()}
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), told.String()
}

// TestDemoTwice runs the same week in two folders. All that people see is the
// same to the byte; signatures and evidence commits are not looked at.
func TestDemoTwice(t *testing.T) {
	long(t, "runs a whole week")
	one, two := copied(t, finishedWorld(t, afterCall)), t.TempDir()
	code, printed, told := demoProcess(t, "--dir", two, "--seed", "1", "--kill-at", string(afterCall), "--format", "json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, told)
	}
	checkDocument(t, "demo", printed)
	got := summaryOf(t, printed)
	if got.Repository != filepath.Join(two, "forge", "git", world.Owner, world.Name+".git") || got.Tenants != 12 || got.Devices != 600 || got.Cycle != "2026-W47" || len(got.Events) < 20 {
		t.Errorf("summary: %s", printed)
	}
	if want := (demoPackages{
		Released: []string{"example-msp/browser-policy", "litware/editor", "northwind/browser", "wingtip/archiver"},
		Halted:   []string{"fabrikam/vpn-client"}, Held: []string{"tailspin/player"},
	}); asText(t, got.Packages) != asText(t, want) {
		t.Errorf("packages: %s", asText(t, got.Packages))
	}

	// The folder of a finished week tells it again.
	code, again, told := demoProcess(t, "--dir", one, "--format", "json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, told)
	}
	want := summaryOf(t, again)
	got.Repository, want.Repository = "", ""
	if got, want := asText(t, got), asText(t, want); got != want {
		t.Errorf("the summaries differ:\n%s", differing(got, want))
	}
	devicesLived(t, one, want.Devices)
	sameMain(t, one, two)
	samePages(t, filepath.Join(one, "page"), filepath.Join(two, "page"))
	sameArtifacts(t, one, two)
}

// devicesLived has a finished week told to people, and checks that what is said of
// its devices is what they did, and that they did all of it: they decrypted,
// detected, installed, failed, fell silent and went back to what they had had. No
// package of the week is taken from devices without another release in its place.
func devicesLived(t *testing.T, dir string, devices int) {
	t.Helper()
	code, printed, told := demoProcess(t, "--dir", dir)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, told)
	}
	d, err := openDemo(t.Context(), packmillProgram(t), dir, 1, afterCall)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if err := d.run(t.Context()); err != nil { // every step is done: it goes to the week's end
		t.Fatal(err)
	}
	l := d.world.Lives()
	for what, c := range map[string]struct {
		sentence string
		did      int
	}{
		"decrypted": {`decrypted and unpacked (\d+) contents`, l.Decrypted}, "detected": {`evaluated detection rules (\d+) times`, l.Detected}, "installed": {`, installed (\d+) times`, l.Installed},
		"failed": {`and failed (\d+) times`, l.Failed}, "removed": {`removed a release (\d+) times`, l.Removed}, "went back": {`went back to what they had had (\d+) times`, l.Back},
		"silent": {`; (\d+) of them are switched off`, l.Silent},
	} {
		said := regexp.MustCompile(c.sentence).FindStringSubmatch(printed)
		if said == nil || said[1] != fmt.Sprint(c.did) || c.did <= 0 && what != "removed" {
			t.Errorf("%s: %d devices, and people are told %q", what, c.did, said)
		}
	}
	if l.Back > l.Installed || l.Installed+l.Failed > l.Detected || l.Silent >= devices {
		t.Errorf("of %d devices %+v", devices, l)
	}
	// Waves were judged by what the service told of that.
	var seen fleet.Counts
	for _, v := range recordOf(t, dir).Verdicts {
		seen.Succeeded, seen.Failed, seen.Silent = seen.Succeeded+v.Counts.Succeeded, seen.Failed+v.Counts.Failed, seen.Silent+v.Counts.Silent
	}
	if seen.Succeeded == 0 || seen.Failed == 0 || seen.Silent == 0 {
		t.Errorf("verdicts count %+v", seen)
	}
}

func summaryOf(t *testing.T, printed string) demoSummary {
	t.Helper()
	var s demoSummary
	if err := json.Unmarshal([]byte(printed), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// repositoryOf is the operator's repository in a world's folder.
func repositoryOf(t *testing.T, dir string) *gitrepo.Repo {
	t.Helper()
	repo, err := gitrepo.Open(filepath.Join(dir, "forge", "git", world.Owner, world.Name+".git"))
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// mainLine is main's first-parent line, newest first.
func mainLine(t *testing.T, dir string) []gitrepo.CommitInfo {
	t.Helper()
	repo := repositoryOf(t, dir)
	main, err := repo.Main()
	if err != nil {
		t.Fatal(err)
	}
	line, err := repo.FirstParents(context.Background(), main, "")
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// sameMain compares the commits of main, and so every file on it: plans,
// approvals, releases.
func sameMain(t *testing.T, one, two string) {
	t.Helper()
	a, b := mainLine(t, one), mainLine(t, two)
	if len(a) < 9 || len(a) != len(b) {
		t.Fatalf("main has %d commits and %d", len(a), len(b))
	}
	for i := range a {
		if a[i].ID != b[i].ID {
			t.Errorf("main: %s %q and %s %q", a[i].ID, a[i].Title(), b[i].ID, b[i].Title())
		}
	}
	tree, err := repositoryOf(t, two).Tree(b[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if plan, err := tree.Read("schedules/cycles/2026-W47/plan.cue"); err != nil || !bytes.Contains(plan, []byte("evidence/control")) {
		t.Errorf("plan.cue: %v\n%s", err, plan)
	}
}

// samePages compares two folders to the byte.
func samePages(t *testing.T, one, two string) {
	t.Helper()
	a, b := filesBelow(t, one), filesBelow(t, two)
	if len(a) < 5 || len(a) != len(b) {
		t.Errorf("%d pages and %d", len(a), len(b))
	}
	for name, data := range a {
		if !bytes.Equal(data, b[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

func filesBelow(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			out[filepath.ToSlash(name)], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sameArtifacts compares everything that builds gave: manifests and layers, in
// both stores.
func sameArtifacts(t *testing.T, one, two string) {
	t.Helper()
	a, b := recordOf(t, one), recordOf(t, two)
	digests := func(rec *fleet.Record) []fleet.Digest {
		var out []fleet.Digest
		for _, built := range rec.Builds {
			out = append(out, built.Artifact)
			for _, f := range built.Files {
				out = append(out, f.Digest)
			}
		}
		slices.Sort(out)
		return out
	}
	list := digests(a)
	if len(list) < 12 || !slices.Equal(list, digests(b)) {
		t.Fatalf("artifacts: %v and %v", list, digests(b))
	}
	for _, digest := range list {
		algorithm, hex, _ := strings.Cut(string(digest), ":")
		for _, dir := range []string{one, two} {
			data, err := os.ReadFile(filepath.Join(dir, "store", "blobs", algorithm, hex))
			if err != nil || fleet.DigestOf(data) != digest {
				t.Errorf("%s: %s: %v", dir, digest, err)
			}
		}
	}
}

// recordOf is all evidence of a world.
func recordOf(t *testing.T, dir string) *fleet.Record {
	t.Helper()
	a := &app{stdout: io.Discard, stderr: io.Discard, repo: repositoryOf(t, dir).Dir(), getenv: func(string) string { return "" }}
	_, ledger, err := a.offline(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	rec, err := ledger.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestDemoSeed proves that another seed gives other devices that fail.
func TestDemoSeed(t *testing.T) {
	long(t, "runs half a week")
	dir, err := worlds.until(2, "revoke")
	other := got(t, dir, err)
	counts := func(dir string) string {
		var lines []string
		for _, v := range recordOf(t, dir).Verdicts {
			if v.Wave == "dogfood" && v.Look.Std().Hours() == 6 {
				lines = append(lines, fmt.Sprint(v.Package, v.Decision, v.Counts))
			}
		}
		return strings.Join(lines, "\n")
	}
	one, two := counts(mondayWorld(t)), counts(other)
	if strings.Count(one, "\n") != 4 || one == two {
		t.Errorf("seed 1:\n%s\nseed 2:\n%s", one, two)
	}
}

// TestDemoFolder refuses folders that are somebody else's.
func TestDemoFolder(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(foreign, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, told := demoProcess(t, "--dir", dir)
	if code != exitInvalid || !strings.Contains(told, "not empty") || !strings.Contains(told, "hint:") {
		t.Errorf("exit %d: %s", code, told)
	}
	if files := filesBelow(t, dir); len(files) != 1 || string(files["thesis.txt"]) != "mine" {
		t.Errorf("the folder holds %v", files)
	}
	for _, args := range [][]string{{"--kill-at", "noon"}, {"--format", "xml"}, {"here"}} {
		if code, _, told := demoProcess(t, args...); code != exitInvalid {
			t.Errorf("%v: exit %d: %s", args, code, told)
		}
	}
}

// TestFirstParents proves that main changed by merges alone.
func TestFirstParents(t *testing.T) {
	long(t, "needs a whole week")
	line := mainLine(t, finishedWorld(t, afterCall))
	for _, c := range line[:len(line)-1] {
		if len(c.Parents) != 2 || c.Trailer("Risk") == "" || c.Trailer("Impact") == "" || c.Trailer("Back-out") == "" {
			t.Errorf("%s has %d parents and the message\n%s", c.ID, len(c.Parents), c.Message)
		}
	}
	if root := line[len(line)-1]; len(root.Parents) != 0 || len(line) < 9 {
		t.Errorf("%d commits, the first has %d parents", len(line), len(root.Parents))
	}
}

// TestNoPersonalData reads every byte of evidence: devices are there under
// keyed hashes alone, people in the records of merges alone.
func TestNoPersonalData(t *testing.T) {
	long(t, "needs a whole week")
	dir := finishedWorld(t, afterCall)
	people, private := worldSecrets(t, dir)
	repo := repositoryOf(t, dir)
	files := 0
	for _, branch := range evidence.Branches() {
		head, err := repo.Ref("refs/heads/" + branch)
		if err != nil {
			t.Fatal(err)
		}
		if head == "" {
			continue
		}
		tree, err := repo.Tree(head)
		if err != nil {
			t.Fatal(err)
		}
		list, err := tree.Files(context.Background(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			data, err := repo.ReadBlob(f.Blob)
			if err != nil {
				t.Fatal(err)
			}
			files++
			text := f.Path + "\n" + readable(data, 4)
			for _, secret := range private {
				if strings.Contains(text, secret) {
					t.Errorf("%s:%s holds %q", branch, f.Path, secret)
				}
			}
			for _, who := range people {
				if strings.Contains(text, who) && !strings.HasPrefix(f.Path, evidence.MergesDir+"/") {
					t.Errorf("%s:%s holds %q", branch, f.Path, who)
				}
			}
		}
	}
	if files < 100 || len(private) < 1200 {
		t.Errorf("%d files were searched for %d words", files, len(private))
	}
	if sample := readable([]byte(`{"a":"`+base64.StdEncoding.EncodeToString([]byte("the login is ines-lind, in a payload"))+`"}`), 4); !strings.Contains(sample, "ines-lind") {
		t.Errorf("what is encoded is not read: %s", sample)
	}
}

// worldSecrets are what must not stand in evidence: logins, which merges alone
// may name, and everything that tells a device or a person.
func worldSecrets(t *testing.T, dir string) (people, private []string) {
	t.Helper()
	ctx := context.Background()
	d, err := openDemo(ctx, packmillProgram(t), copied(t, dir), 1, neverKill)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	facts, mill, err := d.facts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range facts.Repo.Operator.Approvers {
		for _, a := range list {
			people = append(people, a.Login)
			private = append(private, a.Name)
		}
	}
	for _, p := range facts.Repo.Partners {
		private = append(private, p.Contacts...)
	}
	for _, id := range facts.Repo.TenantIDs() {
		console, err := mill.Consoles(ctx, facts.Repo.Tenants[id])
		if err != nil {
			t.Fatal(err)
		}
		devices, err := console.Inventory(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i, device := range devices {
			private = append(private, device.ID, fmt.Sprintf("%s-%03d", id.Slug(), i+1))
		}
	}
	return people, private
}

var encoded = regexp.MustCompile(`[A-Za-z0-9+/]{24,}={0,2}`)

// readable is a text followed by what is base64 in it, and in that.
func readable(data []byte, depth int) string {
	text := string(data)
	if depth == 0 {
		return text
	}
	for _, word := range encoded.FindAllString(string(data), -1) {
		if plain, err := base64.StdEncoding.DecodeString(word); err == nil {
			text += "\n" + readable(plain, depth-1)
		}
	}
	return text
}
