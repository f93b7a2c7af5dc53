package desired

import "testing"

// What is refused because a name means nothing, or because two files disagree.
func TestCatalogNames(t *testing.T) {
	checkRules(t, []rule{
		{"id differs from folder", []edit{{sevenZip, `id:   "igor-pavlov/7-zip"`, `id:   "igor-pavlov/seven"`}}},
		{"no publisher", []edit{{"catalog/igor-pavlov/publisher.cue", "", ""}}},
		{"requires an unknown package", []edit{{ledger, `requires: ["igor-pavlov/7-zip"]`, `requires: ["igor-pavlov/7zip"]`}}},
		{"requires itself", []edit{{ledger, `requires: ["igor-pavlov/7-zip"]`, `requires: ["acme/ledger-client"]`}}},
		{"requires in a circle", []edit{{sevenZip, `rollback: "previous"`, "rollback: \"previous\"\n\trequires: [\"acme/ledger-client\"]"}}},
		{"requires what conflicts", []edit{{ledger, `requires: ["igor-pavlov/7-zip"]`, "requires: [\"igor-pavlov/7-zip\"]\n\tconflicts: [\"igor-pavlov/7-zip\"]"}}},
		{"twice required", []edit{{ledger, `requires: ["igor-pavlov/7-zip"]`, `requires: ["igor-pavlov/7-zip", "igor-pavlov/7-zip"]`}}},
		{"unknown neighbour", []edit{{ledger, `neighbours: ["igor-pavlov/7-zip"]`, `neighbours: ["vlc/vlc"]`}}},
		{"unknown environment", []edit{{ledger, `matrix: ["windows-11"]`, `matrix: ["windows-11", "windows-12"]`}}},
		{"no matrices", []edit{{"catalog/matrices.cue", "", ""}}},
		{"missing transform", []edit{{ledger, `transforms: ["files/acme.mst"]`, `transforms: ["files/acme2.mst"]`}}},
		{"file outside the package", []edit{{ledger, `transforms: ["files/acme.mst"]`, `transforms: ["../../igor-pavlov/publisher.cue"]`}}},
		{"file beside files/", []edit{{ledger, `transforms: ["files/acme.mst"]`, `transforms: ["package.cue"]`}}},
		{"missing probe", []edit{{ledger, `health: sync: script: "files/alive.ps1"`, `health: sync: script: "files/dead.ps1"`}}},
		{"missing icon", []edit{{sevenZip, `name: "7-Zip"`, "name: \"7-Zip\"\n\ticon: \"files/7zip.png\""}}},
		{"missing payload", []edit{{"catalog/example-msp/browser-policy/files/edge.json", "", ""}}},
		{"configuration with installers", []edit{{browser, `settings: edge: catalogPolicy: "files/edge.json"`, `installers: x64: {platform: "windows", arch: "x64", type: "exe", detect: [{script: "files/edge.json"}]}`}}},
		{"driver without its facts", []edit{{sevenZip, `kind: "application"`, `kind: "driver"`}}},
		{"patch without its facts", []edit{{sevenZip, `kind: "application"`, `kind: "osPatch"`}}},
		{"same counter twice", []edit{{sevenZip9, `counter: 7`, `counter: 6`}}},
		{"lower version above a higher", []edit{{"catalog/igor-pavlov/7-zip/23.01.cue", "", "package catalog\n\npkg: releases: \"23.01\": {counter: 8, change: \"minor\", installers: x64: {url: \"https://www.7-zip.org/a.msi\", size: 1, sha256: \"sha256:0000000000000000000000000000000000000000000000000000000000000001\", signer: unsigned: true, msi: productCode: \"{23170F69-40C1-2702-2409-000001000000}\"}}\n"}}},
		{"version the scheme cannot read", []edit{{sevenZip, `scheme: "windows"`, `scheme: "semver"`}}},
		{"pattern that is none", []edit{{sevenZip, `scheme: "windows"`, "scheme: \"windows\"\n\t\tallowed: \"[24.*\""}}},
		{"release named otherwise", []edit{{sevenZip9, `releases: "24.09"`, `releases: "24.9"`}}},
		{"release of two versions", []edit{{sevenZip9, `pkg: releases: "24.09": {`, "pkg: releases: \"24.10\": {counter: 8}\npkg: releases: \"24.09\": {"}}},
		{"release file that sets more", []edit{{sevenZip9, `pkg: releases:`, "pkg: name: \"7-Zip\"\npkg: releases:"}}},
		{"release in package.cue", []edit{{sevenZip, `rollback: "previous"`, "rollback: \"previous\"\n\treleases: {}"}}},
		{"release without package", []edit{{sevenZip, "", ""}}},
		{"installer the package lacks", []edit{{sevenZip9, `installers: x64:`, `installers: x86:`}}},
		{"release without installers", []edit{{"catalog/igor-pavlov/7-zip/25.00.cue", "", "package catalog\n\npkg: releases: \"25.00\": {counter: 8, change: \"minor\"}\n"}}},
		{"host the publisher lacks", []edit{{sevenZip9, `https://github.com/ip7z`, `https://github.com.evil.example/ip7z`}}},
		{"source's host", []edit{{ledger, `transforms:`, "source: url: \"https://acme.example/ledger-{version}.msi\"\n\t\ttransforms:"}}},
		{"asset without GitHub", []edit{{ledger, `transforms:`, "source: asset: \"ledger.msi\"\n\t\ttransforms:"}}},
		{"asset's placeholder", []edit{{sevenZip, `"7z{digits}-x64.msi"`, `"7z{digit}-x64.msi"`}}},
		{"placeholders of a URL", []edit{{sevenZip, `asset: "7z{digits}-x64.msi"`, `url: "https://www.7-zip.org/a/{Version}/7z{arch}-{digits}.msi"`}}},
		{"brace that stays open", []edit{{sevenZip, `"7z{digits}-x64.msi"`, `"7z{digits-x64.msi"`}}},
		{"member's placeholder", []edit{{sevenZip, `asset: "7z{digits}-x64.msi"`, `{asset: "7z.zip", member: "7z-{vrsion}.msi"}`}}},
		{"tag's placeholder", []edit{{sevenZip, `{repository: "ip7z/7zip"}`, `{repository: "ip7z/7zip", tag: "{major}/v{version}"}`}}},
		{"another feed's tag", []edit{{sevenZip, `scheme: "windows"`, "agree: [{githubReleases: {repository: \"x/y\", tag: \"{version}-{verison}\"}}]\n\t\tscheme: \"windows\""}}},
		{"detection that does not look at the version", []edit{{sevenZip, `detect: [{msiProduct: true}]`, `detect: [{file: path: #"C:\Program Files\7-Zip\7z.exe"#}]`}}},
		{"releases of one product code", []edit{{sevenZip9, `2702-2409`, `2702-2408`}}},
		{"unsigned and not accepted", []edit{{ledger31, `subject:  "CN=Acme AB"`, `unsigned: true`}}},
		{"unknown signer", []edit{{ledger31, `"CN=Acme AB"`, `"CN=Acme AB, C=RU"`}}},
		{"no product code", []edit{{sevenZip9, "\n\t\tmsi: productCode: \"{23170F69-40C1-2702-2409-000001000000}\"", ""}}},
		{"member without digest", []edit{{sevenZip9, `signer: unsigned: true`, "signer: unsigned: true\n\t\tmember: \"7z.msi\""}}},
		{"type for another platform", []edit{{ledger, `platform: "windows"`, `platform: "linux"`}}},
		{"transform of an exe", []edit{{ledger, `type:     "msi"`, `type:     "exe"`}}},
		{"tolerated updater", []edit{{sevenZip, `rollback: "previous"`, "rollback: \"previous\"\n\tupdater: \"tolerate\""}}},
		{"released source", []edit{{sevenZip, `from: githubReleases: {repository: "ip7z/7zip"}`, `from: goProxy: module: "github.com/ip7z/7zip"`}}},
		{"base that differs", []edit{{sevenZip9, `url:    "https://github.com/ip7z/7zip/releases/download/24.09/7z2409-x64.msi"`, `base: {base: {upload: "sha256:0000000000000000000000000000000000000000000000000000000000000009", size: 1, sha256: "sha256:0000000000000000000000000000000000000000000000000000000000000009"}, patches: [{url: "https://evil.example/x.msp", size: 1, sha256: "sha256:0000000000000000000000000000000000000000000000000000000000000009"}]}`}}},
		{"matrices sets something else", []edit{{"catalog/matrices.cue", `matrices: "debian-12": schema.#Environment & {`, `machines: "debian-12": {`}}},
		{"environment's runner", []edit{{"catalog/matrices.cue", `runner: local: "chroot"`, `runner: {local: "chroot", github: "ubuntu-24.04"}`}}},
	})
}

func TestScheduleNames(t *testing.T) {
	checkRules(t, []rule{
		{"zone", []edit{{"schedules/week.cue", `zone: "Europe/Helsinki"`, `zone: "Europe/Helsingfors"`}}},
		{"the machine's zone", []edit{{"schedules/week.cue", `zone: "Europe/Helsinki"`, `zone: "Local"`}}},
		{"week without cut-off", []edit{{"schedules/week.cue", `cutOff: {on: "Wed", at: "16:00"}`, ``}}},
		{"wave on an unknown step", []edit{{"schedules/waves.cue", `opens: step: "dogfood"`, `opens: step: "dogfod"`}}},
		{"waves of one order", []edit{{"schedules/waves.cue", `order: 2`, `order: 1`}}},
		{"looks that fall", []edit{{"schedules/waves.cue", `looks: ["6h", "28h"]`, `looks: ["28h", "6h"]`}}},
		{"look at no age", []edit{{"schedules/waves.cue", `looks: ["6h", "28h"]`, `looks: ["0h", "28h"]`}}},
		{"report deadline after the last look", []edit{{"schedules/waves.cue", `looks: ["6h", "28h"]`, `looks: ["6h", "28h"], reportDeadline: "29h"`}}},
		{"sequential test of one rate", []edit{{"schedules/waves.cue", `looks: ["6h", "28h"]`, `looks: ["6h", "28h"], stop: {good: 5, bad: 5}`}}},
		{"sequential test all the time", []edit{{"schedules/waves.cue", `looks: ["6h", "28h"]`, `looks: ["6h", "28h"], stop: {good: 1, bad: 5, every: "0s"}`}}},
		{"sequential test of a coin", []edit{{"schedules/waves.cue", `looks: ["6h", "28h"]`, `looks: ["6h", "28h"], stop: {good: 1, bad: 5, alpha: 0.5}`}}},
		{"signal nobody gives", []edit{{"schedules/waves.cue", `looks: ["6h", "28h"]`, `looks: ["6h", "28h"], signals: ["install", "sinc"]`}}},
		{"signals of none", []edit{{"schedules/waves.cue", `looks: ["6h", "28h"]`, `looks: ["6h", "28h"], signals: []`}}},
		{"wave called close", []edit{{"schedules/waves.cue", `waves: {`, "waves: close: waves.dogfood & {order: 1}\nwaves: {"}}},
		{"wave of a misspelt label", []edit{{"schedules/waves.cue", `tenants: role: "own"`, `tenants: role: "onw"`}}},
		{"wave of a label nobody has", []edit{{"schedules/waves.cue", `tenants: role: "own"`, `tenants: rank: "own"`}}},
		{"wave of no such tenant", []edit{{"schedules/waves.cue", `tenants: role: "own"`, `tenants: tenant: "own/ofice"`}}},
		{"wave of labels that no tenant has together", []edit{{"schedules/waves.cue", `tenants: role: "own"`, `tenants: {role: "own", partner: "nordic"}`}}},
		{"cycle without week", []edit{{"schedules/week.cue", "", ""}}},
		{"cut-off in another week", []edit{{cycleFile, `cutOff: "2026-11-18T14:00:00Z"`, `cutOff: "2026-11-22T23:00:00Z"`}}},
		{"cycle without entries", []edit{{cycleFile, `entries: "igor-pavlov/7-zip": {
		release:  "24.09"
		artifact: "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	}`, `entries: {}`}}},
		{"entry of an unknown package", []edit{{cycleFile, `entries: "igor-pavlov/7-zip"`, `entries: "igor-pavlov/8-zip"`}}},
		{"entry of an unknown release", []edit{{cycleFile, `release:  "24.09"`, `release:  "24.10"`}}},
		{"unknown wave", []edit{{cycleFile, `"everyone"`, `"everybody"`}}},
		{"waves in the wrong order", []edit{{cycleFile, `["dogfood", "everyone"]`, `["everyone", "dogfood"]`}}},
		{"cycle speaks for another", []edit{{cycleFile, `cycles: "2026-W47"`, `cycles: "2026-W48"`}}},
		{"plan without cycle", []edit{{cycleFile, "", ""}}},
		{"plan for an unknown gate", []edit{{planFile, `dogfood:`, `dogfoot:`}}},
		{"approval of another plan", []edit{{approval, `2222222222222222222222222222222222222222222222222222222222222222`, `3333333333333333333333333333333333333333333333333333333333333333`}}},
		{"approval's summary", []edit{{approval, `devices: 40`, `devices: 4`}}},
		{"approval's cycle", []edit{{approval, `cycle:    "2026-W47"`, `cycle:    "2026-W46"`}}},
		{"approval's gate", []edit{{approval, `gate:     "dogfood"`, `gate:     "everyone"`}}},
		{"approval for another gate", []edit{{approval, `"2026-W47": dogfood`, `"2026-W47": everyone`}}},
		{"approval without plan", []edit{{planFile, "", ""}}},
		{"closing on another plan", []edit{{planFile, `dogfood:`, `everyone:`}, {approval, "", ""}, {"schedules/cycles/2026-W47/approvals/close.cue", "", "package schedules\n\napprovals: \"2026-W47\": close: {cycle: \"2026-W47\", gate: \"close\", decision: \"approved\", plan: \"sha256:3333333333333333333333333333333333333333333333333333333333333333\", validUntil: \"2026-12-25T00:00:00Z\", summary: {packages: 1, tenants: 1, devices: 40, deadline: \"2026-11-20T07:00:00Z\"}}\n"}}},
		{"rejection without a reason", []edit{{approval, `"approved"`, `"rejected"`}}},
		{"hold on an unknown package", []edit{{holdFile, `package:    "igor-pavlov/7-zip"`, `package:    "igor-pavlov/7zip"`}}},
		{"hold on an unknown release", []edit{{holdFile, `release:    "24.09"`, `release:    "24.10"`}}},
		{"rollback to an unknown release", []edit{{holdFile, `rollbackTo: "24.08"`, `rollbackTo: "24.07"`}}},
		{"rollback to itself", []edit{{holdFile, `rollbackTo: "24.08"`, `rollbackTo: "24.09"`}}},
		{"rollback of what only goes forward", []edit{{sevenZip, `rollback: "previous"`, `rollback: "forwardOnly"`}}},
		{"revocation that ends", []edit{{holdFile, `reason:`, "expires:    \"2027-01-01T00:00:00Z\"\n\treason:"}}},
		{"hold named otherwise", []edit{{holdFile, `holds: "7-zip-24.09"`, `holds: "7-zip"`}}},
		{"freeze that ends before it begins", []edit{{freeze, `"2027-01-04T00:00:00+02:00"`, `"2026-01-04T00:00:00+02:00"`}}},
		{"freeze without end", []edit{{freeze, `"2027-01-04T00:00:00+02:00"`, `"2036-01-04T00:00:00+02:00"`}}},
		{"freeze without reason", []edit{{freeze, `	reason: "customers close their books"`, ``}}},
	})
}

func TestTenantNames(t *testing.T) {
	checkRules(t, []rule{
		{"no operator", []edit{{"tenants/operator.cue", "", ""}}},
		{"no partner", []edit{{partner, "", ""}}},
		{"id differs from folder", []edit{{tenant, `id:   "nordic/acme"`, `id:   "nordic/acne"`}}},
		{"zone", []edit{{tenant, `"Europe/Stockholm"`, `"Europe/Stokholm"`}}},
		{"unknown package", []edit{{tenant, `"acme/ledger-client": [`, `"acme/ledger": [`}}},
		{"unknown group", []edit{{tenant, `{group: "Finance"},`, `{group: "Finances"},`}}},
		{"unknown group left out", []edit{{tenant, `exclude: ["Finance"]`, `exclude: ["Sales"]`}}},
		{"group without tenant", []edit{{"tenants/nordic/beta/groups/sales/group.cue", "", "package tenants\n\ngroup: name: \"Sales\"\n"}}},
		{"window without length", []edit{{tenant, `until: "23:00"`, `until: "20:00"`}}},
		{"approver from and until", []edit{{"tenants/operator.cue", `from: "2026-03-01"`, `from: "2026-03-01", until: "2026-02-01"`}}},
		{"more approvals than approvers", []edit{{"tenants/operator.cue", `approvers:`, "trust: approvals: 3\n\tapprovers:"}}},
		{"one person with two roles", []edit{{"tenants/operator.cue", `approvers:`, "trust: approvals: 3\n\tapprovers: emergencies: [{login: \"Release-Manager-1\", name: \"First\", from: \"2025-01-01\"}]\n\tapprovers:"}}},
		{"approver who has left", []edit{{"tenants/operator.cue", `approvers:`, "trust: approvals: 2\n\tapprovers:"}, {"tenants/operator.cue", `from: "2026-03-01"`, `from: "2026-03-01", until: "2026-11-18"`}}},
		{"key that is none", []edit{{"tenants/operator.cue", `name: "Example MSP"`, "name: \"Example MSP\"\n\ttrust: keys: build: {pem: \"-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----\\n\", uses: [\"build\"], from: \"2026-01-01\"}"}}},
		{"pin that is no pattern", []edit{{tenant, `version: "24.*"`, `version: "[24"`}}},
		{"pin of an unknown package", []edit{{tenant, `pins: "igor-pavlov/7-zip"`, `pins: "igor-pavlov/7zip"`}}},
	})
}

// What lanes refuse: a way for urgent releases that leaves out a wave, and
// releases that are not of the lane's kind.
func TestLaneNames(t *testing.T) {
	const waves = "schedules/waves.cue"
	pilot := edit{waves, `waves: {`, "waves: pilot: {order: 7, lanesOnly: true, select: percent: 5, opens: step: \"deploy\", soak: \"4h\", gate: waves.dogfood.gate, lanes: cve: {after: \"4h\", soak: \"4h\", looks: [\"4h\"]}}\nwaves: {"}
	lane := func(wave, after string) edit {
		return edit{waves, wave + ": {", wave + ": {\n\t\tlanes: cve: {after: \"" + after + "\", soak: \"4h\", looks: [\"2h\", \"4h\"]}"}
	}
	order := edit{waves, `order: 2`, `order: 9`}
	checkRules(t, []rule{
		{"lane without a pilot", []edit{lane("dogfood", "0h"), lane("everyone", "24h")}},
		{"lane without our own devices", []edit{pilot, order, lane("everyone", "24h")}},
		{"lane whose waves open out of order", []edit{pilot, order, lane("dogfood", "0h"), lane("everyone", "3h")}},
		{"lane of a name there is not", []edit{{waves, "dogfood: {", "dogfood: {\n\t\tlanes: rush: {after: \"0h\", soak: \"4h\", looks: [\"4h\"]}"}}},
		{"lane with looks that fall", []edit{{waves, "dogfood: {", "dogfood: {\n\t\tlanes: oob: {after: \"0h\", soak: \"4h\", looks: [\"4h\", \"2h\"]}"}}},
		{"lane before its cut-off", []edit{{waves, "dogfood: {", "dogfood: {\n\t\tlanes: oob: {after: \"-1h\", soak: \"4h\", looks: [\"4h\"]}"}}},
		{"wave for no lane at all", []edit{{waves, "dogfood: {", "dogfood: {\n\t\tlanesOnly: true"}}},
		{"override in the week", []edit{{cycleFile, `waves:`, "overrides: {freezes: [\"2026-year-end\"], reason: \"it burns\"}\n\twaves:"}}},
		{"override of no freeze", []edit{{cycleFile, `waves:`, "overrides: {freezes: [\"year-end\"], reason: \"it burns\"}\n\twaves:"}}},
		{"carried from nowhere", []edit{{cycleFile, "release:  \"24.09\"", "release:  \"24.09\"\n\t\tcarriedFrom: \"2026-W46\""}}},
	})
}
