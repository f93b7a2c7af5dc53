package desired

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/schema"
)

// The schema and the Go types say the same words: every field of a definition
// has a Go field of that JSON name, and the other way round.
func TestSchemaMatchesTypes(t *testing.T) {
	c, err := newChecker()
	if err != nil {
		t.Fatal(err)
	}
	filled := map[string][]string{ // Go fields that are no file's business
		"#Wave": {"name"}, "#Tenant": {"groups", "policy"}, "#Group": {"policy"}, "#Download": {"-"},
	}
	for def, value := range map[string]any{
		"#Publisher": fleet.Publisher{}, "#ExpectedSigner": fleet.ExpectedSigner{}, "#Package": fleet.Package{}, "#Upstream": fleet.Upstream{}, "#Feed": fleet.Feed{},
		"#GitHubReleases": fleet.GitHubReleases{}, "#HTTPJSON": fleet.HTTPJSON{}, "#NPM": fleet.NPM{}, "#Apt": fleet.Apt{}, "#GoProxy": fleet.GoProxy{},
		"#HTTPRegex": fleet.HTTPRegex{}, "#HTTPHTML": fleet.HTTPHTML{}, "#HTTPXML": fleet.HTTPXML{}, "#HTTPHeader": fleet.HTTPHeader{}, "#News": fleet.News{}, "#Sparkle": fleet.Sparkle{},
		"#SourceForge": fleet.SourceForge{}, "#Cask": fleet.Cask{}, "#ElectronBuilder": fleet.ElectronBuilder{}, "#Squirrel": fleet.Squirrel{}, "#Omaha": fleet.Omaha{},
		"#Evergreen": fleet.Evergreen{}, "#Static": fleet.Static{}, "#InFile": fleet.InFile{},
		"#Installer": fleet.Installer{}, "#Source": fleet.Source{}, "#Checksum": fleet.Checksum{}, "#Detect": fleet.Detect{}, "#File": fleet.FileRule{}, "#Registry": fleet.RegistryRule{}, "#Needs": fleet.Needs{},
		"#Setting": fleet.Setting{}, "#RegistryValue": fleet.RegistryValue{}, "#SettingFile": fleet.SettingFile{}, "#SettingScripts": fleet.SettingScripts{}, "#Driver": fleet.Driver{}, "#OSPatch": fleet.OSPatch{}, "#Tests": fleet.Tests{}, "#Probe": fleet.Probe{},
		"#Advisories": fleet.Advisories{}, "#Release": fleet.Release{}, "#Download": fleet.Download{}, "#SignedBy": fleet.SignedBy{}, "#Patched": fleet.Patched{}, "#Blob": fleet.Blob{},
		"#AdvisorySources": fleet.AdvisorySources{}, "#Environment": fleet.Environment{}, "#Runner": fleet.Runner{}, "#Week": fleet.Week{}, "#WeekStep": fleet.WeekStep{}, "#Holidays": fleet.Holidays{}, "#DST": fleet.DSTRule{}, "#Wave": fleet.Wave{}, "#Select": fleet.Select{}, "#Opens": fleet.Opens{}, "#Gate": fleet.Gate{},
		"#Freeze": fleet.Freeze{}, "#Hold": fleet.Hold{}, "#Cycle": fleet.Cycle{}, "#Plan": fleet.PlanRecord{}, "#Summary": fleet.Summary{}, "#Approval": fleet.Approval{}, "#TenantApproval": fleet.TenantApproval{},
		"#Operator": fleet.Operator{}, "#Proposals": fleet.Proposals{}, "#ProposalGroup": fleet.ProposalGroup{}, "#Person": fleet.Person{}, "#Trust": fleet.Trust{}, "#TrustedKey": fleet.TrustedKey{}, "#Store": fleet.Store{}, "#Exposure": fleet.Exposure{}, "#Budget": fleet.Budget{}, "#Partner": fleet.Partner{}, "#Channel": fleet.Channel{}, "#Brand": fleet.Brand{},
		"#Tenant": fleet.Tenant{}, "#Window": fleet.Window{}, "#Assignment": fleet.Assignment{}, "#RestartGrace": fleet.RestartGrace{}, "#Group": fleet.Group{}, "#Because": fleet.Because{},
	} {
		v := c.looseDef(strings.TrimPrefix(def, ""))
		iter, err := v.Fields(cue.Optional(true))
		if err != nil {
			t.Errorf("%s: %v", def, err)
			continue
		}
		var words []string
		for iter.Next() {
			words = append(words, iter.Selector().Unquoted())
		}
		var names []string
		typ := reflect.TypeOf(value)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if !slices.Contains(filled[def], name) {
				names = append(names, name)
			}
		}
		slices.Sort(words)
		slices.Sort(names)
		if !slices.Equal(words, names) {
			t.Errorf("%s: the schema says %v, Go says %v", def, words, names)
		}
	}
}

// Every definition and every field of it is explained.
func TestSchemaIsDocumented(t *testing.T) {
	definitions, fields := 0, 0
	for name, data := range schema.Files() {
		f, err := parser.ParseFile(name, data, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			def, ok := d.(*ast.Field)
			if !ok {
				continue
			}
			definitions++
			word, _ := label(def)
			if !explained(def) {
				t.Errorf("%s: %s has no comment", name, word)
			}
			body, ok := def.Value.(*ast.StructLit)
			if !ok || word == "#Tightening" { // a table; the comment above it explains its rows
				continue
			}
			for _, e := range body.Elts {
				if field, ok := e.(*ast.Field); ok {
					fields++
					if part, _ := label(field); !explained(field) {
						t.Errorf("%s: %s.%s has no comment", name, word, part)
					}
				}
			}
		}
	}
	if definitions < 50 || fields < 150 {
		t.Errorf("%d definitions with %d fields: the test looks at nothing", definitions, fields)
	}
}

func explained(f *ast.Field) bool {
	return slices.ContainsFunc(ast.Comments(f), func(g *ast.CommentGroup) bool { return g.Doc })
}

// The tightening table names fields that a policy has, and fills every bound.
func TestTightening(t *testing.T) {
	c, err := newChecker()
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.directions()
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]string{}
	for _, d := range list {
		ways[d.field] = d.way
		group, name, nested := strings.Cut(d.field, ".")
		path := cue.MakePath(cue.Str(group))
		if nested {
			path = cue.MakePath(cue.Str(group), cue.Str(name).Optional())
		}
		if !c.def("#Policy").LookupPath(path).Exists() {
			t.Errorf("#Policy has no field %s", d.field)
		}
	}
	want := map[string]string{"approval": "right", "critical.withinHours": "down", "maxExceptionDays": "down", "maxFailuresPercent": "down", "nonSecurity.deferDays": "up", "reboot": "right",
		"critical.graceHours": "down", "nonSecurity.withinDays": "down", "nonSecurity.graceHours": "down"}
	if !maps.Equal(ways, want) {
		t.Errorf("got %v, want %v", ways, want)
	}
}
