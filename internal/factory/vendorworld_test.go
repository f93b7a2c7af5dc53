package factory_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	forgeedge "github.com/packmill/packmill/internal/edge/forge"
	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/record/schema"
	"github.com/packmill/packmill/internal/sim/forge"
	"github.com/packmill/packmill/internal/sim/vendors"
	"github.com/packmill/packmill/internal/transport"
)

// detectTime is the Wednesday morning the tests of detection stand at.
var detectTime = time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)

func shown(days int) vendors.Shown { return vendors.Shown{At: detectTime.AddDate(0, 0, days)} }

// vendorData publishes one program by each datasource: 1.0.0 long ago, 1.1.0
// five days ago.
func vendorData() vendors.Data {
	program := func(v string) vendors.Content { return vendors.Installer("Tool", "Acme", v, 4000) }
	deb := func(v string) vendors.Content {
		return vendors.Content{Kind: vendors.KindDeb, Name: "tool", Version: v, Arch: "amd64", Files: map[string]string{"/usr/bin/tool": "#!/bin/sh\necho " + v + "\n"}}
	}
	var data vendors.Data
	repo := vendors.Repository{Name: "acme/tool"}
	npm := vendors.NPMPackage{Name: "@acme/tool"}
	module := vendors.Module{Path: "acme.example/tool"}
	for v, days := range map[string]int{"1.0.0": -60, "1.1.0": -5} {
		repo.Releases = append(repo.Releases, vendors.Release{Shown: shown(days), Tag: "v" + v, Notes: "Thanks to @somebody, fixes #1 in " + v, Assets: map[string]vendors.Content{"tool-" + v + ".exe": program(v)}})
		module.Versions = append(module.Versions, vendors.ModuleVersion{Shown: shown(days), Version: "v" + v})
		data.Debian = append(data.Debian, vendors.DebRelease{Shown: shown(days), Suite: "stable", Deb: deb(v + "-1")})
		data.Pages = append(data.Pages,
			vendors.Page{Shown: shown(days), Host: "downloads.example", Path: "/tool-" + v + ".exe", Content: program(v)},
			vendors.Page{Shown: shown(days), Host: "downloads.example", Path: "/latest-" + v, Content: vendors.Text(`{"version": "` + v + `"}`)})
	}
	for _, v := range []string{"1.0.0", "1.1.0"} {
		days := map[string]int{"1.0.0": -60, "1.1.0": -5}[v]
		npm.Versions = append(npm.Versions, vendors.NPMVersion{Shown: shown(days), Version: v, Files: map[string]vendors.Content{"bin/tool.exe": program(v)}})
		data.Pages = append(data.Pages, vendors.Page{Shown: shown(days), Host: "downloads.example", Path: "/latest.json",
			Content: vendors.Text(fmt.Sprintf(`{"version": %q, "at": %q}`, v, shown(days).At.Format(time.RFC3339)))})
	}
	// Debian's index lists the last one given.
	if data.Debian[0].Deb.Version > data.Debian[1].Deb.Version {
		data.Debian[0], data.Debian[1] = data.Debian[1], data.Debian[0]
	}
	data.GitHub, data.NPM, data.Modules = []vendors.Repository{repo}, []vendors.NPMPackage{npm}, []vendors.Module{module}
	return data
}

// vendorPackage is a package file with the feed, scheme, installer and whatever
// else its upstream needs.
func vendorPackage(id, upstream, installer string) []byte {
	installers := ""
	if installer != "" {
		installers = "\tinstallers: x64: {arch: \"x64\", " + installer + "}\n"
	}
	return []byte(`package catalog

import "github.com/packmill/packmill/schema"

pkg: schema.#Package & {
	id: "` + id + `", name: "Tool", kind: "application"
	sources: ["https://downloads.example/"]
	upstream: {` + upstream + `}
` + installers + `	tests: matrix: ["local"]
	rollback: "uninstall"
}
`)
}

const registry = `detect: [{registry: {key: "HKLM\\Software\\Tool", value: "Version"}}]`

// wholeFiles are diffFiles with what validation asks for beyond.
func wholeFiles() map[string][]byte {
	files := diffFiles(1)
	files["cue.mod/module.cue"] = desired.ModuleFile("example.com/fleet")
	for name, data := range schema.Files() {
		files[schema.VendorDir+"/"+name] = data
	}
	files["catalog/matrices.cue"] = []byte(`package catalog

import "github.com/packmill/packmill/schema"

matrices: local: schema.#Environment & {platform: "windows", os: "Windows", arch: "x64", runner: local: "wine"}
`)
	return files
}

// vendorFiles are a repository with a package for each datasource, without
// releases, and a configuration whose files were never released.
func vendorFiles() map[string][]byte {
	files := wholeFiles()
	exe := `platform: "windows", type: "exe", ` + registry
	files["catalog/acme/publisher.cue"] = []byte(strings.Replace(string(files["catalog/acme/publisher.cue"]), `"downloads.example"`, `"downloads.example", "github.com"`, 1))
	for id, file := range map[string][]byte{
		"github": vendorPackage("acme/github", `from: githubReleases: {repository: "acme/tool", tag: "v{version}"}, scheme: "semver"`, exe+`, source: asset: "tool-{version}.exe"`),
		"npm": vendorPackage("acme/npm", `from: npm: package: "@acme/tool", scheme: "semver"`,
			`platform: "windows", type: "portable", `+registry+`, source: {purl: "pkg:npm/%40acme/tool@{version}", member: "package/bin/tool.exe"}`),
		"apt": vendorPackage("acme/apt", `from: apt: {package: "tool", suite: "stable"}, scheme: "deb", minimumReleaseAge: "0s"`,
			`platform: "linux", type: "deb", detect: [{package: "tool"}], source: purl: "pkg:deb/debian/tool@{version}?arch=amd64&distro=stable"`),
		"json": vendorPackage("acme/json", `from: httpJSON: {url: "https://downloads.example/latest.json", path: "$.version", published: "$.at"}, scheme: "windows"`, exe+`, source: url: "https://downloads.example/tool-{version}.exe"`),
		"go":   vendorPackage("acme/go", `from: goProxy: module: "acme.example/tool", scheme: "semver"`, ""),
		"policy": []byte(`package catalog

import "github.com/packmill/packmill/schema"

pkg: schema.#Package & {
	id: "acme/policy", name: "Policy", kind: "configuration"
	sources: ["the operator's baseline"]
	settings: edge: catalogPolicy: "files/edge.json"
	tests: matrix: ["local"]
	rollback: "previous"
}
`),
	} {
		files["catalog/acme/"+id+"/package.cue"] = file
	}
	files["catalog/acme/policy/files/edge.json"] = []byte(`{"settings": []}` + "\n")
	return files
}

// A mill is a factory on simulated vendors and a simulated forge.
type mill struct {
	*factory.Factory
	clock   *fleet.ManualClock
	vendors *vendors.Server
	config  upstream.Config
	writes  *atomic.Int32 // requests that change something at the forge, but for
	listed  *atomic.Int32 // those that change the issue of all packages
	ann     *forgeedge.Client
	api     string // the forge's root
}

// run is a look by a new run: a client of its own, and what origin has now.
func (m *mill) run(t *testing.T) factory.Look {
	t.Helper()
	m.Upstream = upstream.New(m.config)
	m.writes.Store(0)
	m.listed.Store(0)
	if err := m.Git.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	main, err := m.Git.Main()
	if err != nil {
		t.Fatal(err)
	}
	repo, err := m.Desired(t.Context(), main)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := m.Git.Tree(main)
	if err != nil {
		t.Fatal(err)
	}
	return factory.Look{Repo: repo, Read: tree.Read, Devices: map[fleet.TenantID]int{"direct/cedar": 60}}
}

type counting struct {
	base           http.RoundTripper
	writes, listed *atomic.Int32
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	switch _, issue, _ := strings.Cut(r.URL.Path, "/issues"); {
	case r.Method == http.MethodGet:
	case strings.Contains(r.URL.Path, "/issues") && strings.Count(issue, "/") < 2:
		c.listed.Add(1)
	default:
		c.writes.Add(1)
	}
	return c.base.RoundTrip(r)
}

// newMill starts the world. edits are laid over vendorFiles; nil removes.
func newMill(t *testing.T, data vendors.Data, edits map[string][]byte) *mill {
	t.Helper()
	clock := fleet.NewManualClock(detectTime)
	v, err := vendors.New(vendors.Options{Now: clock.Now, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	vs := httptest.NewServer(v)
	t.Cleanup(vs.Close)
	server, err := forge.New(forge.Options{
		Dir: t.TempDir(), Owner: "example", Name: "fleet", Now: clock.Now, Protected: forge.Protection{Reviews: 1},
		Users: []forge.User{{Login: "mill[bot]", Token: "mill", ID: 1, Bot: true, Role: forge.Write}, {Login: "ann", Token: "ann", ID: 2, Role: forge.Write}, {Login: "eve", Token: "eve", ID: 3, Role: forge.Write}},
	})
	if err != nil {
		t.Fatal(err)
	}
	fs := httptest.NewServer(server)
	t.Cleanup(fs.Close)
	m := &mill{clock: clock, vendors: v, writes: new(atomic.Int32), listed: new(atomic.Int32), config: upstream.Config{
		NPMRegistry: vs.URL + "/npm", GoProxy: vs.URL + "/goproxy", Mirror: vs.URL, Clock: clock,
		AptSources: []upstream.AptSource{{URI: vs.URL + "/debian", Suite: "stable", Components: []string{"main"}}},
	}}
	files := vendorFiles()
	for name, data := range edits {
		if files[name] = data; data == nil {
			delete(files, name)
		}
	}
	git, commits := diffRepo(t, files)
	if err := git.SetRemote(fs.URL + server.GitPath()); err != nil {
		t.Fatal(err)
	}
	git = git.WithAuth(gitrepo.Auth{User: "mill[bot]", Token: "mill"})
	if err := git.Push(t.Context(), []string{commits[0] + ":refs/heads/main"}, false); err != nil {
		t.Fatal(err)
	}
	login := func(token string, writes *atomic.Int32) *forgeedge.Client {
		client, err := forgeedge.New(forgeedge.Options{
			BaseURL: fs.URL + server.APIPath(), Owner: "example", Name: "fleet", Token: token, Clock: clock,
			HTTP: transport.New(transport.Options{Clock: clock, Transport: counting{http.DefaultTransport, writes, m.listed}}),
		})
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	client := login("mill", m.writes)
	m.ann, m.api = login("ann", new(atomic.Int32)), fs.URL+server.APIPath()
	m.Factory = &factory.Factory{
		Clock: clock, Log: slog.New(slog.DiscardHandler), Author: fleet.Identity{Name: "mill", Email: "mill@example.com"}, Git: git, Forge: client,
		Desired: func(ctx context.Context, rev string) (*fleet.Repository, error) {
			tree, err := git.Tree(rev)
			if err != nil {
				return nil, err
			}
			return desired.Load(ctx, tree.Desired(ctx), desired.Options{Evaluator: desired.InProcess{}})
		},
	}
	return m
}

// states are the findings as "package: state hold", by package.
func states(findings []factory.Finding) map[fleet.PackageID]string {
	out := map[fleet.PackageID]string{}
	for _, f := range findings {
		out[f.Package] = strings.TrimSpace(f.Detection.Found + " " + f.State + " " + f.Hold)
	}
	return out
}

func differences(got, want map[fleet.PackageID]string) []string {
	var out []string
	for id := range maps.Keys(want) {
		if got[id] != want[id] {
			out = append(out, fmt.Sprintf("%s: %q, want %q", id, got[id], want[id]))
		}
	}
	return out
}
