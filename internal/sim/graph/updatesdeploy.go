package graph

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

const updatesNamespace = "#microsoft.graph.windowsUpdates."

func deploymentSet() set { return set{name: "deployments", noun: "deployment"} }

// A deploymentState is what a deployment deploys, and the history of how.
type deploymentState struct {
	Audience string
	Entry    string // id in the service's catalog
	History  []deploymentEpoch
}

// A deploymentEpoch is how a deployment was from an instant on.
type deploymentEpoch struct {
	At        time.Time
	Requested string
	Settings  json.RawMessage
}

// settings are a deployment's as far as devices and the service act on them.
type deploySettings struct {
	Schedule *struct {
		Start   *time.Time `json:"startDateTime"`
		Gradual *struct {
			Type    string     `json:"@odata.type"`
			Between string     `json:"durationBetweenOffers"`
			Devices int        `json:"devicesPerOffer"`
			End     *time.Time `json:"endDateTime"`
		} `json:"gradualRollout"`
	} `json:"schedule"`
	Monitoring *struct {
		Rules []struct {
			Signal    string `json:"signal"`
			Threshold int    `json:"threshold"`
			Action    string `json:"action"`
		} `json:"monitoringRules"`
	} `json:"monitoring"`
	Expedite *struct {
		On   bool `json:"isExpedited"`
		Test bool `json:"isReadinessTest"`
	} `json:"expedite"`
}

func (e *entity) deployment() deploymentState {
	var s deploymentState
	_ = json.Unmarshal(e.State, &s) // a deployment is made with its state
	return s
}

func (s deploymentState) now() deploymentEpoch { return s.History[len(s.History)-1] }

func (d deploymentEpoch) settings() deploySettings {
	var s deploySettings
	_ = json.Unmarshal(d.Settings, &s) // checked when it was written
	return s
}

// resourceOf is a deployment as the service tells it.
func (t *tenant) deploymentResource(e *entity, audience bool) map[string]any {
	s := e.deployment()
	content := map[string]any{"@odata.type": updatesNamespace + "catalogContent"}
	if p, ok := t.patch(serviceCatalog, s.Entry); ok {
		content["catalogEntry"] = t.entry(p, false)
	}
	effective, reason := t.effective(e, t.s.o.Now())
	out := map[string]any{
		"@odata.type": updatesNamespace + "deployment", "id": e.ID, "createdDateTime": stamp(e.Created), "lastModifiedDateTime": stamp(e.Modified), "content": content,
		"settings": json.RawMessage(s.now().Settings),
		"state": map[string]any{
			"requestedValue": s.now().Requested, "effectiveValue": effective, "reasons": []map[string]any{{"value": reason}},
		},
	}
	if effective == "archived" {
		out["state"].(map[string]any)["reasons"] = []map[string]any{}
	}
	if audience {
		out["audience"] = map[string]any{"id": s.Audience}
	}
	return out
}

// effective is the state a deployment has at an instant, and why.
func (t *tenant) effective(e *entity, now time.Time) (state, reason string) {
	s := e.deployment()
	set := s.now().settings()
	p, known := t.patch(serviceCatalog, s.Entry)
	_, stopped := t.offered(e)
	switch {
	case s.now().Requested == "archived":
		return "archived", ""
	case s.now().Requested == "paused":
		return "paused", "pausedByRequest"
	case !stopped.IsZero() && !now.Before(stopped):
		return "paused", "pausedByMonitoring"
	case !known || !p.Until.IsZero() && now.After(p.Until):
		return "faulted", "faultedByContentOutdated"
	case set.Schedule != nil && set.Schedule.Start != nil && now.Before(*set.Schedule.Start):
		return "scheduled", "scheduledByOfferWindow"
	}
	return "offering", "offeringByRequest"
}

func listDeployments(r *request) (reply, error) {
	out := []map[string]any{}
	for _, e := range r.t.sorted(deploymentSet().name) {
		if e.Unlisted > 0 {
			e.Unlisted--
			if err := r.t.save(deploymentSet().name, e); err != nil {
				return reply{}, err
			}
			continue
		}
		out = append(out, r.t.deploymentResource(e, r.URL.Query().Get("$expand") == "audience"))
	}
	return page(r, out, r.t.s.o.PageSize, 1000)
}

// checkDeployment refuses settings that the service has not for a patch.
func checkDeployment(raw json.RawMessage, p Patch) error {
	var s deploySettings
	if len(raw) > 0 && json.Unmarshal(raw, &s) != nil {
		return badRequest("settings cannot be read")
	}
	if p.Feature == "" && (s.Schedule != nil || s.Monitoring != nil) {
		return badRequest("schedule and monitoring are for feature updates")
	}
	expedited := s.Expedite != nil && s.Expedite.On
	if p.Feature != "" && expedited || p.Feature == "" && (!expedited || !p.Expeditable) {
		return badRequest("a quality update is deployed expedited, a feature update is not")
	}
	if s.Schedule != nil && s.Schedule.Gradual != nil {
		g := s.Schedule.Gradual
		byRate, byDate := g.Type == updatesNamespace+"rateDrivenRolloutSettings", g.Type == updatesNamespace+"dateDrivenRolloutSettings"
		if _, ok := days(g.Between); !ok || byRate && g.Devices < 1 || byDate && g.End == nil || !byRate && !byDate {
			return badRequest("gradualRollout cannot be carried out")
		}
	}
	if s.Monitoring != nil {
		for _, r := range s.Monitoring.Rules {
			if r.Threshold < 1 || r.Threshold > 100 || (r.Signal == "ineligible") != (r.Action == "offerFallback") {
				return badRequest("a monitoring rule cannot be carried out")
			}
		}
	}
	return nil
}

// days reads a duration of whole days.
func days(s string) (time.Duration, bool) {
	rest, begins := strings.CutPrefix(s, "P")
	number, ends := strings.CutSuffix(rest, "D")
	n := 0
	for _, c := range number {
		if c < '0' || c > '9' || n > 1000 {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return time.Duration(n) * 24 * time.Hour, begins && ends && n > 0
}

type deploymentBody struct {
	Audience *struct {
		ID string `json:"id"`
	} `json:"audience"`
	Content *struct {
		Entry *struct {
			ID string `json:"id"`
		} `json:"catalogEntry"`
	} `json:"content"`
	Settings json.RawMessage `json:"settings"`
	State    *struct {
		Requested string `json:"requestedValue"`
	} `json:"state"`
}

func createDeployment(r *request) (reply, error) {
	var body deploymentBody
	if json.Unmarshal(r.body, &body) != nil || body.Audience == nil || body.Content == nil || body.Content.Entry == nil {
		return reply{}, badRequest("audience and content are required")
	}
	if r.t.entities[audienceSet().name][body.Audience.ID] == nil {
		return reply{}, notFound("deploymentAudience")
	}
	p, ok := r.t.patch(serviceCatalog, body.Content.Entry.ID)
	if !ok {
		return reply{}, badRequest("the catalog has no such entry")
	}
	if err := checkDeployment(body.Settings, p); err != nil {
		return reply{}, err
	}
	now := r.t.s.o.Now()
	id := r.t.next("deployment")
	e := &entity{ID: id, Created: now, Modified: now, Unlisted: r.t.s.upTo(r.t.s.o.ListLag, id, "unlisted")}
	if body.Settings == nil {
		body.Settings = json.RawMessage("{}")
	}
	if err := e.keepState(deploymentState{body.Audience.ID, body.Content.Entry.ID, []deploymentEpoch{{now, "none", body.Settings}}}); err != nil {
		return reply{}, err
	}
	if err := r.t.save(deploymentSet().name, e); err != nil {
		return reply{}, err
	}
	return did(http.StatusCreated, r.t.deploymentResource(e, true), "deploy", e.ID)
}

// changeDeployment changes a deployment's settings and what is asked of it. What
// it deploys, and to whom, stays.
func changeDeployment(r *request, e *entity) (reply, error) {
	var body deploymentBody
	if json.Unmarshal(r.body, &body) != nil {
		return reply{}, badRequest("the body cannot be read")
	}
	if body.Audience != nil || body.Content != nil {
		return reply{}, badRequest("content and audience cannot be changed")
	}
	s := e.deployment()
	next := s.now()
	next.At = r.t.s.o.Now()
	if next.Requested == "archived" {
		return reply{}, badRequest("an archived deployment cannot be changed")
	}
	if body.Settings != nil {
		p, _ := r.t.patch(serviceCatalog, s.Entry)
		if err := checkDeployment(body.Settings, p); err != nil {
			return reply{}, err
		}
		next.Settings = body.Settings
	}
	if body.State != nil {
		if !slices.Contains([]string{"none", "paused", "archived"}, body.State.Requested) {
			return reply{}, badRequest("requestedValue is none, paused or archived")
		}
		next.Requested = body.State.Requested
	}
	if s.now().At.Equal(next.At) {
		s.History[len(s.History)-1] = next
	} else {
		s.History = append(s.History, next)
	}
	e.Modified = next.At
	if err := e.keepState(s); err != nil {
		return reply{}, err
	}
	if err := r.t.save(deploymentSet().name, e); err != nil {
		return reply{}, err
	}
	return did(http.StatusOK, r.t.deploymentResource(e, true), "deployment."+next.Requested, e.ID)
}

func deploymentRoutes(r router) {
	const base = "/admin/windows/updates"
	audiences, deployments := audienceSet(), deploymentSet()
	r.beta("GET", base+"/catalog/entries", "entry.list", listEntries)
	r.beta("GET", base+"/products", "product.list", listProducts)
	r.beta("GET", base+"/products/{id}/knownIssues", "issue.list", listIssues)
	one := base + "/deploymentAudiences/{id}"
	r.beta("POST", base+"/deploymentAudiences", "audience.create", audiences.create)
	r.beta("GET", one, "audience.get", audiences.with(audiences.get))
	r.beta("DELETE", one, "audience.delete", audiences.with(audiences.bury))
	r.beta("POST", base+"/updatableAssets/microsoft.graph.windowsUpdates.enrollAssets", "asset.enrol", enrolAssets)
	r.beta("GET", one+"/members", "audience.members", audiences.with(listAssets(func(s audienceState) []membership { return s.Members })))
	r.beta("GET", one+"/exclusions", "audience.exclusions", audiences.with(listAssets(func(s audienceState) []membership { return s.Exclusions })))
	r.beta("POST", one+"/microsoft.graph.windowsUpdates.updateAudience", "audience.update", audiences.with(updateAudience))
	r.beta("GET", base+"/deployments", "deployment.list", listDeployments)
	r.beta("POST", base+"/deployments", "deployment.create", createDeployment)
	r.beta("PATCH", base+"/deployments/{id}", "deployment.patch", deployments.with(changeDeployment))
}
