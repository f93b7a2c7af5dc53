package fleet

// A GroupChange is what becomes of a tenant's group of a wave: whom the frozen
// wave will hold, against the last time that it was.
type GroupChange struct {
	Tenant  TenantID `json:"tenant"`
	Users   bool     `json:"users,omitempty"` // there is a group of the devices' users besides
	Devices int      `json:"devices"`
	Joining int      `json:"joining"`
	Leaving int      `json:"leaving"`
}

// An Awaited is an enrolment status page of a tenant that waits for a slot.
type Awaited struct {
	Page    string    `json:"page"` // its name in the tenant
	Package PackageID `json:"package"`
	Slot    string    `json:"slot"`
	App     string    `json:"app"` // id of the slot's app object
}

// A PlanSkip is a package that a tenant does not get, and why.
type PlanSkip struct {
	Tenant  TenantID  `json:"tenant"`
	Package PackageID `json:"package"` // "": some of its devices, of every package
	Why     string    `json:"why"`
}

// Digest is what an approval names.
func (p Plan) Digest() Digest { return DigestJSON(p) }

// Summary is the plan in numbers: devices are counted once per tenant.
func (p Plan) Summary() Summary {
	packages := map[PackageID]bool{}
	devices := map[TenantID]int{}
	var s Summary
	for _, r := range p.Rows {
		packages[r.Package] = true
		devices[r.Tenant] = max(devices[r.Tenant], r.Devices)
		if r.Deadline.After(s.Deadline) {
			s.Deadline = r.Deadline
		}
	}
	for _, n := range devices {
		s.Devices += n
	}
	s.Packages, s.Tenants = len(packages), len(devices)
	return s
}
