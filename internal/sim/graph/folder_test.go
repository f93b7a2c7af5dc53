package graph

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

func TestUnable(t *testing.T) {
	pkg := fleet.Package{
		ID: "a/b", Installers: map[string]fleet.Installer{"x64": {Platform: "windows", Type: "msi", Transforms: []string{"files/fi.mst"}, Properties: map[string]string{"KEY": "{secret:key}"}, Secrets: []string{"key"}}},
		Releases: map[string]fleet.Release{"1": {Installers: map[string]fleet.Download{"x64": {MSI: &fleet.MSIFacts{ProductCode: "{23170F69-40C1-2702-2409-000001000000}"}}}}},
	}
	setup, err := wrapper.Make(pkg, "1", "x64", "A b.msi")
	if err != nil {
		t.Fatal(err)
	}
	data, err := setup.Encode()
	if err != nil {
		t.Fatal(err)
	}
	night := []fleet.Window{{On: []string{"Mon"}, From: "22:00", Until: "04:00", For: []string{"install"}, Holidays: "shut"}}
	line, err := wrapper.ConsoleLine(wrapper.ModeInstall, wrapper.WhenOf(night, []string{"2026-12-25"}), false)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"A b.msi": "x", "fi.mst": "x", wrapper.ScriptName: "x", wrapper.SetupName: string(data)}
	for name, c := range map[string]struct {
		line    string
		without string
		setup   string
		want    string // "" is a device that can
	}{
		"wrapped":          {line, "", "", ""},
		"no script":        {line, wrapper.ScriptName, "", "packmill.ps1 is not"},
		"no data":          {line, wrapper.SetupName, "", "packmill.json"},
		"no installer":     {line, "A b.msi", "", "A b.msi is not"},
		"no transform":     {line, "fi.mst", "", "fi.mst is not"},
		"other data":       {line, "", `{"schema":"x"}`, "schema"},
		"another window":   {strings.Replace(line, "22:00", "25:00", 1), "", "", "cannot be read"},
		"another line":     {strings.Replace(line, "-NoProfile ", "", 1), "", "", "does not start"},
		"msiexec":          {`msiexec /i "A b.msi" /qn`, "", "", ""},
		"a command file":   {"install.cmd", "", "", "install.cmd is not"},
		"the installer":    {`"setup.exe" /S`, "", "", ""},
		"removal":          {strings.Replace(line, "Mode Install", "Mode Uninstall", 1), "A b.msi", "", ""},
		"another removal":  {strings.Replace(line, "Mode Install", "Mode Restart", 1), "", "", "does not start"},
		"a file too large": {line, "", strings.Repeat(" ", wrapper.MaxSetup+1), "at most"},
	} {
		var buf bytes.Buffer
		z := zip.NewWriter(&buf)
		for file, text := range all {
			if file == wrapper.SetupName && c.setup != "" {
				text = c.setup
			}
			if file == c.without {
				continue
			}
			w, err := z.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "x.zip")
		if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		found, err := unpacked(f, int64(buf.Len()))
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := found.unable(c.line); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := (folder{}).unable("install.cmd"); got != "" {
		t.Errorf("content of a time before: %q", got)
	}
}
