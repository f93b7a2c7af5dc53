package fleet

// An Environment is one entry of catalog/matrices.cue: where a cell runs.
type Environment struct {
	Platform string `json:"platform"`
	OS       string `json:"os"` // for people: "Windows 11 24H2"
	Arch     string `json:"arch"`
	Hardware string `json:"hardware,omitempty"`
	Runner   Runner `json:"runner"`
}

// Takes reports whether an installer can be tried in the environment: it is of its
// platform, for its processor, and of its package manager. 64-bit Windows runs what
// is for x86; Wine here does not.
func (e Environment) Takes(in Installer) bool {
	if in.Platform != e.Platform {
		return false
	}
	switch e.Runner.Local {
	case "rpm":
		if in.Type != "rpm" {
			return false
		}
	case "chroot":
		if in.Type != "deb" && in.Type != "portable" {
			return false
		}
	case "wine":
		if in.Type != "msi" && in.Type != "exe" && in.Type != "portable" {
			return false
		}
	}
	x86 := in.Platform == "windows" && in.Arch == "x86" && e.Arch == "x64" && e.Runner.Local != "wine"
	return x86 || in.Arch == e.Arch || in.Arch == "universal"
}

// A Runner is who runs a cell; exactly one of Local and GitHub is set.
type Runner struct {
	Local   string `json:"local,omitempty"`   // this machine: chroot, rpm, wine, simulated
	Release string `json:"release,omitempty"` // code name of a chroot's Debian release, "" for the machine's own
	GitHub  string `json:"github,omitempty"`  // label of a GitHub runner
}
