package desired

import (
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/packmill/packmill/internal/fleet"
)

// Where finds the field that keys lead to in a file of a tree: its position, or
// that of the deepest field above it that the file spells out, and whether it
// is the field itself. A file that cannot be read or parsed has no lines.
func Where(tree Tree, file string, keys ...string) (fleet.Pos, bool) {
	data, err := tree.Read(file)
	if err != nil || len(data) > MaxPolicyFile {
		return fleet.Pos{File: file}, false
	}
	syntax, _ := parser.ParseFile(file, data)
	return within(syntax, file, keys)
}

// within is Where in a file that was parsed, nil for one that could not be.
func within(f *ast.File, file string, keys []string) (best fleet.Pos, whole bool) {
	best = fleet.Pos{File: file}
	if f == nil {
		return best, false
	}
	var decls []source
	for _, d := range f.Decls {
		if field, ok := d.(*ast.Field); ok {
			decls = append(decls, source{file: file, expr: &ast.StructLit{Elts: []ast.Decl{field}}})
		}
	}
	for _, key := range keys {
		next := find(decls, key)
		if len(next) == 0 {
			return best, false
		}
		best, decls = next[0].at, next
	}
	return best, true
}

// Suggest is "; did you mean …?" when one of the words is close to what was
// written, and nothing otherwise.
func Suggest(got string, words []string) string { return suggest(got, words) }
