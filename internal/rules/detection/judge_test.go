package detection

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestJudge(t *testing.T) {
	file := fleet.Detect{File: &fleet.FileRule{Path: `C:\w.exe`}}
	fileVersion := fleet.Detect{File: &fleet.FileRule{Path: `C:\w.exe`, Version: true}}
	newer := fileVersion
	newer.Operator = ">="
	value := fleet.Detect{Operator: "=", Registry: &fleet.RegistryRule{Key: `HKLM\W`, Value: "Version"}}
	valueNewer := value
	valueNewer.Operator = ">="
	key := fleet.Detect{Registry: &fleet.RegistryRule{Key: `HKLM\W`}}
	product := fleet.Detect{MSIProduct: true}
	pkg := fleet.Detect{Package: "widget"}
	script := fleet.Detect{Script: "files/detect.ps1"}
	msi := fleet.Download{MSI: &fleet.MSIFacts{ProductCode: "{C}", ProductVersion: "24.09.00.0"}}
	deb := fleet.Download{Deb: &fleet.DebFacts{Package: "widget", Version: "1:2.0~rc1-3"}}
	for name, c := range map[string]struct {
		rules   []fleet.Detect
		release string
		d       fleet.Download
		seen    []Observation
		want    bool
		why     string
	}{
		"file there":                  {[]fleet.Detect{file}, "1.2", fleet.Download{}, []Observation{{Found: true}}, true, "holds"},
		"file not there":              {[]fleet.Detect{file}, "1.2", fleet.Download{}, []Observation{{}}, false, "not there"},
		"same version, four parts":    {[]fleet.Detect{fileVersion}, "1.2", fleet.Download{}, []Observation{{true, "1.2.0.0"}}, true, ""},
		"other version":               {[]fleet.Detect{fileVersion}, "1.2", fleet.Download{}, []Observation{{true, "1.10"}}, false, "exactly 1.2"},
		"newer is enough":             {[]fleet.Detect{newer}, "1.2", fleet.Download{}, []Observation{{true, "1.10"}}, true, ""},
		"older is not":                {[]fleet.Detect{newer}, "1.2", fleet.Download{}, []Observation{{true, "1.1.9"}}, false, "at least 1.2"},
		"file tells no version":       {[]fleet.Detect{fileVersion}, "1.2", fleet.Download{}, []Observation{{Found: true}}, false, "no version"},
		"device says nonsense":        {[]fleet.Detect{newer}, "1.2", fleet.Download{}, []Observation{{true, "Latest"}}, false, ""},
		"text that has no order":      {[]fleet.Detect{value}, "spring", fleet.Download{}, []Observation{{true, "spring"}}, true, ""},
		"other text":                  {[]fleet.Detect{value}, "spring", fleet.Download{}, []Observation{{true, "autumn"}}, false, ""},
		"key alone":                   {[]fleet.Detect{key}, "1.2", fleet.Download{}, []Observation{{Found: true}}, true, ""},
		"msi by its own version":      {[]fleet.Detect{product}, "24.09", msi, []Observation{{true, "24.9"}}, true, ""},
		"msi of the release before":   {[]fleet.Detect{product}, "24.09", msi, []Observation{{true, "24.08.00.0"}}, false, ""},
		"msi that tells no version":   {[]fleet.Detect{product}, "24.09", fleet.Download{MSI: &fleet.MSIFacts{}}, []Observation{{Found: true}}, true, ""},
		"deb in its own order":        {[]fleet.Detect{pkg}, "2.0-rc1", deb, []Observation{{true, "1:2.0~rc1-3"}}, true, ""},
		"deb without epoch":           {[]fleet.Detect{pkg}, "2.0-rc1", deb, []Observation{{true, "2.0~rc1-3"}}, false, ""},
		"script":                      {[]fleet.Detect{script}, "7", fleet.Download{}, []Observation{{Found: true}}, true, ""},
		"all must hold":               {[]fleet.Detect{file, value}, "1.2", fleet.Download{}, []Observation{{Found: true}, {true, "1.1"}}, false, "registry value"},
		"all hold":                    {[]fleet.Detect{file, value}, "1.2", fleet.Download{}, []Observation{{Found: true}, {true, "1.2"}}, true, "2 rules"},
		"an uncomparable one, absent": {[]fleet.Detect{valueNewer}, "spring", fleet.Download{}, []Observation{{}}, false, "not there"},
	} {
		got, why, err := Judge(c.rules, c.release, c.d, c.seen)
		if err != nil || got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %v %q %v", name, got, why, err)
		}
	}
	for name, c := range map[string]struct {
		rules []fleet.Detect
		seen  []Observation
	}{
		"no rules":              {nil, nil},
		"an answer too few":     {[]fleet.Detect{file, key}, []Observation{{Found: true}}},
		"order of what has not": {[]fleet.Detect{valueNewer}, []Observation{{true, "spring"}}},
	} {
		if got, _, err := Judge(c.rules, "spring", fleet.Download{}, c.seen); got || fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func TestName(t *testing.T) {
	for want, rule := range map[string]fleet.Detect{
		"the MSI product":                   {MSIProduct: true},
		`file C:\w.exe`:                     {File: &fleet.FileRule{Path: `C:\w.exe`}},
		`registry key HKLM\W`:               {Registry: &fleet.RegistryRule{Key: `HKLM\W`}},
		`registry value HKLM\W\V`:           {Registry: &fleet.RegistryRule{Key: `HKLM\W`, Value: "V"}},
		"bundle org.example.w":              {Bundle: "org.example.w"},
		"package w":                         {Package: "w"},
		"what script files/d.ps1 looks for": {Script: "files/d.ps1"},
	} {
		if got := Name(rule); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
