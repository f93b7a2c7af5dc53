package graph

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// audienceSet are the audiences: nothing says when one was made.
func audienceSet() set {
	return set{name: "deploymentAudiences", noun: "deploymentAudience", shape: func(_ *entity, out map[string]any) {
		delete(out, "createdDateTime")
		delete(out, "lastModifiedDateTime")
	}}
}

// An audienceState is who was in an audience, and who was left out, when.
type audienceState struct {
	Members, Exclusions []membership // Object is an Entra device id
}

func (e *entity) audience() audienceState {
	var s audienceState
	_ = json.Unmarshal(e.State, &s) // none yet is the zero state
	return s
}

// in reports whether a log has a device at an instant.
func in(log []membership, id string, at time.Time) bool {
	is := false
	for _, m := range log {
		if strings.EqualFold(m.Object, id) && !m.At.After(at) {
			is = !m.Out
		}
	}
	return is
}

func present(log []membership, at time.Time) []string {
	seen := map[string]bool{}
	for _, m := range log {
		if !m.At.After(at) {
			seen[m.Object] = !m.Out
		}
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(seen)), func(id string) bool { return !seen[id] })
}

func listAssets(pick func(audienceState) []membership) func(*request, *entity) (reply, error) {
	return func(r *request, e *entity) (reply, error) {
		out := []map[string]any{}
		for _, id := range present(pick(e.audience()), r.t.s.o.Now()) {
			out = append(out, map[string]any{"@odata.type": updatesNamespace + "azureADDevice", "id": id})
		}
		return page(r, out, 100, 1000)
	}
}

// assetSet are devices that the service manages the feature updates of.
func assetSet() set { return set{name: "updatableAssets", noun: "updatableAsset"} }

// enrolAssets has the service manage the feature updates of devices; those that
// are enrolled stay so since when they are.
func enrolAssets(r *request) (reply, error) {
	var body struct {
		Category string `json:"updateCategory"`
		Assets   []struct {
			Type string `json:"@odata.type"`
			ID   string `json:"id"`
		} `json:"assets"`
	}
	if json.Unmarshal(r.body, &body) != nil || body.Category != "feature" || len(body.Assets) == 0 {
		return reply{}, badRequest("updateCategory feature and assets are required")
	}
	for _, a := range body.Assets {
		if a.Type != updatesNamespace+"azureADDevice" || !r.t.hasDevice(a.ID) {
			return reply{}, badRequest("the directory has no device " + a.ID)
		}
		id := strings.ToLower(a.ID)
		if r.t.entities[assetSet().name][id] != nil {
			continue
		}
		if err := r.t.save(assetSet().name, &entity{ID: id, Created: r.t.s.o.Now()}); err != nil {
			return reply{}, err
		}
	}
	return did(http.StatusNoContent, nil, "asset.enrol", "feature")
}

func (t *tenant) hasDevice(entra string) bool {
	return slices.ContainsFunc(t.devices, func(d *device) bool { return strings.EqualFold(d.entra, entra) })
}

// updateAudience adds and removes devices. Adding one that the directory does not
// know would make an object there, which is not simulated.
func updateAudience(r *request, e *entity) (reply, error) {
	type asset struct {
		Type string `json:"@odata.type"`
		ID   string `json:"id"`
	}
	var body struct{ AddMembers, RemoveMembers, AddExclusions, RemoveExclusions []asset }
	if json.Unmarshal(r.body, &body) != nil {
		return reply{}, badRequest("the body cannot be read")
	}
	state, now := e.audience(), r.t.s.o.Now()
	for _, part := range []struct {
		assets []asset
		log    *[]membership
		out    bool
	}{
		{body.AddMembers, &state.Members, false}, {body.RemoveMembers, &state.Members, true},
		{body.AddExclusions, &state.Exclusions, false}, {body.RemoveExclusions, &state.Exclusions, true},
	} {
		for _, a := range part.assets {
			if a.Type != updatesNamespace+"azureADDevice" {
				return reply{}, badRequest("asset type " + a.Type + " is not simulated")
			}
			if !part.out && !r.t.hasDevice(a.ID) {
				return reply{}, badRequest("the directory has no device " + a.ID)
			}
			if in(*part.log, a.ID, now) == part.out {
				*part.log = append(*part.log, membership{At: now, Object: a.ID, Out: part.out})
			}
		}
	}
	if err := e.keepState(state); err != nil {
		return reply{}, err
	}
	if err := r.t.save(audienceSet().name, e); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "audience", e.ID)
}
