package msi

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func open(t testing.TB, name string) *File {
	t.Helper()
	data, err := os.ReadFile(build(t, name))
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// same compares what a view read with what the recipe says.
func same[T any](t *testing.T, what string, got []T, err error, want ...T) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d, want %d: %+v", what, len(got), len(want), got)
		return
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("%s %d:\n got %+v\nwant %+v", what, i, got[i], want[i])
		}
	}
}

const mainGUID = "{0E5B1C5E-2D5F-4E52-9F0B-7D6C2B1A9E33}"

func TestServiceView(t *testing.T) {
	f := open(t, "service")
	const exe = `[ProgramFiles64Folder]\Widget\application-long-name.exe`
	services, err := f.Services()
	same(t, "service", services, err, Service{
		ID: "Svc", Name: "tjanst", DisplayName: "Tjänsten", Description: "Serves", Start: "auto",
		Account: `NT AUTHORITY\LocalService`, Arguments: "-run", Dependencies: []string{"Tcpip", "+net"},
		ErrorControl: 1, Component: "Main", Binary: exe,
	}, Service{ID: "Second", Name: "second", Start: "demand", Shared: true, Interactive: true, ErrorControl: 3, Vital: true, Component: "Main", Binary: exe})
	components, err := f.Components()
	same(t, "component", components, err, Component{ID: "Main", GUID: mainGUID, Directory: `[ProgramFiles64Folder]\Widget`,
		KeyPath: "App", KeyKind: KeyFile, Is64: true})
	files, err := f.Files()
	same(t, "file", files, err, InstalledFile{ID: "App", Component: "Main", ShortName: "application-long-name.exe",
		Name: "application-long-name.exe", Size: 10_500, Sequence: 1, Is64: true, Path: exe, Vital: true})
	s := f.Summary
	if s.Author != "Example AS" || s.Comments != "Über alles" || s.Pages != 500 || !s.Compressed || s.NoElevation ||
		s.Security != 2 || !slices.Equal(s.Platforms, []string{"x64"}) || !slices.Equal(s.Languages, []int{1033}) || s.Created.IsZero() {
		t.Errorf("summary %+v", s)
	}
	if f.ProductName != "Tjänst" || f.PackageCode != s.Revision || len(f.PackageCode) != 38 {
		t.Errorf("product %q, package code %q", f.ProductName, f.PackageCode)
	}
}

func TestScopeView(t *testing.T) {
	for name, want := range map[string]struct {
		arch  string
		scope Scope
	}{
		"service": {"x64", Scope{Machine: true, Default: "machine"}},
		"user":    {"x86", Scope{User: true, Default: "user", NoElevation: true}},
		"either":  {"x64", Scope{Machine: true, User: true, Default: "user"}},
	} {
		if f := open(t, name); f.Arch != want.arch || f.Scope() != want.scope {
			t.Errorf("%s: %s, %+v", name, f.Arch, f.Scope())
		}
	}
	for allUsers, want := range map[string]Scope{
		"2": {Machine: true, User: true, Default: "machine"}, "0": {},
	} {
		if got := (&File{Properties: map[string]string{"ALLUSERS": allUsers}}).Scope(); got != want {
			t.Errorf("ALLUSERS=%s: %+v", allUsers, got)
		}
	}
}

func TestRegistryView(t *testing.T) {
	f := open(t, "registry")
	values, err := f.RegistryValues()
	byID := map[string]RegistryValue{}
	for _, v := range values {
		byID[v.ID] = v
	}
	want := []RegistryValue{
		{ID: "text", Component: "R32", Root: "HKLM", Key: `Software\Widget\`, Name: "s", Action: RegistryWrite, Type: "string", Value: "text"},
		{ID: "number", Component: "R32", Root: "HKLM", Key: `Software\Widget\`, Name: "n", Action: RegistryWrite, Type: "dword", Value: "42"},
		{ID: "hash", Component: "R32", Root: "HKCU", Key: `Software\X`, Name: "u", Action: RegistryWrite, Type: "string", Value: "#1"},
		{ID: "class", Component: "R32", Root: "HKCR", Key: `.wdg`, Action: RegistryWrite, Type: "string", Value: "Widget.File"},
		{ID: "wide", Component: "R64", Root: "HKLM", Key: `Software\Wide`, Name: "w", Action: RegistryWrite, Type: "string", Value: "[INSTALLDIR]", Is64: true},
		{ID: "users", Component: "R32", Root: "HKU", Key: "k", Name: "n", Action: RegistryWrite, Type: "expand", Value: "%TEMP%"},
		{ID: "either", Component: "R64", Root: "HKLM|HKCU", Key: "k", Name: "n", Action: RegistryWrite, Type: "binary", Value: "DEADBEEF", Is64: true},
		{ID: "make", Component: "R64", Root: "HKLM", Key: "made", Action: RegistryCreateKey, Is64: true},
		{ID: "drop", Component: "R64", Root: "HKLM", Key: "dropped", Action: RegistryRemoveKey, Is64: true},
		{ID: "multi", Component: "R64", Root: "HKLM", Key: "k", Name: "m", Action: RegistryWrite, Type: "multi", Value: "a[~]b", Is64: true},
	}
	var got []RegistryValue
	for _, w := range want {
		got = append(got, byID[w.ID])
	}
	if len(values) != len(want) {
		t.Errorf("%d values, want %d", len(values), len(want))
	}
	same(t, "registry value", got, err, want...)
	components, err := f.Components()
	same(t, "component", components, err,
		Component{ID: "R32", GUID: mainGUID, Directory: `[ProgramFilesFolder]\Widget`, KeyPath: "text", KeyKind: KeyRegistry},
		Component{ID: "R64", GUID: "{0E5B1C5E-2D5F-4E52-9F0B-7D6C2B1A9E34}", Directory: `[ProgramFilesFolder]\Widget`, KeyPath: "wide", KeyKind: KeyRegistry, Is64: true},
		Component{ID: "Bare", Directory: `[ProgramFilesFolder]\Widget`, Condition: "VersionNT64", KeyKind: KeyFolder, Permanent: true, SharedCount: true, Transitive: true, NoOverwrite: true})
}

func TestUpgradeView(t *testing.T) {
	f := open(t, "upgrade")
	upgrades, err := f.Upgrades()
	slices.SortFunc(upgrades, func(a, b Upgrade) int { return strings.Compare(a.Property, b.Property) })
	same(t, "upgrade", upgrades, err,
		Upgrade{UpgradeCode: upgradeCode, VersionMin: "2.3.4", OnlyDetect: true, Property: "NEWER"},
		Upgrade{UpgradeCode: upgradeCode, VersionMin: "1.0.0", VersionMax: "2.3.4", MinInclusive: true, Property: "OLDER"},
		Upgrade{UpgradeCode: "{11111111-2222-3333-4444-555555555555}", VersionMin: "0.0.0", VersionMax: "9.0.0", MinInclusive: true, Property: "OTHER"},
		Upgrade{UpgradeCode: upgradeCode, VersionMax: "1.0.0", MaxInclusive: true, Language: "1031", LanguagesExcluded: true, IgnoreFailure: true, MigrateFeatures: true, Remove: "All", Property: "RARE"})
	conditions, err := f.LaunchConditions()
	slices.SortFunc(conditions, func(a, b LaunchCondition) int { return strings.Compare(a.Message, b.Message) })
	same(t, "condition", conditions, err,
		LaunchCondition{"NOT SMODE", `No "S" mode, naïve one.`},
		LaunchCondition{"VersionNT >= 1000 OR Installed", "Windows 10 or later."})
	if none, err := open(t, "user").Upgrades(); err != nil || len(none) != 0 {
		t.Errorf("an MSI without upgrades has %v, %v", none, err)
	}
}

func TestActionView(t *testing.T) {
	actions, err := open(t, "actions").CustomActions()
	slices.SortFunc(actions, func(a, b CustomAction) int { return strings.Compare(a.ID, b.ID) })
	same(t, "action", actions, err,
		CustomAction{ID: "Dll", Type: 2113, Kind: ActionDLL, From: "binary", Source: "helper", Target: "Entry", IgnoreFailure: true},
		CustomAction{ID: "Folder", Type: 35, Kind: ActionDirectory, Source: "INSTALLDIR", Target: "[TARGETDIR]x"},
		CustomAction{ID: "Inline", Type: 38, Kind: ActionVBScript, From: "inline", Target: "MsgBox 1"},
		CustomAction{ID: "Secret", Type: 8243, Kind: ActionProperty, Source: "PASSWORD", Hidden: true},
		CustomAction{ID: "Setup", Type: 3090, Kind: ActionEXE, From: "file", Source: "App", Target: "/quiet", Deferred: true, NoImpersonate: true},
		CustomAction{ID: "Stop", Type: 19, Kind: ActionError, Target: "No."},
		CustomAction{ID: "Undo", Type: 3346, Kind: ActionEXE, From: "file", Source: "App", Target: "/undo", Deferred: true, NoImpersonate: true, Rollback: true})
	code := 0
	for _, a := range actions {
		if a.RunsCode() {
			code++
		}
	}
	if code != 4 {
		t.Errorf("%d actions run code, want 4", code)
	}
	for bits, want := range map[int]ActionKind{
		2: ActionEXE, 5: ActionJScript, 6: ActionVBScript, 7: ActionInstall, 17: ActionDLL, 21: ActionJScript, 22: ActionVBScript,
		34: ActionEXE, 37: ActionJScript, 50: ActionEXE, 51: ActionProperty, 53: ActionJScript, 54: ActionVBScript,
		0: ActionUnknown, 33: ActionUnknown, 49: ActionUnknown, 3: ActionUnknown,
	} {
		if got, _ := actionKindOf(bits); got != want {
			t.Errorf("type %d is %s, want %s", bits, got, want)
		}
	}
}

func TestFolderView(t *testing.T) {
	f := open(t, "features")
	files, err := f.Files()
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{}
	for _, one := range files {
		paths[one.ID] = one.Path
	}
	if len(paths) != 13 || paths["Data"] != `D:\data\data.txt` || paths["F2"] != `[ProgramFiles64Folder]\sub 0\sub 1\sub 2\note 2.txt` {
		t.Errorf("paths %q", paths)
	}
	features, err := f.Features()
	if err != nil || len(features) != 13 {
		t.Fatalf("%d features, %v", len(features), err)
	}
	i := slices.IndexFunc(features, func(one Feature) bool { return one.ID == "Feature5" })
	if want := (Feature{ID: "Feature5", Parent: "Feature4", Title: "Part 5", Level: 2}); i < 0 || features[i] != want {
		t.Errorf("features %+v", features)
	}
}

func TestShortcutView(t *testing.T) {
	f := open(t, "shortcuts")
	const menu, dir = `[ProgramMenuFolder]\Widgets`, `[ProgramFilesFolder]\Widget`
	shortcuts, err := f.Shortcuts()
	slices.SortFunc(shortcuts, func(a, b Shortcut) int { return strings.Compare(a.ID, b.ID) })
	same(t, "shortcut", shortcuts, err,
		Shortcut{ID: "adv", Name: "Widget", Directory: menu, Target: dir + `\application-long-name.exe`, Advertised: true, Component: "Main"},
		Shortcut{ID: "direct", Name: "Direct start", Directory: menu, Target: dir + `\application-long-name.exe`, Arguments: "--fast", Component: "Main"},
		Shortcut{ID: "folder", Name: "Docs", Directory: menu, Target: dir + `\docs\index.html`, Component: "Main"})
	cabinets, err := f.Cabinets()
	if err != nil || len(cabinets) != 2 || cabinets[0].Name != "app.cab" || !cabinets[0].Embedded || cabinets[0].Size < 60 ||
		cabinets[1] != (Cabinet{Name: "beside.cab", Disk: 2}) {
		t.Errorf("cabinets %+v, %v", cabinets, err)
	}
	if len(f.Storages()) != 0 {
		t.Errorf("storages %q", f.Storages())
	}
}

// A database with more than 65,535 texts names them with three bytes.
func TestManyTexts(t *testing.T) {
	f := open(t, "many")
	values, err := f.RegistryValues()
	if err != nil || len(values) != 22_100 || f.texts.refSize != 3 {
		t.Fatalf("%d values, numbers of %d bytes, %v", len(values), f.texts.refSize, err)
	}
	if last := values[len(values)-1]; last.Name != "name 22099" || last.Value != "value 22099" {
		t.Errorf("the last is %+v", last)
	}
}

// Texts for people hold no control characters; exact ones do.
func TestTexts(t *testing.T) {
	f := open(t, "texts")
	if f.Properties["LINES"] != "onetwothreefour" || len(f.Properties["LONG"]) != 72_000 {
		t.Errorf("LINES is %q, LONG has %d bytes", f.Properties["LINES"], len(f.Properties["LONG"]))
	}
	if open(t, "russian").ProductName != "Привет, мир" || open(t, "japanese").ProductName != "日本語ソフト" {
		t.Error("a code page is not read")
	}
}
