package desired

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"github.com/packmill/packmill/internal/fleet"
)

// A unit is what the catalog lane evaluates at once: the files that describe
// one package, one publisher, the matrices, or the sources of advisories.
type unit struct {
	role  role
	id    string
	files []place
}

// A catalogPart is what one unit gave.
type catalogPart struct {
	unit      unit
	publisher *fleet.Publisher
	pkg       *fleet.Package
	// rough is what could be read of a package that has findings: enough to
	// look up the names in it.
	rough    *fleet.Package
	matrices map[string]fleet.Environment
	sources  *fleet.AdvisorySources
	findings fleet.Errors
}

// units groups catalog files. A package's releases belong to its unit.
func units(places []place) []unit {
	byKey := map[string]*unit{}
	for _, p := range places {
		r := p.role
		if r == roleRelease {
			r = rolePackage
		}
		if r != rolePackage && r != rolePublisher && r != roleMatrices && r != roleSources {
			continue
		}
		id := ""
		if len(p.keys) > 0 {
			id = p.keys[0]
		}
		key := string(r) + " " + id
		if byKey[key] == nil {
			byKey[key] = &unit{role: r, id: id}
		}
		byKey[key].files = append(byKey[key].files, p)
	}
	var list []unit
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		list = append(list, *byKey[key])
	}
	return list
}

// evaluate runs the units through workers that have a CUE context each. The
// result is in the order of the units.
func evaluate(ctx context.Context, tree Tree, list []unit, workers int) ([]catalogPart, error) {
	parts := make([]catalogPart, len(list))
	next := make(chan int)
	failed := make(chan error, workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			c, err := newChecker()
			if err != nil {
				failed <- err
				for range next { // let the sender finish
				}
				return
			}
			for i := range next {
				if ctx.Err() == nil {
					parts[i] = c.unit(tree, list[i])
				}
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	group.Wait()
	select {
	case err := <-failed:
		return nil, &fleet.Error{Op: "desired.load", Kind: fleet.Internal, Err: err}
	default:
		return parts, ctx.Err()
	}
}

// unit parses and evaluates one unit.
func (c *checker) unit(tree Tree, u unit) catalogPart {
	out := catalogPart{unit: u}
	var files []literalFile
	for _, p := range u.files {
		if p.Size > MaxCatalogFile {
			out.findings = append(out.findings, invalid(fleet.Pos{File: p.Path}, "", "file has %d bytes; a catalog file may have %d", p.Size, MaxCatalogFile))
			continue
		}
		data, err := tree.Read(p.Path)
		if err != nil {
			out.findings = append(out.findings, &fleet.Error{Op: "desired.load", Pos: fleet.Pos{File: p.Path}, Kind: fleet.Internal, Err: err})
			continue
		}
		f, findings := parseLiteral(p, data)
		out.findings = append(out.findings, findings...)
		if len(findings) == 0 {
			files = append(files, f)
		}
	}
	whole := u.role != rolePackage || slices.ContainsFunc(u.files, func(p place) bool { return p.role == rolePackage })
	if len(out.findings) > 0 || !whole { // check tells that package.cue is missing
		return out
	}
	switch u.role {
	case rolePublisher:
		out.publisher, out.findings = decodeUnit[fleet.Publisher](c, "publisher", "#Publisher", files)
	case rolePackage:
		out.pkg, out.findings = decodeUnit[fleet.Package](c, "pkg", "#Package", files)
		if len(out.findings) > 0 {
			out.rough = c.rough(files)
		}
	case roleMatrices:
		out.matrices, out.findings = c.matrices(files)
	case roleSources:
		out.sources, out.findings = decodeUnit[fleet.AdvisorySources](c, "advisories", "#AdvisorySources", files)
	}
	return out
}

// rough decodes what the files of a package say without asking the schema.
func (c *checker) rough(files []literalFile) *fleet.Package {
	data := &ast.StructLit{}
	for _, f := range files {
		for _, d := range f.fields {
			data.Elts = append(data.Elts, d)
		}
	}
	var p fleet.Package
	// An error leaves out the field it is about and nothing else.
	_ = c.ctx.BuildExpr(data).LookupPath(cue.ParsePath("pkg")).Decode(&p)
	return &p
}

// decodeUnit decodes the one top-level field that the files of a unit set.
func decodeUnit[T any](c *checker, field, def string, files []literalFile) (*T, fleet.Errors) {
	var sources []source
	var findings fleet.Errors
	// package.cue first: what is missing is missing there.
	slices.SortStableFunc(files, func(a, b literalFile) int { return strings.Compare(string(a.role), string(b.role)) })
	for _, f := range files {
		found := 0
		for _, d := range f.fields {
			if name, _ := label(d); name != field {
				findings = append(findings, invalid(position(f.Path, d.Pos()), name, "this file may set only %s", field))
				continue
			}
			found++
			sources = append(sources, source{f.Path, position(f.Path, d.Pos()), d.Value})
			findings = append(findings, ownRelease(f, d)...)
		}
		if found == 0 {
			findings = append(findings, invalid(fleet.Pos{File: f.Path, Line: 1, Col: 1}, "", "the file sets no %s", field))
		}
	}
	if len(sources) == 0 || len(findings) > 0 {
		return nil, findings
	}
	var value T
	if findings := c.decode(def, field, sources, &value); len(findings) > 0 {
		return nil, findings
	}
	return &value, nil
}

// ownRelease checks that package.cue sets no releases and that a release file
// sets nothing but the release it is named after.
func ownRelease(f literalFile, d *ast.Field) fleet.Errors {
	var findings fleet.Errors
	list, _ := members([]source{{f.Path, position(f.Path, d.Pos()), d.Value}})
	for _, m := range list {
		at := m.sources[0].at
		switch {
		case f.role == rolePackage && m.name == "releases":
			findings = append(findings, invalid(at, "pkg.releases", "a release has a file of its own, named <version>.cue"))
		case f.role == roleRelease && m.name != "releases":
			findings = append(findings, invalid(at, join("pkg", m.name), "a release file may set only pkg.releases.%q", f.keys[1]))
		case f.role == roleRelease:
			versions, _ := members(m.sources)
			for _, v := range versions {
				if v.name != f.keys[1] {
					findings = append(findings, invalid(v.sources[0].at, join("pkg.releases", v.name),
						"the file is named after version %q; a release of %q belongs in %s", f.keys[1], v.name, fleet.FileOfVersion(v.name)))
				}
			}
		}
	}
	return findings
}

// matrices decodes catalog/matrices.cue, each environment by itself.
func (c *checker) matrices(files []literalFile) (map[string]fleet.Environment, fleet.Errors) {
	out := map[string]fleet.Environment{}
	var findings fleet.Errors
	for _, f := range files {
		for _, d := range f.fields {
			at := position(f.Path, d.Pos())
			if name, _ := label(d); name != "matrices" {
				findings = append(findings, invalid(at, name, "this file may set only matrices"))
				continue
			}
			list, _ := members([]source{{f.Path, at, d.Value}})
			for _, m := range list {
				if !namePart.MatchString(m.name) {
					findings = append(findings, invalid(m.sources[0].at, join("matrices", m.name), "%q cannot be the name of an environment: %s", m.name, namePart))
					continue
				}
				var env fleet.Environment
				found := c.decode("#Environment", join("matrices", m.name), m.sources, &env)
				if len(found) == 0 && env.Runner.Release != "" && env.Runner.Local != "chroot" {
					found = append(found, invalid(m.sources[0].at, join("matrices", m.name)+".runner.release", "only a chroot is of a chosen release"))
				}
				findings = append(findings, found...)
				out[m.name] = env
			}
		}
	}
	return out, findings
}
