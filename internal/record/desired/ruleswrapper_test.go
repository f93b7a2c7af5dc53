package desired

import "testing"

// What devices are asked to do beyond running an installer.
func TestWrapperRules(t *testing.T) {
	checkRules(t, []rule{
		{"a program's path", []edit{{ledger, `["ledger.exe"]`, `["C:\\Ledger\\ledger.exe"]`}}},
		{"no program", []edit{{ledger, `["ledger.exe"]`, `["ledger"]`}}},
		{"what puts off", []edit{{ledger, `"restartPending"`, `"lunch"`}}},
		{"a file without its path", []edit{{ledger, `%ProgramData%\\Ledger\\ledger.ini`, `ledger.ini`}}},
		{"a file's wildcard", []edit{{ledger, `ledger.ini`, `*.ini`}}},
		{"a way up", []edit{{ledger, `\\ledger.ini`, `\\..\\x`}}},
		{"a file and a key", []edit{{ledger, `restore: "always"`, `key: "HKLM\\SOFTWARE\\X"`}}},
		{"restored sometimes", []edit{{ledger, `restore: "always"`, `restore: "sometimes"`}}},
		{"another account's key", []edit{{ledger, `HKLM\\SOFTWARE\\Ledger\\Sites`, `HKCU\\SOFTWARE\\Ledger\\Sites`}}},
		{"another account's file", []edit{{ledger, `%ProgramData%\\Ledger`, `%LocalAppData%\\Ledger`}}},
		{"a place outside quotation marks", []edit{{sevenZip, `type:     "msi"`, `type:     "msi", arguments: install: "/log={log}"`}}},
		{"another hive", []edit{{ledger, `HKLM\\SOFTWARE\\Policies`, `HKCU\\SOFTWARE\\Policies`}}},
		{"neither text nor number", []edit{{ledger, `, number: 0`, ``}}},
		{"an updater that is tolerated", []edit{{ledger, `updater: "disable"`, `updater: "tolerate"`}}},
		{"as the user", []edit{{ledger, `inUse: "close"`, `runAs: "user"`}}},
		{"a secret to nowhere", []edit{{ledger, `, LICENCEFILE: "{secret:ledger-licence-key}"`, ``}}},
		{"a secret that is not listed", []edit{{ledger, `{secret:ledger-licence-key}`, `{secret:other}`}}},
		{"a place that is none", []edit{{ledger, `"ledger.acme.example"`, `"{here}"`}}},
		{"a second line", []edit{{ledger, `"ledger.acme.example"`, `"x\r\ncalc"`}}},
		{"an open quotation mark", []edit{{sevenZip, `type:     "msi"`, `type:     "msi", arguments: install: "/q \"x"`}}},
		{"kept by a package for Linux", []edit{{sevenZip, `platform: "windows"`, `platform: "linux", keep: [{key: "HKLM\\SOFTWARE\\X"}]`}}},
	})
}
