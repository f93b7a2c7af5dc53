package desired

import "testing"

// What a configuration's settings may say beyond what the schema can tell.
func TestSettingRules(t *testing.T) {
	const file, old = "catalog/example-msp/browser-policy/package.cue", `settings: edge: catalogPolicy: "files/edge.json"`
	with := func(settings string) []edit { return []edit{{file, old, settings}} }
	checkRules(t, []rule{
		{"text of a dword", with(`settings: edge: registry: [{key: "HKLM\\SOFTWARE\\X", value: "V", type: "dword", data: "1"}]`)},
		{"large dword", with(`settings: edge: registry: [{key: "HKLM\\SOFTWARE\\X", value: "V", type: "dword", data: 4294967296}]`)},
		{"odd hexadecimal", with(`settings: edge: registry: [{key: "HKLM\\SOFTWARE\\X", type: "binary", data: "00f"}]`)},
		{"a value twice", with(`settings: edge: registry: [{key: "HKLM\\SOFTWARE\\X", value: "V", type: "qword", data: 1}, {key: "HKLM\\software\\x", value: "v", type: "qword", data: 2}]`)},
		{"another hive", with(`settings: edge: registry: [{key: "HKCU\\SOFTWARE\\X", value: "V", type: "qword", data: 1}]`)},
		{"no values", with(`settings: edge: registry: []`)},
		{"two kinds", with(`settings: edge: {profile: "files/edge.json", deviceConfiguration: "files/edge.json"}`)},
		{"two systems", with(`settings: edge: files: [{path: "/etc/x", content: "files/edge.json"}, {path: "C:\\x", content: "files/edge.json"}]`)},
		{"a way up", with(`settings: edge: files: [{path: "/etc/../x", content: "files/edge.json"}]`)},
		{"a way up on Windows", with(`settings: edge: files: [{path: "%ProgramData%\\..\\x", content: "files/edge.json"}]`)},
		{"a file twice", with(`settings: edge: files: [{path: "C:\\x", content: "files/edge.json"}, {path: "c:\\X", content: "files/edge.json"}]`)},
		{"no content", with(`settings: edge: files: [{path: "C:\\x", content: "files/none"}]`)},
		{"a script that is not ASCII", []edit{{"catalog/acme/ledger-client/files/alive.ps1", "", "Write-Output 'gr\u00f6n'\n"}}},
		{"a file of who runs the script", with(`settings: edge: files: [{path: "%AppData%\\Acme\\acme.ini", content: "files/edge.json"}]`)},
		{"a file below what is no place", with(`settings: edge: files: [{path: "%ProgamData%\\Acme\\acme.ini", content: "files/edge.json"}]`)},
		{"scripts of two systems", with(`settings: edge: scripts: {detect: "files/edge.json", remediate: "files/a.sh", revert: "files/edge.json"}`)},
	})
}
