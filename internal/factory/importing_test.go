package factory

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// shelves are catalogs in memory: files by "repository/path" or address.
type shelves map[string]string

func (s shelves) Document(_ context.Context, address string) ([]byte, error) { return s.read(address) }

func (s shelves) GitHubFile(_ context.Context, repository, path string) ([]byte, error) {
	return s.read(repository + "/" + path)
}

func (s shelves) GitHubFolder(_ context.Context, repository, path string) ([]string, error) {
	var out []string
	for name := range s {
		if rest, below := strings.CutPrefix(name, repository+"/"+path+"/"); below {
			first, _, deeper := strings.Cut(rest, "/")
			if deeper {
				first += "/"
			}
			if !slices.Contains(out, first) {
				out = append(out, first)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

func (s shelves) read(name string) ([]byte, error) {
	text, ok := s[name]
	if !ok {
		return nil, errors.New("nothing there")
	}
	return []byte(text), nil
}

// TestNewestManifest takes the newest version, by number, past the folders of
// other packages.
func TestNewestManifest(t *testing.T) {
	s := shelves{}
	put := func(dir, id, version string) {
		const at = "microsoft/winget-pkgs/manifests/a/Acme/"
		head := "PackageIdentifier: " + id + "\nPackageVersion: \"" + version + "\"\nManifestVersion: 1.9.0\n"
		s[at+dir+"/"+id+".yaml"] = head + "ManifestType: version\n"
		s[at+dir+"/"+id+".locale.en-US.yaml"] = head + "PackageName: Tool\nManifestType: defaultLocale\n"
		s[at+dir+"/"+id+".locale.fi-FI.yaml"] = head + "PackageName: Tool\nManifestType: locale\n"
		s[at+dir+"/"+id+".installer.yaml"] = head + "ManifestType: installer\n"
	}
	put("Tool/1.9", "Acme.Tool", "1.9")
	put("Tool/1.10", "Acme.Tool", "1.10")
	put("Tool/2024/3.1", "Acme.Tool.2024", "3.1")
	put("Tool/Beta/4.0", "Acme.Tool.Beta", "4.0")
	m, err := FetchManifest(t.Context(), s, "winget:Acme.Tool")
	if err != nil || m.Version != "1.10" || len(m.Read) != 3 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := FetchManifest(t.Context(), s, "winget:Acme.None"); fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "has no version") {
		t.Errorf("a package that is not there: %v", err)
	}
}

func TestReadManifest(t *testing.T) {
	for name, files := range map[string]map[string][]byte{
		"none":    {},
		"several": {"a.json": nil, "b.json": nil},
		"neither": {"a.json": []byte(`{"a": 1}`)},
		"no yaml": {"a.yaml": []byte("\t")},
	} {
		if m, err := ReadManifest(files); fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	m, err := ReadManifest(map[string][]byte{"bucket/tool.json": []byte(`{"version": "1", "url": "https://vendor.example/t.msi"}`)})
	if err != nil || m.Kind != fleet.ManifestScoop || m.ID != "tool" {
		t.Errorf("%+v, %v", m, err)
	}
}
