package graph

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// page cuts a collection to the page that was asked for, with a next link when
// there is more. A $top above most is cut to it, as the service does.
func page[T any](r *request, all []T, size, most int) (reply, error) {
	q := r.URL.Query()
	if v := q.Get("$top"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return reply{}, badRequest("Invalid value for $top.")
		}
		size = min(n, most)
	}
	if r.t.s.o.Pitfalls.ShortPages {
		size = min(size, shortPage)
	}
	skip := 0
	if v := q.Get("$skiptoken"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return reply{}, badRequest("Invalid skip token.")
		}
		skip = n
	}
	from := min(skip, len(all))
	to := min(from+size, len(all))
	body := map[string]any{
		"@odata.context": r.base + "/$metadata#" + strings.TrimPrefix(r.URL.Path, "/"),
		"value":          all[from:to:to],
	}
	if from == to {
		body["value"] = []any{}
	}
	if to < len(all) {
		q.Set("$skiptoken", strconv.Itoa(to))
		body["@odata.nextLink"] = originOf(r.Request) + r.URL.Path + "?" + q.Encode()
	}
	return ok(body)
}

// selected keeps the properties that $select names. Without one all stay.
func selected(r *request, resource map[string]any) map[string]any {
	want := r.URL.Query().Get("$select")
	if want == "" {
		return resource
	}
	out := map[string]any{}
	for name := range strings.SplitSeq(want+",@odata.type,id", ",") {
		if v, ok := resource[name]; ok {
			out[name] = v
		}
	}
	return out
}

var (
	isofTerm     = regexp.MustCompile(`^isof\('microsoft\.graph\.([A-Za-z0-9.]+)'\)$`)
	functionTerm = regexp.MustCompile(`^(contains|startswith)\(([A-Za-z]+),'((?:[^']|'')*)'\)$`)
	equalTerm    = regexp.MustCompile(`^\(?([A-Za-z]+) eq '((?:[^']|'')*)'\)?$`)
)

// filter evaluates the part of OData's $filter that is simulated: terms joined
// by "and", of which one in parentheses may be several joined by "or". Anything
// else is refused, as the service refuses much.
func filter(values url.Values, resource map[string]any) (bool, error) {
	expr := values.Get("$filter")
	if expr == "" {
		return true, nil
	}
	for term := range strings.SplitSeq(expr, " and ") {
		match, err := filterAny(strings.TrimSpace(term), resource)
		if err != nil || !match {
			return false, err
		}
	}
	return true, nil
}

// filterAny evaluates a term, or several in parentheses of which one must hold.
func filterAny(term string, resource map[string]any) (bool, error) {
	inner, open := strings.CutPrefix(term, "(")
	inner, closed := strings.CutSuffix(inner, ")")
	if !open || !closed || !strings.Contains(inner, " or ") {
		return filterTerm(term, resource)
	}
	found := false
	for part := range strings.SplitSeq(inner, " or ") {
		match, err := filterTerm(strings.TrimSpace(part), resource)
		if err != nil {
			return false, err
		}
		found = found || match
	}
	return found, nil
}

func filterTerm(term string, resource map[string]any) (bool, error) {
	property := func(name string) string {
		switch v := resource[name].(type) {
		case string:
			return v
		case json.RawMessage:
			var s string
			_ = json.Unmarshal(v, &s) // what is no string compares as empty
			return s
		}
		return ""
	}
	if m := isofTerm.FindStringSubmatch(term); m != nil {
		return property("@odata.type") == "#microsoft.graph."+m[1], nil
	}
	if m := functionTerm.FindStringSubmatch(term); m != nil {
		have, want := strings.ToLower(property(m[2])), strings.ToLower(strings.ReplaceAll(m[3], "''", "'"))
		if m[1] == "contains" {
			return strings.Contains(have, want), nil
		}
		return strings.HasPrefix(have, want), nil
	}
	if m := equalTerm.FindStringSubmatch(term); m != nil {
		return strings.EqualFold(property(m[1]), strings.ReplaceAll(m[2], "''", "'")), nil
	}
	return false, badRequest("Invalid filter clause: " + term)
}
