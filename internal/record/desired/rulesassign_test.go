package desired

import "testing"

// What an assignment cannot say, by itself or of its package.
func TestAssignments(t *testing.T) {
	with := func(more string) edit {
		return edit{tenant, `"igor-pavlov/7-zip": [{}]`, `"igor-pavlov/7-zip": [{` + more + `}]`}
	}
	const restart = `restart: {graceMinutes: 60, countdownMinutes: 15}`
	adopt := func(more string) edit {
		return edit{tenant, `labels: role:      "customer"`, "labels: role:      \"customer\"\n\tadopt: {" + more + "}"}
	}
	leave := func(more string) edit {
		return edit{tenant, `labels: role:      "customer"`, "labels: role:      \"customer\"\n\tleave: {" + more + "}"}
	}
	restore := func(id string) edit {
		return edit{tenant, `labels: role:      "customer"`, "labels: role:      \"customer\"\n\trestore: \"" + id + "\": {reason: \"agreed\", expires: \"2027-02-01T00:00:00Z\"}"}
	}
	acknowledge := func(more string) edit {
		return edit{tenant, `labels: role:      "customer"`, "labels: role:      \"customer\"\n\tacknowledged: portal: {reason: \"agreed\", by: \"Pia\", " + more + "}"}
	}
	const patch = `package catalog

import "github.com/packmill/packmill/schema"

pkg: schema.#Package & {
	id:   "microsoft/kb5068861"
	name: "A patch"
	kind: "osPatch"
	sources: ["packmill patches, 2026-11-11"]
	patch: {kb: "KB5068861", builds: "11-24H2": "26100.7171", reboot: "always"}
	tests: matrix: []
	rollback: "forwardOnly"
}
`
	const app = "0b1c2d3e-1111-4222-8333-444455556666"
	checkRules(t, []rule{
		{"all devices left out", []edit{with(`exclude: ["all devices"]`)}},
		{"all users left out", []edit{{tenant, `exclude: ["Finance"]`, `exclude: ["all users"]`}}},
		{"devices and users", []edit{{tenant, `{group: "Finance"},`, `{group: "all devices"},`}}},
		{"a filter's mode without a filter", []edit{with(`filterMode: "exclude"`)}},
		{"a filter's mode that is none", []edit{with(`filter: "Desks", filterMode: "some"`)}},
		{"a delivery that is none", []edit{with(`delivery: "background"`)}},
		{"restarts that nothing makes", []edit{with(restart), {"tenants/operator.cue", `reboot:             "windowOnly"`, `reboot:             "anytime"`}}},
		{"restarts that policy keeps to the window", []edit{with(restart), {sevenZip, `detect: [{msiProduct: true}]`, "detect: [{msiProduct: true}]\n\t\trestart: \"byExitCode\""}}},
		{"a countdown longer than the grace", []edit{with(`restart: {graceMinutes: 10, countdownMinutes: 11}`)}},
		{"a snooze longer than the grace", []edit{with(`restart: {graceMinutes: 10, countdownMinutes: 5, snoozeMinutes: 11}`)}},
		{"a grace of three weeks", []edit{with(`restart: {graceMinutes: 30240, countdownMinutes: 15}`)}},
		{"a user's program for devices", []edit{{sevenZip, `detect: [{msiProduct: true}]`, "detect: [{msiProduct: true}]\n\t\tscope: \"user\""}}},
		{"an update of what cannot be asked for", []edit{with(`intent: "updateOnly"`)}},
		{"an adoption by name", []edit{adopt(`"igor-pavlov/7-zip": "7-Zip"`)}},
		{"an adoption for nobody", []edit{adopt(`"mozilla/firefox": "` + app + `"`)}},
		{"one app for two packages", []edit{adopt(`"igor-pavlov/7-zip": "` + app + `", "acme/ledger-client": "` + app + `"`)}},
		{"an acknowledgement of nothing", []edit{acknowledge(``)}},
		{"an acknowledgement without an object", []edit{acknowledge(`from: "2026-11-01T00:00:00Z", until: "2026-11-02T00:00:00Z"`)}},
		{"an acknowledgement for ever", []edit{acknowledge(`objects: ["` + app + `"], from: "2026-11-01T00:00:00Z"`)}},
		{"an acknowledgement backwards", []edit{acknowledge(`objects: ["` + app + `"], from: "2026-11-02T00:00:00Z", until: "2026-11-01T00:00:00Z"`)}},
		{"an acknowledgement of what comes", []edit{acknowledge(`objects: ["` + app + `"], from: "2026-11-01T00:00:00Z", until: "2036-11-02T00:00:00Z"`)}},
		{"offered to devices", []edit{with(`intent: "available"`)}},
		{"a word for what stays", []edit{leave(`"igor-pavlov/7-zip": "keep"`)}},
		{"an uninstallation of what is not named", []edit{leave(`"igor-pavlov/7-zip": "uninstall"`), {tenant, `"igor-pavlov/7-zip": [{}]`, ``}}},
		{"a package that is none leaves", []edit{leave(`"mozilla/firefix": "keep"`)}},
		{"a way to leave that is none", []edit{leave(`"igor-pavlov/7-zip": "burn"`)}},
		{"a restoration of nothing", []edit{restore("mozilla/firefix")}},
		{"a restoration of what it does not have", []edit{restore("igor-pavlov/7-zip"), {tenant, `"igor-pavlov/7-zip": [{}]`, ``}}},
		{"a restoration of an approval", []edit{restore("microsoft/kb5068861"), {tenant, `"igor-pavlov/7-zip": [{}]`, "\"igor-pavlov/7-zip\": [{}]\n\t\t\"microsoft/kb5068861\": [{}]"}, {"catalog/microsoft/kb5068861/package.cue", "", patch}}},
		{"an uninstallation of what another needs", []edit{leave(`"igor-pavlov/7-zip": "uninstall"`)}},
		{"an end of what another needs", []edit{leave(`"igor-pavlov/7-zip": "keep"`), {tenant, `"igor-pavlov/7-zip": [{}]`, ``}}},
		{"an uninstallation of what people installed", []edit{leave(`"igor-pavlov/7-zip": "uninstall", "acme/ledger-client": "uninstall"`), with(`intent: "updateOnly"`), {sevenZip, `detect: [{msiProduct: true}]`, `detect: [{registry: {key: "HKLM\\SOFTWARE\\7-Zip", value: "Version"}}]`}}},
		{"an adoption without a console", []edit{adopt(`"igor-pavlov/7-zip": "` + app + `"`), {tenant, `intune: directory: "7f6e1c52-0000-0000-0000-000000000000"`, ``}}},
	})
}

// TestLeavesTogether: what another package requires may leave with that one.
func TestLeavesTogether(t *testing.T) {
	leave := func(more string) edit {
		return edit{tenant, `labels: role:      "customer"`, "labels: role:      \"customer\"\n\tleave: {" + more + "}"}
	}
	for _, edits := range [][]edit{
		{leave(`"igor-pavlov/7-zip": "uninstall", "acme/ledger-client": "uninstall"`)},
		{leave(`"acme/ledger-client": "uninstall"`)},
		{leave(`"acme/ledger-client": "uninstall"`), {tenant, `"igor-pavlov/7-zip": [{}]`, ``}},
	} {
		if _, err := load(t, edited(t, edits...)); err != nil {
			t.Errorf("%v: %v", edits, err)
		}
	}
}
