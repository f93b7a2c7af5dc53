package graph

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// actOnPolicy approves or suspends catalog items in a quality update policy.
func actOnPolicy(r *request, e *entity) (reply, error) {
	var body struct {
		Action string   `json:"action"`
		IDs    []string `json:"ids"`
	}
	if json.Unmarshal(r.body, &body) != nil || len(body.IDs) == 0 || body.Action != "approve" && body.Action != "suspend" {
		return reply{}, badRequest("action and ids are required")
	}
	status := e.profile().status()
	if status == nil {
		status = map[string]string{}
	}
	done, failed := []string{}, []string{}
	for _, id := range body.IDs {
		if _, known := r.t.patch(intuneCatalog, id); !known {
			failed = append(failed, id)
			continue
		}
		status[id] = map[string]string{"approve": "approved", "suspend": "suspended"}[body.Action]
		done = append(done, id)
	}
	if err := r.t.epoch(qualitySet(), e, status); err != nil {
		return reply{}, err
	}
	return did(http.StatusOK, map[string]any{"successfulIds": done, "failedIds": failed}, body.Action, e.ID)
}

// inventory are the drivers that a profile's devices could have, once the service
// has looked.
func (t *tenant) driverInventory(e *entity) []map[string]any {
	state, now := e.profile(), t.s.o.Now()
	looked := !state.First.IsZero() && !now.Before(state.First.Add(t.s.o.Updates.looks()))
	// A look that was asked for takes an hour, once devices have told what they have.
	looked = looked || !state.Synced.IsZero() && !now.Before(state.Synced.Add(time.Hour))
	out := []map[string]any{}
	if !looked {
		return out
	}
	status := state.status()
	for _, u := range t.s.o.Updates.Drivers {
		n := 0
		for _, d := range t.devices {
			if slices.Contains(u.Models, d.Model) && t.aimed(e.Assignments, d, now) {
				n++
			}
		}
		if n == 0 || u.Released.After(now) {
			continue
		}
		id := t.driverID(u)
		item := map[string]any{
			"id": id, "name": u.Name, "version": u.Version, "driverClass": u.Class, "manufacturer": u.Manufacturer,
			"releaseDateTime": stamp(u.Released), "category": "recommended", "approvalStatus": "needsReview", "applicableDeviceCount": n,
		}
		if s := status[id]; s != "" {
			item["approvalStatus"] = s
		}
		out = append(out, item)
	}
	slices.SortFunc(out, func(a, b map[string]any) int { return strings.Compare(a["id"].(string), b["id"].(string)) })
	return out
}

func (t *tenant) driverID(u DriverUpdate) string {
	return t.s.guid("driver", u.Name, u.Version, u.Manufacturer)
}

func listDriverInventory(r *request, e *entity) (reply, error) {
	return page(r, r.t.driverInventory(e), r.t.s.o.PageSize, 1000)
}

func syncDrivers(r *request, e *entity) (reply, error) {
	state := e.profile()
	if state.First.IsZero() {
		return reply{}, badRequest("the profile is not assigned")
	}
	state.Synced = r.t.s.o.Now()
	if err := e.keepState(state); err != nil {
		return reply{}, err
	}
	if err := r.t.save(driverSet().name, e); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "driver.sync", e.ID)
}

// actOnDrivers approves, declines or suspends drivers of a profile.
func actOnDrivers(r *request, e *entity) (reply, error) {
	var body struct {
		Action string     `json:"actionName"`
		IDs    []string   `json:"driverIds"`
		Date   *time.Time `json:"deploymentDate"`
	}
	word := map[string]string{"approve": "approved", "decline": "declined", "suspend": "suspended"}
	if json.Unmarshal(r.body, &body) != nil || len(body.IDs) == 0 || word[body.Action] == "" {
		return reply{}, badRequest("actionName and driverIds are required")
	}
	if (body.Action == "approve") != (body.Date != nil) {
		return reply{}, badRequest("deploymentDate goes with approve, and with it alone")
	}
	status := e.profile().status()
	if status == nil {
		status = map[string]string{}
	}
	done, gone := []string{}, []string{}
	known := map[string]bool{}
	for _, item := range r.t.driverInventory(e) {
		known[item["id"].(string)] = true
	}
	for _, id := range body.IDs {
		if !known[id] && status[id] == "" {
			gone = append(gone, id)
			continue
		}
		status[id] = word[body.Action]
		done = append(done, id)
	}
	if err := r.t.epoch(driverSet(), e, status); err != nil {
		return reply{}, err
	}
	return did(http.StatusOK, map[string]any{"successfulDriverIds": done, "failedDriverIds": []string{}, "notFoundDriverIds": gone}, "driver."+body.Action, e.ID)
}
