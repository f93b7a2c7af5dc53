package why

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// An Explanation is everything that decides about one package on one tenant.
type Explanation struct {
	Tenant    fleet.TenantID  `json:"tenant"`
	Package   fleet.PackageID `json:"package"`
	At        time.Time       `json:"at"`   // instant it is told of
	Main      string          `json:"main"` // commit of main then
	Stable    Holding         `json:"stable"`
	Candidate Holding         `json:"candidate"`
	Next      Next            `json:"next"`
	Kept      []Keeper        `json:"kept"`  // what keeps the next release back, every reason
	Due       []Due           `json:"due"`   // what comes next, earliest first
	Rules     []Rule          `json:"rules"` // everything on main that was looked at
}

// A Holding is what a slot of the package holds on the tenant, as receipts tell.
// The release is "" when it holds nothing.
type Holding struct {
	Release  string        `json:"release"`
	Artifact fleet.Digest  `json:"artifact"`
	Cycle    fleet.CycleID `json:"cycle"`
	Wave     string        `json:"wave"`
	Since    time.Time     `json:"since"` // of the receipt; zero where none tells
	Why      string        `json:"why"`
	Decided  Decision      `json:"decided"` // the merge that let it happen
}

// A Next is the release that is on its way to the tenant, or would be with the
// next cycle; "" when nothing newer than what it has is known.
type Next struct {
	Release string        `json:"release"`
	From    string        `json:"from"`
	Cycle   fleet.CycleID `json:"cycle"` // that it travels in, or would
	Open    bool          `json:"open"`  // the cycle is on main and not closed
	Why     string        `json:"why"`
	Waves   []NextWave    `json:"waves"`
}

// A NextWave is the tenant's part in one wave of the cycle. Devices is 0 where
// it has none in it, or where Skipped says why the plan leaves it out.
type NextWave struct {
	Wave      string    `json:"wave"`
	Phase     string    `json:"phase"` // closed, opening, armed, baking, judged; "" before the cycle is open
	Devices   int       `json:"devices"`
	NotBefore time.Time `json:"notBefore"`
	Deadline  time.Time `json:"deadline"`
	Skipped   string    `json:"skipped"`
	Late      string    `json:"late"`    // why its times are not those of the plan any more
	Verdict   string    `json:"verdict"` // newest: decision and rule
	Decided   Decision  `json:"decided"` // the merge that brought the wave's approval
}

// A Keeper is one reason why the next release has not arrived.
type Keeper struct {
	Kind    string    `json:"kind"` // as a rule's; or tests, upstream, gate, wait, call
	Name    string    `json:"name"`
	Wave    string    `json:"wave"` // "" for all
	Why     string    `json:"why"`
	Until   time.Time `json:"until"` // zero when that is not known
	Pos     fleet.Pos `json:"pos"`   // where it is written, no file when nothing on main says it
	Command string    `json:"command"`
}

// A Due is something that happens to the pair, now or at an instant to come.
type Due struct {
	At    time.Time     `json:"at"`
	What  string        `json:"what"`
	Cycle fleet.CycleID `json:"cycle"`
	Wave  string        `json:"wave"`
}

// The kinds of rule.
const (
	Assignment  = "assignment"
	PackageRule = "package"
	ReleaseRule = "release"
	Bound       = "policy"
	Pin         = "pin"
	OptOut      = "opt-out"
	Window      = "window"
	WaveRule    = "wave"
	WeekStep    = "week"
	Hold        = "hold"
	Freeze      = "freeze"
	CycleEntry  = "cycle"
	Approval    = "approval"
)

// A Rule is one thing on main that has a say, what it says here, and who
// decided it.
type Rule struct {
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	Says    string    `json:"says"`
	Pos     fleet.Pos `json:"pos"`
	Decided Decision  `json:"decided"` // the merge that last touched the file

	// files are where it may be written, the nearest first, and keys the field
	// there; Pos is known without them where they are empty.
	files []string
	keys  []string
}

// A Decision is a merge into main. Commit is "" where none is known.
type Decision struct {
	Commit    string    `json:"commit"`
	PR        int       `json:"pr"` // 0: none, or evidence does not tell yet
	Title     string    `json:"title"`
	Author    string    `json:"author"`
	Approvers []string  `json:"approvers"` // that counted
	Auto      string    `json:"auto"`      // advance, revoke: packmill merged it, and no human approved
	At        time.Time `json:"at"`
	Fault     string    `json:"fault"` // why it does not count as reviewed
}

// DecisionOf is a recorded merge as a decision.
func DecisionOf(m *fleet.Merge) Decision {
	if m == nil {
		return Decision{}
	}
	return Decision{Commit: m.Commit, PR: m.PR, Title: m.Title, Author: m.Author, Approvers: m.Approvers, Auto: m.Auto, At: m.At, Fault: m.Fault}
}

// Locate gives every rule the position that where finds for it, and then every
// reason that of its rule. where reports the deepest field found and whether it
// is the one that was asked for.
func (e *Explanation) Locate(where func(file string, keys []string) (fleet.Pos, bool)) {
	for i := range e.Rules {
		r := &e.Rules[i]
		for n, file := range r.files {
			if pos, found := where(file, r.keys); found || n == 0 {
				r.Pos = pos
				if found {
					break
				}
			}
		}
	}
	for i := range e.Kept {
		for _, r := range e.Rules {
			if k := &e.Kept[i]; r.Kind == k.Kind && r.Name == k.Name {
				k.Pos = r.Pos
			}
		}
	}
}

// Decide gives every rule the merge that last touched its file.
func (e *Explanation) Decide(last func(file string) Decision) {
	for i := range e.Rules {
		e.Rules[i].Decided = last(e.Rules[i].Pos.File)
	}
}
