package fleet

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Repository is desired state as one commit of main states it, decoded and
// checked. It is read-only once made.
type Repository struct {
	Commit     string // hex object id
	Publishers map[string]Publisher
	Packages   map[PackageID]Package
	Matrices   map[string]Environment
	Advisories AdvisorySources // zero when the repository names none
	Week       Week
	Waves      []Wave // in order
	Freezes    map[string]Freeze
	Holds      map[string]Hold
	Cycles     map[CycleID]Cycle
	Plans      map[CycleID]map[string]PlanRecord // by gate
	Approvals  map[CycleID]map[string]Approval   // by gate
	// TenantApprovals are the words of partners and sites on cycles.
	TenantApprovals map[TenantID]map[CycleID]TenantApproval
	Operator        Operator
	Partners        map[string]Partner
	Tenants         map[TenantID]Tenant
	Blobs           map[string]string // path → git blob id of every file read
}

// Wave is the wave with the given name.
func (r *Repository) Wave(name string) (Wave, bool) {
	i := slices.IndexFunc(r.Waves, func(w Wave) bool { return w.Name == name })
	if i < 0 {
		return Wave{}, false
	}
	return r.Waves[i], true
}

// PackageIDs are the ids of all packages, sorted.
func (r *Repository) PackageIDs() []PackageID { return slices.Sorted(maps.Keys(r.Packages)) }

// TenantIDs are the ids of all tenants, sorted.
func (r *Repository) TenantIDs() []TenantID { return slices.Sorted(maps.Keys(r.Tenants)) }

// CycleIDs are the ids of all cycles, sorted.
func (r *Repository) CycleIDs() []CycleID { return slices.Sorted(maps.Keys(r.Cycles)) }

// Revoked is the revocation of an entry's artifact or release, if one is merged.
func (r *Repository) Revoked(id PackageID, e Entry) (Hold, bool) {
	for _, name := range slices.Sorted(maps.Keys(r.Holds)) {
		h := r.Holds[name]
		if h.Kind == "revocation" && h.Package == id && h.Release == e.Release && (h.Artifact == "" || h.Artifact == e.Artifact) {
			return h, true
		}
	}
	return Hold{}, false
}

// Held is the hold in force at now on a release, revocations included.
func (r *Repository) Held(id PackageID, release string, now time.Time) (Hold, bool) {
	for _, name := range slices.Sorted(maps.Keys(r.Holds)) {
		h := r.Holds[name]
		if h.Package == id && h.Release == release && (h.Expires == nil || now.Before(*h.Expires)) {
			return h, true
		}
	}
	return Hold{}, false
}

// Frozen is the freeze in force at t, "" when there is none. Security changes
// pass freezes of scope nonSecurity.
func (r *Repository) Frozen(t time.Time, security bool) string {
	for _, name := range slices.Sorted(maps.Keys(r.Freezes)) {
		f := r.Freezes[name]
		if (f.Scope == "all" || !security) && !t.Before(f.From) && t.Before(f.Until) {
			return name
		}
	}
	return ""
}

// Closed reports whether the commit holds an approved closing of a cycle. A
// closing that was refused closes nothing. Whose approval it was, evidence says.
func (r *Repository) Closed(id CycleID) bool { return r.Approvals[id]["close"].Decision == "approved" }

// Approver reports whether login may approve at t, under this commit's policy.
func (r *Repository) Approver(login string, t time.Time) bool {
	for _, persons := range r.Operator.Approvers {
		for _, p := range persons {
			if strings.EqualFold(p.Login, login) && p.InForce(t) {
				return true
			}
		}
	}
	return false
}

// SortWaves puts waves in their order, names breaking ties.
func SortWaves(waves []Wave) {
	slices.SortFunc(waves, func(a, b Wave) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Name, b.Name))
	})
}
