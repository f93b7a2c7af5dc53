package cli

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/invopop/jsonschema"
	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

// A schemaList is what schema prints without an argument.
type schemaList struct {
	Documents []schemaEntry `json:"documents"`
}

// A schemaEntry is one machine-readable output.
type schemaEntry struct {
	Name   string `json:"name"`
	Schema string `json:"schema"` // the value of its schema field
	About  string `json:"about"`
}

func newSchemaCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema [NAME]",
		Short: "Print the JSON Schema of an output, or list them",
		Long: `Everything packmill prints with --format json has a field "schema" that names
its form and version. This command lists the forms, or prints the JSON Schema
(draft 2020-12) of one. A version rises when a reader of the old form would break.`,
		Example: "  packmill schema plan > plan.schema.json",
		Args:    cobra.MaximumNArgs(1),
	}
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV)
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, d := range documents() {
			names = append(names, d.name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return a.listSchemas(*f)
		}
		d, ok := documentNamed(args[0])
		if !ok {
			e := fleet.Errorf(fleet.Invalid, "cli.schema", args[0], "there is no output of this name")
			e.Hint = "packmill schema lists the names"
			return e
		}
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(d.jsonSchema(false))
	}
	return cmd
}

func (a *app) listSchemas(f format) error {
	var list schemaList
	table := view.Table{Columns: view.Cols("name", "schema", "what")}
	for _, d := range documents() {
		list.Documents = append(list.Documents, schemaEntry{d.name, d.schema(), d.about})
		table.Add(d.name, d.schema(), d.about)
	}
	return a.write(f, result{name: "schemas", value: list, table: table})
}

// jsonSchema describes the document: the Go type's fields, and the schema field
// with its one value. Fields may be added to a document without a new version,
// so only a strict schema, as tests use it, refuses unknown ones.
func (d document) jsonSchema(strict bool) *jsonschema.Schema {
	r := jsonschema.Reflector{
		Anonymous:      true,
		ExpandedStruct: true,
		Mapper:         mapped,

		AllowAdditionalProperties: !strict,
	}
	s := r.Reflect(d.value)
	s.ID = jsonschema.ID("https://" + d.schema())
	s.Title = d.schema()
	s.Description = d.about
	s.Properties.Set("schema", &jsonschema.Schema{Const: d.schema(), Description: "Form and version of this document."})
	if err := s.Properties.MoveToFront("schema"); err != nil {
		panic("cli: the schema property just set is missing: " + err.Error())
	}
	s.Required = append([]string{"schema"}, s.Required...)
	return s
}

// mapped describes the types whose JSON is not what their Go form suggests.
func mapped(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[fleet.Duration]():
		return &jsonschema.Schema{Type: "string", Description: `A duration as Go writes it, for example "24h0m0s".`}
	case reflect.TypeFor[fleet.Digest]():
		return &jsonschema.Schema{Type: "string", Pattern: "^(sha256:[0-9a-f]{64})?$"}
	case reflect.TypeFor[time.Time]():
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	default:
		return nil
	}
}
