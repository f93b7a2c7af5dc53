package world

import (
	"fmt"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func (a app) publisherFile() string {
	hosts := fmt.Sprintf("%q", a.host)
	if a.host == "github.com" {
		hosts = `"github.com", "objects.githubusercontent.com"`
	}
	return fmt.Sprintf(`package catalog

import "github.com/packmill/packmill/schema"

publisher: schema.#Publisher & {
	name: %q
	hosts: [%s]
	unsigned: "accepted" // an invented vendor: the digest in git is what counts
}
`, a.vendor, hosts)
}

// page is where a vendor with a JSON feed tells its newest version.
func (a app) page() string { return "https://" + a.host + "/" + a.slug() + "/latest.json" }

func (a app) slug() string { _, s, _ := strings.Cut(string(a.id), "/"); return s }

// address is where the installer of a version is.
func (a app) address(version string) string {
	file := strings.ReplaceAll(a.file, "{version}", version)
	if a.feed == "github" {
		return "https://github.com/" + string(a.id) + "/releases/download/v" + version + "/" + file
	}
	return "https://" + a.host + "/" + a.slug() + "/" + file
}

func (a app) packageFile() string {
	from := fmt.Sprintf("githubReleases: {repository: %q, tag: \"v{version}\"}", a.id)
	source := fmt.Sprintf("asset: %q", a.file)
	if a.feed == "json" {
		from = fmt.Sprintf("httpJSON: {url: %q, path: \"$.version\", published: \"$.published\"}", a.page())
		source = fmt.Sprintf("url: %q", a.address("{version}"))
	}
	program := a.slug() + ".exe"
	return fmt.Sprintf(`package catalog

import "github.com/packmill/packmill/schema"

pkg: schema.#Package & {
	id:          %q
	name:        %q
	kind:        "application"
	description: %q
	sources: ["the embedded world"]

	upstream: {
		from: %s
		scheme: %q
	}

	installers: x64: {
		platform: "windows"
		arch:     "x64"
		type:     "exe"
		source: %s
		arguments: {install: "/S", uninstall: "/S /uninstall"}
		detect: [{file: {path: "%%ProgramFiles%%\\%s\\%s", version: true}}]
	}

	tests: {
		matrix: ["windows-11"]
		launch: %q
	}
	rollback: %q
}
`, a.id, a.name, a.summary, from, a.scheme, source, a.name, program, a.launch, a.rollback)
}

// release is the release that the fleet has.
func (a app) release(installers Installers) fleet.Release {
	data := installers(a.id, a.before)
	at := began.Add(-20 * 24 * time.Hour)
	return fleet.Release{
		Counter: 1, Change: "new", Baseline: true, Published: &at,
		Installers: map[string]fleet.Download{"x64": {
			URL: a.address(a.before), Size: int64(len(data)), SHA256: fleet.DigestOf(data),
			Signer: fleet.SignedBy{Unsigned: true},
			PE:     &fleet.PEFacts{FileVersion: fourParts(a.before), ProductVersion: a.before, ProductName: a.name, Machine: "x64"},
		}},
	}
}

// fourParts is a version as a PE file's fixed version information has it.
func fourParts(version string) string {
	parts := strings.Split(version, ".")
	for len(parts) < 4 {
		parts = append(parts, "0")
	}
	return strings.Join(parts, ".")
}

// policyFiles is the configuration with its first release: the files have
// changed since, which the week's detection finds.
func policyFiles() map[string]string {
	dir := policyID.Dir()
	old := map[string]fleet.Digest{
		"files/detect.ps1":    fleet.DigestOf([]byte(policyDetect("1"))),
		"files/remediate.ps1": fleet.DigestOf([]byte(policyRemediate("1"))),
		"files/revert.ps1":    fleet.DigestOf([]byte(policyRevert)),
	}
	files := map[string]string{
		"catalog/example-msp/publisher.cue": `package catalog

import "github.com/packmill/packmill/schema"

publisher: schema.#Publisher & {
	name: "Example MSP"
	hosts: []
	unsigned: "accepted"
}
`,
		dir + "/package.cue": `package catalog

import "github.com/packmill/packmill/schema"

// A configuration rides the same waves as an application.
pkg: schema.#Package & {
	id:          "example-msp/browser-policy"
	name:        "Browser baseline"
	kind:        "configuration"
	description: "Safe browsing, no third-party cookies"
	sources: ["operator's baseline, section 4"]
	settings: browser: scripts: {
		detect:    "files/detect.ps1"
		remediate: "files/remediate.ps1"
		revert:    "files/revert.ps1"
	}
	tests: matrix: ["windows-11"]
	rollback: "uninstall"
}
`,
		dir + "/files/detect.ps1":    policyDetect("2"),
		dir + "/files/remediate.ps1": policyRemediate("2"),
		dir + "/files/revert.ps1":    policyRevert,
	}
	files[dir+"/1.cue"] = policyRelease(old)
	return files
}

func policyRelease(digests map[string]fleet.Digest) string {
	return fmt.Sprintf(`package catalog

pkg: releases: "1": {
	counter:  1
	change:   "new"
	baseline: true
	files: {
		"files/detect.ps1":    %q
		"files/remediate.ps1": %q
		"files/revert.ps1":    %q
	}
}
`, digests["files/detect.ps1"], digests["files/remediate.ps1"], digests["files/revert.ps1"])
}

const policyKey = `HKLM:\SOFTWARE\Policies\Example MSP\Browser`

func policyDetect(level string) string {
	return "$level = (Get-ItemProperty -Path '" + policyKey + "' -Name Level -ErrorAction SilentlyContinue).Level\r\nif ($level -eq " + level + ") { Write-Output 'present' }\r\nexit 0\r\n"
}

func policyRemediate(level string) string {
	return "New-Item -Path '" + policyKey + "' -Force | Out-Null\r\nSet-ItemProperty -Path '" + policyKey + "' -Name Level -Value " + level + "\r\nexit 0\r\n"
}

const policyRevert = "Remove-Item -Path '" + policyKey + "' -Recurse -ErrorAction SilentlyContinue\r\nexit 0\r\n"
