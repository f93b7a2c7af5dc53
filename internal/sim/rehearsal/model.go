package rehearsal

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A Model is one guess of how devices, people and machines behave.
type Model struct {
	Seed      int64          `json:"seed"`              // varies which devices fail and stay silent
	CheckIn   fleet.Duration `json:"checkIn"`           // between two check-ins of a device; 1h when absent
	Silent    float64        `json:"silent"`            // share of devices switched off in a given week, 0 … 1
	Deferring float64        `json:"deferring"`         // share of devices whose user waits for the deadline, 0 … 1
	Failing   Failing        `json:"failing"`           // shares of devices that releases break on
	Runs      Runs           `json:"runs"`              // when packmill runs
	People    []Person       `json:"people"`            // who merges what; the first rule that fits a branch counts
	Outages   []Outage       `json:"outages,omitempty"` // when tenants cannot be reached
	Kills     []Kill         `json:"kills,omitempty"`   // where runners are killed
}

// Failing are shares of devices that releases break on, 0 … 1.
type Failing struct {
	Others   float64            `json:"others"`             // of releases that are not listed
	Releases map[string]float64 `json:"releases,omitempty"` // "<package>@<version>" → share
}

// Runs say when packmill runs.
type Runs struct {
	Every fleet.Duration `json:"every,omitempty"` // from midnight UTC on; 0 for the listed moments alone
	Late  fleet.Duration `json:"late,omitempty"`  // up to how late a run of Every begins
	At    []Moment       `json:"at,omitempty"`    // named moments, in order
}

// A Moment is an instant with a name, under which the story tells what
// happened then.
type Moment struct {
	At   time.Time `json:"at"`
	Step string    `json:"step"`
}

// A Person is who approves and who merges packmill's proposals whose branch
// begins with Branch, and when.
type Person struct {
	Branch   string         `json:"branch"`          // "" fits all; approve/, close/, cycle/, revert/
	Login    string         `json:"login,omitempty"` // of who approves; the policy's first approvers when absent
	Approves string         `json:"approves"`        // name, for the story
	Merges   string         `json:"merges"`
	After    fleet.Duration `json:"after,omitempty"` // after the proposal; not used while a moment of At is to come
	At       []Moment       `json:"at,omitempty"`
	Never    bool           `json:"never,omitempty"` // nobody merges it
}

// An Outage is when a tenant's console cannot be reached.
type Outage struct {
	Tenant fleet.TenantID `json:"tenant"`
	From   time.Time      `json:"from"`
	Until  time.Time      `json:"until"`
}

// The points of a change on tenants after which a runner may be killed.
const (
	AfterIntents  = "intents"
	AfterCall     = "call"
	AfterReceipts = "receipts"
)

// A Kill ends the run of a moment after a point of a chunk of tenants.
type Kill struct {
	Step  string `json:"step"`  // name of the moment of Runs.At
	Chunk int    `json:"chunk"` // of changes on tenants in the run, from 1
	After string `json:"after"` // intents, call (the first), receipts
	Says  string `json:"says"`  // how the story calls the point
}

// Builtin is the model that is used when there is none: nothing breaks, two
// devices of a hundred are off, packmill runs every hour and proposals are
// merged an hour after they were made.
func Builtin() Model {
	return Model{
		Seed: 1, CheckIn: fleet.Duration(time.Hour), Silent: 0.02, Runs: Runs{Every: fleet.Duration(time.Hour)},
		People: []Person{{Approves: "A release manager", Merges: "another", After: fleet.Duration(time.Hour)}},
	}
}

// out reports whether a tenant cannot be reached at an instant.
func (m *Model) out(t fleet.TenantID, at time.Time) bool {
	for _, o := range m.Outages {
		if o.Tenant == t && !at.Before(o.From) && at.Before(o.Until) {
			return true
		}
	}
	return false
}

// person is the rule for a branch, nil if there is none.
func (m *Model) person(branch string) *Person {
	for i := range m.People {
		if p := &m.People[i]; len(branch) >= len(p.Branch) && branch[:len(p.Branch)] == p.Branch {
			return p
		}
	}
	return nil
}

// merges is when a proposal of a branch that was made at an instant is merged,
// and the name of the moment.
func (p *Person) merges(made time.Time) Moment {
	for _, m := range p.At {
		if !m.At.Before(made) {
			return m
		}
	}
	return Moment{At: made.Add(p.After.Std()), Step: "merge"}
}
