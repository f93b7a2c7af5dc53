package drift

import "github.com/packmill/packmill/internal/fleet"

// An Object is one object of packmill's in a tenant, compared with git and with
// what was last applied; or somebody else's that bears the name of one.
type Object struct {
	Tenant  fleet.TenantID  `json:"tenant"`
	Package fleet.PackageID `json:"package"`
	Slot    string          `json:"slot"`
	Setting string          `json:"setting"` // "" for an app
	Kind    string          `json:"kind"`
	Name    string          `json:"name"` // on the console
	ID      string          `json:"id"`   // on the console
	State   State           `json:"state"`
	Applied string          `json:"applied"` // release that was last applied
	Wanted  string          `json:"wanted"`  // newest release on main
	Note    string          `json:"note,omitempty"`
	Changes []Change        `json:"changes"`

	// Adopt are the files below the repository that would say what the tenant
	// has, nil where there are none that could.
	Adopt map[string][]byte `json:"-"`
}

// A Report is what the tenants hold, compared.
type Report struct {
	Objects []Object                  `json:"objects"`
	Foreign map[fleet.TenantID]int    `json:"foreign"` // configurations and update profiles of other people, left alone
	Unread  map[fleet.TenantID]string `json:"unread"`  // tenants that could not be read, and why
}

// Differs reports whether anything of packmill's is not the same everywhere.
func (r Report) Differs() bool {
	for _, o := range r.Objects {
		if o.State != Same && o.State != Foreign {
			return true
		}
	}
	return false
}
