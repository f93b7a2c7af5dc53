package intune

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
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

// AuditEvents reads Intune's own audit of a period, both ends included, and what
// in the tenant bears packmill's marker. Of a person it tells that there was one,
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
	out.Objects, err = c.ownObjects(ctx)
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

// ownObjects are the objects in the tenant that bear packmill's marker, spare
// ones included.
func (c *Client) ownObjects(ctx context.Context) (map[string]fleet.OwnObject, error) {
	slots, err := c.listSlots(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]fleet.OwnObject{}
	for k, apps := range slots {
		for _, objects := range apps {
			for _, id := range append([]string{objects.id}, objects.spare...) {
				out[strings.ToLower(id)] = fleet.OwnObject{Kind: "app", Package: k.pkg}
			}
		}
	}
	probes, err := c.ownProbes(ctx, "")
	for _, p := range probes {
		out[strings.ToLower(p.id)] = fleet.OwnObject{Kind: "probe", Package: p.Package}
	}
	return out, err
}
