package why

import (
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Stops is a plan without the rows that a hold, a revocation or a freeze of the
// commit stops: each is left out by name. Plans know nothing of these, since
// they must be able to stop what was approved; what a change would do does.
func Stops(repo *fleet.Repository, rec *fleet.Record, cycle fleet.Cycle, plan fleet.Plan) fleet.Plan {
	thawed := *repo
	if cycle.Overrides != nil {
		thawed.Freezes = maps.Clone(repo.Freezes)
		maps.DeleteFunc(thawed.Freezes, func(name string, _ fleet.Freeze) bool { return slices.Contains(cycle.Overrides.Freezes, name) })
	}
	out := plan
	out.Rows, out.Skipped = nil, slices.Clone(plan.Skipped)
	for _, row := range plan.Rows {
		if stop := stopOf(&thawed, rec, row); stop != "" {
			out.Skipped = append(out.Skipped, fleet.PlanSkip{Tenant: row.Tenant, Package: row.Package, Why: stop})
		} else {
			out.Rows = append(out.Rows, row)
		}
	}
	return out
}

// stopOf says what stops a row at the instant it begins, "" when nothing does.
func stopOf(repo *fleet.Repository, rec *fleet.Record, row fleet.PlanRow) string {
	entry := fleet.Entry{Release: row.To, Artifact: row.Artifact}
	if h, ok := rollout.Revocation(repo, rec, row.Package, entry); ok {
		return "revoked: " + h.Reason
	}
	for _, name := range slices.Sorted(maps.Keys(repo.Holds)) {
		if h := repo.Holds[name]; h.Of(row.Package, entry) && (h.Expires == nil || row.NotBefore.Before(*h.Expires)) {
			return h.Kind + " " + name + ": " + h.Reason
		}
	}
	security := repo.Packages[row.Package].Releases[row.To].Change == "security"
	if name := repo.Frozen(row.NotBefore, security); name != "" {
		return "frozen by " + name + " until " + repo.Freezes[name].Until.UTC().Format(time.DateOnly)
	}
	return ""
}
