package desired

import (
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/schema"
)

// The bounds of the policy lane's input.
const (
	MaxPolicyFile  = 64 << 10 // bytes a file
	MaxPolicyFiles = 20_000
	MaxPolicyTotal = 32 << 20 // bytes of all files
)

// speaksFor lists, for each kind of policy file, the top-level fields it may
// set, as paths of names; * is the next name that the file's path gives.
var speaksFor = map[role][]string{
	roleWeek:     {"week"},
	roleWaves:    {"waves"},
	roleFreeze:   {"freezes/*"},
	roleHold:     {"holds/*"},
	roleCycle:    {"cycles/*"},
	rolePlan:     {"plans/*"},
	roleApproval: {"approvals/*/*"},
	roleOperator: {"operator", "policy"},
	rolePartner:  {"partner", "policy"},
	roleTenant:   {"tenant", "policy"},
	roleGroup:    {"group", "policy"},
	roleAnswer:   {"approvals/*"},
}

// A policyFile is a file of the policy lane that passed the guards.
type policyFile struct {
	place
	data   []byte
	syntax *ast.File
}

// parse gives a fresh syntax tree: building an instance writes into it.
func (f policyFile) parse() (*ast.File, error) {
	return parser.ParseFile(f.Path, f.data, parser.ParseComments)
}

// parsePolicy parses a file of schedules/ or tenants/ and checks what can be
// seen without evaluating: its package, its imports, that it has no attributes
// (an @embed would read files, an @if would hide the file), and that it speaks
// only for its own place. Inside its own fields all of CUE may be used.
func parsePolicy(p place, data []byte) (policyFile, fleet.Errors) {
	out := policyFile{place: p, data: data}
	if len(data) > MaxPolicyFile {
		return out, fleet.Errors{invalid(fleet.Pos{File: p.Path}, "", "file has %d bytes; a file below schedules/ or tenants/ may have %d", len(data), MaxPolicyFile)}
	}
	f, err := out.parse()
	if err != nil {
		return out, syntaxErrors(p.Path, err)
	}
	out.syntax = f
	var findings fleet.Errors
	folder, _, _ := strings.Cut(p.Path, "/")
	if f.PackageName() != folder {
		findings = append(findings, invalid(fleet.Pos{File: p.Path, Line: 1, Col: 1}, "", "the file must begin with: package %s", folder))
	}
	ast.Walk(f, func(n ast.Node) bool {
		if a, ok := n.(*ast.Attribute); ok {
			findings = append(findings, invalid(position(p.Path, a.Pos()), "", "attributes are not allowed: %s", a.Text))
		}
		return true
	}, nil)
	for _, d := range f.Decls {
		findings = append(findings, declares(p, d)...)
	}
	return out, findings
}

// declares checks one top-level declaration of a policy file.
func declares(p place, d ast.Decl) fleet.Errors {
	at := position(p.Path, d.Pos())
	switch d := d.(type) {
	case *ast.CommentGroup, *ast.Package, *ast.LetClause, *ast.Attribute: // attributes are refused above
	case *ast.ImportDecl:
		return policyImports(p, d)
	case *ast.Field:
		name, ok := label(d)
		if _, ident := d.Label.(*ast.Ident); ident && (strings.HasPrefix(name, "_") || strings.HasPrefix(name, "#")) {
			return nil
		}
		if !ok {
			return fleet.Errors{invalid(at, "", "a field at the top of a file must have a plain name")}
		}
		if d.Constraint != token.ILLEGAL {
			return fleet.Errors{invalid(at, name, "a field at the top of a file is given, not optional or required")}
		}
		return p.speaks(at, name, d.Value)
	default:
		return fleet.Errors{invalid(at, "", "only fields, definitions and let clauses may stand at the top of a file: %s", notLiteral(d))}
	}
	return nil
}

// speaks checks that a top-level field is one this file may set.
func (p place) speaks(at fleet.Pos, name string, value ast.Expr) fleet.Errors {
	var allowed []string
	for _, spec := range speaksFor[p.role] {
		parts := strings.Split(spec, "/")
		allowed = append(allowed, parts[0])
		if parts[0] != name {
			continue
		}
		path, here := name, value
		for i := range parts[1:] {
			want := p.keys[i]
			lit, ok := here.(*ast.StructLit)
			if !ok || len(lit.Elts) != 1 {
				return fleet.Errors{invalid(at, path, "this file may set only %s", join(path, want))}
			}
			f, ok := lit.Elts[0].(*ast.Field)
			got := ""
			if ok {
				got, ok = label(f)
			}
			if !ok || got != want {
				return fleet.Errors{invalid(position(p.Path, lit.Elts[0].Pos()), path, "this file may set only %s", join(path, want))}
			}
			path, here = join(path, want), f.Value
		}
		if name == "policy" && p.role != roleOperator {
			return ownLevel(p, here)
		}
		return nil
	}
	return fleet.Errors{invalid(at, name, "%s may set only %s", p.base(), strings.Join(allowed, " and "))}
}

func (p place) base() string { return p.Path[strings.LastIndexByte(p.Path, '/')+1:] }

// ownLevel refuses the policy fields that the operator alone may set. Writing
// them through a reference does not help: they are read from operator.cue only.
func ownLevel(p place, policy ast.Expr) fleet.Errors {
	var findings fleet.Errors
	list, _ := members([]source{{p.Path, fleet.Pos{}, strip(policy)}})
	for _, m := range list {
		if m.name == "maxExceptionDays" {
			findings = append(findings, invalid(m.sources[0].at, "policy."+m.name, "only tenants/operator.cue may set it"))
		}
	}
	return findings
}

// policyImports allows the schema and CUE's own packages without a host or a
// command in them.
func policyImports(p place, d *ast.ImportDecl) fleet.Errors {
	var findings fleet.Errors
	for _, spec := range d.Specs {
		path, err := strconv.Unquote(spec.Path.Value)
		first, _, _ := strings.Cut(path, "/")
		builtin := slices.Contains([]string{"list", "strings", "time", "math", "struct", "regexp", "strconv", "net"}, first)
		if err != nil || path != schema.ImportPath && !builtin {
			findings = append(findings, invalid(position(p.Path, spec.Pos()), "",
				"import %s: only %q and CUE's own list, math, net, regexp, strconv, strings, struct and time may be imported", spec.Path.Value, schema.ImportPath))
		}
	}
	return findings
}
