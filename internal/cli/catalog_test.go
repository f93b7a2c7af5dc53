package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/packmill/packmill/internal/fleet"
)

// manifestBench is a new repository, and a server that answers as GitHub's
// contents API, Homebrew's and Evergreen's do over the manifests that the readers
// are tested with.
func manifestBench(t *testing.T) (env map[string]string, repo string, files map[string]string) {
	t.Helper()
	files = map[string]string{}
	for _, name := range []string{"winget", "casks", "others"} {
		archive, err := txtar.ParseFile(filepath.Join("..", "format", "manifest", "testdata", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			address := "formulae.brew.sh/" + f.Name
			switch {
			case name == "winget":
				address = "api.github.com/repos/microsoft/winget-pkgs/contents/" + f.Name
			case strings.HasPrefix(f.Name, "app/"):
				address = "evergreen-api.stealthpuppy.com/" + f.Name
			case name == "others":
				owner, rest, _ := strings.Cut(f.Name, "/bucket/")
				address = "api.github.com/repos/" + owner + "/contents/bucket/" + rest
			}
			files[address] = string(f.Data)
		}
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := strings.TrimPrefix(r.URL.Path, "/")
		if text, ok := files[at]; ok {
			_, _ = w.Write([]byte(text))
			return
		}
		type entry struct {
			Name string `json:"name"`
			Type string `json:"type"`
		}
		var list []entry
		for name := range files {
			rest, below := strings.CutPrefix(name, at+"/")
			first, _, deeper := strings.Cut(rest, "/")
			e := entry{first, map[bool]string{true: "dir", false: "file"}[deeper]}
			if below && !slices.Contains(list, e) {
				list = append(list, e)
			}
		}
		if len(list) == 0 {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(list)
	}))
	t.Cleanup(web.Close)
	env = map[string]string{"PACKMILL_MIRROR": web.URL, "PACKMILL_CACHE": t.TempDir(), "GOPROXY": "off"}
	repo = t.TempDir()
	if code, out, told := run(t, env, "init", repo); code != 0 {
		t.Fatalf("init: %d\n%s%s", code, out, told)
	}
	return env, repo, files
}

// importOf is one call of catalog import, and the document it prints.
func importOf(t *testing.T, env map[string]string, repo string, args ...string) imported {
	t.Helper()
	code, out, told := run(t, env, append([]string{"-C", repo, "--now", detectNow, "catalog", "import", "--format", "json"}, args...)...)
	if code != 0 {
		t.Fatalf("import %q: code %d\n%s", args, code, told)
	}
	checkDocument(t, "import", out)
	var got imported
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestCatalogImport turns 30 winget ids and 15 casks into packages, all in one
// repository, and validates it.
func TestCatalogImport(t *testing.T) {
	t.Parallel()
	env, repo, files := manifestBench(t)
	var ids []string
	for name := range files {
		switch {
		case strings.HasSuffix(name, ".installer.yaml"):
			ids = append(ids, "winget:"+strings.TrimSuffix(path.Base(name), ".installer.yaml"))
		case strings.HasPrefix(name, "formulae.brew.sh/"):
			ids = append(ids, "cask:"+strings.TrimSuffix(path.Base(name), ".json"))
		}
	}
	slices.Sort(ids)
	refused := map[string]string{"cask:firefox": "a disk image", "cask:teamviewer": "a disk image"}
	counts, upstreams := map[string]int{}, map[string]int{}
	for _, id := range ids {
		if why := refused[id]; why != "" {
			code, _, told := run(t, env, "-C", repo, "--now", detectNow, "catalog", "import", id)
			if code != exitRefused || !strings.Contains(told, why) {
				t.Errorf("%s: code %d: %s", id, code, told)
			}
			continue
		}
		args := []string{id}
		if id == "winget:Notepad++.Notepad++" { // a new repository has it
			args = append(args, "--publisher", "don-ho")
		}
		got := importOf(t, env, repo, args...)
		if got.Manifest != id || !got.Written || len(got.Questions) == 0 {
			t.Errorf("%s: %+v", id, got)
		}
		kind, _, _ := strings.Cut(id, ":")
		counts[kind]++
		text := packageText(t, repo, got.Package)
		upstreams[upstreamOf(text)]++
		for _, q := range got.Questions { // each stands in its file
			if file, err := os.ReadFile(filepath.Join(repo, filepath.FromSlash(q.File))); err != nil || !strings.Contains(unwrapped(string(file)), "QUESTION: "+q.Question) {
				t.Errorf("%s: %s does not hold %q (%v)", id, q.File, q.Question, err)
			}
		}
	}
	if counts["winget"] != 30 || counts["cask"] != 16 {
		t.Errorf("imported %v, want 30 of winget and 16 casks", counts)
	}
	if code, out, told := run(t, env, "-C", repo, "--now", detectNow, "validate"); code != 0 || !strings.Contains(out, "valid: 48 packages") {
		t.Errorf("validate: code %d: %s%s", code, out, told)
	}
	for kind, want := range map[string]int{"githubReleases": 21, "sourceforge": 1, "winget": 13, "cask": 11} {
		if upstreams[kind] != want {
			t.Errorf("%d packages ask %s, want %d: %v", upstreams[kind], kind, want, upstreams)
		}
	}
}

// packageText is the text of a package's file.
func packageText(t *testing.T, repo string, id fleet.PackageID) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(repo, filepath.FromSlash(id.Dir()), "package.cue"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func upstreamOf(text string) string {
	_, rest, _ := strings.Cut(text, "from: ")
	kind, _, _ := strings.Cut(strings.TrimLeft(rest, "{\n\t "), ":")
	return kind
}

// unwrapped is a file with each comment on one line.
func unwrapped(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "// "); ok && !strings.HasPrefix(rest, "QUESTION") {
			b.WriteString(" " + rest)
		} else {
			b.WriteString("\n" + strings.TrimPrefix(line, "// "))
		}
	}
	return b.String()
}

// TestCatalogImportOthers imports from the other catalogs by their ids.
func TestCatalogImportOthers(t *testing.T) {
	t.Parallel()
	env, repo, _ := manifestBench(t)
	for id, want := range map[string]string{
		"scoop:7zip":                            `pattern: "Download 7-Zip ([\\d.]+)"`,
		"scoop:extras/firefox":                  `source: url: "https://archive.mozilla.org/pub/firefox/releases/{version}/win64/en-US/Firefox%20Setup%20{version}.exe"`,
		"scoop:ScoopInstaller/Extras/alacritty": `githubReleases: {repository: "alacritty/alacritty", tag: "v{version}"}`,
		"evergreen:MicrosoftPowerShell":         `githubReleases: {repository: "PowerShell/PowerShell", tag: "v{version}"}`,
		"scoop:extras/winscp":                   `member: "WinSCP.exe"`,
	} {
		got := importOf(t, env, repo, id, "--id", "theirs-"+strings.ToLower(path.Base(strings.ReplaceAll(id, ":", "/")))+"/app")
		if text := packageText(t, repo, got.Package); !strings.Contains(text, want) {
			t.Errorf("%s lacks %s:\n%s", id, want, text)
		}
	}
	for id, c := range map[string]struct {
		code int
		says string
	}{
		"winget:Nobody.Nothing":      {exitInvalid, "unreachable"},
		"winget:../../etc":           {exitInvalid, "is no package identifier"},
		"cask:Firefox":               {exitInvalid, "is no token"},
		"scoop:extras/../../x":       {exitInvalid, "known buckets are"},
		"evergreen:a/b":              {exitInvalid, "is no application"},
		"scoop:extras/aida64extreme": {exitRefused, "aida64extreme685.zip"},
	} {
		code, _, told := run(t, env, "-C", repo, "--now", detectNow, "catalog", "import", id)
		if code != c.code || !strings.Contains(told, c.says) {
			t.Errorf("%s: code %d: %s", id, code, told)
		}
	}
}
