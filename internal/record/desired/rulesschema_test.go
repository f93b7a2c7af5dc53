package desired

import "testing"

// What CUE alone refuses, told at the author's line.
func TestSchemaFindings(t *testing.T) {
	checkRules(t, []rule{
		{"misspelt field", []edit{{sevenZip, `launch: "7z.exe i"`, `lanch: "7z.exe i"`}}},
		{"misspelt field in a release", []edit{{sevenZip9, `change:  "security"`, `chnage:  "security"`}}},
		{"wrong word", []edit{{sevenZip, `kind: "application"`, `kind: "aplication"`}}},
		{"wrong word where there is a default", []edit{{sevenZip, `rollback: "previous"`, "rollback: \"previous\"\n\tupdater: \"tolerated\""}}},
		{"missing field", []edit{{sevenZip, `rollback: "previous"`, `description: "x"`}}},
		{"missing field in an installer", []edit{{sevenZip, `type:     "msi"`, `language: "fi"`}}},
		{"missing and wrong at once", []edit{{sevenZip, `name: "7-Zip"`, `supportEnds: "soon"`}}},
		{"wrong type", []edit{{sevenZip9, `counter: 7`, `counter: "7"`}}},
		{"struct for a text", []edit{{sevenZip, `name: "7-Zip"`, `name: {en: "7-Zip"}`}}},
		{"list for a text", []edit{{sevenZip, `name: "7-Zip"`, `name: ["7-Zip"]`}}},
		{"out of bounds", []edit{{sevenZip9, `counter: 7`, `counter: 0`}}},
		{"no digest", []edit{{sevenZip9, `sha256: "sha256:0000000000000000000000000000000000000000000000000000000000000009"`, `sha256: "md5:1"`}}},
		{"two feeds", []edit{{sevenZip, `scheme: "windows"`, "from: npm: package: \"x\"\n\t\tscheme: \"windows\""}}},
		{"unknown feed", []edit{{sevenZip, `from: githubReleases:`, `from: githubRelease:`}}},
		{"tag without version", []edit{{sevenZip, `{repository: "ip7z/7zip"}`, `{repository: "ip7z/7zip", tag: "latest"}`}}},
		{"no sources", []edit{{sevenZip, `sources: ["https://www.7-zip.org/faq.html"]`, `sources: []`}}},
		{"no detection", []edit{{sevenZip, `detect: [{msiProduct: true}]`, `detect: []`}}},
		{"unknown detection rule", []edit{{sevenZip, `detect: [{msiProduct: true}]`, `detect: [{msiProduct: true}, {regsitry: {key: #"HKLM\X"#}}]`}}},
		{"two faults in a release", []edit{{sevenZip9, `change:  "security"`, "change:  \"Security\"\n\tpublished: \"yesterday\""}}},
		{"faults in two lanes", []edit{{sevenZip9, `change:  "security"`, `change:  "x"`}, {"schedules/week.cue", `zone: "Europe/Helsinki"`, `zoen: "Europe/Helsinki"`}}},
		{"weekday", []edit{{"schedules/week.cue", `detect: {on: "Wed"`, `detect: {on: "Wednesday"`}}},
		{"percentage", []edit{{"schedules/waves.cue", `select: percent: 100`, `select: percent: 101`}}},
		{"time of day", []edit{{"schedules/week.cue", `at: "06:00"`, `at: "4pm"`}}},
		{"duration in days", []edit{{"schedules/waves.cue", `soak: "72h"`, `soak: "1 day"`}}},
		{"duration in a list", []edit{{"schedules/waves.cue", `looks: ["24h", "72h"]`, `looks: ["1d", "72h"]`}}},
		{"duration beside a default", []edit{{"schedules/waves.cue", `advance: "autoMerge"`, "advance: \"autoMerge\"\n\t\tarm: \"2 hours\""}}},
		{"instant without an offset", []edit{{freeze, `"2026-12-18T00:00:00+02:00"`, `"2026-12-18 00:00"`}}},
		{"first day of an approver", []edit{{"tenants/operator.cue", `"2025-01-01"`, `"1.1.2025"`}}},
		{"cycle's id", []edit{{approval, `cycle:    "2026-W47"`, `cycle:    "W47"`}}},
		{"package's id", []edit{{sevenZip, `id:   "igor-pavlov/7-zip"`, `id:   "Igor Pavlov/7-Zip"`}}},
		{"address without https", []edit{{sevenZip9, `url:    "https:`, `url:    "http:`}}},
		{"name with a space", []edit{{"schedules/waves.cue", `opens: step: "dogfood"`, `opens: step: "dog food"`}}},
		{"version on two lines", []edit{{holdFile, `release:    "24.09"`, `release:    "24.09\n"`}}},
		{"purl of another manager", []edit{{sevenZip, `source: asset: "7z{digits}-x64.msi"`, `source: purl: "pkg:pypi/x@1"`}}},
		{"wave without soak", []edit{{"schedules/waves.cue", "\t\tsoak: \"72h\"\n", ""}}},
		{"approval without end", []edit{{approval, `validUntil: "2026-11-25T00:00:00Z"`, `because: "x"`}}},
		{"tenant's field", []edit{{tenant, `zone: "Europe/Stockholm"`, "zone: \"Europe/Stockholm\"\n\tzones: 1"}}},
		{"assignment's word", []edit{{tenant, `intent: "available"`, `intent: "offered"`}}},
		{"syntax", []edit{{sevenZip, `kind: "application"`, `kind: "application`}}},
		{"syntax in a tenant", []edit{{tenant, `packages: {`, `packages: }`}}},
	})
}
