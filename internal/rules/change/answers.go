package change

import (
	"github.com/packmill/packmill/internal/fleet"
)

// answers tells what partners and sites say to cycles, and points out a word
// that is taken back, and what packmill may merge without people from now on.
func (c *comparison) answers() {
	for _, t := range both(c.base.TenantApprovals, c.head.TenantApprovals) {
		was, is := c.base.TenantApprovals[t], c.head.TenantApprovals[t]
		for _, id := range both(was, is) {
			what := differs(was, is, id)
			if what == "" {
				continue
			}
			s := Subject{What: what, Kind: "answer", Name: "of " + string(t) + " to " + string(id), Edits: edits(was[id], is[id])}
			c.out.Subjects = append(c.out.Subjects, s)
			if was[id].Decision == "rejected" && is[id].Decision != "rejected" {
				c.find(Decide, string(t)+" "+string(id), fleet.TenantApprovalFile(t, id), "the tenant had refused: "+was[id].Because, "")
			}
		}
	}
	c.unattended(c.base.Operator, c.head.Operator)
}

// unattended points out who may merge without people, and what. A wave's own
// advance is among the edits of waves.
func (c *comparison) unattended(was, is fleet.Operator) {
	if was.Name == "" {
		return // a new repository
	}
	if is.Trust.App != "" && is.Trust.App != was.Trust.App {
		c.find(Decide, is.Trust.App, operatorFile, "its merges may count without people from now on, where policy says autoMerge or autoRevoke", "")
	}
	if is.Trust.AutoRevoke && !was.Trust.AutoRevoke {
		c.find(Decide, "trust.autoRevoke", operatorFile, "packmill may merge revocations of what a gate failed from now on, without people", "")
	}
}
