// Command slice cuts an OpenAPI description of Microsoft Graph down to the
// paths, methods and schemas that package intune uses and package graph
// simulates.
//
//	go run ./internal/sim/graph/testdata/slice <from.yaml> <to.json>
//
// What it leaves out: all other paths, descriptions, derived types that are not
// in keep, navigation properties, and of the directory's big types everything
// but plain values. What is left is unchanged.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

type object = map[string]any

// An area is a part of the interface that is kept.
type area struct {
	paths   map[string][]string // path → methods
	types   []string            // derived types that occur, without namespace
	leading []string            // properties that are read or written as values: navigation, and what is more than a plain value of a thin type
	beta    bool                // v1.0 need not have its paths
}

// areas are what is kept; each stands in a file of its own.
func areas() []area {
	return []area{
		apps(), appKinds(), scripts(), directory(), facts(), probes(), insight(), assignments(), profiles(), deployments(), policies(),
	}
}

func leading() []string {
	out := []string{"value"}
	for _, a := range areas() {
		out = append(out, a.leading...)
	}
	return out
}

// paths are the methods kept of each path, and whether v1.0 may lack it.
func paths() (methods map[string][]string, optional map[string]bool) {
	methods, optional = map[string][]string{"/$batch": {"post"}}, map[string]bool{}
	for _, a := range areas() {
		for path, m := range a.paths {
			methods[path], optional[path] = append(methods[path], m...), a.beta
		}
	}
	return methods, optional
}

// keep are the derived types that occur.
func keep() []string {
	var out []string
	for _, a := range areas() {
		for _, name := range a.types {
			out = append(out, "microsoft.graph."+name)
		}
	}
	return out
}

// thin are the types of which plain values and enumerations are kept alone.
func thin() []string {
	return []string{"microsoft.graph.managedDevice", "microsoft.graph.device", "microsoft.graph.user", "microsoft.graph.group", "microsoft.graph.mobileApp", "microsoft.graph.mobileAppContent", "microsoft.graph.organization"}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: slice <from.yaml> <to.json>")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var doc object
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return err
	}
	c := &cutter{doc: doc, out: map[string]object{}}
	kept := object{}
	wanted, optional := paths()
	for path, methods := range wanted {
		item, ok := doc["paths"].(object)[path].(object)
		if !ok && optional[path] {
			continue
		}
		if !ok {
			return fmt.Errorf("%s has no path %s", from, path)
		}
		cut := object{}
		for _, m := range methods {
			op, ok := item[m].(object)
			if !ok {
				return fmt.Errorf("%s: %s has no %s", from, path, m)
			}
			cut[m] = c.clean(op)
		}
		kept[path] = cut
	}
	for _, name := range keep() {
		if c.source("schemas", name) != nil {
			c.take("schemas", name)
		}
	}
	components := object{}
	for kind, items := range c.out {
		components[kind] = items
	}
	info := doc["info"].(object)
	info["description"] = "Cut down by internal/sim/graph/testdata/slice. " + info["description"].(string)
	result, err := json.MarshalIndent(object{
		"openapi": doc["openapi"], "info": info, "servers": doc["servers"], "paths": kept, "components": components,
	}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(to, append(result, '\n'), 0o644)
}

// A cutter collects the components that what is kept refers to.
type cutter struct {
	doc object
	out map[string]object
}

func (c *cutter) source(kind, name string) any {
	items, _ := c.doc["components"].(object)[kind].(object)
	return items[name]
}

func (c *cutter) take(kind, name string) {
	if c.out[kind] == nil {
		c.out[kind] = object{}
	}
	if _, done := c.out[kind][name]; done {
		return
	}
	src := c.source(kind, name)
	c.out[kind][name] = object{} // a type may contain itself
	if kind == "schemas" && slices.Contains(thin(), name) {
		src = c.thinned(src)
	}
	c.out[kind][name] = c.clean(src)
}

// thinned drops properties that lead to other objects.
func (c *cutter) thinned(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, x := range v {
			if k != "properties" {
				out[k] = c.thinned(x)
				continue
			}
			props := object{}
			for name, p := range x.(object) {
				if c.plain(p.(object)) || slices.Contains(leading(), name) {
					props[name] = p
				}
			}
			out[k] = props
		}
		return out
	case []any:
		var out []any
		for _, x := range v {
			out = append(out, c.thinned(x))
		}
		return out
	}
	return v
}

func (c *cutter) plain(p object) bool {
	ref, _ := p["$ref"].(string)
	if all, ok := p["allOf"].([]any); ok && len(all) == 1 {
		ref, _ = all[0].(object)["$ref"].(string)
	}
	if items, ok := p["items"].(object); ok {
		return c.plain(items)
	}
	if ref == "" {
		return true
	}
	name := ref[strings.LastIndex(ref, "/")+1:]
	target, _ := c.source("schemas", name).(object)
	return target["enum"] != nil || name == "microsoft.graph.mimeContent" // an icon
}

// clean copies a part, without prose and without types that are not kept, and
// takes what it refers to.
func (c *cutter) clean(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, x := range v {
			if s, isText := x.(string); (k == "description" || k == "summary") && isText && s != "" {
				if k == "description" && v["content"] == nil && v["schema"] == nil && v["type"] == nil && v["allOf"] == nil && v["properties"] == nil {
					out[k] = s // responses must have one
				}
				continue
			}
			if k == "tags" || k == "x-enum-descriptions" {
				continue
			}
			if p, ok := x.(object); ok && p["x-ms-navigationProperty"] == true && !slices.Contains(leading(), k) {
				continue
			}
			if k == "x-enum-flags" {
				c.take("schemas", x.(string))
			}
			if k == "discriminator" {
				out[k] = c.discriminator(x.(object))
				continue
			}
			out[k] = c.clean(x)
		}
		if ref, ok := v["$ref"].(string); ok {
			parts := strings.Split(ref, "/")
			c.take(parts[2], parts[3])
		}
		if v["content"] != nil && out["description"] == nil && v["description"] != nil {
			out["description"] = v["description"]
		}
		return out
	case []any:
		out := []any{}
		for _, x := range v {
			out = append(out, c.clean(x))
		}
		return out
	}
	return v
}

func (c *cutter) discriminator(d object) object {
	mapping := object{}
	for name, ref := range d["mapping"].(object) {
		if slices.Contains(keep(), strings.TrimPrefix(name, "#")) {
			mapping[name] = ref
		}
	}
	return object{"propertyName": d["propertyName"], "mapping": mapping}
}
