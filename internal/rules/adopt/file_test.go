package adopt

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// inspected are files of each kind, as their bytes tell.
var inspected = map[string]fleet.Inspection{
	"msi": {
		Name: "agent-2.1.0.msi", Kind: "an MSI package", Type: "msi", Platform: "windows", Arch: "x64", Product: "Acme Agent 2.1.0 (x64)",
		Publisher: "Acme GmbH", Version: "2.1.0", MSI: &fleet.MSIFacts{ProductCode: "{01D48E5F-8885-47C2-8D89-793CFC9DE165}"}, Replaces: true,
		Signer: fleet.SignedBy{Subject: "CN=Acme GmbH, O=Acme GmbH, C=DE"}, OS: "6.1.7601",
	},
	"inno": {
		Name: "widget-setup.exe", Kind: "a Windows program", Type: "exe", Maker: "inno", Platform: "windows", Arch: "x64", Product: "Widget",
		Version: "3.4", Silent: fleet.Arguments{Install: fleet.InstallerInno.Switches().Install}, Signer: fleet.SignedBy{Subject: `CN=Widget Works\, Inc., O="Widget Works, Inc.", C=US`},
	},
	"exe": {
		Name: "tool.exe", Kind: "a Windows program", Type: "exe", Platform: "windows", Arch: "x64", Product: "Tool", Publisher: "Acme", Version: "1.0",
		Signer: fleet.SignedBy{Unsigned: true},
	},
	"deb": {
		Name: "tree_2.1.0-1_amd64.deb", Kind: "a Debian package", Type: "deb", Platform: "linux", Arch: "x64", Product: "tree",
		Publisher: "Florian Ernst <florian@debian.org>", Version: "2.1.0-1", Packages: []string{"tree"}, Signer: fleet.SignedBy{Unsigned: true}, DiskMB: 500,
	},
	"pkg": {
		Name: "Widget.pkg", Kind: "a macOS package", Type: "pkg", Platform: "macos", Arch: "universal", Product: "Widget", Version: "3.4",
		Bundles: []string{"com.acme.widget"}, Packages: []string{"com.acme.pkg.widget"},
		Signer: fleet.SignedBy{Subject: "CN=Developer ID Installer: Acme (ABCDE12345), O=Acme"}, Updaters: []string{"file Sparkle.framework"},
	},
	"suite": {
		Name: "Suite.pkg", Kind: "a macOS package", Type: "pkg", Platform: "macos", Arch: "universal", Product: "Suite", Publisher: "Acme", Version: "1",
		Bundles: []string{"com.acme.a", "com.acme.b"}, Signer: fleet.SignedBy{Unsigned: true},
	},
}

func given(t *testing.T, name, address string) *Result {
	t.Helper()
	i := inspected[name]
	i.SHA256 = fleet.DigestOf([]byte(name))
	r, err := File(Given{File: &i, URL: address}, Options{Environments: map[string]fleet.Environment{
		"wine": {Platform: "windows", Arch: "x64"}, "debian-12": {Platform: "linux", Arch: "x64"}, "macos-26": {Platform: "macos", Arch: "arm64"},
	}})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

// distinct counts questions as people answer them: one text at several fields is
// one question.
func distinct(r *Result) int {
	var texts []string
	for _, q := range append(slices.Clone(r.Questions), r.PublisherQuestions...) {
		if !slices.Contains(texts, q.Text) {
			texts = append(texts, q.Text)
		}
	}
	return len(texts)
}

func TestFile(t *testing.T) {
	for _, c := range []struct {
		name, id, title, publisher string
		detect                     fleet.Detect
		questions                  []string // a word of each
		rollback, signer           string
	}{
		{"msi", "acme/acme-agent", "Acme Agent", "Acme GmbH", fleet.Detect{MSIProduct: true}, nil, "uninstall", "authenticode"},
		{"inno", "widget-works/widget", "Widget", "Widget Works, Inc.", fleet.Detect{Registry: &fleet.RegistryRule{Key: unansweredKey}}, []string{"QuietUninstallString"}, "forwardOnly", "authenticode"},
		{"exe", "acme/tool", "Tool", "Acme", fleet.Detect{Registry: &fleet.RegistryRule{Key: unansweredKey}}, []string{"Which arguments make it run silently"}, "forwardOnly", ""},
		{"deb", "debian/tree", "tree", "debian.org", fleet.Detect{Package: "tree"}, nil, "uninstall", ""},
		{"pkg", "acme/widget", "Widget", "Acme", fleet.Detect{Bundle: "com.acme.widget"}, []string{"taken off", "Sparkle"}, "forwardOnly", "appleDeveloperId"},
	} {
		r := given(t, c.name, "")
		p := r.Package
		if len(p.Installers) != 1 || string(p.ID) != c.id || p.Name != c.title || p.Rollback != c.rollback || p.Upstream != nil || r.Publisher.Name != c.publisher {
			t.Errorf("%s: %+v of %+v", c.name, p, r.Publisher)
		}
		for _, in := range p.Installers {
			if len(in.Detect) != 1 || !sameRule(in.Detect[0], c.detect) || in.Source != nil {
				t.Errorf("%s: detection %+v, source %+v", c.name, in.Detect, in.Source)
			}
		}
		if distinct(r) != len(c.questions) {
			t.Errorf("%s: questions %+v", c.name, r.Questions)
		}
		for _, word := range c.questions {
			if !slices.ContainsFunc(r.Questions, func(q Question) bool { return strings.Contains(q.Text, word) }) {
				t.Errorf("%s: nobody asks %q: %+v", c.name, word, r.Questions)
			}
		}
		if kind := r.Publisher.Signers["first"].Kind; kind != c.signer || (c.signer == "") != (r.Publisher.Unsigned == "accepted") {
			t.Errorf("%s: signers %+v, unsigned %q", c.name, r.Publisher.Signers, r.Publisher.Unsigned)
		}
	}
	if !asked(given(t, "suite", ""), "installers.universal.detect", "com.acme.b") {
		t.Error("nobody asks which of two bundles is meant")
	}
}

func sameRule(a, b fleet.Detect) bool {
	if a.Registry != nil && b.Registry != nil {
		return *a.Registry == *b.Registry
	}
	return a == b
}

func TestFileNeeds(t *testing.T) {
	r := given(t, "msi", "")
	if n := r.Package.Installers["x64"].Needs; n == nil || n.OS != ">=6.1.7601" {
		t.Errorf("needs %+v", n)
	}
	if n := given(t, "deb", "").Package.Installers["x64"].Needs; n == nil || n.DiskMB != 500 || n.OS != "" {
		t.Errorf("needs %+v", n)
	}
	in := given(t, "inno", "").Package.Installers["x64"]
	if in.Arguments == nil || in.Arguments.Install != fleet.InstallerInno.Switches().Install || in.Arguments.Uninstall != "" {
		t.Errorf("arguments %+v", in.Arguments)
	}
}

// TestFileOrigin is where newer versions are, as far as one address tells it.
func TestFileOrigin(t *testing.T) {
	const host = "https://dl.acme.example/"
	r := given(t, "msi", "https://github.com/acme/agent/releases/download/v2.1.0/agent-2.1.0.msi")
	if up := r.Package.Upstream; up == nil || up.From.GitHubReleases == nil || r.Package.Installers["x64"].Source.Asset != "agent-{version}.msi" || distinct(r) != 0 {
		t.Errorf("GitHub: %+v, %+v", up, r.Questions)
	}
	r = given(t, "msi", host+"agent-2.1.0.msi")
	if r.Package.Upstream != nil || r.Package.Installers["x64"].Source.URL != host+"agent-{version}.msi" || !asked(r, "upstream", "Where does the vendor tell") {
		t.Errorf("an address with the version: %+v, %+v", r.Package.Upstream, r.Questions)
	}
	if !slices.Equal(r.Publisher.Hosts, []string{"dl.acme.example"}) {
		t.Errorf("hosts %v", r.Publisher.Hosts)
	}
	r = given(t, "msi", host+"latest/agent.msi")
	if up := r.Package.Upstream; up == nil || up.From.InFile == nil || *up.From.InFile != (fleet.InFile{URL: host + "latest/agent.msi", Read: "msi"}) || !asked(r, "upstream.from", "always give the newest") {
		t.Errorf("an address without it: %+v, %+v", up, r.Questions)
	}
	// What has no reader of its own, or a version that a person named, is not read
	// from the file.
	if r = given(t, "deb", host+"tree.deb"); r.Package.Upstream != nil || !asked(r, "upstream", "Where does the vendor tell") {
		t.Errorf("a .deb: %+v", r.Package.Upstream)
	}
	for name := range inspected {
		for _, address := range []string{"", host + "x", host + "x-" + inspected[name].Version} {
			if name != "pkg" && name != "suite" && distinct(given(t, name, address)) > 2 {
				t.Errorf("%s of %q asks more than two questions: %+v", name, address, given(t, name, address).Questions)
			}
		}
	}
}

// TestFileAsks is what else the bytes make somebody ask.
func TestFileAsks(t *testing.T) {
	ask := func(change func(*fleet.Inspection)) *Result {
		i := inspected["msi"]
		change(&i)
		r, err := File(Given{File: &i}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := ask(func(i *fleet.Inspection) { i.Replaces = false }); !asked(r, "installers.x64", "side by side") {
		t.Errorf("nobody asks after the version before: %+v", r.Questions)
	}
	if r := ask(func(i *fleet.Inspection) { i.Restarts = true }); r.Package.Installers["x64"].Restart != "byExitCode" {
		t.Errorf("restarts: %+v", r.Package.Installers)
	}
	r := ask(func(i *fleet.Inspection) { i.Verdict = "selfSigned" })
	if q := r.PublisherQuestions; len(q) != 1 || q[0].At != "signers" || !strings.Contains(q[0].Text, "vouches for itself") {
		t.Errorf("nobody asks whose certificate it is: %+v", q)
	}
	r = ask(func(i *fleet.Inspection) {
		i.Type, i.Maker, i.Silent = "exe", "burn", fleet.Arguments{Install: "/quiet /norestart", Uninstall: "/uninstall /quiet /norestart"}
	})
	in := r.Package.Installers["x64"]
	if in.ExitCodes["3010"] != "softReboot" || in.Arguments.Uninstall != "/uninstall /quiet /norestart" {
		t.Errorf("a bundle: %+v", in)
	}
}

func TestFileRefused(t *testing.T) {
	for _, c := range []struct {
		why   string
		given Given
		hint  string
	}{
		{"packmill deploys no such file: it is a macOS disk image", Given{File: &fleet.Inspection{Name: "x.dmg", Kind: "a macOS disk image"}}, "build a .pkg"},
		{"packmill deploys no such file: it is a zip archive", Given{File: &fleet.Inspection{Name: "x.zip", Kind: "a zip archive"}}, "take the installer out"},
		{"packmill builds nothing of an MSIX", Given{File: &fleet.Inspection{Name: "x.msix", Kind: "an MSIX package", Type: "msix", Version: "1"}}, "MSI or exe"},
		{"does not say which version", Given{File: &fleet.Inspection{Name: "x.exe", Type: "exe", Platform: "windows", Publisher: "Acme"}}, "--release"},
		{"is no plain https address", Given{File: &fleet.Inspection{Name: "x.msi", Type: "msi", Platform: "windows", Version: "1", Publisher: "Acme"}, URL: "https://u@acme.example/x.msi"}, ""},
		{"cannot be the publisher and the package of an id", Given{File: &fleet.Inspection{Name: "x.msi", Type: "msi", Version: "1"}}, "--id"},
	} {
		_, err := File(c.given, Options{})
		var e *fleet.Error
		if err == nil || !strings.Contains(err.Error(), c.why) || !errors.As(err, &e) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%+v: %v, want %q and the hint %q", c.given, err, c.why, c.hint)
		}
	}
}

func TestTitle(t *testing.T) {
	for _, c := range []struct{ product, file, version, want string }{
		{"7-Zip 24.09 (x64 edition)", "", "24.09", "7-Zip"},
		{"Acme Agent x64", "", "1.0", "Acme Agent"},
		{"Widget Setup", "", "1.0", "Widget"},
		{"", "greenshot-installer-1.3.290.exe", "1.3.290", "greenshot"},
		{"", "tool_amd64.exe", "", "tool"},
		{"Visual Studio 2022", "", "17.1", "Visual Studio 2022"},
	} {
		if got := titleOf(&fleet.Inspection{Product: c.product, Name: c.file}, c.version); got != c.want {
			t.Errorf("%q %q: %q, want %q", c.product, c.file, got, c.want)
		}
	}
}
