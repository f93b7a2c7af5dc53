package notice

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// sample is an announcement with everything in it.
func sample(lang string) Announcement {
	opens := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	due := opens.AddDate(0, 0, 3)
	tenant := func(name, zone string, shift time.Duration, devices int) Tenant {
		return Tenant{Name: name, Zone: zone, Day: Day(opens.Add(shift), lang), Clock: Clock(opens.Add(shift)),
			DeadlineDay: Day(due.Add(shift), lang), DeadlineClock: Clock(due.Add(shift)), Devices: devices}
	}
	return Announcement{
		Cycle: "2026-W47", Partner: "Nordic IT", Language: lang, From: "Nordic IT updates", Contacts: []string{"releases@nordic.example"},
		Signature: "Nordic IT\nReleases", Day: Day(opens, lang), Devices: 81,
		Packages: []Package{
			{Name: "7-Zip", From: "24.08", To: "24.09", Security: true},
			{Name: "Browser policy <strict>", To: "2", New: true, Tenants: []string{"Aurora Foods"}},
			{Name: "Firefox", From: "132.0, 132.0.1", To: "133.0"},
			{Name: "esbuild", From: "0.24.0", To: "0.25.0"},
		},
		Tenants:  []Tenant{tenant("Aurora Foods", "Europe/Helsinki", 0, 80), tenant("Birch School", "Europe/Stockholm", -time.Hour, 1)},
		Closes:   []string{"Firefox"},
		Restarts: []string{"7-Zip"},
		Quiet:    []string{"Browser policy <strict>", "esbuild"},
	}
}

// TestGolden renders the shipped templates. UPDATE=1 writes the goldens anew.
func TestGolden(t *testing.T) {
	for _, lang := range []string{"en", "fi", "de"} {
		text, ok := Shipped(lang)
		if !ok {
			t.Fatalf("no template in %s", lang)
		}
		m, err := Render(sample(lang), FileName(lang), text)
		if err != nil {
			t.Fatal(err)
		}
		if m.From != "Nordic IT updates" || m.Lang != lang || len(m.To) > 0 || m.ID != "" {
			t.Errorf("message %+v", m)
		}
		for name, got := range map[string]string{lang + ".txt": "Subject: " + m.Subject + "\n\n" + m.Text, lang + ".html": m.HTML} {
			file := filepath.Join("testdata", name)
			if os.Getenv("UPDATE") == "1" {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("%s differs (%v); UPDATE=1 writes it anew:\n%s", file, err, got)
			}
		}
	}
}

// TestOnePackage leaves out what does not apply.
func TestOnePackage(t *testing.T) {
	for _, lang := range []string{"en", "fi", "de"} {
		a := sample(lang)
		a.Packages, a.Tenants, a.Closes, a.Restarts, a.Quiet = a.Packages[:1], a.Tenants[:1], nil, nil, []string{"7-Zip"}
		text, _ := Shipped(lang)
		m, err := Render(a, "x", text)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(m.Text, "\n\n\n") || strings.Contains(m.Text, "Firefox") || strings.Count(m.Text, "- ") != 2 || !strings.HasSuffix(m.Subject, "7-Zip") {
			t.Errorf("%s: %q\n%s", lang, m.Subject, m.Text)
		}
	}
}

// TestHostile renders templates that somebody wrote to do harm, or wrongly.
func TestHostile(t *testing.T) {
	head := "Subject: x\n\n"
	for name, c := range map[string]struct{ text, want string }{
		"endless loop":            {head + "{{range 99999999999}}{{end}}", "no loop over a list"},
		"endless loop, variable":  {head + "{{$n := 99999999999}}{{range $n}}{{end}}", "no loop over a list"},
		"loop over a count":       {head + "{{range .Devices}}x{{end}}", "no loop over a list"},
		"loop over a text":        {head + "{{range .Cycle}}x{{end}}", "range can't iterate"},
		"loop over a call":        {head + "{{range len .Packages}}x{{end}}", "no loop over a list"},
		"deep loops":              {head + "{{range $.Packages}}{{range $.Packages}}{{range $.Packages}}x{{end}}{{end}}{{end}}", "lies too deep"},
		"calls itself":            {head + `{{template "file"}}`, "more than a template may say"},
		"defines":                 {head + `{{define "x"}}{{end}}x`, "defines another"},
		"printf":                  {head + `{{printf "%999999999d" 1}}`, "calls printf"},
		"doubling":                {head + `{{$x := "aaaa"}}{{$x = print $x $x}}{{$x}}`, "calls print"},
		"joined with joined":      {head + `{{join .Contacts (join .Contacts ",")}}`, "not of the form"},
		"joined with a variable":  {head + `{{$x := "a"}}{{join .Contacts $x}}`, "not of the form"},
		"joined with a long text": {head + `{{join .Contacts "` + strings.Repeat("x", 17) + `"}}`, "not of the form"},
		"pipe":                    {head + `{{.Cycle | len}}`, "without |"},
		"call":                    {head + `{{call .Cycle}}`, "calls call"},
		"in a condition":          {head + `{{if printf "x"}}x{{end}}`, "calls printf"},
		"in with":                 {head + `{{with print "x"}}x{{end}}`, "calls print"},
		"in an else":              {head + `{{if .New}}x{{else}}{{template "x"}}{{end}}`, "may say"},
		"in an expression":        {head + `{{eq (len (print "x")) 1}}`, "calls print"},
		"long output":             {head + "{{range .Packages}}{{range $.Packages}}" + strings.Repeat("x", 9000) + "{{end}}{{end}}", "grows past"},
		"long template":           {head + strings.Repeat("x", maxTemplate), "more than"},
		"unknown field":           {head + "{{.Password}}", "can't evaluate field Password"},
		"broken":                  {head + "{{.Cycle", "unclosed action"},
		"no subject":              {"Hello\n\nWorld\n", "does not begin"},
		"empty subject":           {"Subject: \n\nWorld\n", "does not begin"},
		"no text":                 {"Subject: x\n\n  \n", "does not begin"},
		"empty":                   {"", "empty"},
		"nothing but a comment":   {"{{/* x */}}", "does not begin"},
	} {
		_, err := Render(sample("en"), "tenants/nordic/texts/announcement.en.tmpl", c.text)
		if fleet.KindOf(err) != fleet.Invalid || err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tenants/nordic/texts/") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestEscapes keeps data out of the HTML's structure and the header.
func TestEscapes(t *testing.T) {
	a := sample("en")
	a.Partner, a.Language = `<script>alert(1)</script>`, `en" onload="x`
	m, err := Render(a, "x", "Subject: {{.Partner}}\n\n{{.Partner}}\n\n- {{.Partner}}\n")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, `" onload`) || strings.Count(m.HTML, "&lt;script") != 2 {
		t.Errorf("HTML %s", m.HTML)
	}
	a.Partner = "x\nBcc: all@victim.example"
	if m, err = Render(a, "x", "Subject: {{.Partner}}\n\ntext\n"); err != nil || m.Subject != "x" {
		t.Errorf("subject %q, %v", m.Subject, err)
	}
}

// TestShared is for an audience that may not know who else is served.
func TestShared(t *testing.T) {
	for _, lang := range []string{"en", "fi", "de"} {
		a := sample(lang)
		a.Tenants[0].Name, a.Tenants[0].Devices = "Europe/Helsinki", 0
		text, _ := Shipped(lang)
		m, err := Render(a, "x", text)
		if err != nil || !strings.Contains(m.Text, "- Europe/Helsinki: ") || strings.Contains(m.Text, "(0 ") || strings.Contains(m.Text, "80") {
			t.Errorf("%s: %v\n%s", lang, err, m.Text)
		}
	}
}

func TestLanguages(t *testing.T) {
	for lang, want := range map[string]string{"de-CH": "de-CH de en", "fi": "fi en", "en": "en", "en-GB": "en-GB en", "pt": "pt en"} {
		if got := strings.Join(Languages(lang), " "); got != want {
			t.Errorf("%s: %s, want %s", lang, got, want)
		}
	}
	monday := time.Date(2026, 11, 23, 9, 5, 0, 0, time.UTC)
	for lang, want := range map[string]string{
		"en-GB": "Monday 23 November 2026", "de": "Montag, 23.11.2026", "fi": "maanantaina 23.11.2026", "sv": "måndag 2026-11-23", "ja": "2026-11-23",
	} {
		if got := Day(monday, lang); got != want {
			t.Errorf("%s: %q, want %q", lang, got, want)
		}
	}
	if Clock(monday) != "09:05" {
		t.Errorf("clock %q", Clock(monday))
	}
}
