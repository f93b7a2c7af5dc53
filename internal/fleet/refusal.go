package fleet

import "time"

// An AuditRefusal is a gate that people refused to open, or a cycle that a
// tenant refused to take: a merge into main that brought an approval file with
// the decision "rejected". It is told from main's history, so that it is found
// whatever became of the file since.
type AuditRefusal struct {
	Cycle    CycleID         `json:"cycle"`
	Gate     string          `json:"gate"`   // "" for a tenant's refusal
	Tenant   TenantID        `json:"tenant"` // "" for a gate's
	Because  string          `json:"because"`
	Plan     Digest          `json:"plan"` // that was refused; a tenant refuses the cycle whole
	Commit   string          `json:"commit"`
	PR       int             `json:"pr"` // 0 when no record tells
	Title    string          `json:"title"`
	Author   string          `json:"author"`   // of the pull request
	MergedBy string          `json:"mergedBy"` // who merged it
	By       []string        `json:"by"`       // those whose word counted for it under the policy before the merge
	At       time.Time       `json:"at"`
	Proven   bool            `json:"proven"` // the merge is recorded, and its record holds
	Since    AuditRefusalEnd `json:"since"`
}

// An AuditRefusalEnd is what became of a refusal: the commit that touched its
// file next, the zero value while it stands.
type AuditRefusalEnd struct {
	How    string    `json:"how"` // approved, rejected, removed; "" while it stands
	Commit string    `json:"commit"`
	PR     int       `json:"pr"`
	By     []string  `json:"by"`
	At     time.Time `json:"at"`
}

// An AuditObjection is a review that asked for changes, on a pull request that
// was merged.
type AuditObjection struct {
	Login     string    `json:"login"`
	At        time.Time `json:"at"`
	Saw       string    `json:"saw"` // commit the reviewer looked at
	Commit    string    `json:"commit"`
	PR        int       `json:"pr"`
	Title     string    `json:"title"`
	Approves  string    `json:"approves"`  // "<cycle>/<gate>" when the merge brought an approval
	Approver  bool      `json:"approver"`  // by the policy before the merge
	Withdrawn bool      `json:"withdrawn"` // the same person approved before the merge, or it was dismissed
}
