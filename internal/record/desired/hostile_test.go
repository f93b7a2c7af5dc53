package desired

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// child builds the plain child once for all tests: the test binary itself may
// carry the race detector, which cannot start under a limit of address space.
var child = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "policychild")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "policychild")
	out, err := exec.Command("go", "build", "-o", path, "./testdata/policychild").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := child(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func limited(t *testing.T, l Limits) ChildEvaluator {
	t.Helper()
	path, err := child()
	if err != nil {
		t.Fatal(err)
	}
	return ChildEvaluator{Command: []string{path}, Limits: l}
}

// The child says the same as an evaluation in process.
func TestChildAgrees(t *testing.T) {
	for name, tree := range map[string]MapTree{
		"valid":   msp(t),
		"invalid": edited(t, edit{group, `maxFailuresPercent: 0.5`, `maxFailuresPercent: 1.5`}, edit{tenant, `intent: "available"`, `intent: "offered"`}),
	} {
		want, wantErr := load(t, tree)
		got, err := Load(t.Context(), tree, Options{Evaluator: limited(t, Limits{}), Now: now})
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%s: got %v, want %v", name, err, wantErr)
		}
		if want != nil && (got == nil || fleet.DigestJSON(got) != fleet.DigestJSON(want)) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

func small() Limits {
	return Limits{Memory: 256 << 20, CPU: fleet.Duration(time.Second), Wall: fleet.Duration(20 * time.Second), Output: 1 << 20}
}

func doubling(op string, n int) string {
	var b strings.Builder
	b.WriteString("_a0: \"aaaaaaaaaaaaaaaa\"\n")
	for i := range n {
		fmt.Fprintf(&b, "_a%d: _a%d %s _a%d\n", i+1, i, op, i)
	}
	return b.String()
}

// Files that would take a machine down end their own evaluation and nothing
// else: a finding that names the limit and the folder, within it.
func TestHostile(t *testing.T) {
	laughs := "_l0: [\"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\"]\n"
	for i := range 9 {
		refs := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("_l%d, ", i), 10), ", ")
		laughs += fmt.Sprintf("_l%d: [%s]\n", i+1, refs)
	}
	for _, c := range []struct{ name, text, want string }{
		{"doubled text", doubling("+", 30), "memory"},
		{"nested comprehensions", "_n: [for i in _r for j in _r for k in _r {i + j + k}]\n_r: list.Range(0, 300, 1)\n", "CPU time|memory"},
		{"long range", "_n: [for i in list.Range(0, 1000000, 1) {i * i}]\n", "CPU time|memory"},
		{"list laughs in the output", laughs + "tenant: labels: {for i, x in list.FlattenN(_l9, -1) {\"l\\(i)\": x}}\n", "CPU time|memory"},
		{"alternatives", "_d: (" + strings.Repeat("(1|2) & ", 1) + "(1|2))\n" + alternatives(18), "CPU time|memory"},
		{"deep path", "_p: " + strings.Repeat("a:", 32000) + " 1\n", "CPU time|memory|nested"},
		{"large result", "tenant: labels: {for i in list.Range(0, 40000, 1) {\"label-\\(i)\": \"0123456789012345678901234567890123456789\"}}\n", "CPU time|memory|result is larger"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tree := edited(t, edit{tenant, `tenant:`, c.text + "tenant:"}, edit{tenant, "import \"github.com/packmill/packmill/schema\"", "import (\n\t\"list\"\n\t\"github.com/packmill/packmill/schema\"\n)\n_keep: list.MinItems\n"})
			_, err := Load(t.Context(), tree, Options{Evaluator: limited(t, small()), Now: now})
			list, ok := err.(fleet.Errors)
			if !ok || len(list) == 0 || fleet.KindOf(err) != fleet.Invalid {
				t.Fatalf("got %v", err)
			}
			text := err.Error()
			if !strings.Contains(text, "the evaluation was stopped") || !strings.HasPrefix(text, "tenants/nordic/acme") {
				t.Errorf("got %v", err)
			}
			named := false
			for _, want := range strings.Split(c.want, "|") {
				named = named || strings.Contains(text, want)
			}
			if !named {
				t.Errorf("got %v, want it to name %s", err, c.want)
			}
		})
	}
}

// TestOutOfMemory tells what the runtime says for want of memory from a fault of
// the program's own.
func TestOutOfMemory(t *testing.T) {
	for said, want := range map[string]bool{
		"fatal error: runtime: out of memory\n":                              true,
		"runtime: failed to create new OS thread (have 5 already; errno=11)": true,
		"SIGSEGV: segmentation violation\nPC=0x438abd m=0 sigcode=1 addr=0x0\n\ngoroutine 0 gp=0x1615fe0 m=0 mp=0x1617380 [idle]:\nruntime.(*spanQueue).tryDrain(0x0)\n": true,
		"SIGSEGV: segmentation violation\nPC=0x438abd m=0 sigcode=1 addr=0x0\nsignal arrived during cgo execution\n\ngoroutine 1 gp=0x1 m=0 [syscall]:\n":                false,
		"panic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1]\n\ngoroutine 1 [running]:\n":         false,
		"": false,
	} {
		if got := outOfMemory(said); got != want {
			t.Errorf("%q: %v, want %v", said, got, want)
		}
	}
}

// alternatives is a meet of n structs that each leave two choices.
func alternatives(n int) string {
	var b strings.Builder
	b.WriteString("_x: {")
	for i := range n {
		fmt.Fprintf(&b, "a%d: 1 | 2, ", i)
	}
	b.WriteString("}\n_y: _x")
	for i := range n {
		fmt.Fprintf(&b, " & ({a%d: 1} | {a%d: 2})", i, i)
	}
	return b.String() + "\n"
}

func TestWallClock(t *testing.T) {
	limits := small()
	limits.CPU, limits.Wall, limits.Memory = fleet.Duration(time.Minute), fleet.Duration(time.Second), 2<<30
	tree := edited(t, edit{tenant, `tenant:`, alternatives(20) + "tenant:"})
	_, err := Load(t.Context(), tree, Options{Evaluator: limited(t, limits), Now: now})
	if err == nil || !strings.Contains(err.Error(), "not done after 1s") {
		t.Errorf("got %v", err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Load(ctx, msp(t), Options{Evaluator: limited(t, Limits{}), Now: now}); err == nil {
		t.Error("a cancelled load succeeds")
	}
}

// The child gets nothing of its parent's environment.
func TestEmptyEnvironment(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "env.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ -z \"$PACKMILL_TEST_SECRET$HOME\" ] && echo nothing came along >&2\nexit 7\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PACKMILL_TEST_SECRET", "hunter2")
	_, err := Load(t.Context(), msp(t), Options{Evaluator: ChildEvaluator{Command: []string{script}}, Now: now})
	if err == nil || !strings.Contains(err.Error(), "nothing came along") {
		t.Errorf("got %v", err)
	}
	if fleet.KindOf(err) != fleet.Internal {
		t.Errorf("a child that dies for no reason of the author's is our defect; got kind %v", fleet.KindOf(err))
	}
}

func TestNoEvaluator(t *testing.T) {
	if _, err := Load(t.Context(), msp(t), Options{Now: now}); fleet.KindOf(err) != fleet.Internal || err == nil {
		t.Errorf("got %v", err)
	}
}

// The largest and ugliest literal files end in a bounded number of findings.
func TestHostileLiterals(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"thousands of empty installers", "installers: {" + many("a%d: {}, ", 1500) + "}"},
		{"thousands of unknown fields", many("f%d: 1, ", 1800)},
		{"thousands of wrong words", "sources: [" + strings.Repeat("1, ", 5000) + "]"},
		{"one field set a thousand times", strings.Repeat("name: \"a\", ", 1000) + "name: \"b\""},
		{"a very long name", "\"" + strings.Repeat("x", 15000) + "\": 1"},
		{"a number without end", "supportEnds: 1" + strings.Repeat("0", 15000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := edited(t, edit{ledger, "", "package catalog\npkg: {" + c.text + "}\n"})
			_, err := load(t, tree)
			if err == nil || strings.Count(err.Error(), ledger) > maxFindings+10 {
				t.Errorf("%d findings", strings.Count(fmt.Sprint(err), ledger))
			}
			if len(err.Error()) > 200<<10 {
				t.Errorf("%d bytes of findings", len(err.Error()))
			}
		})
	}
}

func many(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
