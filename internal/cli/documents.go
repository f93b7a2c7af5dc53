package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/change"
	"github.com/packmill/packmill/internal/rules/drift"
	"github.com/packmill/packmill/internal/rules/why"
	"github.com/packmill/packmill/internal/sim/rehearsal"
	"github.com/packmill/packmill/internal/view"
)

// A document is one machine-readable output: what --format json prints under
// this name. Its version rises when a reader of the old form would break.
type document struct {
	name    string
	version int
	about   string
	value   any // zero value of the struct that is printed
}

// documents lists every machine-readable output. A command that prints JSON has
// its document here; printing one that is not listed is an error.
func documents() []document {
	return []document{
		{"detect", 1, "What detect found upstream, for each package.", detected{}},
		{"propose", 1, "What propose did or would do, for each package.", proposals{}},
		{"inspection", 1, "What inspect read in a file.", fleet.Inspection{}},
		{"import", 1, "What catalog import made of a manifest, or catalog add of an installer, and what that could not tell.", imported{}},
		{"diff", 1, "What a range of commits does, in domain words.", change.Change{}},
		{"cycle", 1, "A cycle: its releases' way through the waves, who approved what, what happened.", view.Board{}},
		{"explanation", 1, "What decides about one package on one tenant: what it has, what comes, what keeps it back, every rule.", why.Explanation{}},
		{"whatif", 1, "What a change of desired state would do to plans, tenant by tenant.", why.Comparison{}},
		{"audit", 1, "What a clone alone proves about every release on every tenant, and what it fails to prove.", fleet.Audit{}},
		{"tenants", 1, "What tenants check found of each tenant: reachability, permissions, features, licences, devices, what waits for a second person.", tenantsReport{}},
		{"run", 1, "What run or apply did, and what waits.", runReport{}},
		{"patches", 1, "What Windows Update has for a tenant, what it fixes, and which packages hold it.", factory.Patches{}},
		{"plan", 1, "What opening a gate will do, and its digest.", planReport{}},
		{"drift", 1, "What tenants hold of packmill's, compared with main and with what was last applied, value by value.", drift.Report{}},
		{"pull", 1, "A pull request that was proposed.", pullReport{}},
		{"word", 1, "What a person said of a release in a wave.", wordReport{}},
		{"inventory", 1, "What tenants' devices are and have, by the newest snapshot of each.", view.Inventory{}},
		{"uncatalogued", 1, "Programs in use on tenants' devices that the catalog has no package for.", view.Uncatalogued{}},
		{"report", 1, "The pages that report wrote.", reportFiles{}},
		{"simulation", 1, "What a cycle would do: its way through the waves, who gets what when, how likely it is halted, and the story in lines.", simulation{}},
		{"rehearsal", 1, "A model to rehearse a cycle against: which devices fail, when packmill runs, who merges what, what goes wrong.", rehearsal.Model{}},
		{"demo", 1, "What became of the demo's week.", demoSummary{}},
		{"build", 1, "What build made: the artifact, its files, how to verify them.", built{}},
		{"verification", 1, "What verify proved of an artifact or file.", verified{}},
		{"container", 1, "What a .intunewin says of itself, after its format was found right.", factory.Container{}},
		{"key", 1, "A signing key that keys generate made, its private half left out.", newKey{}},
		{"tenantkeys", 1, "For which tenants keys tenants made the key that their device ids are hashed with.", tenantKeys{}},
		{"test", 1, "What test found in every cell, with the signed result of each.", tested{}},
		{"matrix", 1, "Which installer of each newest release is tested where.", matrix{}},
		{"schemas", 1, "The list that schema prints: every machine-readable output.", schemaList{}},
		{"validation", 1, "What validate found: whether the repository is valid, what it holds, every finding.", validation{}},
	}
}

// schema is the value of the document's schema field.
func (d document) schema() string { return fmt.Sprintf("packmill.dev/%s/v%d", d.name, d.version) }

func documentNamed(name string) (document, bool) {
	for _, d := range documents() {
		if d.name == name {
			return d, true
		}
	}
	return document{}, false
}

// writeDocument prints value as the named document: its fields, preceded by the
// schema field.
func writeDocument(w io.Writer, name string, value any) error {
	d, ok := documentNamed(name)
	if !ok || reflect.TypeOf(value) != reflect.TypeOf(d.value) {
		return fleet.Errorf(fleet.Internal, "cli.output", name, "no document of this name and of type %T is registered", value)
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(filled(reflect.ValueOf(value)).Interface()); err != nil {
		return fleet.Errorf(fleet.Internal, "cli.output", name, "%w", err)
	}
	head := fmt.Sprintf(`{"schema":%q`, d.schema())
	if rest := bytes.TrimSpace(body.Bytes())[1:]; rest[0] != '}' {
		head += ","
	}
	var whole bytes.Buffer
	if err := json.Indent(&whole, append([]byte(head), bytes.TrimSpace(body.Bytes())[1:]...), "", "  "); err != nil {
		return fleet.Errorf(fleet.Internal, "cli.output", name, "%w", err)
	}
	whole.WriteByte('\n')
	_, err := whole.WriteTo(w)
	return err
}

// filled is a copy of v in which every nil slice and map that is written at all
// is an empty one: a reader of JSON gets a list where a list is promised.
func filled(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(filled(v.Field(i)))
			}
		}
		return out
	case reflect.Slice:
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(filled(v.Index(i)))
		}
		return out
	case reflect.Map:
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, key := range v.MapKeys() {
			out.SetMapIndex(key, filled(v.MapIndex(key)))
		}
		return out
	default:
		return v
	}
}
