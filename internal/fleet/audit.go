package fleet

// An Audit is what a clone alone proves, and what it fails to prove.
type Audit struct {
	Main     string            `json:"main"`     // commit of main that was read
	Heads    map[string]string `json:"heads"`    // evidence branch → chain head that was verified
	Merges   int               `json:"merges"`   // merges into main that were checked
	Batches  int               `json:"batches"`  // evidence batches whose signature and chain were checked
	Rows     []AuditRow        `json:"rows"`     // by cycle, package, tenant, wave
	Findings []AuditFinding    `json:"findings"` // about no row in particular
	// Refusals are the gates that people refused, oldest first, and Objections
	// the reviews that asked for changes in what was merged. Neither is a fault.
	Refusals   []AuditRefusal   `json:"refusals"`
	Objections []AuditObjection `json:"objections"`
	// Readings are how far the tenants' own audits were read, by tenant; Writes
	// what they told that packmill does not explain, oldest first. Each write is
	// among the findings too.
	Readings []AuditReading `json:"readings"`
	Writes   []AuditWrite   `json:"writes"`
}

// Passed reports whether nothing is missing or altered anywhere.
func (a Audit) Passed() bool {
	if len(a.Findings) > 0 {
		return false
	}
	for _, r := range a.Rows {
		if !r.Passed() {
			return false
		}
	}
	return true
}

// An AuditRow is one release on one tenant in one wave: everything that must be
// true of it, each with where that is written.
type AuditRow struct {
	Cycle     CycleID        `json:"cycle"`
	Wave      string         `json:"wave"`
	Tenant    TenantID       `json:"tenant"`
	Package   PackageID      `json:"package"`
	Release   string         `json:"release"`
	Artifact  Digest         `json:"artifact"`
	Action    string         `json:"action"`    // assign, rollback, promote: of the intent the row is about
	Commit    string         `json:"commit"`    // merge that let it happen
	PR        int            `json:"pr"`        // its pull request
	Approvers []string       `json:"approvers"` // logins that counted
	Merge     AuditCheck     `json:"merge"`     // the release came by a recorded merge
	Approval  AuditCheck     `json:"approval"`  // enough approvers saw exactly what was merged, for this plan
	Tests     AuditCheck     `json:"tests"`     // passed for this artifact, before the wave
	Signature AuditCheck     `json:"signature"` // of the artifact's provenance
	Receipt   AuditCheck     `json:"receipt"`   // the tenant holds what was meant
	Findings  []AuditFinding `json:"findings"`
}

// Passed reports whether every check of the row holds.
func (r AuditRow) Passed() bool {
	return r.Merge.OK && r.Approval.OK && r.Tests.OK && r.Signature.OK && r.Receipt.OK && len(r.Findings) == 0
}

// An AuditCheck is one thing that must be true, what was found, and where it is
// written: a commit, a file on main, or "branch:path" in evidence.
type AuditCheck struct {
	OK    bool   `json:"ok"`
	What  string `json:"what"`
	Where string `json:"where,omitempty"`
}

// An AuditFinding is something missing or altered, and where.
type AuditFinding struct {
	Object string `json:"object"`
	What   string `json:"what"`
	Where  string `json:"where"`
}
