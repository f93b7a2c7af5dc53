package desired

import (
	"os"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

const sources = "catalog/advisories/sources.cue"

// TestAdvisorySources reads which sources of vulnerabilities are asked: none
// without the file, and none that it leaves out.
func TestAdvisorySources(t *testing.T) {
	own, err := os.ReadFile("../../../" + sources)
	if err != nil {
		t.Fatal(err)
	}
	const head = "package catalog\n\nimport \"github.com/packmill/packmill/schema\"\n\n"
	for name, c := range map[string]struct {
		text string
		want fleet.AdvisorySources
	}{
		"no file":                {"", fleet.AdvisorySources{}},
		"nobody":                 {"package catalog\n\nadvisories: {}\n", fleet.AdvisorySources{}},
		"one":                    {head + "advisories: schema.#AdvisorySources & {kev: \"https://kev.example/kev.json\"}\n", fleet.AdvisorySources{KEV: "https://kev.example/kev.json"}},
		"this repository's file": {string(own), fleet.AdvisorySources{KEV: "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json", EPSS: "https://api.first.org/data/v1/epss"}},
	} {
		repo, err := load(t, with(msp(t), map[string]string{sources: c.text}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if repo.Advisories != c.want {
			t.Errorf("%s: %+v, want %+v", name, repo.Advisories, c.want)
		}
	}
	part, err := LoadPart(t.Context(), with(msp(t), map[string]string{sources: string(own)}), Part{Catalog: []string{"catalog/advisories"}, Policy: &fleet.Repository{}}, Options{})
	if err != nil || part.Advisories.EPSS == "" {
		t.Errorf("as a part: %+v, %v", part, err)
	}
}

func TestAdvisorySourcesRefused(t *testing.T) {
	file := func(text string) []edit { return []edit{{sources, "", "package catalog\n\n" + text + "\n"}} }
	checkRules(t, []rule{
		{"misspelt source", file(`advisories: kevs: "https://kev.example/kev.json"`)},
		{"source by http", file(`advisories: kev: "http://kev.example/kev.json"`)},
		{"source that is no text", file(`advisories: epss: 1`)},
		{"another field", file(`sources: kev: "https://kev.example/kev.json"`)},
		{"nothing", file(``)},
		{"a reference", file(`advisories: {kev: "https://kev.example/kev.json", epss: kev}`)},
		{"another definition", file("import \"github.com/packmill/packmill/schema\"\n\nadvisories: schema.#Advisories & {}")},
		{"misnamed file", []edit{{"catalog/advisories/source.cue", "", "package catalog\n"}}},
	})
}
