package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// diffWorld is a new repository and three branches on it: a bump, the bump
// altered after its merge, and nothing at all.
func diffWorld(t *testing.T) string {
	t.Helper()
	files, dir := t.TempDir(), t.TempDir()
	if code, _, stderr := run(t, nil, "init", files); code != 0 {
		t.Fatal(stderr)
	}
	git, err := gitrepo.Init(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	release := func(size string) []byte {
		return []byte(`package catalog

pkg: releases: "24.09": {
	counter: 1
	change:  "new"
	installers: x64: {
		url:    "https://github.com/ip7z/7zip/releases/download/24.09/7z2409-x64.msi"
		size:   ` + size + `
		sha256: "sha256:` + strings.Repeat("1", 64) + `"
		signer: unsigned: true
		msi: productCode: "{23170F69-40C1-2702-2409-000001000000}"
	}
}
`)
	}
	head := ""
	for _, c := range []struct {
		branch string
		files  map[string][]byte
	}{
		{"main", workTree(t, files)},
		{"bump", map[string][]byte{"catalog/igor-pavlov/7-zip/24.09.cue": release("1991680")}},
		{"altered", map[string][]byte{"catalog/igor-pavlov/7-zip/24.09.cue": release("1991681")}},
	} {
		spec := gitrepo.CommitSpec{Files: c.files, Message: c.branch, Author: fleet.Identity{Name: "t", Email: "t@example.com"}, When: time.Date(2026, 11, 17, 9, 0, 0, 0, time.UTC)}
		if head != "" {
			spec.Parents = []string{head}
		}
		if head, err = git.Commit(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		if err := git.SetBranch(c.branch, "", head); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// workTree is every file below dir but git's own.
func workTree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if d.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		out[filepath.ToSlash(rel)], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDiffCommand(t *testing.T) {
	dir := diffWorld(t)
	tests := []struct {
		name   string
		args   []string
		code   int
		stdout []string
	}{
		{"text", []string{"main..bump"}, 0, []string{"Changes 1 release", "igor-pavlov/7-zip 24.09 (first release)", "2026-W47, wave dogfood opens Thu 2026-11-19 09:00 +02:00"}},
		{"differences", []string{"main..bump", "--exit-code"}, exitDifferences, []string{"Changes 1 release"}},
		{"nothing", []string{"main..main", "--exit-code"}, 0, []string{"Nothing changes"}},
		{"refused", []string{"bump..altered"}, exitRefused, []string{"refused: igor-pavlov/7-zip@24.09: a merged release is immutable, and this changes installers.x64.size"}},
		{"markdown", []string{"main..bump", "--format", "markdown"}, 0, []string{"#### igor-pavlov/7-zip 24.09"}},
		{"annotations", []string{"bump..altered", "--format", "github"}, exitRefused, []string{"::error file=catalog/igor-pavlov/7-zip/24.09.cue,line=1,col=1::igor-pavlov/7-zip@24.09: a merged release is immutable"}},
		{"unknown revision", []string{"main..nowhere"}, exitInvalid, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run(t, nil, append([]string{"--now", "2026-11-17T09:00:00Z", "-C", dir, "diff"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("code %d, want %d: %s", code, tt.code, stderr)
			}
			for _, want := range tt.stdout {
				if !strings.Contains(stdout, want) {
					t.Errorf("%q is missing in %s", want, stdout)
				}
			}
		})
	}
	code, stdout, _ := run(t, nil, "-C", dir, "diff", "main..bump", "--format", "json")
	if code != 0 {
		t.Errorf("code %d", code)
	}
	checkDocument(t, "diff", stdout)
}
