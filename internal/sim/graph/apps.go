package graph

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// appHandler serves an operation on an app that was found.
type appHandler func(r *request, a *app) (reply, error)

// withApp finds the app of a path. One that is new is not found at first.
func withApp(h appHandler) handler {
	return func(r *request) (reply, error) {
		a := r.t.apps[r.PathValue("app")]
		if a == nil {
			return reply{}, notFound("mobileApp")
		}
		if a.Hidden > 0 {
			a.Hidden--
			if err := r.t.saveApp(a); err != nil {
				return reply{}, err
			}
			return reply{}, notFound("mobileApp")
		}
		return h(r, a)
	}
}

// readOnly are the properties of an app that only the service writes.
func readOnly() []string {
	return []string{"id", "createdDateTime", "lastModifiedDateTime", "publishingState", "size", "isAssigned", "uploadState",
		"dependentAppCount", "supersedingAppCount", "supersededAppCount"}
}

// resource is an app as the service tells it.
func (t *tenant) resource(a *app) map[string]any {
	out := map[string]any{}
	for name, value := range a.Props {
		out[name] = value
	}
	out["id"], out["createdDateTime"], out["lastModifiedDateTime"] = a.ID, stamp(a.Created), stamp(a.Modified)
	out["publishingState"], out["isAssigned"] = a.State, len(a.Assignments) > 0
	out["dependentAppCount"], out["supersedingAppCount"], out["supersededAppCount"] = t.counts(a)
	if !a.kind().content {
		delete(out, "repositoryType") // written, and told by nobody
		return out
	}
	out["committedContentVersion"] = nil
	if a.Committed != "" {
		out["committedContentVersion"] = a.Committed
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// sortedApps are the apps oldest first.
func (t *tenant) sortedApps() []*app { return oldestFirst(t.apps) }

func oldestFirst(apps map[string]*app) []*app {
	return slices.SortedFunc(maps.Values(apps), func(a, b *app) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}

func listApps(r *request) (reply, error) {
	out := []map[string]any{}
	// Pages of one listing show one state: only its start moves lags on.
	first := r.URL.Query().Get("$skiptoken") == ""
	for _, a := range r.t.sortedApps() {
		if a.Unlisted > 0 {
			if first {
				a.Unlisted--
				if err := r.t.saveApp(a); err != nil {
					return reply{}, err
				}
			}
			continue
		}
		res := r.t.resource(a)
		match, err := filter(r.URL.Query(), res)
		if err != nil {
			return reply{}, err
		}
		if match {
			out = append(out, selected(r, res))
		}
	}
	return page(r, out, r.t.s.o.PageSize, 1000)
}

func createApp(r *request) (reply, error) {
	props, err := object(r.body)
	if err != nil {
		return reply{}, err
	}
	kind, known := kindOf(text(props, "@odata.type"))
	if !known {
		return reply{}, badRequest("apps of type " + text(props, "@odata.type") + " are not simulated")
	}
	if err := kind.judge(props); err != nil {
		return reply{}, err
	}
	now := r.t.s.o.Now()
	id := r.t.next("app")
	a := &app{
		ID: id, Created: now, Modified: now, Props: props, State: "notPublished",
		Hidden: r.t.s.upTo(r.t.s.o.Lag, id, "hidden"), Unlisted: r.t.s.upTo(r.t.s.o.ListLag, id, "unlisted"),
	}
	for _, name := range append(readOnly(), "committedContentVersion") {
		delete(props, name)
	}
	if !kind.content { // the service gets it from the store
		a.State, a.Reads = "processing", 1+r.t.s.upTo(r.t.s.o.Lag, id, "published")
	}
	r.t.apps[id] = a
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusCreated, r.t.resource(a), "create", id)
}

// checkRules refuses what the service refuses: no detection rule, two detection
// scripts, or a detection script with properties of requirement scripts.
func checkRules(props map[string]json.RawMessage) error {
	var rules []map[string]any
	if raw := props["rules"]; raw != nil {
		if json.Unmarshal(raw, &rules) != nil {
			return badRequest("rules is no list of rules")
		}
	}
	detections, scripts := 0, 0
	for _, rule := range rules {
		if rule["ruleType"] != "detection" {
			continue
		}
		detections++
		if rule["@odata.type"] != "#microsoft.graph.win32LobAppPowerShellScriptRule" {
			continue
		}
		scripts++
		for _, name := range []string{"displayName", "runAsAccount", "comparisonValue"} {
			if rule[name] != nil {
				return badRequest(name + " cannot be set on a script detection rule")
			}
		}
	}
	if detections == 0 || scripts > 1 {
		return badRequest("an app needs detection rules, and at most one script among them")
	}
	return nil
}

func getApp(r *request, a *app) (reply, error) {
	if a.State == "processing" {
		if a.Reads--; a.Reads <= 0 {
			a.State = "published"
		}
		if err := r.t.saveApp(a); err != nil {
			return reply{}, err
		}
	}
	return ok(selected(r, r.t.resource(a)))
}

func patchApp(r *request, a *app) (reply, error) {
	props, err := object(r.body)
	if err != nil {
		return reply{}, err
	}
	kind := a.kind()
	if other := text(props, "@odata.type"); other != "" && other != kind.odata {
		return reply{}, badRequest("the type of an app cannot change")
	}
	if id := text(props, "packageIdentifier"); id != "" && id != text(a.Props, "packageIdentifier") {
		return reply{}, badRequest("packageIdentifier cannot change")
	}
	merged := maps.Clone(a.Props)
	maps.Copy(merged, props)
	for _, name := range append(readOnly(), "committedContentVersion") {
		delete(merged, name)
	}
	if err := kind.judge(merged); err != nil {
		return reply{}, err
	}
	if version := text(props, "committedContentVersion"); version != "" && version != a.Committed {
		if a.State == "processing" {
			return reply{}, fail(http.StatusConflict, "Conflict", "the app is being published")
		}
		if err := a.mayCommit(version); err != nil {
			return reply{}, err
		}
		a.Committed, a.State = version, "processing"
		a.Reads = r.t.s.upTo(r.t.s.o.Lag, a.ID, version, "published")
	}
	a.Props, a.Modified = merged, r.t.s.o.Now()
	a.record(a.Modified)
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusOK, r.t.resource(a), "patch", a.ID)
}

// mayCommit reports whether a content version can become current: it has one
// main file, and all its files are committed.
func (a *app) mayCommit(version string) error {
	c, _ := a.find(version, "")
	if c == nil {
		return badRequest("content version " + version + " was not found")
	}
	main := 0
	for _, f := range c.Files {
		if f.State != stateCommitted {
			return badRequest("content version " + version + " has a file that is not committed")
		}
		if !f.IsDependency {
			main++
		}
	}
	if main != 1 {
		return badRequest("content version " + version + " has no file, or several")
	}
	return nil
}

func deleteApp(r *request, a *app) (reply, error) {
	if r.t.named(a) {
		return reply{}, badRequest("the app is superseded by another one, or another one depends on it")
	}
	delete(r.t.apps, a.ID)
	a.end(r.t.s.o.Now())
	r.t.gone[a.ID] = a
	for _, c := range a.Versions {
		for _, f := range c.Files {
			if err := os.RemoveAll(r.t.blobDir(f.ID)); err != nil {
				return reply{}, err
			}
		}
	}
	a.Versions = nil
	if err := r.t.journal.add(change{Kind: "gone", ID: a.ID, Counter: r.t.counter, App: a}); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "delete", a.ID)
}

// object decodes a JSON object.
func object(body []byte) (map[string]json.RawMessage, error) {
	var out map[string]json.RawMessage
	if err := json.Unmarshal(body, &out); err != nil || out == nil {
		return nil, badRequest("the body is no JSON object")
	}
	return out, nil
}
