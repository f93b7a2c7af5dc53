package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// commit puts files on the bench's main.
func (b *buildBench) commit(files map[string]string) {
	b.t.Helper()
	git, err := gitrepo.Open(b.repo)
	if err != nil {
		b.t.Fatal(err)
	}
	main, err := git.Main()
	if err != nil {
		b.t.Fatal(err)
	}
	tree := map[string][]byte{}
	for name, text := range files {
		tree[name] = []byte(text)
	}
	head, err := git.Commit(b.t.Context(), gitrepo.CommitSpec{Parents: []string{main}, Files: tree, Message: "y",
		Author: fleet.Identity{Name: "t", Email: "t@example.com"}, When: time.Date(2026, 11, 17, 10, 0, 0, 0, time.UTC)})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := git.SetBranch("main", main, head); err != nil {
		b.t.Fatal(err)
	}
}

// testBench is a bench whose package is tested in a simulated cell and on
// GitHub, detected by the rule given.
func testBench(t *testing.T, rule string) *buildBench {
	t.Helper()
	b := newBuildBench(t)
	text := benchCatalog(b.exe)["catalog/bench/hello/package.cue"]
	text = strings.Replace(text, "matrix: []", `matrix: ["imagined", "windows-11"]`, 1)
	text = strings.Replace(text, `{file: {path: "%ProgramFiles%\\Hello\\hello.exe", version: true}}`, rule, 1)
	b.commit(map[string]string{
		"catalog/bench/hello/package.cue": text,
		"catalog/matrices.cue": `package catalog

import "github.com/packmill/packmill/schema"

matrices: {
	imagined: schema.#Environment & {platform: "windows", os: "Nothing", arch: "x64", runner: local: "simulated"}
	"windows-2025": schema.#Environment & {platform: "windows", os: "Windows Server 2025", arch: "x64", runner: github: "windows-2025"}
	"windows-11": schema.#Environment & {platform: "windows", os: "Windows 11", arch: "x64", runner: github: "windows-11"}
	"debian-12": schema.#Environment & {platform: "linux", os: "Debian 12", arch: "x64", runner: local: "chroot"}
}
`,
	})
	return b
}

const markRule = `{registry: {key: "HKLM\\Software\\packmill\\bench/hello", value: "Version"}}`

func TestTestCommand(t *testing.T) {
	b := testBench(t, markRule)
	out, _ := b.want(0, "test", "bench/hello", "--format", "json")
	checkDocument(t, "test", out)
	var v tested
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	if !v.Passed || v.Version != "24.09" || len(v.Cells) != 2 || v.Cells[0].Result != "passed" || v.Cells[1].Result != "skipped" || len(v.Cells[0].Attestation) == 0 {
		t.Errorf("%s", out)
	}
	out, _ = b.want(0, "test", "bench/hello@24.09", "--cell", "imagined")
	for _, want := range []string{"imagined", "gone", "passed"} {
		if !strings.Contains(out, want) {
			t.Errorf("the table does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "windows-11") {
		t.Errorf("another cell than the one asked for:\n%s", out)
	}
}

// TestTestTells: one failed cell among others is exit code 3, whatever the rest
// says; cells that were skipped are no failure beside one that passed, and prove
// nothing by themselves.
func TestTestTells(t *testing.T) {
	cell := func(name, result string) fleet.Tested {
		return fleet.Tested{Cell: name, Result: result, Steps: []fleet.TestStep{{Name: "install", Result: result, Detail: "because of " + name}}}
	}
	for _, c := range []struct {
		cells []fleet.Tested
		code  int
	}{
		{[]fleet.Tested{cell("a", "passed"), cell("b", "failed"), cell("c", "skipped")}, exitRefused},
		{[]fleet.Tested{cell("a", "passed"), cell("c", "skipped")}, exitDone},
		{[]fleet.Tested{cell("c", "skipped")}, exitStalled},
	} {
		var out strings.Builder
		a := &app{stdout: &out, stderr: &out, getenv: func(string) string { return "" }}
		if code := exitCode(a.tellTest(formatTable, tested{Cells: c.cells, Passed: c.code == exitDone})); code != c.code {
			t.Errorf("%+v: exit code %d", c.cells, code)
		}
		for _, cell := range c.cells {
			if !strings.Contains(out.String(), "because of "+cell.Cell) {
				t.Errorf("nothing is said of %s:\n%s", cell.Cell, out.String())
			}
		}
	}
}

func TestTestRefuses(t *testing.T) {
	b := testBench(t, markRule)
	b.want(exitInvalid, "test")
	b.want(exitInvalid, "test", "bench/nothing")
	b.want(exitInvalid, "test", "bench/hello", "--cell", "debian-12")
	b.want(exitInvalid, "test", "--prepare", "--cell", "kitchen")
	b.want(0, "test", "--prepare", "--cell", "simulated")
	delete(b.env, "PACKMILL_KEY")
	if _, told := b.want(exitInvalid, "test", "bench/hello"); !strings.Contains(told, "keys generate") {
		t.Errorf("without a key: %s", told)
	}
}

func TestMatrixCommand(t *testing.T) {
	b := testBench(t, markRule)
	out, _ := b.want(0, "matrix", "--format", "json")
	checkDocument(t, "matrix", out)
	out, _ = b.want(0, "matrix", "bench/hello")
	if !strings.Contains(out, "this machine (simulated)") || !strings.Contains(out, "GitHub (windows-11)") {
		t.Errorf("%s", out)
	}
	if !strings.Contains(out, "No inventory in evidence") {
		t.Errorf("a share of no inventory:\n%s", out)
	}
	b.want(exitInvalid, "matrix", "bench/nothing")

	outputs := filepath.Join(t.TempDir(), "outputs")
	b.env["GITHUB_OUTPUT"] = outputs
	var jobs struct{ Include []map[string]string }
	out, _ = b.want(0, "matrix", "bench/hello", "--format", "github")
	if err := json.Unmarshal([]byte(out), &jobs); err != nil || len(jobs.Include) != 1 || jobs.Include[0]["runner"] != "windows-11" || jobs.Include[0]["releases"] != "bench/hello@24.09" {
		t.Errorf("%v %s", err, out)
	}
	shards, _ := b.want(0, "matrix", "--shards", "2", "--format", "github")
	if shards != `{"include":[{"shard":"0/2"},{"shard":"1/2"}]}`+"\n" {
		t.Errorf("%s", shards)
	}
	set, err := os.ReadFile(outputs)
	if err != nil || string(set) != "matrix="+out+"matrix="+shards {
		t.Errorf("%v %q", err, set)
	}
	for _, args := range [][]string{{"--shards", "0", "--format", "github"}, {"--shards", "17", "--format", "github"}, {"--shards", "2"}, {"bench/hello", "--shards", "2", "--format", "github"}} {
		b.want(exitInvalid, append([]string{"matrix"}, args...)...)
	}
}

// TestMatrixJobs: GitHub takes 256 jobs; above that releases share them, and
// none is lost.
func TestMatrixJobs(t *testing.T) {
	cells := func(packages int) []matrixCell {
		var out []matrixCell
		for i := range packages {
			for _, cell := range []string{"windows-11", "windows-2025"} {
				for _, installer := range []string{"x64", "fi"} {
					out = append(out, matrixCell{Package: fleet.PackageID(fmt.Sprintf("a/p%03d", i)), Version: "1", Installer: installer, Cell: cell, Runner: cell})
				}
			}
		}
		return out
	}
	for _, c := range []struct{ packages, jobs int }{{0, 0}, {1, 2}, {128, 256}, {129, 130}, {1000, 250}} {
		jobs := jobsOf(cells(c.packages))
		releases := map[string]int{}
		for _, j := range jobs {
			for name := range strings.FieldsSeq(j.Releases) {
				releases[j.Cell+" "+name]++
			}
		}
		if len(jobs) != c.jobs || len(releases) != 2*c.packages {
			t.Errorf("%d packages: %d jobs with %d releases", c.packages, len(jobs), len(releases))
		}
	}
}
