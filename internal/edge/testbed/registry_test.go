package testbed

import (
	"slices"
	"strings"
	"testing"
)

const exampleRegistry = `WINE REGISTRY Version 2
;; All keys relative to REGISTRY\\Machine

#arch=win64

[Software\\Example\\Widget] 1795709871
#time=1dd7dc1af374718
@="dflt"
"D"=dword:0000000a
"E"=str(2):"%PATH%\xe4"
"H"=hex:01,02

[Software\\Ex\xe4mple\\[x\]] 1795709870
"Ver\"s\\i"="a\\b\"c"

[Software\\Wow6432Node\\Example] 1
"Version"="32"

[Software\\Empty] 1
`

func TestRegistry(t *testing.T) {
	r := registry{}
	if err := r.read(strings.NewReader(exampleRegistry), "HKLM"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key, name string
		view      int
		want      string
		found     bool
	}{
		{`HKLM\SOFTWARE\example\WIDGET`, "d", 64, "10", true},
		{`HKLM\Software\Example\Widget`, "E", 64, "%PATH%ä", true},
		{`HKLM\Software\Example\Widget`, "H", 64, "hex:01,02", true},
		{`HKLM\Software\Example\Widget`, "Absent", 64, "", false},
		{`HKLM\Software\Exämple\[x]`, `Ver"s\i`, 64, `a\b"c`, true},
		{`HKLM\Software\Example`, "Version", 32, "32", true},
		{`HKLM\Software\Wow6432Node\Example`, "Version", 32, "32", true},
		{`HKLM\Software\Example`, "Version", 64, "", false},
		{`HKLM\Software\Empty`, "", 64, "", true},
		{`HKCU\Software\Empty`, "", 64, "", false},
	} {
		if got, found := r.value(c.key, c.name, c.view); got != c.want || found != c.found {
			t.Errorf("%s %s (%d): %q %v", c.key, c.name, c.view, got, found)
		}
	}
}

// FuzzRegistry: a package writes what it likes into the registry; reading it
// ends, whatever stands there.
func FuzzRegistry(f *testing.F) {
	for _, seed := range []string{exampleRegistry, "[a", "[a\\", "[a\\x", "[a\\xzz]\n\"b\"=\"", "[a]\n\"b\\", "[a]\n\"b\"=str(", "[a]\n@=\"\\x0000\\xd800\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := registry{}
		if err := r.read(strings.NewReader(text), "HKLM"); err != nil {
			return
		}
		for key, values := range r {
			if !strings.HasPrefix(key, `hklm\`) {
				t.Errorf("key %q", key)
			}
			for name := range values {
				if name != strings.ToLower(name) {
					t.Errorf("value %q is not folded", name)
				}
			}
		}
	})
}

func TestNotable(t *testing.T) {
	before := survey{"file /usr/bin/old": true}
	after := survey{}
	for _, thing := range []string{
		"file /usr/bin/old", "file /usr/bin/w", "file /usr/lib/systemd/system/w.timer", "file /usr/lib/systemd/system/w.txt",
		"file /etc/systemd/system/multi-user.target.wants/w.service", "file /etc/cron.daily/w", "file /etc/init.d/w", "file /etc/xdg/autostart/w.desktop",
		"file /etc/ld.so.preload", "file /Library/LaunchDaemons/org.w.plist", "account w", "tcp 0.0.0.0:80",
		`file C:\windows\system32\Tasks\W\Update`, `file C:\users\x\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup\w.lnk`,
		`file C:\windows\System32\drivers\w.sys`, `file C:\Program Files\W\w.exe`,
		`registry HKLM\system\currentcontrolset\services\W\Start`, `registry HKLM\system\currentcontrolset\services\W\Type`,
		`registry HKCU\software\microsoft\windows\currentversion\run\W`, `registry HKLM\software\microsoft\windows nt\currentversion\schedule\taskcache\tree\W\Id`,
		`registry HKLM\software\w\Version`,
	} {
		after[thing] = true
	}
	want := []string{
		"account w", "autostart entry W", "autostart entry w.desktop", "autostart entry w.lnk", "cron job /etc/cron.daily/w", "driver file w.sys",
		"enabled unit w.service", "file /etc/ld.so.preload", "init script w", "launchd job org.w", "service W", "task Update", "task W", "unit w.timer",
	}
	if got := notable(after.added(before)); !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}
