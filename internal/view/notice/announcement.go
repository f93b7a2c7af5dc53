package notice

// An Announcement is what a template can say. Instants are already what the
// reader's clock shows, days already in the reader's language.
type Announcement struct {
	Cycle     string // 2026-W47
	Partner   string // its name
	Language  string // BCP 47 tag
	From      string // display name of the sender
	Contacts  []string
	Signature string
	Day       string // first day of all tenants
	Packages  []Package
	Tenants   []Tenant
	Devices   int // of all tenants, 0 where the audience may not know
	// Names of packages by what users notice; Quiet is neither of the others.
	Closes, Restarts, Quiet []string
}

// A Package is one update.
type Package struct {
	Name     string
	From     string // version before, or several, "" when new
	To       string
	New      bool
	Security bool
	Tenants  []string // names of the tenants that get it, none when all do
}

// A Tenant is when one customer gets its updates, by its own clocks.
type Tenant struct {
	Name          string // the zone where the audience may not know who else is served
	Zone          string // IANA zone
	Day, Clock    string // earliest start
	DeadlineDay   string
	DeadlineClock string
	Devices       int // 0 where the audience may not know
}
