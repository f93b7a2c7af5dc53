//go:build ignore

// Command reduce cuts GitHub's OpenAPI description down to the operations that
// the simulated forge answers, with everything they refer to, and without
// prose.
//
//	go run reduce.go < github.openapi.json > github.json
//
// The source is GitHub's description as npm publishes it in @octokit/openapi
// (MIT licence; the version is in the result's info).
package main

import (
	"encoding/json"
	"log"
	"os"
	"strings"
)

const repo = "/repos/{owner}/{repo}"

// kept are the operations to keep, as path → methods.
var kept = map[string][]string{
	"/user":                               {"get"},
	"/rate_limit":                         {"get"},
	repo:                                  {"get"},
	repo + "/branches":                    {"get"},
	repo + "/branches/{branch}":           {"get"},
	repo + "/rules/branches/{branch}":     {"get"},
	repo + "/rulesets":                    {"get"},
	repo + "/rulesets/{ruleset_id}":       {"get"},
	repo + "/pulls":                       {"get", "post"},
	repo + "/pulls/{pull_number}":         {"get", "patch"},
	repo + "/pulls/{pull_number}/files":   {"get"},
	repo + "/pulls/{pull_number}/merge":   {"get", "put"},
	repo + "/pulls/{pull_number}/reviews": {"get", "post"},
	repo + "/pulls/{pull_number}/reviews/{review_id}/dismissals": {"put"},
	repo + "/pulls/{pull_number}/requested_reviewers":            {"post"},
	repo + "/issues":                              {"get", "post"},
	repo + "/issues/{issue_number}":               {"get", "patch"},
	repo + "/issues/{issue_number}/labels":        {"get", "post", "put"},
	repo + "/issues/{issue_number}/labels/{name}": {"delete"},
	repo + "/issues/{issue_number}/comments":      {"get", "post"},
	repo + "/issues/comments/{comment_id}":        {"get", "patch", "delete"},
	repo + "/commits/{ref}/status":                {"get"},
	repo + "/commits/{ref}/check-runs":            {"get"},
	repo + "/commits/{commit_sha}/pulls":          {"get"},
	repo + "/statuses/{sha}":                      {"post"},
	repo + "/check-runs":                          {"post"},
	repo + "/check-runs/{check_run_id}":           {"get", "patch"},
	repo + "/git/ref/{ref}":                       {"get"},
}

type object = map[string]any

func main() {
	log.SetFlags(0)
	var doc object
	if err := json.NewDecoder(os.Stdin).Decode(&doc); err != nil {
		log.Fatal(err)
	}
	paths := object{}
	for path, methods := range kept {
		source, ok := doc["paths"].(object)[path].(object)
		if !ok {
			log.Fatalf("%s is not described", path)
		}
		item := object{}
		if shared, ok := source["parameters"]; ok {
			item["parameters"] = shared
		}
		for _, m := range methods {
			if source[m] == nil {
				log.Fatalf("%s %s is not described", m, path)
			}
			item[m] = source[m]
		}
		paths[path] = item
	}
	prune(paths, false)
	components := object{}
	collect(doc["components"].(object), components, paths)
	// Errors that an operation does not list are held against this one.
	collect(doc["components"].(object), components, object{"$ref": "#/components/schemas/basic-error"})
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	if err := out.Encode(object{
		"openapi": doc["openapi"], "info": doc["info"], "paths": paths, "components": components,
		"servers": []any{object{"url": "/api/v3"}},
	}); err != nil {
		log.Fatal(err)
	}
}

// collect copies every component that v refers to, and what those refer to.
func collect(from, to object, v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			collect(from, to, x)
		}
	case object:
		if ref, ok := v["$ref"].(string); ok {
			parts := strings.Split(strings.TrimPrefix(ref, "#/components/"), "/")
			kind, name := parts[0], parts[1]
			if to[kind] == nil {
				to[kind] = object{}
			}
			if to[kind].(object)[name] == nil {
				c := from[kind].(object)[name]
				prune(c, false)
				to[kind].(object)[name] = c
				collect(from, to, c)
			}
		}
		for _, x := range v {
			collect(from, to, x)
		}
	}
}

// prune drops prose and examples. Names of properties are no keywords.
func prune(v any, names bool) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			prune(x, false)
		}
	case object:
		for key, x := range v {
			_, isText := x.(string)
			if !names && (key == "summary" || key == "example" || key == "examples" || key == "externalDocs" || key == "tags" ||
				strings.HasPrefix(key, "x-") || key == "description" && isText && v["content"] == nil && v["schema"] == nil) {
				if key == "description" && isText {
					v[key] = ""
					if v["type"] != nil || v["$ref"] != nil || v["anyOf"] != nil || v["oneOf"] != nil || v["allOf"] != nil || v["operationId"] != nil || v["in"] != nil {
						delete(v, key)
					}
					continue
				}
				delete(v, key)
				continue
			}
			prune(x, !names && (key == "properties" || key == "paths"))
		}
	}
}
