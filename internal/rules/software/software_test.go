package software

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func catalogued() *fleet.Repository {
	return &fleet.Repository{
		Publishers: map[string]fleet.Publisher{"igor-pavlov": {Name: "Igor Pavlov"}, "mozilla": {Name: "Mozilla"}, "notepad-plus-plus": {Name: "Notepad++ Team"}},
		Packages: map[fleet.PackageID]fleet.Package{
			"igor-pavlov/7-zip": {ID: "igor-pavlov/7-zip", Name: "7-Zip", Releases: map[string]fleet.Release{"24.09": {Installers: map[string]fleet.Download{
				"x64": {MSI: &fleet.MSIFacts{ProductCode: "{23170F69-40C1-2702-2409-000001000000}"}}}}}},
			"mozilla/firefox":                     {ID: "mozilla/firefox", Name: "Firefox", Identity: &fleet.PackageIdentity{Winget: "Mozilla.Firefox"}, Releases: map[string]fleet.Release{"145.0": {Installers: map[string]fleet.Download{"x64": {PE: &fleet.PEFacts{ProductName: "Mozilla Firefox"}}}}}},
			"notepad-plus-plus/notepad-plus-plus": {ID: "notepad-plus-plus/notepad-plus-plus", Name: "Notepad++"},
		},
	}
}

func TestFind(t *testing.T) {
	c := catalogOf(catalogued())
	for _, tt := range []struct{ name, version, publisher, want string }{
		{"7-Zip 24.09 (x64)", "24.09", "Igor Pavlov", "igor-pavlov/7-zip"},
		{"7-Zip 24.09 (x64 edition)", "24.09.00.0", "Igor Pavlov", "igor-pavlov/7-zip"},
		{"{23170F69-40C1-2702-2409-000001000000}", "", "", "igor-pavlov/7-zip"},
		{"Mozilla Firefox (x64 en-US)", "145.0", "Mozilla", "mozilla/firefox"},
		{"Mozilla Firefox ESR (x64 de)", "140.5.0", "Mozilla Corporation", "mozilla/firefox"},
		{"Mozilla Firefox 145.0 (x86 fi)", "145.0", "Mozilla", "mozilla/firefox"},
		{"Notepad++ (64-bit x64)", "8.7", "Notepad++ Team", "notepad-plus-plus/notepad-plus-plus"},
		{"Notepad", "11", "Microsoft", ""},
		{"Firefox Focus", "1", "Mozilla", ""},
		{"Firefox ESR", "1", "Somebody Else", ""},
		{"Mozilla Maintenance Service", "145", "Mozilla", ""},
		{"7 Wonders", "1", "Igor Pavlov", ""},
		{"---", "", "", ""},
	} {
		id, why := c.find(tt.name, Bare(tt.name, tt.version), tt.publisher)
		if string(id) != tt.want || (why == "") != (id == "") {
			t.Errorf("%q of %q is %q (%s), want %q", tt.name, tt.publisher, id, why, tt.want)
		}
	}
}

func TestCompare(t *testing.T) {
	at := time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)
	row := func(tenant fleet.TenantID, name, publisher, version string, n int, when time.Time) fleet.AppRow {
		return fleet.AppRow{Tenant: tenant, Name: name, Publisher: publisher, Version: version, Platform: "windows", Devices: n, At: when}
	}
	rows := []fleet.AppRow{
		row("p/a", "Gone", "", "1", 900, at.AddDate(0, 0, -7)),
		row("p/a", "Contoso Ledger 3.1", "Contoso Ltd", "3.1", 30, at), row("p/a", "Contoso Ledger 3.2", "Contoso Ltd", "3.2", 12, at),
		row("p/a", "7-Zip 24.09 (x64)", "Igor Pavlov", "24.09", 40, at), row("p/a", "Microsoft.WindowsCalculator", "Microsoft", "11", 40, at),
		{Tenant: "p/a", Rest: 800, Devices: 950, At: at},
		row("p/b", "Contoso Ledger 3.1", "Contoso Ltd", "3.1", 5, at), row("p/b", "Fabrikam Draw", "Fabrikam", "9", 500, at),
		row("p/b", "Fabrikam Draw", "Fabrikam", "9", 500, at),
	}
	c := Compare(catalogued(), Latest(rows))
	var got []string
	for _, p := range c.Uncatalogued {
		got = append(got, fmt.Sprintf("%s|%s|%d versions|%d tenants|%d devices", p.Name, p.Publisher, p.Versions, p.Tenants, p.Devices))
	}
	want := []string{"Contoso Ledger 3.1|Contoso Ltd|2 versions|2 tenants|47 devices", "Fabrikam Draw|Fabrikam|1 versions|1 tenants|500 devices"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(c.Catalogued) != 1 || c.Catalogued[0].Package != "igor-pavlov/7-zip" || c.Store != 1 || c.Rest != 800 || c.RestDevices != 950 {
		t.Errorf("%+v", c)
	}
}

func FuzzBare(f *testing.F) {
	f.Add("7-Zip 24.09 (x64)", "24.09")
	f.Add("((()))", "")
	f.Fuzz(func(t *testing.T, name, version string) {
		if bare := Bare(name, version); bare != plainWords(bare) {
			t.Errorf("%q is not bare", bare)
		}
	})
}
