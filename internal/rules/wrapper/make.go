package wrapper

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// defaultMinutes is the run-time limit where a package states none.
const defaultMinutes = 60

// mostWait is how many minutes a run waits for a program to be closed. The
// console tries again later, so there is no use in holding up its other work.
const mostWait = 30

// Wraps reports whether installers of a type are run by the script.
func Wraps(in fleet.Installer) bool {
	return in.Platform == "windows" && slices.Contains([]string{"msi", "exe", "portable"}, in.Type)
}

// Make is the Setup of an installer of a release: file is the name of the
// vendor's file in the setup folder.
//
// A value that cannot stand on a command line, an exe without arguments for a
// silent run, or a secret that nothing uses is an error of kind Invalid.
func Make(pkg fleet.Package, version, key, file string) (Setup, error) {
	in, d := pkg.Installers[key], pkg.Releases[version].Installers[key]
	s := Setup{
		Schema: Schema, Package: pkg.ID, Version: version, Installer: key, User: in.RunAs == "user",
		Minutes: cmp.Or(in.Minutes, defaultMinutes), Restart: cmp.Or(in.Restart, "never"),
		Programs: in.Programs, InUse: cmp.Or(in.InUse, "wait"), PutOff: in.PutOff, Secrets: in.Secrets, Keep: in.Keep,
		ExitCodes: exitCodes(in), Log: strings.ReplaceAll(string(pkg.ID), "/", "-"),
	}
	if len(in.Programs) > 0 && s.InUse != "fail" {
		s.WaitMinutes = mostWait
	}
	if u := pkg.UpdaterOff; pkg.Updater == "disable" && u != nil {
		s.Updater = &Updater{Services: u.Services, Tasks: u.Tasks, Values: u.Values}
	}
	if s.User && len(s.Secrets) > 0 {
		return Setup{}, invalid(string(pkg.ID), "installer %s runs as the user, who must not read secrets", key)
	}
	var err error
	switch in.Type {
	case "msi":
		err = s.msi(in, d, file)
	case "exe":
		err = s.exe(in, file)
	case "portable":
		// A cmd of its own, without the AutoRun commands of whoever runs it.
		s.Install = Command{`{system}\cmd.exe`, []string{"/d", "/c", InstallScript}}
		s.Uninstall = Command{`{system}\cmd.exe`, []string{"/d", "/c", UninstallScript}}
	default:
		err = invalid(string(pkg.ID), "installers of type %q are not run by the wrapper script", in.Type)
	}
	if err != nil {
		return Setup{}, err
	}
	if err := s.placed(); err != nil {
		return Setup{}, err
	}
	s = s.filled()
	return s, s.check()
}

// exitCodes are the meanings a package gives, and those its type has by itself.
func exitCodes(in fleet.Installer) map[string]string {
	out := map[string]string{"0": Success}
	switch in.Type {
	case "msi":
		out["1641"], out["3010"], out["1618"] = HardReboot, SoftReboot, Retry
	case "exe":
		// Bundles around MSIs end with them too. As failures they would have what
		// is kept put back over a version that is installed.
		out["1641"], out["3010"] = HardReboot, SoftReboot
	}
	maps.Copy(out, in.ExitCodes)
	return out
}

// msi is msiexec's command lines. A restart is suppressed in both of the ways
// there are: the switch tells msiexec, the property the package's own actions.
func (s *Setup) msi(in fleet.Installer, d fleet.Download, file string) error {
	if d.MSI == nil || !productCode.MatchString(d.MSI.ProductCode) {
		return invalid(string(s.Package), "the release names no product code of its MSI")
	}
	source, err := inFolder(file)
	if err != nil {
		return err
	}
	args := []string{"/i", source, "/qn", "/norestart", "/l*v", `"{log}"`}
	if len(in.Transforms) > 0 {
		var names []string
		for _, t := range in.Transforms {
			names = append(names, `{folder}\`+path.Base(t))
		}
		value, err := Property("TRANSFORMS", strings.Join(names, ";"))
		if err != nil {
			return err
		}
		args = append(args, value)
	}
	properties := maps.Clone(in.Properties)
	if properties == nil {
		properties = map[string]string{}
	}
	if _, said := properties["REBOOT"]; !said {
		properties["REBOOT"] = "ReallySuppress"
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value, err := Property(name, properties[name])
		if err != nil {
			return err
		}
		args = append(args, value)
	}
	if in.Arguments != nil {
		more, err := split(in.Arguments.Install)
		if err != nil {
			return err
		}
		args = append(args, more...)
	}
	s.Install = Command{`{system}\msiexec.exe`, args}
	s.Uninstall = Command{`{system}\msiexec.exe`, []string{"/x", d.MSI.ProductCode, "/qn", "/norestart", "/l*v", `"{log}"`, `REBOOT="ReallySuppress"`}}
	return nil
}

var productCode = regexp.MustCompile(`^\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}$`)

// exe is the vendor's program with its arguments. What removes it may be
// another program that it left on the device: then the arguments begin with its
// full path.
func (s *Setup) exe(in fleet.Installer, file string) error {
	if in.Arguments == nil || in.Arguments.Install == "" || in.Arguments.Uninstall == "" {
		return invalid(string(s.Package), "an exe needs arguments for a silent run, to install and to uninstall")
	}
	if _, err := inFolder(file); err != nil {
		return err
	}
	own := `{folder}\` + strings.ReplaceAll(file, "/", `\`)
	install, err := split(in.Arguments.Install)
	if err != nil {
		return err
	}
	uninstall, err := split(in.Arguments.Uninstall)
	if err != nil {
		return err
	}
	s.Install, s.Uninstall = Command{own, install}, Command{own, uninstall}
	if first := strings.Trim(uninstall[0], `"`); onDevice.MatchString(first) && !strings.Contains(first, `"`) {
		s.Uninstall = Command{first, uninstall[1:]}
	}
	return nil
}

// onDevice matches full paths of programs on a device.
var onDevice = regexp.MustCompile(`^([A-Za-z]:|%[A-Za-z0-9()_]+%)\\`)

// inFolder is a file of the setup folder as an argument.
func inFolder(file string) (string, error) {
	if file == "" || strings.ContainsAny(file, `"<>|*?%{}`) || strings.HasPrefix(file, "/") {
		return "", invalid(file, "the file's name cannot stand on a command line")
	}
	return Argument(`{folder}\` + strings.ReplaceAll(file, "/", `\`))
}

var (
	mark    = regexp.MustCompile(`\{[a-z]+(:[^{}]*)?\}`)
	logPart = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,199}$`)
)

func logName(s string) bool { return logPart.MatchString(s) }

// placed refuses places that are none or not quoted, secrets that the package does not list,
// and listed secrets that go nowhere.
func (s Setup) placed() error {
	used := map[string]bool{}
	for _, text := range slices.Concat([]string{s.Install.Program, s.Uninstall.Program}, s.Install.Arguments, s.Uninstall.Arguments) {
		for _, m := range mark.FindAllString(text, -1) {
			name, secret := strings.CutPrefix(strings.Trim(m, "{}"), "secret:")
			switch {
			case secret && !slices.Contains(s.Secrets, name):
				return invalid(string(s.Package), "%s is not among the installer's secrets", m)
			case secret:
				used[name] = true
			case m != "{folder}" && m != "{system}" && m != "{log}":
				return invalid(string(s.Package), "%s stands for nothing: known are {folder}, {system}, {log} and {secret:NAME}", m)
			}
		}
	}
	for _, c := range []Command{s.Install, s.Uninstall} {
		if m := bare(strings.Join(c.Arguments, " ")); m != "" {
			return invalid(string(s.Package), "%s may become a path with spaces and stands outside quotation marks: write \"%s\", or the whole argument inside them", m, m)
		}
	}
	for _, name := range s.Secrets {
		if !used[name] {
			return invalid(string(s.Package), "the secret %s goes nowhere: {secret:%s} in a property or argument is the file that holds it", name, name)
		}
	}
	return nil
}
