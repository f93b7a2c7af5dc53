package world

import (
	"fmt"
	"path"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/schema"
)

// Repository is the first commit of the operator's repository: packages with
// the releases the fleet has, matrices, the week, the waves, tenants and their
// policies. publicKey is the key that signs builds and evidence, PEM.
func Repository(publicKey string, installers Installers) map[string][]byte {
	files := map[string][]byte{
		"README.md":            []byte(readme),
		"cue.mod/module.cue":   []byte("module: \"example.com/packages\"\nlanguage: version: \"" + schema.LanguageVersion + "\"\n"),
		"catalog/matrices.cue": []byte(matrices),
		"schedules/week.cue":   []byte(week),
		"schedules/waves.cue":  []byte(waves),
		"tenants/operator.cue": []byte(operator(publicKey)),
	}
	for name, data := range schema.Files() {
		files[path.Join(schema.VendorDir, name)] = data
	}
	for _, a := range apps() {
		files[path.Join("catalog", a.id.Publisher(), "publisher.cue")] = []byte(a.publisherFile())
		files[path.Join(a.id.Dir(), "package.cue")] = []byte(a.packageFile())
		files[path.Join(a.id.Dir(), a.before+".cue")] = desired.ReleaseFile(a.before, a.release(installers))
	}
	for name, text := range policyFiles() {
		files[name] = []byte(text)
	}
	for _, p := range partners() {
		files["tenants/"+p.id+"/partner.cue"] = []byte(p.file())
	}
	for _, t := range tenants() {
		files[t.id.Dir()+"/tenant.cue"] = []byte(t.file())
	}
	return files
}

// Installers are the bytes of each version of each app, as its vendor ships
// them.
type Installers func(id fleet.PackageID, version string) []byte

const readme = `# Packages of Example MSP

The desired state of twelve tenants: packages, releases, waves, policies, and
every approval, which is a merge. What happened stands on the evidence branches.

    git log --first-parent main       what changed, and who let it
    packmill audit                    what ran where, on whose word
`

const matrices = `package catalog

import "github.com/packmill/packmill/schema"

matrices: "windows-11": schema.#Environment & {
	platform: "windows"
	os:       "Windows 11 24H2"
	arch:     "x64"
	runner: local: "simulated"
}
`

const week = `package schedules

import "github.com/packmill/packmill/schema"

week: schema.#Week & {
	zone: "Europe/Helsinki"
	steps: {
		detect: {on: "Wed", at: "06:00"}
		cutOff: {on: "Wed", at: "16:00"}
		dogfood: {on: "Thu", at: "09:00"}
		announce: {on: "Mon", at: "08:00"}
		deploy: {on: "Mon", at: "14:00"}
	}
}
`

const waves = `package schedules

import "github.com/packmill/packmill/schema"

waves: [string]: schema.#Wave
waves: {
	// Our own devices first.
	dogfood: {
		order: 1
		select: tenants: role: "own"
		opens: step: "dogfood"
		arm:  "3h"
		soak: "24h"
		gate: {success: 95, error: 5, silent: "excluded", looks: ["6h", "28h"], inconclusive: "askHuman"}
	}
	// Then every tenant at one instant.
	everyone: {
		order: 2
		select: percent: 100
		opens: step: "deploy"
		arm:  "6h"
		soak: "24h"
		gate: {success: 95, error: 5, silent: "excluded", looks: ["24h"], inconclusive: "askHuman"}
	}
}
`

func operator(publicKey string) string {
	return fmt.Sprintf(`package tenants

import "github.com/packmill/packmill/schema"

operator: schema.#Operator & {
	name: "Example MSP"
	approvers: releases: [
		{login: %q, name: "Ines Lind", from: "2026-01-01"},
		{login: %q, name: "Oskar Ek", from: "2026-01-01"},
	]
	trust: keys: mill: {
		uses: ["build", "test", "evidence"]
		from: "2026-11-01"
		pem: """
			%s
			"""
	}
}

// Bounds that hold for every tenant. A partner or a tenant can be stricter.
policy: schema.#Policy & {
	critical: withinHours:  <=72
	nonSecurity: deferDays: >=0
	reboot:             "windowOnly"
	maxFailuresPercent: <=5
	approval:           "implicit" | "partner" | "site"
	maxExceptionDays:   90
}
`, Ines, Oskar, strings.ReplaceAll(strings.TrimSpace(publicKey), "\n", "\n\t\t\t"))
}

func (p partner) file() string {
	return fmt.Sprintf(`package tenants

import "github.com/packmill/packmill/schema"

partner: schema.#Partner & {
	name: %q
	contacts: [%q]
	language: %q
	channels: customers: {kind: "mail", to: %q, visibility: "shared"}
	brand: from: %q
}
`, p.name, p.contact, p.language, p.contact, p.brand)
}

// windowFor is what a tenant's nights are for: restarts, and in a clinic
// installations too.
func (t tenant) windowFor() string {
	if t.id == "nordic/pine-clinic" {
		return `"install", "reboot"`
	}
	return `"reboot"`
}

func (t tenant) file() string {
	var b strings.Builder
	fmt.Fprintf(&b, `package tenants

import "github.com/packmill/packmill/schema"

tenant: schema.#Tenant & {
	id:   %q
	name: %q
	zone: %q
	labels: role: %q
	intune: directory: %q
	windows: nights: {on: ["Mon", "Tue", "Wed", "Thu", "Sun"], from: "20:00", until: "23:00", for: [%s]}
	packages: {
`, t.id, t.name, t.zone, t.role, directory(t.id), t.windowFor())
	fmt.Fprintf(&b, "\t\t%q: [{}]\n", policyID)
	for _, a := range apps() {
		fmt.Fprintf(&b, "\t\t%q: [{}]\n", a.id)
	}
	b.WriteString("\t}\n}\n")
	if t.id == "alpine/edel-pharma" {
		b.WriteString(`policy: pins: "litware/editor": {version: "8.6.*", reason: "validated with the laboratory system", expires: "2027-01-15T00:00:00Z"}
`)
	}
	return b.String()
}
