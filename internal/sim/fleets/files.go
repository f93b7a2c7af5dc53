package fleets

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/schema"
)

const head = `

import "github.com/packmill/packmill/schema"

`

const matrices = "package catalog" + head + `matrices: "windows-11": schema.#Environment & {platform: "windows", os: "Windows 11 24H2", arch: "x64", runner: github: "windows-11"}
`

const week = "package schedules" + head + `week: schema.#Week & {
	zone: "Europe/Helsinki"
	steps: {
		detect: {on: "Wed", at: "06:00"}
		cutOff: {on: "Wed", at: "16:00"}
		dogfood: {on: "Thu", at: "09:00"}
		pilot: {on: "Fri", at: "09:00"}
		announce: {on: "Mon", at: "08:00"}
		deploy: {on: "Mon", at: "14:00"}
	}
}
`

const waves = "package schedules" + head + `waves: [string]: schema.#Wave
waves: {
	dogfood: {
		order: 1
		select: tenants: role: "own"
		minDevices: 1
		opens: step: "dogfood"
		arm:  "2h"
		soak: "8h"
		gate: {success: 95, error: 5, silent: "excluded", looks: ["4h", "8h"], inconclusive: "askHuman"}
	}
	pilot: {
		order: 2
		select: percent: 5
		minDevices: 2
		opens: step: "pilot"
		arm:  "2h"
		soak: "24h"
		gate: {success: 95, error: 5, silent: "excluded", looks: ["4h", "24h"], inconclusive: "askHuman"}
	}
	everyone: {
		order: 3
		select: percent: 100
		minDevices: 1
		opens: step: "deploy"
		arm:  "6h"
		soak: "24h"
		gate: {success: 95, error: 5, silent: "excluded", looks: ["24h"], inconclusive: "askHuman"}
	}
}
`

// operatorFile is tenants/operator.cue with a key in PEM, "" for none.
func operatorFile(publicKey string) string {
	trust := ""
	if publicKey != "" {
		trust = fmt.Sprintf(`
	trust: keys: mill: {
		uses: ["build", "test", "evidence"]
		from: "2026-01-01"
		pem: """
			%s
			"""
	}`, strings.ReplaceAll(strings.TrimSpace(publicKey), "\n", "\n\t\t\t"))
	}
	return "package tenants" + head + `operator: schema.#Operator & {
	name: "Example MSP"
	approvers: releases: [{login: "ines", name: "Ines Lind", from: "2026-01-01"}]` + trust + `
}

policy: schema.#Policy & {
	critical: withinHours:  <=72
	nonSecurity: deferDays: >=0
	reboot:             "windowOnly"
	maxFailuresPercent: <=5
	approval:           "implicit" | "partner" | "site"
	maxExceptionDays:   90
}
`
}

func partnerFile(name string) string {
	return "package tenants" + head + fmt.Sprintf(`partner: schema.#Partner & {
	name: %q
	contacts: ["it@%s.example"]
	channels: customers: {kind: "mail", to: "updates@%s.example", visibility: "shared"}
}
policy: maxFailuresPercent: <=4
`, name, name, name)
}

func tenantFile(s Size, i int) string {
	var b strings.Builder
	b.WriteString("package tenants" + head)
	fmt.Fprintf(&b, "tenant: schema.#Tenant & {\n\tid:   %q\n\tname: %q\n\tzone: %q\n\tlabels: role: %q\n\tintune: directory: %q\n",
		s.tenant(i), s.nameOf(i), s.zoneOf(i), s.roleOf(i), s.directoryOf(i))
	if s.hasNights(i) {
		b.WriteString("\twindows: nights: {on: [\"Mon\", \"Tue\", \"Wed\", \"Thu\", \"Fri\"], from: \"20:00\", until: \"23:00\", for: [\"install\", \"reboot\"]}\n")
	}
	b.WriteString("\tpackages: {\n")
	for n := range s.Packages {
		fmt.Fprintf(&b, "\t\t%q: [{}]\n", s.pkg(n))
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}

func publisherFile(name string) string {
	return "package catalog" + head + fmt.Sprintf(`publisher: schema.#Publisher & {
	name: %q
	hosts: ["%s.example"]
	unsigned: "accepted"
}
`, name, name)
}

func packageFile(id fleet.PackageID) string {
	return "package catalog" + head + fmt.Sprintf(`pkg: schema.#Package & {
	id:   %q
	name: %q
	kind: "application"
	sources: [%q]
	installers: x64: {
		platform: "windows"
		arch:     "x64"
		type:     "msi"
		detect: [{msiProduct: true}]
	}
	tests: matrix: ["windows-11"]
	rollback: "previous"
}
`, id, id.Slug(), sourceOf(id))
}

func sourceOf(id fleet.PackageID) string {
	return "https://" + path.Dir(string(id)) + ".example/releases"
}

// release is one release of a package; counter 1 is what the fleet had before.
func release(id fleet.PackageID, counter int) fleet.Release {
	r := fleet.Release{Counter: counter, Baseline: counter == 1, Change: "minor", Installers: map[string]fleet.Download{"x64": {
		URL: fmt.Sprintf("https://%s.example/%s-%d.msi", path.Dir(string(id)), id.Slug(), counter), Size: 1 << 20,
		SHA256: fleet.DigestOf(fmt.Appendf(nil, "%s %d", id, counter)), Signer: fleet.SignedBy{Unsigned: true},
		MSI: &fleet.MSIFacts{ProductCode: strings.ToUpper("{" + guid(id, counter) + "}")},
	}}}
	if counter > 1 {
		published := time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC).AddDate(0, 0, 7*(counter%2))
		r.Published = &published
	}
	return r
}

func guid(parts ...any) string {
	h := hash(32, parts...)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// files are the first commit of the fleet's repository.
func (s Size) files(publicKey string) map[string][]byte {
	out := map[string][]byte{
		"cue.mod/module.cue":   desired.ModuleFile("example.com/packages"),
		"catalog/matrices.cue": []byte(matrices), "schedules/week.cue": []byte(week), "schedules/waves.cue": []byte(waves),
		"tenants/operator.cue": []byte(operatorFile(publicKey)),
	}
	for name, data := range schema.Files() {
		out[path.Join(schema.VendorDir, name)] = data
	}
	for i := range s.Packages {
		id := s.pkg(i)
		publisher := path.Dir(string(id))
		out["catalog/"+publisher+"/publisher.cue"] = []byte(publisherFile(publisher))
		out[id.Dir()+"/package.cue"] = []byte(packageFile(id))
		for version, r := range s.releases(i) {
			out[desired.ReleasePath(id, version)] = desired.ReleaseFile(version, r)
		}
	}
	for i := range s.Tenants {
		id := s.tenant(i)
		out["tenants/"+id.Partner()+"/partner.cue"] = []byte(partnerFile(id.Partner()))
		out[id.Dir()+"/tenant.cue"] = []byte(tenantFile(s, i))
	}
	return out
}
