package desired

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/mod/module"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/schema"
)

const modulePath = "cue.mod/module.cue"

const updateHint = "packmill init --update-schema writes the schema of this packmill into the repository"

// module checks cue.mod: a module without dependencies, and a copy of the
// schema that equals the embedded one, so that stock `cue vet` says the same as
// packmill and nothing else can stand where the schema is looked for.
func (l *loader) module() {
	want := schema.Files()
	sawModule := false
	for _, p := range l.places {
		if p.role != roleModule {
			continue
		}
		pos := fleet.Pos{File: p.Path}
		name, isSchema := strings.CutPrefix(p.Path, schema.VendorDir+"/")
		switch {
		case p.Path == modulePath:
			sawModule = true
			l.moduleFile(p)
		case isSchema && want[name] != nil:
			data, err := l.tree.Read(p.Path)
			if err != nil || !bytes.Equal(data, want[name]) {
				l.schemaFinding(pos, "differs from the schema of this packmill")
			}
			delete(want, name)
		case isSchema:
			l.schemaFinding(pos, "is not part of the schema of this packmill")
		default:
			l.say(pos, "", "only module.cue and the schema belong below cue.mod/")
		}
	}
	if !sawModule {
		l.findings = append(l.findings, &fleet.Error{Op: "desired.load", Pos: fleet.Pos{File: modulePath}, Kind: fleet.Invalid,
			Err: errMissing, Hint: "packmill init DIR makes a repository"})
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		l.schemaFinding(fleet.Pos{File: path.Join(schema.VendorDir, name)}, "is missing")
	}
}

func (l *loader) schemaFinding(pos fleet.Pos, text string) {
	e := invalid(pos, "", "%s", text)
	e.Hint = updateHint
	l.findings = append(l.findings, e)
}

// moduleFile checks module.cue: the module's path, a language version, and no
// dependencies, which a stock cue would download.
func (l *loader) moduleFile(p place) {
	data, err := l.tree.Read(p.Path)
	if err != nil || len(data) > MaxCatalogFile {
		l.say(fleet.Pos{File: p.Path}, "", "cannot be read as a module file of at most %d bytes", MaxCatalogFile)
		return
	}
	f, err := parser.ParseFile(p.Path, data)
	if err != nil {
		l.findings = append(l.findings, syntaxErrors(p.Path, err)...)
		return
	}
	seen := map[string]bool{}
	for _, d := range f.Decls {
		field, ok := d.(*ast.Field)
		if !ok {
			l.say(position(p.Path, d.Pos()), "", "only module, language and source may stand here")
			continue
		}
		name, _ := label(field)
		seen[name] = true
		if name == "module" {
			l.modulePath(p.Path, field)
		}
		if name != "module" && name != "language" && name != "source" {
			l.say(position(p.Path, d.Pos()), name, "only module, language and source may stand here; dependencies would be downloaded")
		}
	}
	for _, name := range []string{"module", "language"} {
		if !seen[name] {
			l.say(fleet.Pos{File: p.Path, Line: 1, Col: 1}, name, "field is required but not given")
		}
	}
}

// modulePath checks the module's path as stock cue does.
func (l *loader) modulePath(file string, field *ast.Field) {
	lit, ok := field.Value.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		l.say(position(file, field.Pos()), "module", "must be text such as \"example.com/packages\"")
		return
	}
	name, err := literal.Unquote(lit.Value)
	if err == nil {
		err = module.CheckPath(name)
	}
	if err != nil {
		l.say(position(file, lit.Pos()), "module", "stock cue takes no such path: %v", err)
	}
}

// ModuleFile is the content of cue.mod/module.cue for a module path such as
// "example.com/packages".
func ModuleFile(module string) []byte {
	return []byte("module: " + quote(module) + "\nlanguage: version: " + quote(schema.LanguageVersion) + "\n")
}
