package desired

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/token"

	"github.com/packmill/packmill/internal/fleet"
)

// instancesPerContext bounds what a CUE context retains: it keeps what was
// built in it for as long as it lives.
const instancesPerContext = 64

// A policyEval evaluates schedules and tenants, folder by folder.
type policyEval struct {
	c        *checker
	built    int
	folders  map[string][]policyFile
	broken   map[string]bool // folders that nothing below can be evaluated with
	flawed   map[string]bool // folders with findings of their own
	repo     *fleet.Repository
	findings fleet.Errors
	at       func(folder string) // told before a folder is evaluated
	memo     packageMemo

	exceptions []exception
	maxDays    int // the operator's maxExceptionDays
}

// An instance is a folder's files unified with those of the folders above.
type instance struct {
	folder string
	value  cue.Value
	files  []policyFile // the parents' first
	own    []policyFile
	// packages are those of the folder's tenant, when they were taken out and
	// one stands for all; nil otherwise.
	packages map[fleet.PackageID][]fleet.Assignment
}

// evaluatePolicy evaluates the files of the policy lane, without the folders
// that hold a broken one.
func evaluatePolicy(files []policyFile, broken map[string]bool, at func(string)) (*policyEval, error) {
	c, err := newChecker()
	if err != nil {
		return nil, err
	}
	e := &policyEval{c: c, folders: map[string][]policyFile{}, broken: map[string]bool{}, flawed: map[string]bool{}, at: at, memo: newPackageMemo(), repo: &fleet.Repository{
		Freezes: map[string]fleet.Freeze{}, Holds: map[string]fleet.Hold{},
		Cycles: map[fleet.CycleID]fleet.Cycle{}, Plans: map[fleet.CycleID]map[string]fleet.PlanRecord{},
		Approvals: map[fleet.CycleID]map[string]fleet.Approval{}, TenantApprovals: map[fleet.TenantID]map[fleet.CycleID]fleet.TenantApproval{},
		Partners: map[string]fleet.Partner{}, Tenants: map[fleet.TenantID]fleet.Tenant{},
	}}
	for _, f := range files {
		folder := path.Dir(f.Path)
		e.folders[folder] = append(e.folders[folder], f)
		if broken[f.Path] {
			e.broken[folder] = true
		}
	}
	levels := map[string]levelPolicy{}
	for _, folder := range slices.Sorted(maps.Keys(e.folders)) {
		if err := e.evaluateFolder(folder, levels); err != nil {
			return nil, err
		}
	}
	e.maxDays = -1
	if operator, ok := levels["tenants"]; ok {
		e.maxDays = operator.policy.MaxExceptionDays
	}
	return e, nil
}

// evaluateOnce evaluates a folder and takes what it says. thin reports whether
// the tenant's packages were taken out, which needs leave.
func (e *policyEval) evaluateOnce(folder string, levels map[string]levelPolicy, leave bool) (thin bool, err error) {
	inst, ok, err := e.instance(folder, leave)
	if err != nil {
		return false, err
	}
	if !ok {
		e.broken[folder] = true
		return inst.packages != nil, nil
	}
	before := len(e.findings)
	if strings.HasPrefix(folder, "tenants") {
		e.tenantsFolder(inst, levels)
	} else {
		e.schedulesFolder(inst)
	}
	e.flawed[folder] = len(e.findings) > before
	if _, ok := levels[folder]; strings.HasPrefix(folder, "tenants") && !ok {
		e.broken[folder] = true // what its policy allows is not known
	}
	return inst.packages != nil, nil
}

// chain are the folders from the top down to folder.
func chain(folder string) []string {
	parts := strings.Split(folder, "/")
	var list []string
	for i := range parts {
		list = append(list, strings.Join(parts[:i+1], "/"))
	}
	return list
}

// instance builds a folder. It is not ok when a folder above is broken, whose
// findings say what to do. With leave, a tenant's packages may be taken out.
func (e *policyEval) instance(folder string, leave bool) (instance, bool, error) {
	e.at(folder)
	if e.built++; e.built%instancesPerContext == 0 {
		c, err := newChecker()
		if err != nil {
			return instance{}, false, err
		}
		e.c = c
	}
	inst := instance{folder: folder, own: e.folders[folder]}
	var fileOfTenant string
	var thin thinned
	if leave {
		fileOfTenant, thin, _ = e.thin(folder)
		inst.packages = thin.packages
	}
	ctx := build.NewContext(build.Loader(func(_ token.Pos, importPath string) *build.Instance {
		if importPath == e.c.inst.ImportPath {
			return e.c.inst
		}
		return nil // CUE's own packages; others were refused
	}))
	b := ctx.NewInstance(folder, nil)
	for _, f := range chain(folder) {
		if e.broken[f] {
			return instance{}, false, nil
		}
		for _, file := range e.folders[f] {
			syntax, err := thin.syntax, error(nil)
			if file.Path != fileOfTenant {
				syntax, err = file.parse()
			}
			if err != nil {
				return instance{}, false, fmt.Errorf("parse %s again: %w", file.Path, err)
			}
			if err := b.AddSyntax(syntax); err != nil {
				e.fault(inst, "", nil, err)
				return inst, false, nil
			}
			inst.files = append(inst.files, file)
		}
	}
	if err := b.Complete(); err != nil {
		e.fault(inst, "", nil, err)
		return inst, false, nil
	}
	if b.ResolutionErr != nil {
		e.fault(inst, "", nil, b.ResolutionErr)
		return inst, false, nil
	}
	inst.value = e.c.ctx.BuildInstance(b)
	if inst.value.BuildInstance() == nil { // no package came out: it does not compile
		e.fault(inst, "", nil, inst.value.Err())
		return inst, false, nil
	}
	return inst, true, nil
}

// fault explains a CUE error about a value of an instance.
func (e *policyEval) fault(inst instance, def string, keys []string, err error) {
	sources := inst.sources(keys)
	if len(sources) == 0 && len(inst.own) > 0 {
		sources = []source{{file: inst.own[0].Path, at: fleet.Pos{File: inst.own[0].Path, Line: 1, Col: 1}}}
	}
	for _, f := range inst.files { // errors may point into parents
		sources = append(sources, source{file: f.Path, at: fleet.Pos{File: f.Path, Line: 1, Col: 1}})
	}
	x := &explainer{c: e.c, own: map[string]bool{}}
	for _, f := range inst.own {
		x.own[f.Path] = true
	}
	prefix := ""
	if def != "" {
		prefix = pathOf(keys)
		if own := inst.sources(keys); len(own) > 0 {
			x.structs(e.c.looseDef(def), prefix, own)
		}
	}
	x.rest(prefix, sources, err)
	e.findings = append(e.findings, x.findings...)
}

// sources are the expressions that the files of an instance give for a field.
func (inst instance) sources(keys []string) []source {
	if len(keys) == 0 {
		return nil
	}
	var list []source
	for _, f := range inst.files {
		for _, d := range f.syntax.Decls {
			if field, ok := d.(*ast.Field); ok {
				if name, ok := label(field); ok && name == keys[0] {
					list = append(list, source{f.Path, position(f.Path, field.Pos()), strip(field.Value)})
				}
			}
		}
	}
	for _, key := range keys[1:] {
		fields, _ := members(list)
		list = nil
		for _, m := range fields {
			if m.name == key {
				list = m.sources
			}
		}
	}
	return list
}

// take checks one value of an instance concretely against its definition and
// decodes it. It reports whether that went well.
func take[T any](e *policyEval, inst instance, def string, keys []string, into *T) bool {
	v := inst.value.LookupPath(cuePath(keys))
	if !v.Exists() {
		err := inst.value.Validate()
		if err == nil {
			err = fmt.Errorf("%s is not set", pathOf(keys))
		}
		e.fault(inst, "", keys, err)
		return false
	}
	v = e.c.def(def).Unify(v)
	err := v.Validate(cue.Concrete(true))
	if err == nil {
		err = v.Decode(into)
	}
	if err != nil {
		e.fault(inst, def, keys, err)
		return false
	}
	return true
}

func cuePath(keys []string) cue.Path {
	var list []cue.Selector
	for _, k := range keys {
		list = append(list, cue.Str(k))
	}
	return cue.MakePath(list...)
}

func pathOf(keys []string) string {
	out := ""
	for _, k := range keys {
		if _, ok := indexOf(k); ok {
			out += k
			continue
		}
		out = join(out, k)
	}
	return out
}
