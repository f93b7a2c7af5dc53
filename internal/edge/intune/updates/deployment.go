package updates

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// A Deployment is what is deployed to an audience, and how.
type Deployment struct {
	Audience string // id of packmill's audience
	Entry    string // id of the catalog entry
	Feature  bool   // the entry is a feature update, else a quality update

	Expedite   bool // a quality update: at once, whatever rings say
	Readiness  bool // with Expedite: only see whether devices could
	RebootDays int  // with Expedite: until a restart is forced, 0 to 2

	// Of a feature update: the service has no schedule and no monitoring for
	// others (Microsoft: "Deployments in Windows Autopatch").
	Start    time.Time      // zero for at once
	PerOffer int            // devices that are offered it at a time, 0 for all
	Every    fleet.Duration // between two offers, whole days
	Until    time.Time      // in equal parts until then, instead of PerOffer
	Rules    []Rule
}

// A Rule has the service itself stop a deployment that goes wrong.
type Rule struct {
	Signal    string // rollback; ineligible (with offerFallback)
	Threshold int    // percent of the devices, 1 to 100
	Action    string // alertError, pauseDeployment, offerFallback
}

// A DeploymentState is a deployment as it is. Words may come that are not listed.
type DeploymentState struct {
	ID        string
	Audience  string
	Entry     string
	Requested string   // none, paused, archived
	Effective string   // scheduled, offering, paused, faulted, archived
	Reasons   []string // offeringByRequest, pausedByRequest, pausedByMonitoring, scheduledByOfferWindow, faultedByContentOutdated
	settings  json.RawMessage
}

// The states that can be asked for.
const (
	StateNone     = "none" // goes on
	StatePaused   = "paused"
	StateArchived = "archived" // over for good
)

func (d Deployment) check() error {
	switch {
	case d.Audience == "" || d.Entry == "":
		return invalid("a deployment has an audience and a catalog entry")
	case !d.Feature && (!d.Start.IsZero() || d.PerOffer != 0 || !d.Until.IsZero() || len(d.Rules) > 0):
		return invalid("the service schedules and monitors feature updates alone")
	case !d.Feature && !d.Expedite:
		return invalid("the service deploys quality updates as expedited ones alone; approve others in a policy")
	case d.Feature && d.Expedite, d.Readiness && !d.Expedite:
		return invalid("quality updates alone are expedited")
	case d.PerOffer != 0 && !d.Until.IsZero(), d.PerOffer < 0:
		return invalid("a rollout is by rate or until a date")
	case (d.PerOffer > 0 || !d.Until.IsZero()) && (d.Every.Std() < 24*time.Hour || d.Every.Std()%(24*time.Hour) != 0):
		return invalid("there are whole days between two offers")
	}
	for _, r := range d.Rules {
		if err := within("threshold of a monitoring rule", r.Threshold, 1, 100); err != nil {
			return err
		}
		if (r.Signal == "ineligible") != (r.Action == "offerFallback") {
			return invalid("the signal ineligible goes with the action offerFallback, and it alone")
		}
	}
	return within("days until a forced restart", d.RebootDays, 0, 2)
}

// settings are a deployment's settings as the service takes them.
func (d Deployment) settings() map[string]any {
	out := map[string]any{"@odata.type": namespace + "deploymentSettings"}
	if d.Expedite {
		out["expedite"] = map[string]any{"isExpedited": true, "isReadinessTest": d.Readiness}
		out["userExperience"] = map[string]any{"daysUntilForcedReboot": d.RebootDays}
		return out
	}
	schedule := map[string]any{}
	if !d.Start.IsZero() {
		schedule["startDateTime"] = utc(d.Start)
	}
	days := fmt.Sprintf("P%dD", int(d.Every.Std()/(24*time.Hour)))
	switch {
	case d.PerOffer > 0:
		schedule["gradualRollout"] = map[string]any{"@odata.type": "#" + namespace + "rateDrivenRolloutSettings", "durationBetweenOffers": days, "devicesPerOffer": d.PerOffer}
	case !d.Until.IsZero():
		schedule["gradualRollout"] = map[string]any{"@odata.type": "#" + namespace + "dateDrivenRolloutSettings", "durationBetweenOffers": days, "endDateTime": utc(d.Until)}
	}
	if len(schedule) > 0 {
		out["schedule"] = schedule
	}
	rules := []map[string]any{}
	for _, r := range d.Rules {
		rules = append(rules, map[string]any{"signal": r.Signal, "threshold": r.Threshold, "action": r.Action})
	}
	if len(rules) > 0 {
		out["monitoring"] = map[string]any{"monitoringRules": rules}
	}
	return out
}

func (d Deployment) body() map[string]any {
	kind := "qualityUpdateCatalogEntry"
	if d.Feature {
		kind = "featureUpdateCatalogEntry"
	}
	return map[string]any{
		"@odata.type": "#" + namespace + "deployment", "audience": map[string]any{"id": d.Audience}, "settings": d.settings(),
		"content": map[string]any{
			"@odata.type": "#" + namespace + "catalogContent", "catalogEntry": map[string]any{"@odata.type": "#" + namespace + kind, "id": d.Entry},
		},
	}
}

type deploymentDoc struct {
	ID       string          `json:"id"`
	Settings json.RawMessage `json:"settings"`
	Audience *struct {
		ID string `json:"id"`
	} `json:"audience"`
	Content *struct {
		Entry *struct {
			ID string `json:"id"`
		} `json:"catalogEntry"`
	} `json:"content"`
	State *struct {
		Requested string `json:"requestedValue"`
		Effective string `json:"effectiveValue"`
		Reasons   []struct {
			Value string `json:"value"`
		} `json:"reasons"`
	} `json:"state"`
}

func (d deploymentDoc) state() DeploymentState {
	s := DeploymentState{ID: d.ID, settings: d.Settings}
	if d.Audience != nil {
		s.Audience = d.Audience.ID
	}
	if d.Content != nil && d.Content.Entry != nil {
		s.Entry = d.Content.Entry.ID
	}
	if d.State != nil {
		s.Requested, s.Effective = d.State.Requested, d.State.Effective
		for _, r := range d.State.Reasons {
			s.Reasons = append(s.Reasons, r.Value)
		}
	}
	return s
}

// Deployments lists the deployments to audiences, in the order of their ids;
// what is deployed to others is somebody else's.
func (c *Client) Deployments(ctx context.Context, audiences ...string) ([]DeploymentState, error) {
	out, err := c.deployments(ctx, audiences)
	return out, c.fail("intune.deployment", Key{Part: "deployments"}, err)
}

func (c *Client) deployments(ctx context.Context, audiences []string) ([]DeploymentState, error) {
	all, err := msgraph.List[deploymentDoc](ctx, c.api, msgraph.Final, msgraph.Query(deploymentsPath, "$expand", "audience"))
	if err != nil {
		return nil, err
	}
	var out []DeploymentState
	for _, d := range all {
		if s := d.state(); s.Audience != "" && slices.Contains(audiences, s.Audience) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b DeploymentState) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// Deploy makes what is deployed to an audience be this and nothing else, and
// returns its state: deployments of other entries to it end for good, one that is
// there goes on. What is deployed and to which audience cannot be changed
// afterwards, only how.
func (c *Client) Deploy(ctx context.Context, d Deployment) (DeploymentState, error) {
	var out DeploymentState
	if err := d.check(); err != nil {
		return out, c.fail("intune.deployment", Key{Part: d.Audience}, err)
	}
	err := c.api.Persist(ctx, func() error {
		present, err := c.deployments(ctx, []string{d.Audience})
		if err != nil {
			return err
		}
		var mine *DeploymentState
		for i, s := range present {
			switch {
			case s.Requested == StateArchived:
			case mine == nil && s.Entry == d.Entry:
				mine = &present[i]
			default:
				if err := c.request(ctx, s.ID, StateArchived); err != nil {
					return err
				}
			}
		}
		var doc deploymentDoc
		switch settings := d.settings(); {
		case mine == nil:
			err = c.api.Call(ctx, msgraph.Fresh, http.MethodPost, deploymentsPath, d.body(), &doc)
		case mine.Requested != StatePaused && covers(mine.settings, settings):
			out = *mine
			return nil
		default:
			body := map[string]any{"@odata.type": "#" + namespace + "deployment", "settings": settings, "state": requested(StateNone)}
			err = c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPatch, deploymentPath(mine.ID), body, &doc)
		}
		if err == nil && doc.ID == "" {
			err = fmt.Errorf("the service made a deployment without telling its id")
		}
		out = doc.state()
		out.Audience, out.Entry = d.Audience, d.Entry
		return err
	})
	return out, c.fail("intune.deployment", Key{Part: d.Audience}, err)
}

// covers reports whether settings that the service tells hold everything that is
// wanted; what it adds of its own does not matter.
func covers(have json.RawMessage, want any) bool {
	data, err := json.Marshal(want)
	var h, w any
	if err != nil || json.Unmarshal(have, &h) != nil || json.Unmarshal(data, &w) != nil {
		return false
	}
	return holds(h, w)
}

func holds(have, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		for name, value := range w {
			if !ok || !strings.HasPrefix(name, "@odata.") && !holds(h[name], value) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(w) {
			return false
		}
		for i := range w {
			if !holds(h[i], w[i]) {
				return false
			}
		}
		return true
	}
	return have == want
}

func requested(state string) map[string]any {
	return map[string]any{"@odata.type": namespace + "deploymentState", "requestedValue": state}
}

// request asks for a state of a deployment.
func (c *Client) request(ctx context.Context, id, state string) error {
	body := map[string]any{"@odata.type": "#" + namespace + "deployment", "state": requested(state)}
	return c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPatch, deploymentPath(id), body, nil)
}

// SetState pauses every deployment to an audience, lets them go on, or ends them
// for good (StatePaused, StateNone, StateArchived). What is archived stays so. A
// pause reaches devices within HoldDelay.
func (c *Client) SetState(ctx context.Context, audience, state string) error {
	return c.fail("intune.deployment", Key{Part: audience}, c.api.Persist(ctx, func() error {
		present, err := c.deployments(ctx, []string{audience})
		if err != nil {
			return err
		}
		for _, s := range present {
			if s.Requested == StateArchived || s.Requested == state {
				continue
			}
			if err := c.request(ctx, s.ID, state); err != nil {
				return err
			}
		}
		return nil
	}))
}
