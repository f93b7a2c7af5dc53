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
	"github.com/packmill/packmill/internal/transport"
)

// A deployment is what is deployed to an audience, and how: of a version of
// Windows, since the service has no schedule and no monitoring for other updates
// (Microsoft: "Deployments in Windows Autopatch").
type deployment struct {
	audience  string    // id of packmill's audience
	entry     string    // id of the catalog entry
	perOffer  int       // devices that are offered it at a time
	until     time.Time // in equal parts until then, instead of perOffer
	everyDays int       // between two offers
	rollbacks int       // percent of the devices whose going back pauses it; 0 for no such rule
}

// A deploymentState is a deployment as it is. Words may come that are not listed.
type deploymentState struct {
	id        string
	audience  string
	entry     string
	requested string   // none, paused, archived
	effective string   // scheduled, offering, paused, faulted, archived
	reasons   []string // offeringByRequest, pausedByRequest, pausedByMonitoring, scheduledByOfferWindow, faultedByContentOutdated
	settings  json.RawMessage
}

// The states that can be asked for.
const (
	stateNone     = "none" // goes on
	statePaused   = "paused"
	stateArchived = "archived" // over for good
)

// settings are a deployment's settings as the service takes them.
func (d deployment) settings() map[string]any {
	days := fmt.Sprintf("P%dD", max(d.everyDays, 1))
	rollout := map[string]any{"@odata.type": "#" + namespace + "rateDrivenRolloutSettings", "durationBetweenOffers": days, "devicesPerOffer": d.perOffer}
	if d.perOffer == 0 {
		rollout = map[string]any{"@odata.type": "#" + namespace + "dateDrivenRolloutSettings", "durationBetweenOffers": days, "endDateTime": utc(d.until)}
	}
	out := map[string]any{"@odata.type": namespace + "deploymentSettings", "schedule": map[string]any{"gradualRollout": rollout}}
	if d.rollbacks > 0 {
		out["monitoring"] = map[string]any{"monitoringRules": []map[string]any{{"signal": "rollback", "threshold": d.rollbacks, "action": "pauseDeployment"}}}
	}
	return out
}

func (d deployment) body() map[string]any {
	return map[string]any{
		"@odata.type": "#" + namespace + "deployment", "audience": map[string]any{"id": d.audience}, "settings": d.settings(),
		"content": map[string]any{
			"@odata.type": "#" + namespace + "catalogContent", "catalogEntry": map[string]any{"@odata.type": odataVersion, "id": d.entry},
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

func (d deploymentDoc) state() deploymentState {
	s := deploymentState{id: d.ID, settings: d.Settings}
	if d.Audience != nil {
		s.audience = d.Audience.ID
	}
	if d.Content != nil && d.Content.Entry != nil {
		s.entry = d.Content.Entry.ID
	}
	if d.State != nil {
		s.requested, s.effective = d.State.Requested, d.State.Effective
		for _, r := range d.State.Reasons {
			s.reasons = append(s.reasons, r.Value)
		}
	}
	return s
}

// stopped says why the service itself offers a deployment to nobody any more, ""
// while it does, or while it was asked not to.
func (s deploymentState) stopped() string {
	switch {
	case s.requested != stateNone:
		return ""
	case s.effective == "faulted":
		return "Windows Update cannot go on with the deployment (" + strings.Join(s.reasons, ", ") + ")"
	case s.effective == statePaused && slices.Contains(s.reasons, "pausedByMonitoring"):
		return "Windows Update paused the deployment, because more devices went back than its rule allows"
	case s.effective == statePaused:
		return "Windows Update paused the deployment (" + strings.Join(s.reasons, ", ") + ")"
	}
	return ""
}

// deployments lists the deployments to an audience, in the order of their ids; what
// is deployed to others is somebody else's.
func (c *Client) deployments(ctx context.Context, audience string) ([]deploymentState, error) {
	all, err := msgraph.List[deploymentDoc](ctx, c.api, msgraph.Final, msgraph.Query(deploymentsPath, "$expand", "audience"))
	if err != nil {
		return nil, err
	}
	var out []deploymentState
	for _, d := range all {
		if s := d.state(); s.audience != "" && s.audience == audience {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b deploymentState) int { return cmp.Compare(a.id, b.id) })
	return out, nil
}

// deploy makes what is deployed to an audience be this and nothing else, and
// returns its state: deployments of other entries to it end for good, one that is
// there goes on. What is deployed and to which audience cannot be changed
// afterwards, only how.
func (c *Client) deploy(ctx context.Context, d deployment) (deploymentState, error) {
	mine, err := c.only(ctx, d)
	if err == nil && mine == nil {
		// A run that died, or an answer that was lost, may have made one that the
		// list does not show yet.
		if err := c.api.Clock().Sleep(ctx, listWait); err != nil {
			return deploymentState{}, err
		}
		mine, err = c.only(ctx, d)
	}
	if err != nil {
		return deploymentState{}, err
	}
	var doc deploymentDoc
	switch settings := d.settings(); {
	case mine == nil:
		err = c.api.Call(ctx, msgraph.Fresh, http.MethodPost, deploymentsPath, d.body(), &doc)
	case mine.requested != statePaused && covers(mine.settings, settings):
		return *mine, nil
	default:
		body := map[string]any{"@odata.type": "#" + namespace + "deployment", "settings": settings}
		if mine.requested == statePaused {
			body["state"] = requested(stateNone)
		}
		err = c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPatch, deploymentPath(mine.id), body, &doc)
	}
	if err == nil && doc.ID == "" {
		err = fmt.Errorf("the service made a deployment without telling its id")
	}
	return doc.state(), err
}

// only is the deployment that there is of an entry to its audience; others to that
// audience end.
func (c *Client) only(ctx context.Context, d deployment) (mine *deploymentState, err error) {
	present, err := c.deployments(ctx, d.audience)
	if err != nil {
		return nil, err
	}
	for i, s := range present {
		switch {
		case s.requested == stateArchived:
		case mine == nil && s.entry == d.entry:
			mine = &present[i]
		default:
			if err := c.request(ctx, s.id, stateArchived); err != nil {
				return nil, err
			}
		}
	}
	return mine, nil
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

// setState pauses every deployment to an audience, or ends them for good. What is
// archived stays so. A pause reaches devices within HoldDelay.
func (c *Client) setState(ctx context.Context, audience, state string) error {
	present, err := c.deployments(ctx, audience)
	if err != nil {
		return err
	}
	for _, s := range present {
		if s.requested == stateArchived || s.requested == state {
			continue
		}
		if err := c.request(ctx, s.id, state); err != nil {
			return err
		}
	}
	return nil
}
