package adopt

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// offered is a manifest of winget with one installer.
func offered(version string, o fleet.Offer) *fleet.Manifest {
	if o.Platform == "" {
		o.Platform, o.Arch = "windows", "x64"
	}
	return &fleet.Manifest{Kind: fleet.ManifestWinget, Read: []string{"a test"}, ID: "Acme.Tool", Publisher: "Acme", Name: "Tool", Version: version, Installers: []fleet.Offer{o}}
}

func adopted(t *testing.T, m *fleet.Manifest) *Result {
	t.Helper()
	r, err := Package(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// asked reports whether a question about a field holds a text.
func asked(r *Result, at, text string) bool {
	for _, q := range r.Questions {
		if q.At == at && strings.Contains(q.Text, text) {
			return true
		}
	}
	return false
}

func TestUpstream(t *testing.T) {
	for _, c := range []struct {
		version, url string
		repository   string // on GitHub; "" for another feed
		tag, asset   string
		question     string
	}{
		{"1.2.3", "https://github.com/acme/tool/releases/download/v1.2.3/tool-1.2.3-x64.msi", "acme/tool", "v{version}", "tool-{version}-x64.msi", ""},
		{"1.2.3", "https://github.com/acme/tool/releases/download/1.2.3/tool.msi", "acme/tool", "", "tool.msi", ""},
		{"7.4.6.0", "https://github.com/acme/tool/releases/download/v7.4.6/tool-7.4.6.msi", "acme/tool", "v{version}", "tool-{version}.msi", ""},
		{"24.09", "https://github.com/acme/tool/releases/download/24.09/7z2409-x64.msi", "acme/tool", "", "7z{digits}-x64.msi", ""},
		{"2.47.1", "https://github.com/acme/tool/releases/download/v2.47.1.windows.1/Git-2.47.1.msi", "acme/tool", "v{version}.windows.1", "Git-{version}.msi", "beside the version"},
		{"6.4.1.4630", "https://github.com/acme/tool/releases/download/v6.4.1/tools-6.4.1.4630.msi", "", "", "", "feed was not found"},
		{"1.2.3", "https://github.com/acme/tool/releases/latest/download/tool.msi", "", "", "", "feed was not found"},
		{"1.2.3", "https://vendor.example/tool-1.2.3.msi", "", "", "", "feed was not found"},
	} {
		r := adopted(t, offered(c.version, fleet.Offer{Type: "msi", URL: c.url}))
		up := r.Package.Upstream.From
		if c.repository == "" {
			if up.Winget == nil || !r.Package.Installers["x64"].Source.Listed || !asked(r, "upstream.from", c.question) {
				t.Errorf("%s: %+v, %+v", c.url, up, r.Questions)
			}
			continue
		}
		source := r.Package.Installers["x64"].Source
		if up.GitHubReleases == nil || up.GitHubReleases.Repository != c.repository || up.GitHubReleases.Tag != c.tag || source.Asset != c.asset {
			t.Errorf("%s: %+v, %+v", c.url, up.GitHubReleases, source)
		}
		if asked(r, "upstream.from", c.question) != (c.question != "") {
			t.Errorf("%s: questions %+v", c.url, r.Questions)
		}
	}
}

func TestSourceForge(t *testing.T) {
	r := adopted(t, offered("6.3.6", fleet.Offer{Type: "wix", URL: "https://sourceforge.net/projects/winscp/files/WinSCP/6.3.6/WinSCP-6.3.6.msi/download"}))
	up := r.Package.Upstream.From
	if up.SourceForge == nil || up.SourceForge.Project != "winscp" || up.SourceForge.Path != "/WinSCP" || up.Match != `/(?P<version>\d+(?:\.\d+)*)/[^/]+$` ||
		r.Package.Installers["x64"].Source.Asset != "WinSCP-{version}.msi" {
		t.Errorf("%+v %q %+v", up.SourceForge, up.Match, r.Package.Installers)
	}
}

func TestPlaces(t *testing.T) {
	for _, c := range []struct{ text, version, want string }{
		{"tool-1.2-x64", "1.2", "tool-{version}-x64"},
		{"tool-1.2.3", "1.2", "tool-1.2.3"},
		{"tool-11.2", "1.2", "tool-11.2"},
		{"1.2/tool-1.2.exe", "1.2", "{version}/tool-{version}.exe"},
		{"tool-0.1.2", "1.2", "tool-0.1.2"},
		{"tool64-2409.msi", "24.09", "tool64-{digits}.msi"},
		{"tool42", "4.2", "tool42"}, // two digits may be anything
	} {
		if got, _ := fill(c.text, c.version); got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.version, c.text, got, c.want)
		}
	}
}

func TestArgumentsAndDetection(t *testing.T) {
	const url = "https://vendor.example/tool.exe"
	r := adopted(t, offered("1.2", fleet.Offer{Type: "inno", URL: url, ProductCode: "Tool_is1", Custom: "/ALLUSERS"}))
	in := r.Package.Installers["x64"]
	if in.Arguments.Install != "/SP- /VERYSILENT /SUPPRESSMSGBOXES /NORESTART /ALLUSERS" || in.Arguments.Uninstall != "" || !asked(r, "installers.x64.arguments", "removes it") {
		t.Errorf("%+v", in.Arguments)
	}
	if rule := in.Detect[0].Registry; rule == nil || !strings.HasSuffix(rule.Key, `\Uninstall\Tool_is1`) || rule.Value != "DisplayVersion" || r.Package.Rollback != "forwardOnly" {
		t.Errorf("%+v", in.Detect)
	}
	// A key that names one version is no rule for the next one.
	for _, code := range []string{"Tool 1.2", "{857ac5f4-6527-43f3-8d1f-6ab995934fe6}", `a\b`, ""} {
		r := adopted(t, offered("1.2", fleet.Offer{Type: "nullsoft", URL: url, ProductCode: code}))
		if rule := r.Package.Installers["x64"].Detect[0].Registry; rule.Key != unansweredKey || !asked(r, "installers.x64.detect", "finds nothing") {
			t.Errorf("%q: %+v", code, rule)
		}
	}
	r = adopted(t, offered("1.2", fleet.Offer{Type: "exe", URL: url, ReturnCodes: map[string]string{"3010": "rebootRequiredToFinish", "5": "packageInUse", "1602": "cancelledByUser", "x": "fileInUse"}, SuccessCodes: []string{"2", "0"}}))
	codes := r.Package.Installers["x64"].ExitCodes
	if len(codes) != 3 || codes["3010"] != "softReboot" || codes["5"] != "retry" || codes["2"] != "success" || !asked(r, "installers.x64.arguments", "silently") {
		t.Errorf("%v, %+v", codes, r.Questions)
	}
}

func TestBundle(t *testing.T) {
	for _, c := range []struct {
		receipts, quits []string
		bundle, receipt string
	}{
		{[]string{"com.acme.tool"}, []string{"com.acme.tool", "com.acme.helper"}, "com.acme.tool", ""},
		{[]string{"com.acme.tool"}, []string{"com.acme.updater"}, "", "com.acme.tool"},
		{[]string{"com.acme.tool", "com.acme.shared"}, nil, unansweredBundle, ""},
		{[]string{"com.acme.*"}, nil, unansweredBundle, ""},
		{nil, []string{"com.acme.updater"}, unansweredBundle, ""},
	} {
		m := offered("1.2", fleet.Offer{Platform: "macos", Arch: "universal", Type: "pkg", URL: "https://vendor.example/tool.pkg", Receipts: c.receipts, Quits: c.quits})
		m.Kind, m.ID, m.Updates = fleet.ManifestCask, "tool", true
		r := adopted(t, m)
		d := r.Package.Installers["universal"].Detect[0]
		if d.Bundle != c.bundle || d.Package != c.receipt || d.Operator != ">=" || r.Package.Updater != "tolerate" {
			t.Errorf("%q %q: %+v", c.receipts, c.quits, d)
		}
		if open := asked(r, "installers.universal.detect", "bundle"); open != (c.bundle != "com.acme.tool") {
			t.Errorf("%q %q: questions %+v", c.receipts, c.quits, r.Questions)
		}
	}
}

func TestTranslate(t *testing.T) {
	for _, c := range []struct{ template, want, unknown string }{
		{"https://a.example/$version/tool-${version}.exe", "https://a.example/{version}/tool-{version}.exe", ""},
		{"https://a.example/$majorVersion.$minorVersion/t$cleanVersion.msi", "https://a.example/{major}.{minor}/t{digits}.msi", ""},
		{"https://a.example/$matchBuild/t.msi", "https://a.example/{build}/t.msi", ""},
		{"https://a.example/$underscoreVersion/t.msi", "", "$underscoreVersion"},
		{"https://a.example/{x}", "", "braces"},
	} {
		got, unknown := translate(c.template, []string{"build"})
		if c.unknown == "" && got != c.want || !strings.Contains(unknown, c.unknown) {
			t.Errorf("%s: %s, %s", c.template, got, unknown)
		}
	}
}

func TestScoopFeeds(t *testing.T) {
	offer := fleet.Offer{Platform: "windows", Arch: "x64", Type: "msi", URL: "https://a.example/1.2/t.msi", Template: "https://a.example/$version/t.msi"}
	for name, c := range map[string]struct {
		check fleet.ScoopCheck
		feed  func(fleet.Feed) bool
		asks  string
	}{
		"json":   {fleet.ScoopCheck{URL: "https://a.example/v.json", JSONPath: "tag"}, func(f fleet.Feed) bool { return f.HTTPJSON != nil && f.HTTPJSON.Path == "$.tag" }, ""},
		"xml":    {fleet.ScoopCheck{URL: "https://a.example/v.xml", XPath: "/a/@v"}, func(f fleet.Feed) bool { return f.HTTPXML != nil }, ""},
		"regex":  {fleet.ScoopCheck{URL: "https://a.example/", Regex: "v([0-9.]+)"}, func(f fleet.Feed) bool { return f.HTTPRegex != nil }, ""},
		"forge":  {fleet.ScoopCheck{SourceForge: "tool/files", URL: "https://a.example/"}, func(f fleet.Feed) bool { return f.SourceForge != nil && f.SourceForge.Path == "/files" }, ""},
		"script": {fleet.ScoopCheck{Other: "script", URL: "https://a.example/"}, nil, "script"},
		"behind": {fleet.ScoopCheck{URL: "https://a.example/", Regex: "(?<=a)b"}, nil, "none of RE2"},
		"http":   {fleet.ScoopCheck{URL: "http://a.example/", Regex: "b"}, nil, "no plain https"},
	} {
		m := &fleet.Manifest{Kind: fleet.ManifestScoop, Read: []string{"x"}, ID: "tool", Name: "tool", Version: "1.2", Homepage: "https://www.acme.example/", Installers: []fleet.Offer{offer}, Check: &c.check}
		r := adopted(t, m)
		switch {
		case c.feed == nil && (r.Package.Upstream != nil || !asked(r, "upstream", c.asks)):
			t.Errorf("%s: %+v, %+v", name, r.Package.Upstream, r.Questions)
		case c.feed != nil && (!c.feed(r.Package.Upstream.From) || r.Package.Installers["x64"].Source.URL != "https://a.example/{version}/t.msi"):
			t.Errorf("%s: %+v", name, r.Package.Upstream)
		}
		if r.Package.ID != "acme/tool" && r.Package.ID != "a/tool" {
			t.Errorf("%s: id %s", name, r.Package.ID)
		}
	}
}

func TestIDs(t *testing.T) {
	for text, want := range map[string]string{"Notepad++": "notepad-plus-plus", "Nodejs.LTS": "nodejs-lts", "Přikryl & Co.": "prikryl-co", "..": "", "日本": ""} {
		if got := slug(text, false); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	m := offered("1.2", fleet.Offer{Type: "msi", URL: "https://vendor.example/t.msi"})
	for _, o := range []Options{{ID: "nothing"}, {ID: "a/../b"}, {ID: "A/b"}, {Publisher: "a b"}} {
		var e *fleet.Error
		if r, err := Package(m, o); !errors.As(err, &e) || e.Kind != fleet.Invalid {
			t.Errorf("%+v: %+v, %v", o, r, err)
		}
	}
	if r, err := Package(m, Options{Publisher: "other"}); err != nil || r.Package.ID != "other/tool" {
		t.Errorf("%v, %v", r, err)
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		version string
		offer   fleet.Offer
		says    string
	}{
		{"1.2", fleet.Offer{Type: "dmg", URL: "https://vendor.example/t.dmg"}, "disk image"},
		{"1.2", fleet.Offer{Type: "archive", URL: "https://vendor.example/t.7z"}, "archive"},
		{"1.2", fleet.Offer{Type: "font", URL: "https://vendor.example/t.ttf"}, `type "font"`},
		{"1.2", fleet.Offer{Type: "msi", URL: "http://vendor.example/t.msi"}, "no plain https"},
		{"1.2", fleet.Offer{Type: "msi", URL: "https://127.0.0.1/t.msi"}, "no plain https"},
		{"1.2", fleet.Offer{Type: "msi", URL: "https://vendor.example/{version}.msi"}, "braces"},
		{"1.2", fleet.Offer{Platform: "windows", Arch: "ia64", Type: "msi", URL: "https://vendor.example/t.msi"}, "ia64"},
		{"latest", fleet.Offer{Type: "msi", URL: "https://vendor.example/t.msi"}, "no scheme"},
	} {
		_, err := Package(offered(c.version, c.offer), Options{})
		if fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.offer, err)
		}
	}
}

func TestJoined(t *testing.T) {
	for _, c := range []struct{ arguments, added, want string }{
		{"/quiet /norestart", "/NORESTART ALL=1", "/quiet /norestart ALL=1"},
		{"/quiet /norestart", "/NORESTART", "/quiet /norestart"},
		{"/S", `/D="C:\Program Files" /S`, `/S /D="C:\Program Files" /S`},
		{"", "/S", "/S"},
		{"/S", "", "/S"},
	} {
		if got := joined(c.arguments, c.added); got != c.want {
			t.Errorf("%q and %q: %q, not %q", c.arguments, c.added, got, c.want)
		}
	}
}

func TestLanguages(t *testing.T) {
	for _, c := range []struct {
		has, asked, want []string
		says             string // of what is left out, or refused
	}{
		{[]string{"de-DE"}, nil, []string{""}, ""},
		{[]string{"de-DE"}, []string{"fr-FR"}, []string{""}, ""},
		{[]string{"de-DE", "en-US", "fr-FR"}, nil, []string{"en-US"}, "x64: languages de-DE, fr-FR (--language takes them)"},
		{[]string{"ja-JP", "de-DE"}, nil, []string{"de-DE"}, "languages ja-JP"},
		{[]string{"de-DE", "en-US", "fr-FR"}, []string{"fr-FR", "de-DE"}, []string{"de-DE", "fr-FR"}, "languages en-US"},
		{[]string{"de-DE", ""}, nil, []string{""}, "languages de-DE"},
		{[]string{"de-DE", ""}, []string{"de-DE"}, []string{"de-DE"}, "of no language"},
		{[]string{"de-DE", ""}, []string{"fr-FR"}, []string{""}, "languages de-DE"},
		{[]string{"de-DE", "en-US"}, []string{"fr-FR"}, nil, "no installer for x64 is in the language fr-FR; there are de-DE, en-US"},
	} {
		m := offered("1.2.3", fleet.Offer{Type: "msi", URL: "https://vendor.example/t-1.2.3.msi"})
		one := m.Installers[0]
		m.Installers = nil
		for _, language := range c.has {
			one.Language = language
			m.Installers = append(m.Installers, one)
		}
		r, err := Package(m, Options{Languages: c.asked})
		if err != nil {
			if c.want != nil || fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q, asked for %q: %v", c.has, c.asked, err)
			}
			continue
		}
		var got []string
		for _, key := range slices.Sorted(maps.Keys(r.Package.Installers)) {
			got = append(got, r.Package.Installers[key].Language)
		}
		if !slices.Equal(got, c.want) || !strings.Contains(strings.Join(r.LeftOut, "\n"), c.says) {
			t.Errorf("%q, asked for %q: %q, left out: %q", c.has, c.asked, got, r.LeftOut)
		}
	}
}
