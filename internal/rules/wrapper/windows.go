package wrapper

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Most that stands on a command line: the script's own bounds, and Intune's on
// the whole.
const (
	maxWindows = 700
	maxShut    = 400
	maxLine    = 1000
)

// A When is what a tenant says about runs of the script: when it may run and
// when the device may restart, in the device's own time, and the days on which
// windows that are shut on holidays do not open. None is no restriction.
type When struct {
	Install, Reboot []fleet.Window
	Shut            []string // 2006-01-02
}

// WhenOf sorts a tenant's windows by what they are for.
func WhenOf(windows []fleet.Window, shut []string) When {
	w := When{Shut: shut}
	for _, one := range windows {
		if slices.Contains(one.For, "install") {
			w.Install = append(w.Install, one)
		}
		if slices.Contains(one.For, "reboot") {
			w.Reboot = append(w.Reboot, one)
		}
	}
	return w
}

// ShutHolds is how many days of Shut a command line holds.
const ShutHolds = (maxShut + 1) / len("2006-01-02+")

// Modes of the script.
const (
	ModeInstall   = "Install"
	ModeUninstall = "Uninstall"
)

// ConsoleLine is the command line by which a console starts the script in the
// setup folder. Where the script is signed, PowerShell is told to take no other.
func ConsoleLine(mode string, w When, signed bool) (string, error) {
	policy := "Bypass"
	if signed {
		policy = "AllSigned"
	}
	// A 32-bit agent gets the 32-bit PowerShell by this path; the script then
	// starts itself again.
	line := `"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe" -NoLogo -NoProfile -NonInteractive -ExecutionPolicy ` +
		policy + " -File " + ScriptName + " -Mode " + mode
	holidays := false
	for _, p := range []struct {
		name    string
		windows []fleet.Window
	}{{"Window", w.Install}, {"Reboot", w.Reboot}} {
		if len(p.windows) == 0 {
			continue
		}
		text, err := notation(p.windows)
		if err != nil {
			return "", err
		}
		holidays = holidays || strings.Contains(text, "=h")
		line += " -" + p.name + " " + text
	}
	if holidays && len(w.Shut) > 0 {
		for _, day := range w.Shut {
			if !shutDay.MatchString(day) {
				return "", invalid(day, "is no day of the form 2006-01-02")
			}
		}
		shut := strings.Join(w.Shut, "+")
		if len(shut) > maxShut {
			return "", invalid("windows", "%d holidays do not fit a command line", len(w.Shut))
		}
		line += " -Shut " + shut
	}
	if len(line) > maxLine {
		return "", invalid("windows", "the tenant's windows make a command line of %d characters, at most %d are taken", len(line), maxLine)
	}
	return line, nil
}

var (
	shutDay   = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	clockTime = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	weekday   = regexp.MustCompile(`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)$`)
)

const signedBy = "# SIG # Begin signature block"

// notation writes windows as the script reads them.
func notation(windows []fleet.Window) (string, error) {
	var all []string
	for _, w := range windows {
		for _, day := range w.On {
			if !weekday.MatchString(day) {
				return "", invalid(day, "is no weekday of a window")
			}
		}
		if len(w.On) == 0 || !clockTime.MatchString(w.From) || !clockTime.MatchString(w.Until) {
			return "", invalid("windows", "a window from %q until %q on %d days cannot be told", w.From, w.Until, len(w.On))
		}
		flags := ""
		if w.Holidays == "shut" {
			flags += "h"
		}
		if w.DST.Gap == "skip" {
			flags += "g"
		}
		if w.DST.Fold == "second" {
			flags += "s"
		}
		if flags != "" {
			flags = "=" + flags
		}
		all = append(all, fmt.Sprintf("%s@%s-%s%s", strings.Join(w.On, "+"), w.From, w.Until, flags))
	}
	text := strings.Join(all, "/")
	if len(text) > maxWindows {
		return "", invalid("windows", "%d windows do not fit a command line", len(windows))
	}
	return text, nil
}

// Signed reports whether a script carries an Authenticode signature.
func Signed(script []byte) bool { return strings.Contains(string(script), signedBy) }

// A Start is what a console's command line tells the script.
type Start struct {
	Mode, Window, Reboot, Shut string
}

var (
	startLine = regexp.MustCompile(`^"%SystemRoot%\\System32\\WindowsPowerShell\\v1\.0\\powershell\.exe" -NoLogo -NoProfile -NonInteractive -ExecutionPolicy (?:Bypass|AllSigned)` +
		` -File packmill\.ps1 -Mode (Install|Uninstall)(?: -Window (\S+))?(?: -Reboot (\S+))?(?: -Shut ([0-9+-]+))?$`)
	windowText = regexp.MustCompile(`^([A-Za-z+]+)@([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])(=[hgs]{1,3})?$`)
)

// ParseConsoleLine reads a console's command line as the script takes it; what
// is none, or holds a window that the script cannot read, is Invalid.
func ParseConsoleLine(line string) (Start, error) {
	m := startLine.FindStringSubmatch(line)
	if m == nil {
		return Start{}, invalid(line, "does not start the wrapper script")
	}
	for _, text := range m[2:4] {
		for one := range strings.SplitSeq(text, "/") {
			if text != "" && !windowText.MatchString(one) {
				return Start{}, invalid(line, "the window %q cannot be read", one)
			}
		}
	}
	return Start{m[1], m[2], m[3], m[4]}, nil
}
