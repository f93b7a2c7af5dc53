package graph

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// A profileState is the history of one of Intune's update profiles: devices are
// computed from it.
type profileState struct {
	History []profileEpoch
	// First is when a driver profile was first assigned, Synced when it was last
	// asked to look: what it finds is there a while after either.
	First, Synced time.Time
}

// A profileEpoch is what a profile was from an instant on.
type profileEpoch struct {
	At          time.Time
	Props       map[string]json.RawMessage
	Assignments []assignment
	Status      map[string]string // of catalog items and drivers: approved, suspended, declined
}

func (e *entity) profile() profileState {
	var s profileState
	_ = json.Unmarshal(e.State, &s) // none yet is the zero state
	return s
}

// status is what was last done with what is in a profile.
func (s profileState) status() map[string]string {
	if n := len(s.History); n > 0 {
		return maps.Clone(s.History[n-1].Status)
	}
	return nil
}

// epoch adds the present state of a profile to its history and stores it.
func (t *tenant) epoch(s set, e *entity, status map[string]string) error {
	state, now := e.profile(), t.s.o.Now()
	next := profileEpoch{At: now, Props: e.Props, Assignments: slices.Clone(e.Assignments), Status: status}
	if n := len(state.History); n > 0 && state.History[n-1].At.Equal(now) {
		state.History[n-1] = next
	} else {
		state.History = append(state.History, next)
	}
	if state.First.IsZero() && len(e.Assignments) > 0 {
		state.First = now
	}
	if err := e.keepState(state); err != nil {
		return err
	}
	return t.save(s.name, e)
}

// gone is the set of the profiles that were deleted: devices have what these let
// them take.
func (s set) gone() set { return set{name: s.name + " that are gone"} }

// removeProfile ends a profile's history, which stays, and removes the profile.
func (s set) removeProfile(r *request, e *entity) (reply, error) {
	if len(e.profile().History) > 0 {
		past := *e
		past.Assignments = nil
		if err := r.t.epoch(s.gone(), &past, nil); err != nil {
			return reply{}, err
		}
	}
	return s.remove(r, e)
}

// ever are the profiles of a set, those that are gone first.
func (t *tenant) ever(s set) []*entity {
	return slices.Concat(t.sorted(s.gone().name), t.sorted(s.name))
}

// The sets of profiles.
func expediteSet() set {
	return set{name: "windowsQualityUpdateProfiles", noun: "qualityProfile", required: []string{"displayName"}, owned: []string{"releaseDateDisplayName", "deployableContentDisplayName"}}
}

func qualitySet() set {
	return set{name: "windowsQualityUpdatePolicies", noun: "qualityPolicy", required: []string{"displayName"}, check: checkQuality}
}

func featureSet() set {
	return set{
		name: "windowsFeatureUpdateProfiles", noun: "featureProfile", required: []string{"displayName", "featureUpdateVersion"},
		owned: []string{"deployableContentDisplayName", "endOfSupportDate"},
	}
}

func driverSet() set {
	return set{
		name: "windowsDriverUpdateProfiles", noun: "driverProfile", required: []string{"displayName", "approvalType"},
		owned: []string{"deviceReporting", "newUpdates", "inventorySyncStatus"}, check: checkDrivers,
		patch: func(e *entity, props map[string]json.RawMessage) error {
			if v := props["approvalType"]; v != nil && string(v) != string(e.Props["approvalType"]) {
				return badRequest("approvalType cannot be changed")
			}
			return nil
		},
	}
}

const ringType = "#microsoft.graph.windowsUpdateForBusinessConfiguration"

// checkRing refuses an update ring whose days are out of range. Rings are device
// configurations among others (policies.go).
func checkRing(props map[string]json.RawMessage) error {
	if text(props, "@odata.type") != ringType {
		return nil
	}
	for name, most := range map[string]int{
		"qualityUpdatesDeferralPeriodInDays": 30, "featureUpdatesDeferralPeriodInDays": 365, "deadlineForQualityUpdatesInDays": 30,
		"deadlineForFeatureUpdatesInDays": 30, "deadlineGracePeriodInDays": 7, "featureUpdatesRollbackWindowInDays": 60,
	} {
		var n *int
		if json.Unmarshal(props[name], &n) == nil && n != nil && (*n < 0 || *n > most) {
			return badRequest(name + " is out of range")
		}
	}
	return nil
}

func checkQuality(props map[string]json.RawMessage) error {
	var list []struct {
		Cadence  string `json:"windowsQualityUpdateCadence"`
		Category string `json:"windowsQualityUpdateCategory"`
		Method   string `json:"approvalMethodType"`
		Days     *int   `json:"deferredDeploymentInDay"`
	}
	if v := props["approvalSettings"]; v != nil && json.Unmarshal(v, &list) != nil || len(list) > 6 {
		return badRequest("approvalSettings cannot be read, or are more than 6")
	}
	seen := map[string]bool{}
	for _, a := range list {
		key := a.Cadence + " " + a.Category
		if seen[key] || a.Method == "manual" && a.Days != nil && *a.Days != 0 || a.Days != nil && (*a.Days < 0 || *a.Days > 30) {
			return badRequest("approvalSettings are double, or deferred where that does not apply")
		}
		seen[key] = true
	}
	return nil
}

func checkDrivers(props map[string]json.RawMessage) error {
	var days *int
	_ = json.Unmarshal(props["deploymentDeferralInDays"], &days)
	if days != nil && (*days < 0 || *days > 30 || text(props, "approvalType") == "manual" && *days != 0) {
		return badRequest("deploymentDeferralInDays is out of range, or approvals are manual")
	}
	return nil
}

// historic makes a handler keep the history of what it changed.
func (s set) historic(h func(*request, *entity) (reply, error)) func(*request, *entity) (reply, error) {
	return func(r *request, e *entity) (reply, error) {
		rep, err := h(r, e)
		if err == nil {
			err = r.t.epoch(s, e, e.profile().status())
		}
		return rep, err
	}
}

// toGroups refuses assignments to anything but groups: what these profiles do is
// worked out by Windows Update, which knows no other.
func toGroups(h func(*request, *entity) (reply, error)) func(*request, *entity) (reply, error) {
	return func(r *request, e *entity) (reply, error) {
		var body struct {
			Assignments []struct {
				Target struct {
					Type    string `json:"@odata.type"`
					GroupID string `json:"groupId"`
				} `json:"target"`
			} `json:"assignments"`
		}
		if json.Unmarshal(r.body, &body) != nil {
			return reply{}, badRequest("assignments cannot be read")
		}
		for _, a := range body.Assignments {
			if a.Target.Type != groupTarget && a.Target.Type != exclusionTarget {
				return reply{}, badRequest("target type " + a.Target.Type + " is not supported by this policy")
			}
			if r.t.groups[a.Target.GroupID] == nil && !isGUID(a.Target.GroupID) {
				return reply{}, badRequest("an assignment names no group")
			}
		}
		return h(r, e)
	}
}

// createExpedite refuses a release that the catalog does not have.
func createExpedite(r *request) (reply, error) {
	props, err := object(r.body)
	if err != nil {
		return reply{}, err
	}
	if _, ok := r.t.expedited(props); !ok {
		return reply{}, badRequest("qualityUpdateRelease is no release that can be expedited")
	}
	return expediteSet().create(r)
}

// expedited is the patch that an expedite profile's properties name.
func (t *tenant) expedited(props map[string]json.RawMessage) (Patch, bool) {
	var settings struct {
		Release *time.Time `json:"qualityUpdateRelease"`
	}
	if json.Unmarshal(props["expeditedUpdateSettings"], &settings) != nil || settings.Release == nil {
		return Patch{}, false
	}
	day := settings.Release.UTC().Format(time.DateOnly)
	for _, p := range t.published() {
		if p.Expeditable && p.Released.UTC().Format(time.DateOnly) == day {
			return p, true
		}
	}
	return Patch{}, false
}

func updateRoutes(r router) {
	profileRoutes(r)
	deploymentRoutes(r)
}

func profileRoutes(r router) {
	const management = "/deviceManagement/"
	for _, s := range []set{expediteSet(), qualitySet(), featureSet(), driverSet()} {
		all, one := management+s.name, management+s.name+"/{id}"
		create := s.create
		if s.name == expediteSet().name {
			create = createExpedite
		}
		r.beta("GET", all, s.noun+".list", s.list)
		r.beta("POST", all, s.noun+".create", create)
		r.beta("PATCH", one, s.noun+".patch", s.with(s.historic(s.change)))
		r.beta("DELETE", one, s.noun+".delete", s.with(s.removeProfile))
		r.beta("GET", one+"/assignments", s.noun+".assignments", s.with(s.assignments))
		r.beta("POST", one+"/assign", s.noun+".assign", s.with(toGroups(s.historic(s.assign("assignments", http.StatusNoContent)))))
	}
	r.beta("POST", management+qualitySet().name+"/{id}/bulkAction", "qualityPolicy.act", qualitySet().with(actOnPolicy))
	r.beta("GET", management+driverSet().name+"/{id}/driverInventories", "driverProfile.drivers", driverSet().with(listDriverInventory))
	r.beta("POST", management+driverSet().name+"/{id}/executeAction", "driverProfile.act", driverSet().with(actOnDrivers))
	r.beta("POST", management+driverSet().name+"/{id}/syncInventory", "driverProfile.sync", driverSet().with(syncDrivers))
	r.beta("GET", management+"windowsUpdateCatalogItems", "catalogItem.list", listCatalogItems)
}
