package testbed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWineStartsAgain gives a device a Wine that cannot start the first two
// processes, as a busy machine's now and then cannot, and one that dies in the
// middle of a command: only what never began is begun again.
func TestWineStartsAgain(t *testing.T) {
	cell := wineCell(t)
	programs, err := cell.programs()
	if err != nil {
		t.Fatal(err)
	}
	base, err := cell.prepare(t.Context(), programs)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, wine string
		want       string // of the error, "" for none
		starts     string
	}{
		{"twice", `[ $n -gt 2 ] || { echo cannot start; "$SERVER" -k; exit 1; }; exec ` + programs.wine + ` "$@"`, "", "3"},
		{"never", `echo cannot start; "$SERVER" -k; exit 1`, "ended without an exit code: cannot start", "3"},
		{"dies", `: >/prefix/drive_c/packmill/step-1.began; echo died; "$SERVER" -k; exit 1`, "ended without an exit code: died", "1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			layer, err := cell.bed.layer(t.Context(), base)
			if err != nil {
				t.Fatal(err)
			}
			defer layer.remove()
			script := "#!/bin/sh\nn=$(($(cat /prefix/starts 2>/dev/null || echo 0) + 1)); echo $n >/prefix/starts\n" + test.wine + "\n"
			if err := os.WriteFile(filepath.Join(layer.root, "wine"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			programs := programs
			programs.wine = "/prefix/wine"
			device := &windows{layer: layer, box: wineBox(programs, layer.root)}
			code, _, err := device.command(t.Context(), "windows", "cmd /c exit 7", time.Minute)
			if test.want == "" && (err != nil || code != 7) {
				t.Errorf("ended with %d, %v", code, err)
			}
			if test.want != "" && (err == nil || err.Error() != test.want) {
				t.Errorf("ended with %v, want %q", err, test.want)
			}
			starts, err := os.ReadFile(filepath.Join(layer.root, "starts"))
			if err != nil || strings.TrimSpace(string(starts)) != test.starts {
				t.Errorf("was started %q times (%v), want %s", starts, err, test.starts)
			}
		})
	}
}

// TestWineClient: what Wine says of its own server is no output of the program
// that ran, and a program's words about it are.
func TestWineClient(t *testing.T) {
	for said, want := range map[string]string{
		"widget 1.1.0\r\nwine client error:d8: ":                       "widget 1.1.0\r\n",
		"wine client error:0: write: Broken pipe\nwidget 1.1.0\r\n":    "widget 1.1.0\r\n",
		"no wine client error:d8: here\r\nwine client error: what\r\n": "no wine client error:d8: here\r\nwine client error: what\r\n",
	} {
		if got := wineClient.ReplaceAllString(said, ""); got != want {
			t.Errorf("%q becomes %q, want %q", said, got, want)
		}
	}
}
