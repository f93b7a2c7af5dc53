package intune

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const (
	auditVersion = "v1.0"
	auditPath    = "/" + auditVersion + "/deviceManagement/auditEvents"
)

type auditEvent struct {
	ID     string    `json:"id"`
	Type   string    `json:"activityType"`
	Name   string    `json:"displayName"`
	At     time.Time `json:"activityDateTime"`
	Result string    `json:"activityResult"`
	Actor  *struct {
		Application string `json:"applicationId"`
		Kind        string `json:"auditActorType"`
		User        string `json:"userId"`
		Principal   string `json:"userPrincipalName"`
	} `json:"actor"`
	Resources []struct {
		ID string `json:"resourceId"`
	} `json:"resources"`
}

// AuditEvents reads Intune's own audit of a period, both ends included, and which
// of the tenant's apps and health scripts bear packmill's marker. Of a person it tells that there was one,
// and no name. Groups are not in it: the directory has an audit of its own.
//
// The service shows an event some time after it happened, and an event's time is
// when it happened: who reads period after period lets them overlap.
func (c *Client) AuditEvents(ctx context.Context, from, until time.Time) (fleet.ConsoleAudit, error) {
	audit, err := c.auditEvents(ctx, from, until)
	return audit, c.api.Fail("intune.audit", c.api.Directory(), err)
}

func (c *Client) auditEvents(ctx context.Context, from, until time.Time) (fleet.ConsoleAudit, error) {
	var out fleet.ConsoleAudit
	var err error
	if out.Application, err = c.api.Application(ctx); err != nil {
		return out, err
	}
	period := "activityDateTime ge " + from.UTC().Format(time.RFC3339) + " and activityDateTime le " + until.UTC().Format(time.RFC3339)
	events, err := msgraph.List[auditEvent](ctx, c.api, msgraph.Final, msgraph.Query(auditPath,
		"$filter", period, "$select", "id,activityType,displayName,activityDateTime,activityResult,actor,resources"))
	if err != nil {
		return out, err
	}
	seen := map[string]bool{}
	for _, e := range events {
		if seen[e.ID] {
			continue // an event that came meanwhile moved the pages
		}
		seen[e.ID] = true
		out.Events = append(out.Events, e.told())
	}
	slices.SortFunc(out.Events, func(a, b fleet.ConsoleEvent) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.ID, b.ID)) })
	out.Objects, out.Others, err = c.ownObjects(ctx)
	return out, err
}

func (e auditEvent) told() fleet.ConsoleEvent {
	out := fleet.ConsoleEvent{ID: e.ID, At: e.At.UTC(), What: cmp.Or(e.Type, e.Name), Result: e.Result}
	if e.Actor != nil {
		out.Application = strings.ToLower(e.Actor.Application)
		out.Person = e.Actor.User != "" || e.Actor.Principal != "" || strings.EqualFold(e.Actor.Kind, "ItPro")
	}
	for _, r := range e.Resources {
		if r.ID != "" {
			out.Objects = append(out.Objects, strings.ToLower(r.ID))
		}
	}
	return out
}

// ownObjects are the tenant's apps and health scripts: those that bear packmill's
// marker, spare ones included, and the others. A copy that a person made bears it
// with another's id, and is the person's.
func (c *Client) ownObjects(ctx context.Context) (own map[string]fleet.OwnObject, others map[string]bool, err error) {
	apps, err := msgraph.List[mobileApp](ctx, c.api, msgraph.Final, msgraph.Query(appsPath, "$select", "id,notes,createdDateTime"))
	if err != nil {
		return nil, nil, err
	}
	scripts, err := msgraph.List[healthScript](ctx, c.api, msgraph.Final, msgraph.Query(scriptsPath, "$select", "id,description,createdDateTime"))
	if err != nil && transport.StatusOf(err) != http.StatusForbidden { // a tenant without probes need not allow them
		return nil, nil, err
	}
	probes, err := c.ownProbes(ctx, "")
	if err != nil && transport.StatusOf(err) != http.StatusForbidden {
		return nil, nil, err
	}
	own, others = map[string]fleet.OwnObject{}, map[string]bool{}
	for _, p := range probes {
		own[strings.ToLower(p.id)] = fleet.OwnObject{Kind: "probe", Package: p.Package}
	}
	slices.SortFunc(apps, func(a, b mobileApp) int {
		return cmp.Or(when(a.CreatedDateTime).Compare(when(b.CreatedDateTime)), cmp.Compare(a.ID, b.ID))
	})
	for _, app := range originals(apps) {
		if m, ok := ownMarker(app); ok && kindOf(app.ODataType) != "" {
			own[strings.ToLower(app.ID)] = fleet.OwnObject{Kind: "app", Package: m.Package}
		}
	}
	for _, app := range apps {
		if id := strings.ToLower(app.ID); own[id].Kind == "" {
			others[id] = true
		}
	}
	for _, s := range scripts {
		if id := strings.ToLower(s.ID); own[id].Kind == "" {
			others[id] = true
		}
	}
	return own, others, nil
}
