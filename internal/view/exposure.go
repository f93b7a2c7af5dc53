package view

import (
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// approversLine says how many persons must approve a plan and why so many, ""
// where it takes no more than any other merge. What else is merged within the
// hour is not known yet; that it counts is said.
func approversLine(repo *fleet.Repository, plan fleet.Plan) string {
	trust := repo.Operator.Trust
	if trust.Exposure == nil {
		return ""
	}
	n, why := rollout.ApproversNeeded(trust, plan, nil)
	line := "\n" + plural(n, "approver")
	switch {
	case why != "":
		line += ", because " + Neutral(why) + "."
	default:
		line += ", as for every merge: it stays within the budget of exposure."
	}
	if b := trust.Exposure.PerHour; b != nil && n < b.Approvers {
		line += fmt.Sprintf(" With what else is merged within the hour before, it may take %d.", b.Approvers)
	}
	return line + "\n"
}
