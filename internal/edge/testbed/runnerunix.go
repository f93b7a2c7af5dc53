package testbed

import (
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// unix is how Linux and macOS are told: programs, and sh with scripts whose
// values are arguments, so that nothing is quoted.
type unix struct{ mac, root bool }

// admin calls a program as the administrator: runners let their user be that
// without a password.
func (u unix) admin(argv ...string) []string {
	if u.root {
		return argv
	}
	return append([]string{"sudo", "-n"}, argv...)
}

// sh calls a script with arguments, $1 being the first.
func (u unix) sh(script string, args ...string) []string {
	return append([]string{"sh", "-c", script, "sh"}, args...)
}

func (u unix) install(it item, at brought) ([]string, error) {
	file := path.Join(at.folder, at.setup)
	switch it.in.Type {
	case "pkg":
		return u.admin("installer", "-pkg", file, "-target", "/"), nil
	case "deb":
		return u.admin("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "--allow-downgrades", "-o", "APT::Install-Recommends=false",
			"-o", "DPkg::Options::=--force-confdef", "-o", "DPkg::Options::=--force-confold", "install", file), nil
	case "rpm":
		return u.admin("rpm", "-U", "--", file), nil
	}
	return nil, fleet.Errorf(fleet.Invalid, "testbed.runner", string(it.in.Type), "a runner installs deb, rpm and pkg")
}

func (u unix) uninstall(it item, _ brought) ([]string, error) {
	name := packageName(it)
	switch {
	case it.in.Arguments != nil && it.in.Arguments.Uninstall != "":
		return u.admin("sh", "-c", it.in.Arguments.Uninstall), nil
	case it.in.Type == "deb" && name != "":
		return u.admin("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "remove", "--", name), nil
	case it.in.Type == "rpm" && name != "":
		return u.admin("rpm", "-e", "--", name), nil
	}
	return nil, fleet.Errorf(fleet.Invalid, "testbed.runner", it.Version, "nothing says how it is removed: macOS has no uninstaller, so name one under arguments")
}

func (u unix) launch(_ item, command string) []string { return u.sh(command) }

func (u unix) observe(rule fleet.Detect, _ Candidate) ([]string, error) {
	switch {
	case rule.Package != "" && u.mac: // a receipt, pkgutil(1)
		return u.sh(`v=$(pkgutil --pkg-info "$1" 2>/dev/null) || exit 0; echo found; echo "$v" | sed -n 's/^version: //p'`, rule.Package), nil
	case rule.Package != "":
		return u.sh(`if command -v dpkg-query >/dev/null; then
  v=$(dpkg-query -W -f '${db:Status-Status} ${Version}' -- "$1" 2>/dev/null) || exit 0
  case $v in "installed "*) echo found; echo "${v#installed }";; esac
else
  v=$(rpm -q --qf '%{VERSION}\n' -- "$1" 2>/dev/null) || exit 0
  echo found; echo "$v"
fi`, rule.Package), nil
	case rule.Bundle != "" && u.mac:
		return u.sh(`for app in /Applications/*.app /Applications/*/*.app; do
  [ "$(defaults read "$app/Contents/Info" CFBundleIdentifier 2>/dev/null)" = "$1" ] || continue
  echo found; defaults read "$app/Contents/Info" CFBundleShortVersionString; exit 0
done`, rule.Bundle), nil
	case rule.File != nil && !rule.File.Version:
		return u.sh(`if [ -e "$1" ]; then echo found; fi`, rule.File.Path), nil
	}
	return nil, unanswerable("runner", "a rule that this system does not know")
}

func (u unix) running(service string) []string {
	if u.mac {
		return u.admin("launchctl", "print", "system/"+service)
	}
	return []string{"systemctl", "is-active", "--", service}
}

func (u unix) complaints(since time.Time) []string {
	if u.mac {
		return u.sh(`echo "` + notLooked + `the unified log does not tell errors of a package from others"`)
	}
	return u.admin(u.sh(`if [ -d /run/systemd/system ]; then journalctl -q -p err -o cat --since "@$1"; else echo "`+notLooked+`no journal is kept here"; fi`,
		strconv.FormatInt(since.Unix(), 10))...)
}

func (u unix) ports() []string {
	if u.mac {
		return u.admin(u.sh(`lsof -nP -iTCP -sTCP:LISTEN | awk 'NR > 1 {print "tcp " $9}'; lsof -nP -iUDP | awk 'NR > 1 {print "udp " $9}'`)...)
	}
	return u.sh(`if command -v ss >/dev/null; then ss -H -l -n -t -u | awk '{print $1 " " $5}'; else echo "` + notLooked + `there is no ss here"; fi`)
}

func (u unix) survey() []string {
	if u.mac {
		return u.admin(u.sh(`find /Applications /Library /usr/local /opt -type f 2>/dev/null | sed 's/^/file /'; true`)...)
	}
	return u.admin(u.sh(`find /etc /usr /opt /srv /home /root /var/lib /var/spool -xdev ` + strings.Join([]string{
		`-path /var/lib/dpkg -prune`, `-o -path /var/lib/apt -prune`, `-o -path /var/lib/rpm -prune`, `-o -path /usr/lib/sysimage -prune`,
	}, " ") + ` -o \( -type f -o -type l \) -print 2>/dev/null | sed 's/^/file /'; cut -d: -f1 /etc/passwd | sed 's/^/account /'; true`)...)
}

func (u unix) alter(setting string) []string {
	return u.admin(u.sh(`[ -f "$1" ] && printf '\n%s\n' "$2" >>"$1"`, setting, alteration)...)
}

func (u unix) altered(setting string) []string {
	return u.admin("grep", "-qF", "--", alteration, setting)
}
