package wrapper

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Names of the files in a setup folder.
const (
	ScriptName = "packmill.ps1"
	SetupName  = "packmill.json"
)

// Schema names the form of packmill.json that this package and the script know.
const Schema = "packmill/setup/v1"

// MaxSetup is how large a packmill.json may be.
const MaxSetup = 64 << 10

// What an exit code means.
const (
	Success    = "success"
	SoftReboot = "softReboot"
	HardReboot = "hardReboot"
	Retry      = "retry"
	Failed     = "failed"
)

// A Setup is packmill.json: what the script does for one installer of one
// release. Every list is written, also an empty one: the script reads them all.
type Setup struct {
	Schema    string          `json:"schema"`
	Package   fleet.PackageID `json:"package"`
	Version   string          `json:"version"`
	Installer string          `json:"installer"`
	// User says that the script runs in the account of who is signed in, who
	// cannot write where the system keeps its logs.
	User      bool    `json:"user"`
	Install   Command `json:"install"`
	Uninstall Command `json:"uninstall"`
	// Minutes until the vendor's program counts as hung.
	Minutes int `json:"minutes"`
	// ExitCodes are what codes of the vendor's program mean; others are failures.
	ExitCodes map[string]string `json:"exitCodes"`
	// Restart is "never", or "byExitCode": as the code and the tenant say.
	Restart string `json:"restart"`
	// Programs are what InUse is about, by the names of their files.
	Programs []string `json:"programs"`
	InUse    string   `json:"inUse"` // wait, close, fail
	// WaitMinutes is how long a run waits for programs before it gives up.
	WaitMinutes int `json:"waitMinutes"`
	// PutOff is what puts a run off: busy, restartPending.
	PutOff []string `json:"putOff"`
	// Secrets are names of files that the tenant has put on the device.
	Secrets []string `json:"secrets"`
	// Keep is what is copied before an installation and put back after it.
	Keep []fleet.Kept `json:"keep"`
	// Updater is what is switched off after an installation; absent is nothing.
	Updater *Updater `json:"updater,omitempty"`
	// Log is the first part of the log files' names.
	Log string `json:"log"`
}

// An Updater is the parts of a vendor's updater.
type Updater struct {
	Services []string             `json:"services"`
	Tasks    []string             `json:"tasks"`
	Values   []fleet.UpdaterValue `json:"values"`
}

// A Command is a program and its arguments. Places stand for what differs from
// device to device: {folder} the setup folder, {system} the folder of the
// system's programs, {log} a log file for the vendor's own words, {secret:NAME}
// the file that holds a secret. In the program, and only there, variables such
// as %ProgramFiles% are expanded.
type Command struct {
	Program string `json:"program"`
	// Arguments are quoted already: joined by spaces they are the command line.
	Arguments []string `json:"arguments"`
}

// Places are a device's own.
type Places struct {
	Folder, System, Log string
	// Secret is the path of a secret's file, false where there is none.
	Secret func(name string) (string, bool)
}

// Line is the command with a device's places put in: the program, unquoted and
// with its variables as they stand, and the rest of the command line. A secret
// that the device does not have is an error of kind Waiting.
func (c Command) Line(s Setup, p Places) (program, arguments string, err error) {
	put := func(text string) string {
		text = strings.NewReplacer("{folder}", p.Folder, "{system}", p.System, "{log}", p.Log).Replace(text)
		for _, name := range s.Secrets {
			mark := "{secret:" + name + "}"
			if !strings.Contains(text, mark) {
				continue
			}
			path, ok := "", false
			if p.Secret != nil {
				path, ok = p.Secret(name)
			}
			if !ok {
				err = fleet.Errorf(fleet.Waiting, "wrapper", name, "the secret is not on this device")
				return ""
			}
			text = strings.ReplaceAll(text, mark, path)
		}
		return text
	}
	program, arguments = put(c.Program), put(strings.Join(c.Arguments, " "))
	return program, arguments, err
}

// Encode writes packmill.json: the same bytes for the same Setup.
func (s Setup) Encode() ([]byte, error) {
	s = s.filled()
	if err := s.check(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	if out.Len() > MaxSetup {
		return nil, invalid(SetupName, "has %d bytes, at most %d are read", out.Len(), MaxSetup)
	}
	return out.Bytes(), nil
}

// filled has a list where there was none.
func (s Setup) filled() Setup {
	s.Programs, s.PutOff, s.Secrets = list(s.Programs), list(s.PutOff), list(s.Secrets)
	s.Install.Arguments, s.Uninstall.Arguments = list(s.Install.Arguments), list(s.Uninstall.Arguments)
	if s.Keep == nil {
		s.Keep = []fleet.Kept{}
	}
	if u := s.Updater; u != nil {
		s.Updater = &Updater{list(u.Services), list(u.Tasks), u.Values}
		if u.Values == nil {
			s.Updater.Values = []fleet.UpdaterValue{}
		}
	}
	return s
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// Read reads a packmill.json that may be anything. What it does not know is
// refused: the script would not do it.
func Read(data []byte) (Setup, error) {
	var s Setup
	if len(data) > MaxSetup {
		return s, invalid(SetupName, "has %d bytes, at most %d are read", len(data), MaxSetup)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Setup{}, invalid(SetupName, "at byte %d: %w", d.InputOffset(), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Setup{}, invalid(SetupName, "at byte %d: there is more after its end", d.InputOffset())
	}
	if err := s.check(); err != nil {
		return Setup{}, err
	}
	return s.filled(), nil
}

// maxTexts bounds everything that is listed.
const maxTexts = 500

// check refuses what the script could misunderstand.
func (s Setup) check() error {
	if s.Schema != Schema {
		return invalid(SetupName, "schema is %q, known is %q", s.Schema, Schema)
	}
	words := []struct {
		field, have string
		of          []string
	}{
		{"restart", s.Restart, []string{"never", "byExitCode"}},
		{"inUse", s.InUse, []string{"wait", "close", "fail"}},
	}
	for _, w := range words {
		if !slices.Contains(w.of, w.have) {
			return invalid(SetupName, "%s is %q, known are %s", w.field, w.have, strings.Join(w.of, ", "))
		}
	}
	if s.Minutes < 1 || s.Minutes > 1440 || s.WaitMinutes < 0 || s.WaitMinutes > 1440 {
		return invalid(SetupName, "minutes %d and waitMinutes %d are not within a day", s.Minutes, s.WaitMinutes)
	}
	for code, meaning := range s.ExitCodes {
		n, err := strconv.ParseInt(code, 10, 32)
		if err != nil || strconv.FormatInt(n, 10) != code {
			return invalid(SetupName, "exit code %q is no 32-bit number", code)
		}
		if !slices.Contains([]string{Success, SoftReboot, HardReboot, Retry, Failed}, meaning) {
			return invalid(SetupName, "exit code %s: %q has no meaning", code, meaning)
		}
	}
	return s.checkTexts()
}

// checkTexts looks at every text: how many there are, and whether all can stand
// where the script puts them.
func (s Setup) checkTexts() error {
	texts := slices.Concat([]string{string(s.Package), s.Version, s.Installer, s.Install.Program, s.Uninstall.Program},
		s.Install.Arguments, s.Uninstall.Arguments, s.Programs, s.PutOff, s.Secrets)
	for _, k := range s.Keep {
		if (k.File == "") == (k.Key == "") {
			return invalid(SetupName, "keep names no file and no key, or both: %q, %q", k.File, k.Key)
		}
		if slices.Contains(strings.Split(k.File, `\`), "..") {
			return invalid(SetupName, "keep names a file by a way up: %q", k.File)
		}
		texts = append(texts, k.File, k.Key)
	}
	if s.Updater != nil {
		texts = slices.Concat(texts, s.Updater.Services, s.Updater.Tasks)
		for _, v := range s.Updater.Values {
			if (v.Text == nil) == (v.Number == nil) || !strings.HasPrefix(v.Key, `HKLM\`) {
				return invalid(SetupName, "the updater's value %s of %s is no one text or number below HKLM", v.Value, v.Key)
			}
			texts = append(texts, v.Key, v.Value)
		}
	}
	if len(texts) > maxTexts {
		return invalid(SetupName, "holds %d texts, at most %d are read", len(texts), maxTexts)
	}
	for _, text := range texts {
		if err := printable(SetupName, text); err != nil {
			return err
		}
	}
	if strings.Contains(s.Install.Program+s.Uninstall.Program, `"`) {
		return invalid(SetupName, "a program's path holds a quotation mark")
	}
	if s.Install.Program == "" || s.Uninstall.Program == "" || !logName(s.Log) {
		return invalid(SetupName, "a program or the log has no name: %q, %q, %q", s.Install.Program, s.Uninstall.Program, s.Log)
	}
	return nil
}
