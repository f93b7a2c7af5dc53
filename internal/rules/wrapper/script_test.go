package wrapper

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/testreq"
)

func TestScript(t *testing.T) {
	got := Script()
	for i, b := range got {
		if b >= 0x80 || b < ' ' && b != '\r' && b != '\n' {
			t.Fatalf("byte %d is %#x: the script must be ASCII", i, b)
		}
	}
	if bytes.Count(got, []byte("\n")) != bytes.Count(got, []byte("\r\n")) {
		t.Error("lines end in more than one way")
	}
	if Signed(got) || !Signed(append(got, "# SIG # Begin signature block\r\n"...)) {
		t.Error("a signature is not told from none")
	}
	if !strings.HasPrefix(script, "# "+Version+":") {
		t.Errorf("the script's first line does not say %s", Version)
	}
	if !strings.Contains(script, "'"+Schema+"'") {
		t.Errorf("the script does not know %s", Schema)
	}
}

// TestScriptCodes: every exit code of the script's own is explained in its head,
// and those that mean "not now" are retries for the console.
func TestScriptCodes(t *testing.T) {
	head, body, _ := strings.Cut(script, "[CmdletBinding()]")
	used := regexp.MustCompile(`\b79[0-9]{3}\b`).FindAllString(body, -1)
	slices.Sort(used)
	for _, code := range slices.Compact(used) {
		if n, _ := strconv.Atoi(code); n > 79000 && !strings.Contains(head, code) && (n < CodeOutsideWindow || n > CodeInUse) {
			t.Errorf("%s is not explained", code)
		}
	}
	for code, meaning := range ConsoleCodes() {
		if meaning != Success && !strings.Contains(body, strconv.Itoa(code)) {
			t.Errorf("the script never ends with %d", code)
		}
	}
}

// TestScriptFields: the script asks packmill.json for no field that it has not.
func TestScriptFields(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "ledger.json"))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`\$script:Setup\.([a-zA-Z]+)`).FindAllStringSubmatch(script, -1)
	known := map[string]bool{"PSObject": true}
	for _, a := range asked {
		known[a[1]] = true
		if _, ok := fields[a[1]]; !ok && a[1] != "PSObject" {
			t.Errorf("packmill.json has no field %s", a[1])
		}
	}
	for field := range fields {
		if !known[field] {
			t.Errorf("nothing in the script reads %s", field)
		}
	}
}

// TestScriptLoadsNothing: no text is run as PowerShell, and nothing is fetched.
func TestScriptLoadsNothing(t *testing.T) {
	for _, bad := range []string{"Invoke-Expression", "iex ", "ScriptBlock]::Create", "Add-Type", "Invoke-WebRequest", "DownloadString", "Start-Process", "-EncodedCommand", "ConvertTo-SecureString"} {
		if strings.Contains(strings.ToLower(script), strings.ToLower(bad)) {
			t.Errorf("the script holds %s", bad)
		}
	}
}

// checkSyntax is what the checker says about scripts, nothing where they are
// right. It is run from the modules that PACKMILL_NODE_MODULES names.
func checkSyntax(t *testing.T, files ...string) string {
	t.Helper()
	node := testreq.Program(t, "node")
	modules := os.Getenv("PACKMILL_NODE_MODULES")
	_, err := os.Stat(filepath.Join(modules, "web-tree-sitter"))
	testreq.Need(t, "a PowerShell parser", modules != "" && err == nil, "PACKMILL_NODE_MODULES names no folder that npm ci made from tools/powershell")
	args := append([]string{"--liftoff-only", filepath.Join("..", "..", "..", "tools", "powershell", "check.mjs"), modules}, files...)
	out, err := exec.CommandContext(t.Context(), node, args...).CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte(".ps1:")) {
		t.Fatalf("the checker does not work: %v\n%s", err, out)
	}
	return string(out)
}

// TestSyntax parses the script, and the scripts of probes, by the grammar of
// PowerShell.
func TestSyntax(t *testing.T) {
	file := filepath.Join(t.TempDir(), ScriptName)
	if err := os.WriteFile(file, Script(), 0o644); err != nil {
		t.Fatal(err)
	}
	probes, err := filepath.Glob(filepath.Join("..", "probe", "testdata", "*.ps1"))
	if err != nil || len(probes) < 3 {
		t.Fatal(probes, err)
	}
	if found := checkSyntax(t, append(probes, file)...); found != "" {
		t.Errorf("%s", found)
	}
}

// TestSyntaxFinds proves that the checker tells a broken script from a good one.
func TestSyntaxFinds(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for name, change := range map[string][2]string{
		"brace":       {"    return [bool]((Get-Item", "    return [bool](((Get-Item"},
		"parenthesis": {"if ($Window) {", "if ($Window {"},
		"text":        {"'not done after '", "'not done after "},
		"block":       {"\nfunction Get-Programs {", "\nfunction Get-Programs {{"},
	} {
		bad := strings.Replace(script, change[0], change[1], 1)
		if bad == script {
			t.Fatalf("%s: the script has no %q", name, change[0])
		}
		files = append(files, filepath.Join(dir, name+".ps1"))
		if err := os.WriteFile(files[len(files)-1], []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found := checkSyntax(t, files...)
	for _, file := range files {
		if !strings.Contains(found, filepath.Base(file)+":") {
			t.Errorf("nothing is found in %s", filepath.Base(file))
		}
	}
}
