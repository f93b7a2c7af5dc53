package desired

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"

	"github.com/packmill/packmill/internal/fleet"
)

// An explainer says what is wrong with a value that CUE refused, in one line a
// fault and always at the author's file. It walks the source beside the
// definition: CUE itself reports a missing field at the schema, one error for
// each alternative of an enumeration, an unknown field in a struct with matchN
// as "does not satisfy", and nothing missing while a value is wrong.
type explainer struct {
	c        *checker
	findings fleet.Errors
	covered  []string // paths something was said about
	unknown  []string // paths of fields that are not allowed
	// own are the files that are being judged, nil for all: of two that
	// contradict each other, it is their side that is at fault.
	own map[string]bool
}

// maxFindings is how much is said about one package or file of the policy lane:
// a hostile file could ask for megabytes of explanations.
const maxFindings = 50

// full reports whether enough was said.
func (e *explainer) full() bool { return len(e.findings) >= maxFindings }

// explain are the findings for a value that failed its definition with err.
func (c *checker) explain(def, prefix string, sources []source, err error) fleet.Errors {
	e := &explainer{c: c}
	e.structs(c.looseDef(def), prefix, sources)
	e.rest(prefix, sources, err)
	if e.full() {
		e.findings = append(e.findings[:maxFindings], invalid(sources[0].at, prefix, "and more: the first %d findings are shown", maxFindings))
	}
	return e.findings
}

func (e *explainer) say(pos fleet.Pos, path, format string, args ...any) {
	e.findings = append(e.findings, invalid(pos, path, format, args...))
	e.covered = append(e.covered, path)
}

// A member is one field of a struct: all sources that set it.
type member struct {
	name    string
	sources []source
}

// members gathers the fields of structs by name, in the order they stand.
// whole is false when something else than fields is in them: then absence
// proves nothing.
func members(sources []source) (list []*member, whole bool) {
	byName := map[string]*member{}
	whole = true
	for _, s := range sources {
		lit, ok := s.expr.(*ast.StructLit)
		if !ok {
			whole = false
			continue
		}
		for _, d := range lit.Elts {
			if _, comment := d.(*ast.CommentGroup); comment {
				continue
			}
			f, isField := d.(*ast.Field)
			if !isField {
				whole = false
				continue
			}
			name, ok := label(f)
			if !ok {
				whole = false
				continue
			}
			m := byName[name]
			if m == nil {
				m = &member{name: name}
				byName[name] = m
				list = append(list, m)
			}
			m.sources = append(m.sources, source{s.file, position(s.file, f.Pos()), strip(f.Value)})
		}
	}
	return list, whole
}

// strip takes bindings to definitions off a value.
func strip(x ast.Expr) ast.Expr {
	if and, ok := x.(*ast.BinaryExpr); ok {
		if _, ok := and.X.(*ast.SelectorExpr); ok {
			return strip(and.Y)
		}
	}
	return x
}

// structs explains the sources of one struct against its definition.
func (e *explainer) structs(def cue.Value, path string, sources []source) {
	list, whole := members(sources)
	var known, required []string
	fields := map[string]cue.Value{}
	if iter, err := def.Fields(cue.Optional(true)); err == nil {
		for iter.Next() {
			name := iter.Selector().Unquoted()
			fields[name] = iter.Value()
			known = append(known, name)
			if iter.Selector().ConstraintType() == cue.RequiredConstraint {
				required = append(required, name)
			}
		}
	}
	slices.Sort(known)
	misspelt := false
	for _, m := range list {
		if e.full() {
			return
		}
		value, ok := fields[m.name]
		if !ok {
			value, ok = e.byPattern(def, m.name)
		}
		if !ok {
			for _, s := range m.sources {
				e.say(s.at, join(path, m.name), "field not allowed%s", suggest(m.name, known))
			}
			e.unknown = append(e.unknown, join(path, m.name))
			misspelt = true
			continue
		}
		e.value(value, join(path, m.name), m.sources)
	}
	if !whole {
		return
	}
	for _, name := range required {
		if !slices.ContainsFunc(list, func(m *member) bool { return m.name == name }) {
			e.say(sources[0].at, join(path, name), "field is required but not given")
		}
	}
	e.count(known, list, path, sources[0].at, misspelt)
}

// count checks a struct of which exactly one field must be given. Where a field
// is misspelt, that was said and is enough.
func (e *explainer) count(known []string, list []*member, path string, at fleet.Pos, misspelt bool) {
	choices, ok := e.c.oneOf[strings.Join(known, " ")]
	if !ok {
		return
	}
	var given []string
	for _, m := range list {
		if slices.Contains(choices, m.name) {
			given = append(given, m.name)
		}
	}
	for _, c := range choices {
		if !slices.Contains(given, c) { // CUE misses each of them
			e.unknown = append(e.unknown, join(path, c))
		}
	}
	switch {
	case len(given) == 0 && !misspelt:
		e.say(at, path, "exactly one of %s must be given; none is", strings.Join(choices, ", "))
	case len(given) > 1:
		e.say(at, path, "exactly one of %s may be given; here are %s", strings.Join(choices, ", "), strings.Join(given, " and "))
	}
}

// byPattern is what a struct's patterns say about a field it does not list.
func (e *explainer) byPattern(def cue.Value, name string) (cue.Value, bool) {
	probe := &ast.StructLit{Elts: []ast.Decl{&ast.Field{Label: ast.NewString(name), Value: ast.NewIdent("_")}}}
	value := def.Unify(e.c.ctx.BuildExpr(probe)).LookupPath(cue.MakePath(cue.Str(name)))
	if !value.Exists() || value.Err() != nil || value.IncompleteKind() == cue.TopKind {
		return cue.Value{}, false
	}
	return value, true
}

// value explains the sources of one field.
func (e *explainer) value(def cue.Value, path string, sources []source) {
	var structs []source
	for _, s := range sources {
		switch x := s.expr.(type) {
		case *ast.StructLit:
			if def.IncompleteKind()&cue.StructKind == 0 {
				e.say(s.at, path, "a struct stands here; %s is wanted", kindName(def))
				continue
			}
			structs = append(structs, s)
		case *ast.ListLit:
			if def.IncompleteKind()&cue.ListKind == 0 {
				e.say(s.at, path, "a list stands here; %s is wanted", kindName(def))
				continue
			}
			e.list(def, path, s, x)
		case *ast.BasicLit, *ast.UnaryExpr:
			e.scalar(def, path, s)
		}
	}
	if len(structs) > 0 {
		e.structs(def, path, structs)
	}
}

func (e *explainer) list(def cue.Value, path string, s source, x *ast.ListLit) {
	for i, elt := range x.Elts {
		if e.full() {
			return
		}
		at := path + "[" + strconv.Itoa(i) + "]"
		value := def.LookupPath(cue.MakePath(cue.Index(i)))
		if !value.Exists() {
			value = def.LookupPath(cue.MakePath(cue.AnyIndex))
		}
		if value.Exists() {
			e.value(value, at, []source{{s.file, position(s.file, elt.Pos()), strip(elt)}})
		}
	}
	if len(x.Elts) == 0 && def.LookupPath(cue.MakePath(cue.Index(0))).Exists() {
		e.say(s.at, path, "must not be empty")
	}
}

func (e *explainer) scalar(def cue.Value, path string, s source) {
	value := e.c.ctx.BuildExpr(s.expr)
	unified := def.Unify(value)
	err := unified.Err()
	if err == nil {
		err = unified.Validate()
	}
	if err == nil {
		return
	}
	at := position(s.file, s.expr.Pos())
	got := fmt.Sprint(value)
	if text, err := value.String(); err == nil {
		got = strconv.Quote(text) // CUE would write one with line ends on several lines
	}
	words := enum(def)
	switch {
	case len(words) > 0:
		text, _ := value.String()
		e.say(at, path, "%s is not one of %s%s", got, strings.Join(words, ", "), suggest(text, words))
	case value.IncompleteKind()&def.IncompleteKind() == 0:
		e.say(at, path, "%s stands here; %s is wanted", got, kindName(def))
	default:
		if form := formOf(def); form != "" {
			e.say(at, path, "%s is not %s", got, form)
			return
		}
		list := errors.Errors(err)
		format, args := list[len(list)-1].Msg()
		e.say(at, path, format, args...)
	}
}

// enum lists the literals of an enumeration as they are written; nothing when
// the value is something else.
func enum(def cue.Value) []string {
	op, parts := def.Expr()
	var words []string
	switch op {
	case cue.OrOp:
		for _, p := range parts {
			if !p.IsConcrete() {
				return nil
			}
			words = append(words, fmt.Sprint(p))
		}
	case cue.AndOp:
		for _, p := range parts {
			if found := enum(p); len(found) > 0 {
				return found
			}
		}
	case cue.SelectorOp, cue.NoOp:
		if target := cue.Dereference(def); target != def {
			return enum(target)
		}
	}
	return words
}

// kindName is what a definition wants, for people.
func kindName(def cue.Value) string {
	return "a value of type " + def.IncompleteKind().String()
}

// rest adds what CUE said about paths that nothing was said about.
func (e *explainer) rest(prefix string, sources []source, err error) {
	mine := map[string]bool{}
	for _, s := range sources {
		mine[s.file] = true
	}
	for _, ce := range errors.Errors(err) {
		path := errorPath(prefix, ce)
		said := slices.ContainsFunc(e.covered, func(c string) bool { return leads(path, c) }) ||
			slices.ContainsFunc(e.unknown, func(u string) bool { return leads(u, path) })
		if said || e.full() {
			continue
		}
		format, args := ce.Msg()
		at, other := e.sides(ce, mine)
		if at.File == "" {
			at = sources[0].at
		}
		if other.File != "" {
			e.say(at, path, "%s; the other side is %s", fmt.Sprintf(format, args...), other)
			continue
		}
		e.say(at, path, format, args...)
	}
}

// errorPath is the path of a CUE error below prefix, in our spelling. CUE's
// own begins with the definition.
func errorPath(prefix string, err errors.Error) string {
	path := prefix
	for _, part := range err.Path() {
		switch _, numeric := strconv.Atoi(part); {
		case strings.HasPrefix(part, "#"):
		case numeric == nil:
			path += "[" + part + "]"
		default:
			if name, err := strconv.Unquote(part); err == nil {
				part = name
			}
			path = join(path, part)
		}
	}
	return path
}

// leads reports whether path b is a or lies below it.
func leads(a, b string) bool {
	return strings.HasPrefix(b, a) && (len(a) == len(b) || b[len(a)] == '.' || b[len(a)] == '[')
}

// sides are the position of an error in the files that are judged, else in any
// of the author's, and one in another file when two contradict each other.
func (e *explainer) sides(err errors.Error, mine map[string]bool) (at, other fleet.Pos) {
	for _, p := range errors.Positions(err) {
		if !p.IsValid() || !mine[p.Filename()] {
			continue
		}
		pos := position(p.Filename(), p)
		switch {
		case at.File == "":
			at = pos
		case e.own[pos.File] && !e.own[at.File]:
			at, other = pos, at
		case pos.File != at.File && other.File == "":
			other = pos
		}
	}
	return at, other
}

// join adds a name to a path, quoted where CUE would quote it.
func join(path, name string) string {
	if !ast.IsValidIdent(name) || strings.HasPrefix(name, "_") || strings.HasPrefix(name, "#") {
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
