package fleet

import "testing"

func TestEnvironmentTakes(t *testing.T) {
	debian := Environment{Platform: "linux", Arch: "x64", Runner: Runner{Local: "chroot"}}
	fedora := Environment{Platform: "linux", Arch: "x64", Runner: Runner{Local: "rpm"}}
	windows := Environment{Platform: "windows", Arch: "x64", Runner: Runner{GitHub: "windows-2025"}}
	wine := Environment{Platform: "windows", Arch: "x64", Runner: Runner{Local: "wine"}}
	mac := Environment{Platform: "macos", Arch: "arm64", Runner: Runner{GitHub: "macos-26"}}
	for _, c := range []struct {
		env            Environment
		platform, arch string
		kind           string
		want           bool
	}{
		{debian, "linux", "x64", "deb", true}, {debian, "linux", "universal", "deb", true}, {debian, "linux", "arm64", "deb", false},
		{debian, "linux", "x64", "rpm", false}, {debian, "linux", "x64", "portable", true}, {debian, "windows", "x64", "msi", false},
		{fedora, "linux", "x64", "rpm", true}, {fedora, "linux", "x64", "deb", false}, {fedora, "linux", "x86", "rpm", false},
		{windows, "windows", "x64", "msi", true}, {windows, "windows", "x86", "exe", true}, {windows, "windows", "arm64", "msi", false},
		{wine, "windows", "x64", "msi", true}, {wine, "windows", "x64", "msix", false}, {wine, "windows", "x86", "exe", false},
		{mac, "macos", "universal", "pkg", true}, {mac, "macos", "x64", "pkg", false},
	} {
		if got := c.env.Takes(Installer{Platform: c.platform, Arch: c.arch, Type: c.kind}); got != c.want {
			t.Errorf("%+v takes %s for %s on %s: %v", c.env, c.kind, c.arch, c.platform, got)
		}
	}
}
