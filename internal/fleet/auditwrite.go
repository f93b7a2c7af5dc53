package fleet

import "time"

// An AuditWrite is a write in a tenant that packmill does not explain, and where
// in evidence that is written.
type AuditWrite struct {
	Tenant TenantID `json:"tenant"`
	ConsoleFinding
	Where string `json:"where"`
	// Acknowledged is what people said of it, "" for nothing: then it is a finding.
	Acknowledged string `json:"acknowledged,omitempty"`
}

// An AuditReading is how much of a tenant's own audit was held against evidence.
type AuditReading struct {
	Tenant   TenantID  `json:"tenant"`
	Readings int       `json:"readings"` // 0: it was never read
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
	Gaps     int       `json:"gaps"` // periods between that nobody read
	More     int       `json:"more"` // writes that nothing explains, left out of the last reading
}
