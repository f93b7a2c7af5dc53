package releases

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// managedReaders are the readers of this package that take an answer of a forge
// or package manager, by name.
func managedReaders(t testing.TB) map[string]func([]byte) ([]Entry, error) {
	base := pypiBase(t)
	return map[string]func([]byte) ([]Entry, error){
		"git tags": GitTags, "GitLab": GitLab, "Gitea": Gitea, "winget folder": WingetFolder, "winget REST": WingetREST,
		"winget manifest": func(data []byte) ([]Entry, error) {
			e, err := WingetManifest(data)
			return []Entry{e}, err
		},
		"NuGet service": func(data []byte) ([]Entry, error) {
			_, packages, err := NuGetService(data)
			return []Entry{{Version: packages}}, err
		},
		"NuGet registration": func(data []byte) ([]Entry, error) {
			list, _, err := NuGetRegistration(data)
			return list, err
		},
		"NuGet versions": func(data []byte) ([]Entry, error) { return NuGetVersions(data, "https://v.example/", "tool") },
		"NuGet OData": func(data []byte) ([]Entry, error) {
			list, _, err := NuGetOData(data, "tool")
			return list, err
		},
		"PyPI": func(data []byte) ([]Entry, error) { return PyPI(data, "tool", base) },
		"RPM repository": func(data []byte) ([]Entry, error) {
			index, err := RPMRepository(data)
			return []Entry{{Version: index.Path}}, err
		},
		"RPM packages": func(data []byte) ([]Entry, error) {
			all, err := RPMPackages(bytes.NewReader(data), "https://v.example")
			var out []Entry
			for _, list := range all {
				out = append(out, list...)
			}
			return out, err
		},
	}
}

// TestManagedHostile hands every reader what no service of its kind answers.
func TestManagedHostile(t *testing.T) {
	answers := map[string]string{
		"nothing": "", "a page": "<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>", "a word": "RateLimited", "null": "null", "an empty object": "{}", "an empty list": "[]",
		"a list of nulls": "[null]", "numbers": `[{"tag_name": 1, "name": 2}]`, "deep lists": strings.Repeat("[", 200_000), "deep objects": strings.Repeat(`{"files":`, 100_000),
		"deep elements": strings.Repeat("<metadata>", 100_000), "UTF-16": "\xff\xfe[\x00{\x00}\x00]\x00", "zeros": strings.Repeat("\x00", 1<<16), "cut off": `[{"tag_name": "v1.0`,
		"one long version": `[{"tag_name": "` + strings.Repeat("1", maxText+1) + `"}]`, "aliases": "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nPackageVersion: *c\n",
		"no version": `[{"tag_name": "", "released_at": "2026-01-01T00:00:00Z"}]`, "no time": `[{"tag_name": "v1", "released_at": "soon", "published_at": "soon"}]`,
		"a script's address": `[{"tag_name": "v1", "assets": [{"name": "x", "browser_download_url": "javascript:1"}]}]`,
	}
	for name, read := range managedReaders(t) {
		for what, text := range answers {
			if name == "GitLab" && what == "a script's address" {
				continue // not where GitLab has addresses
			}
			list, err := read([]byte(text))
			if err == nil {
				t.Errorf("%s reads %s as %+v", name, what, list)
			}
		}
	}
}

// endless gives an index of one package that never ends.
type endless struct{ begun bool }

func (e *endless) Read(p []byte) (int, error) {
	if !e.begun {
		e.begun = true
		return copy(p, `<metadata><package><name>`), nil
	}
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// TestRPMPackagesBounded checks that one package cannot fill the memory, and
// that many are read although they are more than one may have.
func TestRPMPackagesBounded(t *testing.T) {
	if _, err := RPMPackages(&endless{}, "https://v.example"); err == nil || !strings.Contains(err.Error(), "one package has more") {
		t.Errorf("a name without end: %v", err)
	}
	one := `<package><name>a</name><arch>noarch</arch><version ver="1"/><location href="a.rpm"/><format>` + strings.Repeat("<file>/usr/share/doc/a</file>", 1000) + `</format></package>`
	n := maxRPM/len(one) + 10
	readers := []io.Reader{strings.NewReader("<metadata>")}
	for range n {
		readers = append(readers, strings.NewReader(one))
	}
	all, err := RPMPackages(io.MultiReader(append(readers, strings.NewReader("</metadata>"))...), "https://v.example")
	if err != nil || len(all["a noarch"]) != n {
		t.Errorf("%d of %d packages, %v", len(all["a noarch"]), n, err)
	}
}

func TestWingetFolderFull(t *testing.T) {
	full := "[" + strings.TrimSuffix(strings.Repeat(`{"name": "1.0", "type": "dir"},`, maxFolder), ",") + "]"
	if _, err := WingetFolder([]byte(full)); err == nil || !strings.Contains(err.Error(), "GitHub lists no more") {
		t.Errorf("a folder that may be cut off: %v", err)
	}
}

// fuzzManaged hands any bytes to readers: none may panic, and what is read must be fit
// to go on with.
func fuzzManaged(f *testing.F, files, names string) {
	for name := range strings.FieldsSeq(files) {
		f.Add(testdata(f, name))
	}
	all := managedReaders(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for name := range strings.SplitSeq(names, ", ") {
			list, err := all[name](data)
			if err != nil {
				continue
			}
			for _, e := range list {
				if e.Version == "" || len(e.Version) > maxText || len(e.Notes) > maxNotes {
					t.Errorf("%s: version %q with notes of %d bytes", name, e.Version, len(e.Notes))
				}
				for _, file := range e.Files {
					if !strings.HasPrefix(file.URL, "http") || file.Size < 0 || file.SHA256 != "" && !file.SHA256.Valid() {
						t.Errorf("%s: %+v", name, file)
					}
				}
			}
		}
	})
}

func FuzzGitTags(f *testing.F) {
	f.Add([]byte("0037" + strings.Repeat("a", 40) + " refs/tags/v1" + "0000"))
	fuzzManaged(f, "", "git tags")
}

func FuzzForges(f *testing.F) { fuzzManaged(f, "gitlab.json gitea.json", "GitLab, Gitea") }

func FuzzWinget(f *testing.F) {
	fuzzManaged(f, "winget-folder.json winget-installer.yaml winget-singleton.yaml winget-rest.json", "winget folder, winget manifest, winget REST")
}

func FuzzNuGet(f *testing.F) {
	fuzzManaged(f, "nuget-service.json nuget-registration.json nuget-page.json nuget-versions.json", "NuGet service, NuGet registration, NuGet versions")
}

func FuzzNuGetOData(f *testing.F) { fuzzManaged(f, "nuget-odata.xml", "NuGet OData") }

func FuzzPyPI(f *testing.F) { fuzzManaged(f, "pypi.json pypi.html", "PyPI") }

func FuzzRPM(f *testing.F) {
	fuzzManaged(f, "rpm-repomd.xml rpm-primary.xml", "RPM repository, RPM packages")
}
