package graph

import (
	"archive/zip"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/rules/wrapper"
)

// A folder is what a device finds when it has unpacked a content, as far as its
// command lines need it. What was taken in before folders were looked at has no
// names, and is believed.
type folder struct {
	Names []string // of its files, in lower case
	Setup []byte   // its packmill.json
}

// unpacked reads the setup folder of decrypted content, a zip.
func unpacked(plain *os.File, size int64) (folder, error) {
	z, err := zip.NewReader(plain, size)
	if err != nil {
		return folder{}, err
	}
	var out folder
	for _, f := range z.File {
		out.Names = append(out.Names, strings.ToLower(f.Name))
		if !strings.EqualFold(f.Name, wrapper.SetupName) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return folder{}, err
		}
		out.Setup, err = io.ReadAll(io.LimitReader(r, wrapper.MaxSetup+1))
		r.Close()
		if err != nil {
			return folder{}, err
		}
	}
	return out, nil
}

// unable says why a device cannot run a command line in the folder, "" when it
// can: what it starts is not there, or the wrapper script could not do its work.
// A device here runs what packmill.json names, as far as it is the folder's.
func (f folder) unable(line string) string {
	if len(f.Names) == 0 {
		return ""
	}
	has := func(name string) bool { return slices.Contains(f.Names, strings.ToLower(name)) }
	if !strings.Contains(line, wrapper.ScriptName) {
		if strings.HasSuffix(line, ".cmd") && !has(line) {
			return line + " is not in the content"
		}
		return ""
	}
	start, err := wrapper.ParseConsoleLine(line)
	if err != nil {
		return err.Error()
	}
	if !has(wrapper.ScriptName) {
		return wrapper.ScriptName + " is not in the content"
	}
	setup, err := wrapper.Read(f.Setup)
	if err != nil {
		return err.Error()
	}
	command := setup.Install
	if start.Mode == wrapper.ModeUninstall {
		command = setup.Uninstall
	}
	const at = `C:\folder`
	program, arguments, err := command.Line(setup, wrapper.Places{
		Folder: at, System: `C:\Windows\System32`, Log: `C:\log`, Secret: func(name string) (string, bool) { return `C:\secrets\` + name, true },
	})
	if err != nil {
		return err.Error()
	}
	for _, text := range strings.FieldsFunc(program+`"`+arguments, func(r rune) bool { return r == '"' || r == ';' }) {
		if name, ours := strings.CutPrefix(text, at+`\`); ours && !has(strings.ReplaceAll(name, `\`, "/")) {
			return name + " is not in the content"
		}
	}
	return ""
}
