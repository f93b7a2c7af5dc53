package manifest

import (
	"path"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/packmill/packmill/internal/fleet"
)

// shelf are the files of an archive below testdata.
func shelf(t testing.TB, name string) map[string][]byte {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/" + name + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range archive.Files {
		files[f.Name] = f.Data
	}
	return files
}

// version are the manifests of one package.
func version(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for name, data := range shelf(t, "winget") {
		if path.Dir(name) == dir {
			files[name] = data
		}
	}
	return files
}

func TestWinget(t *testing.T) {
	m, err := Winget(version(t, "manifests/b/Bitwarden/Bitwarden/2024.12.1"))
	if err != nil {
		t.Fatal(err)
	}
	if m.ID != "Bitwarden.Bitwarden" || m.Publisher != "Bitwarden Inc." || m.Name != "Bitwarden" || m.Version != "2024.12.1" || len(m.Installers) != 2 || len(m.Read) != 3 {
		t.Errorf("%+v", m)
	}
	// The installer's own values stand over those for all.
	o := m.Installers[1]
	if o.Arch != "universal" || o.Type != "nullsoft" || o.Scope != "machine" || o.Custom != "/allusers" || o.ProductCode != "173a9bac-6f0d-50c4-8202-4744c69d091a" || o.Language != "en-US" {
		t.Errorf("%+v", o)
	}
	m, err = Winget(version(t, "manifests/h/Hashicorp/Terraform/1.10.3"))
	if err != nil {
		t.Fatal(err)
	}
	if o := m.Installers[0]; o.Type != "portable" || o.Member != "terraform.exe" {
		t.Errorf("an archive with one program: %+v", o)
	}
	m, err = Winget(version(t, "manifests/i/Inkscape/Inkscape/1.4"))
	if err != nil || m.Version != "1.4" {
		t.Errorf("a version that looks like a number: %q, %v", m.Version, err)
	}
}

func TestWingetRefuses(t *testing.T) {
	const head = "PackageIdentifier: A.B\nPackageVersion: 1\nPackageName: B\nManifestVersion: 1.9.0\n"
	for name, c := range map[string]struct{ text, says string }{
		"another schema": {"PackageIdentifier: A.B\nManifestType: singleton\nManifestVersion: 2.0.0\n", "1.x is read"},
		"no installer":   {head + "ManifestType: version\n", "no manifest of type installer"},
		"no yaml":        {"\x00", "control characters"},
		"a line break":   {head + "ManifestType: singleton\nPublisher: \"A\\nB\"\n", "control characters"},
		"too much":       {strings.Repeat("#", MaxBytes+1), "larger than"},
		"too many":       {head + "ManifestType: singleton\nInstallers:\n" + strings.Repeat("- Architecture: x64\n", maxInstallers+1), "513 installers"},
		"aliases":        {head + "ManifestType: singleton\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nInstallers: [*c]\n", "cannot unmarshal"},
	} {
		if _, err := Winget(map[string][]byte{"x.yaml": []byte(c.text)}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	files := version(t, "manifests/j/jqlang/jq/1.7.1")
	files["manifests/j/jqlang/jq/1.7.1/jqlang.jq.yaml"] = []byte("PackageIdentifier: jqlang.jq\nPackageVersion: 1.7.2\nManifestType: version\nManifestVersion: 1.5.0\n")
	if _, err := Winget(files); err == nil || !strings.Contains(err.Error(), "1.7.2") {
		t.Errorf("two versions at once: %v", err)
	}
}

func TestCask(t *testing.T) {
	files := shelf(t, "casks")
	read := func(token string) *fleet.Manifest {
		t.Helper()
		m, err := Cask(token, files["api/cask/"+token+".json"])
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := read("powershell")
	if len(m.Installers) != 2 || m.Installers[0].Arch != "arm64" || m.Installers[1].Arch != "x64" || !strings.HasSuffix(m.Installers[1].URL, "osx-x64.pkg") || m.Installers[0].OS != "10.14" {
		t.Errorf("%+v", m.Installers)
	}
	m = read("microsoft-word") // its variation is an older system's
	if o := m.Installers[0]; len(m.Installers) != 1 || o.Arch != "universal" || o.Type != "pkg" || len(o.Receipts) != 2 || len(o.Quits) != 1 || !m.Updates {
		t.Errorf("%+v", m)
	}
	for token, want := range map[string]string{"firefox": "dmg", "teamviewer": "dmg", "cloudflare-warp": "pkg"} {
		if got := read(token).Installers[0].Type; got != want {
			t.Errorf("%s is of type %q, want %q", token, got, want)
		}
	}
	for _, text := range []string{"", "[]", "{}", `{"token": 1}`, `{"token": "a", "url": "https://a.example/a.pkg", "version": "1\u0000"}`} {
		if m, err := Cask("x", []byte(text)); err == nil {
			t.Errorf("%q is taken for %+v", text, m)
		}
	}
}

func TestScoop(t *testing.T) {
	files := shelf(t, "others")
	read := func(name string) *fleet.Manifest {
		t.Helper()
		m, err := Scoop("ScoopInstaller/"+name, files["ScoopInstaller/"+name])
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := read("Extras/bucket/firefox.json")
	if o := m.Installers[0]; m.ID != "firefox" || len(m.Installers) != 2 || o.Type != "exe" || o.Arch != "x64" || strings.Contains(o.URL+o.Template, "#") || m.Check.Regex == "" {
		t.Errorf("%+v, %+v", m, m.Check)
	}
	m = read("Extras/bucket/putty.json")
	if o := m.Installers[0]; o.Type != "portable" || o.Member != "putty.exe" || m.Check.URL != m.Homepage {
		t.Errorf("%+v, %+v", o, m.Check)
	}
	m = read("Extras/bucket/alacritty.json")
	if o := m.Installers[0]; o.Type != "portable" || o.Arch != "universal" || o.Member != "" || m.Check.GitHub != "https://github.com/alacritty/alacritty" {
		t.Errorf("%+v, %+v", o, m.Check)
	}
	for _, text := range []string{"", "{}", `{"version": "1"}`, `{"version": "1", "url": "https://a.example/a.exe", "checkver": {"regex": "a", "re": "b"}}`} {
		if m, err := Scoop("x.json", []byte(text)); err == nil {
			t.Errorf("%q is taken for %+v", text, m)
		}
	}
}

func TestEvergreen(t *testing.T) {
	m, err := Evergreen("app", "MicrosoftPowerShell", shelf(t, "others")["app/MicrosoftPowerShell"])
	if err != nil {
		t.Fatal(err)
	}
	if m.Version != "7.3.6" || len(m.Installers) != 2 || m.Installers[1].Arch != "x86" || m.Installers[0].Type != "msi" || m.Installers[0].Row["Release"] != "Stable" {
		t.Errorf("%+v", m)
	}
	for _, text := range []string{"", "[]", "{}", `[{"Version": "1"}]`, `[{"Version": "1\n2", "URI": "https://a.example"}]`} {
		if m, err := Evergreen("x", "X", []byte(text)); err == nil {
			t.Errorf("%q is taken for %+v", text, m)
		}
	}
}

func FuzzWinget(f *testing.F) {
	for name, data := range shelf(f, "winget") {
		if strings.HasSuffix(name, ".installer.yaml") {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		locale := []byte("PackageIdentifier: A.B\nPackageVersion: 1\nPackageName: B\nManifestType: defaultLocale\nManifestVersion: 1.9.0\n")
		m, err := Winget(map[string][]byte{"a": data, "b": locale})
		bounded(t, m, err)
	})
}

func FuzzJSON(f *testing.F) {
	for _, name := range []string{"casks", "others"} {
		for _, data := range shelf(f, name) {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Cask("x", data)
		bounded(t, m, err)
		m, err = Scoop("x.json", data)
		bounded(t, m, err)
		m, err = Evergreen("x", "X", data)
		bounded(t, m, err)
	})
}

// bounded checks what a reader promises of what it lets through.
func bounded(t *testing.T, m *fleet.Manifest, err error) {
	t.Helper()
	if err != nil {
		return
	}
	if len(m.Installers) > maxInstallers {
		t.Errorf("%d installers", len(m.Installers))
	}
	texts := []string{m.ID, m.Name, m.Version, m.Publisher, m.Homepage}
	for _, o := range m.Installers {
		texts = append(texts, o.URL, o.Template, o.Member, o.Silent, o.Custom, o.ProductCode, o.Display, o.Family, o.OS, o.Arch, o.Type, o.Language)
	}
	for _, s := range texts {
		if len(s) > maxText || strings.ContainsAny(s, "\x00\n\r") {
			t.Errorf("%.80q is let through", s)
		}
	}
}
