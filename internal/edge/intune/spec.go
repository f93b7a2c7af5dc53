package intune

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

const (
	defaultMinutes = 60
	ownMinutes     = 15   // of the wrapper script, for copies and waiting
	mostMinutes    = 1440 // that the service takes
)

// properties are the app object's properties for a release, all but its notes
// and content.
func properties(app fleet.App, k kind, f *content) (appBody, error) {
	if app.Name == "" || app.Publisher == "" {
		return nil, invalid(app, "name and publisher must be given: the service demands both")
	}
	if app.UpdateOnly && k != kindWin32 {
		return nil, invalid(app, "it is to update what is there, and only devices with a Win32 app can be asked for that")
	}
	icon, err := largeIcon(app)
	if err != nil {
		return nil, err
	}
	base := mobileApp{
		ODataType: k.odata(), DisplayName: app.Name, Publisher: app.Publisher, Description: cmp.Or(app.Description, app.Name), LargeIcon: icon,
	}
	switch k {
	case kindStore:
		return storeProperties(app, base)
	case kindLob:
		base.FileName = f.name
		return lobProperties(app, base)
	case kindPkg, kindDmg:
		base.FileName = f.name
		p, err := bundleProperties(app, base)
		if err != nil || k == kindDmg {
			return p, err
		}
		return &pkgApp{bundleApp: *p, Before: scriptOf(app.BeforeText), After: scriptOf(app.AfterText)}, nil
	}
	base.FileName = cmp.Or(app.File.Name, "IntunePackage.intunewin")
	return win32Properties(app, base, f.container)
}

func win32Properties(app fleet.App, base mobileApp, f *intunewin.File) (*win32LobApp, error) {
	in := app.Installer
	install, uninstall, err := commands(app, f)
	if err != nil {
		return nil, err
	}
	rules, err := appRules(app)
	if err != nil {
		return nil, err
	}
	setup, _, err := wrapped(app, f)
	if err != nil {
		return nil, err
	}
	codes, err := returnCodes(app, setup)
	if err != nil {
		return nil, err
	}
	release, err := minimumRelease(app)
	if err != nil {
		return nil, err
	}
	p := &win32LobApp{
		mobileApp: base, DisplayVersion: app.Version, SetupFilePath: f.SetupFile,
		InstallCommandLine: install, UninstallCommandLine: uninstall,
		InstallExperience: experience(app, setup), ReturnCodes: codes, Rules: rules,
		ApplicableArchitectures: "none", AllowedArchitectures: architectures(in.Arch), MinimumRelease: release,
	}
	if in.Needs != nil {
		p.MinimumDiskMB, p.MinimumMemoryMB = positive(in.Needs.DiskMB), positive(in.Needs.MemoryMB)
	}
	if m := app.Download.MSI; in.Type == "msi" && m != nil {
		p.MSIInformation = &msiInformation{
			PackageType: "perMachine", ProductCode: m.ProductCode, ProductName: app.Name,
			ProductVersion: cmp.Or(m.ProductVersion, app.Version), Publisher: app.Publisher, UpgradeCode: m.UpgradeCode,
		}
		if in.Scope == "user" {
			p.MSIInformation.PackageType = "perUser"
		}
	}
	return p, nil
}

// specID identifies properties, so that a run sees what has to be written.
func specID(p appBody) string {
	data, err := json.Marshal(p)
	if err != nil {
		panic("intune: properties have no JSON form: " + err.Error())
	}
	return fleet.DeriveID("intune-app", string(data))[:16]
}

func invalid(app fleet.App, format string, args ...any) error {
	return fleet.Errorf(fleet.Invalid, "intune.publish", string(app.Package), format, args...)
}

func positive(n int) *int {
	if n <= 0 {
		return nil
	}
	return &n
}

// experience is how the agent runs the installer. What the wrapper script does
// the agent is not asked to do as well, and it gives the script the time it may
// wait and what it does itself.
func experience(app fleet.App, setup *wrapper.Setup) *installExperience {
	in := app.Installer
	e := &installExperience{
		RunAsAccount: "system", DeviceRestartBehavior: "suppress", InUseBehavior: "notEnabled",
		MaxRunTimeInMinutes: cmp.Or(in.Minutes, defaultMinutes),
	}
	if in.RunAs == "user" {
		e.RunAsAccount = "user"
	}
	if in.Restart == "byExitCode" {
		e.DeviceRestartBehavior = byReturnCode
	}
	switch in.InUse {
	case "close":
		e.InUseBehavior = "terminateWithoutUserInteraction"
	case "fail":
		e.InUseBehavior = "fail"
	}
	if setup == nil {
		return e
	}
	e.MaxRunTimeInMinutes = min(setup.Minutes+setup.WaitMinutes+ownMinutes, mostMinutes)
	if len(setup.Programs) > 0 {
		e.InUseBehavior = "notEnabled"
	}
	if app.RebootsOnly {
		e.DeviceRestartBehavior = "suppress"
	}
	return e
}

// architectures are those a package is offered on. An x64 program also runs on
// arm64, by emulation: but no matrix cell has tested that.
func architectures(arch string) string {
	switch arch {
	case "x86":
		return "x86,x64"
	case "universal", "":
		return "x86,x64,arm64"
	}
	return arch
}

// returnCodes are the service's own defaults and what the package adds, or what
// the wrapper script has made of them.
func returnCodes(app fleet.App, setup *wrapper.Setup) ([]returnCode, error) {
	types := map[int]string{0: "success", 1707: "success", 3010: "softReboot", 1641: "hardReboot", 1618: "retry"}
	if setup != nil {
		return listed(wrapper.ConsoleCodes()), nil
	}
	for text, meaning := range app.Installer.ExitCodes {
		code, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, invalid(app, "exit code %q is no 32-bit number", text)
		}
		switch meaning {
		case "success", "softReboot", "hardReboot", "retry", "failed":
			types[int(code)] = meaning
		default:
			return nil, invalid(app, "exit code %s: %q is no meaning the service knows", text, meaning)
		}
	}
	return listed(types), nil
}

func listed(types map[int]string) []returnCode {
	var out []returnCode
	for _, code := range slices.Sorted(maps.Keys(types)) {
		out = append(out, returnCode{code, types[code]})
	}
	return out
}

// windowsReleases are the builds of Windows releases under the names that
// minimumSupportedWindowsRelease takes, oldest first.
func windowsReleases() []struct {
	build int
	name  string
} {
	return []struct {
		build int
		name  string
	}{
		{14393, "1607"}, {15063, "1703"}, {16299, "1709"}, {17134, "1803"}, {17763, "1809"}, {18362, "1903"}, {18363, "1909"},
		{19041, "2004"}, {19042, "2H20"}, {19043, "21H1"}, {19044, "Windows10_21H2"}, {19045, "Windows10_22H2"},
		{22000, "Windows11_21H2"}, {22621, "Windows11_22H2"}, {22631, "Windows11_23H2"}, {26100, "Windows11_24H2"},
	}
}

// minimumRelease is the oldest release that satisfies needs.os: the service
// compares releases, not builds.
func minimumRelease(app fleet.App) (string, error) {
	releases := windowsReleases()
	if app.Installer.Needs == nil || app.Installer.Needs.OS == "" {
		return releases[0].name, nil
	}
	text := app.Installer.Needs.OS
	parts := strings.Split(strings.TrimPrefix(text, ">="), ".")
	if !strings.HasPrefix(text, ">=") || parts[0] != "10" {
		return "", invalid(app, "needs.os %q is not of the form \">=10.0.19045\"", text)
	}
	if len(parts) < 3 {
		return releases[0].name, nil
	}
	build, err := strconv.Atoi(parts[2])
	if err != nil {
		return "", invalid(app, "needs.os %q is not of the form \">=10.0.19045\"", text)
	}
	for _, r := range releases {
		if r.build >= build {
			return r.name, nil
		}
	}
	return "", invalid(app, "needs.os %q is newer than any Windows release the service knows by name", text)
}
