package view

import (
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Title is the title of the pull request that makes a proposal.
func Title(repo *fleet.Repository, p rollout.Proposal) string {
	switch {
	case p.Opens != "":
		return "Open cycle " + Plain(string(p.Opens))
	case len(p.Answers) > 0:
		return answerTitle(repo, p.Answers)
	case p.Hold != nil:
		return Plain(fmt.Sprintf("Revoke %s %s", p.Hold.Package, p.Hold.Release))
	case p.Approval == nil:
		return ""
	case p.Approval.Gate == rollout.CloseGate:
		return "Close cycle " + Plain(string(p.Approval.Cycle))
	default:
		return Plain(fmt.Sprintf("Approve %s of %s", p.Approval.Gate, p.Approval.Cycle))
	}
}
