package coverage

import (
	"reflect"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestNameOf(t *testing.T) {
	for _, c := range []struct{ platform, version, want string }{
		{"windows", "10.0.22631.4460", "Windows 11 23H2"}, {"windows", "10.0.19045", "Windows 10 22H2"}, {"windows", "10.0.99999.1", "10.0.99999.1"},
		{"windows", "", ""}, {"macos", "15.3.1", "macOS 15"}, {"macos", "10.15.7", "macOS 10.15"}, {"macos", "", ""}, {"linux", "22.04", "22.04"},
	} {
		if got := NameOf(c.platform, c.version); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.platform, c.version, got, c.want)
		}
	}
}

func TestOf(t *testing.T) {
	github := fleet.Runner{GitHub: "x"}
	environments := map[string]fleet.Environment{
		"win11":     {Platform: "windows", OS: "Windows 11", Runner: github},
		"win11-24":  {Platform: "windows", OS: "Windows 11 24H2", Hardware: "Contoso L14", Runner: github},
		"server":    {Platform: "windows", OS: "Windows Server 2025", Runner: github},
		"wine":      {Platform: "windows", OS: "Windows 10 22H2", Runner: fleet.Runner{Local: "wine"}},
		"debian-12": {Platform: "linux", OS: "Debian 12", Runner: fleet.Runner{Local: "chroot"}},
		"rpm":       {Platform: "linux", OS: "rpm", Runner: fleet.Runner{Local: "rpm"}},
	}
	device := func(platform, build, model string) fleet.InventoryRow {
		return fleet.InventoryRow{Platform: platform, OSBuild: build, Attributes: map[string]string{"model": model}}
	}
	got := Of(environments, map[fleet.TenantID][]fleet.InventoryRow{
		"a": {device("windows", "10.0.26100.1", "Contoso L14"), device("windows", "10.0.26100.2", "Contoso X1"), device("windows", "10.0.22631.1", "")},
		"b": {device("windows", "10.0.19045.1", "Contoso X1"), device("linux", "12.5", ""), device("macos", "15.1", "Mac1,1"), device("macos", "15.2", "Mac1,1"), device("macos", "15.2", "Mac1,1")},
	})
	want := Report{
		Devices: 8, Covered: 4,
		Systems: []Share{
			{"macos", "macOS 15", 3, []string{}},
			{"windows", "Windows 11 24H2", 2, []string{"win11", "win11-24"}},
			{"linux", "12.5", 1, []string{"debian-12"}},
			{"windows", "Windows 10 22H2", 1, []string{}},
			{"windows", "Windows 11 23H2", 1, []string{"win11"}},
		},
		Models: []Share{{"macos", "Mac1,1", 3, []string{}}, {"windows", "Contoso X1", 2, []string{}}, {"windows", "Contoso L14", 1, []string{"win11-24"}}},
	}
	if !reflect.DeepEqual(got, want) || got.Percent() != 50 {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if empty := Of(environments, nil); empty.Devices != 0 || empty.Percent() != 0 {
		t.Errorf("nobody's devices: %+v", empty)
	}
}
