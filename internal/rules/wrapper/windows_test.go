package wrapper

import (
	"regexp"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

const shell = `"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe" -NoLogo -NoProfile -NonInteractive -ExecutionPolicy `

func TestConsoleLine(t *testing.T) {
	night := fleet.Window{On: []string{"Mon", "Tue"}, From: "22:00", Until: "04:00", For: []string{"install", "reboot"}, Holidays: "open"}
	sunday := fleet.Window{On: []string{"Sun"}, From: "02:00", Until: "03:30", For: []string{"reboot"}, Holidays: "shut", DST: fleet.DSTRule{Gap: "skip", Fold: "second"}}
	for name, c := range map[string]struct {
		mode    string
		windows []fleet.Window
		shut    []string
		signed  bool
		want    string
	}{
		"any time": {ModeInstall, nil, []string{"2026-12-25"}, false, "Bypass -File packmill.ps1 -Mode Install"},
		"signed":   {ModeUninstall, nil, nil, true, "AllSigned -File packmill.ps1 -Mode Uninstall"},
		"windows": {ModeInstall, []fleet.Window{night, sunday}, []string{"2026-12-25", "2026-12-26"}, false,
			"Bypass -File packmill.ps1 -Mode Install -Window Mon+Tue@22:00-04:00 -Reboot Mon+Tue@22:00-04:00/Sun@02:00-03:30=hgs -Shut 2026-12-25+2026-12-26"},
		"holidays that shut nothing": {ModeInstall, []fleet.Window{night}, []string{"2026-12-25"}, false,
			"Bypass -File packmill.ps1 -Mode Install -Window Mon+Tue@22:00-04:00 -Reboot Mon+Tue@22:00-04:00"},
	} {
		got, err := ConsoleLine(c.mode, WhenOf(c.windows, c.shut), c.signed)
		if err != nil || got != shell+c.want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	many := make([]fleet.Window, 60)
	for i := range many {
		many[i] = sunday
	}
	for name, w := range map[string]When{
		"a day":             {Install: []fleet.Window{{On: []string{"Mon -Mode"}, From: "22:00", Until: "04:00"}}},
		"no day":            {Install: []fleet.Window{{From: "22:00", Until: "04:00"}}},
		"a clock":           {Reboot: []fleet.Window{{On: []string{"Mon"}, From: "24:00", Until: "04:00"}}},
		"a holiday":         {Install: []fleet.Window{sunday}, Shut: []string{"2026-12-25 & calc"}},
		"too many":          {Install: many},
		"too many together": {Install: many[:28], Reboot: many[:28]},
		"too many holidays": {Install: []fleet.Window{sunday}, Shut: strings.Split(strings.Repeat("2026-12-25 ", ShutHolds+1), " ")[:ShutHolds+1]},
	} {
		if got, err := ConsoleLine(ModeInstall, w, false); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

// TestParameters: what ConsoleLine may write is what the script's own patterns
// let in.
func TestParameters(t *testing.T) {
	patterns := regexp.MustCompile(`ValidatePattern\('(.*?)'\)\]\[string\]\$(\w+)`).FindAllStringSubmatch(script, -1)
	if len(patterns) != 4 {
		t.Fatalf("%d parameters with a pattern", len(patterns))
	}
	sample := map[string]string{
		"Window": "Mon+Tue@22:00-04:00/Sun@02:00-03:30=hgs", "Reboot": "Sat@00:00-06:00", "Shut": "2026-12-25+2026-12-26", "Since": "639000000000000000",
	}
	for _, p := range patterns {
		pattern, name := regexp.MustCompile(p[1]), p[2]
		if !pattern.MatchString(sample[name]) {
			t.Errorf("-%s %s is refused by %s", name, sample[name], p[1])
		}
		for _, bad := range []string{"a b", `a"b`, "a;b", "$(calc)", "`", "a'b", "a\n", "%x%", "|", "&"} {
			if pattern.MatchString(bad) {
				t.Errorf("-%s takes %q", name, bad)
			}
		}
	}
}
