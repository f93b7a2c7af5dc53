// Package change says what a range of commits does, in the field's words: which
// releases arrive and how their installers differ from the ones before, which
// tenants and devices they reach and when, whose policy gets tighter or looser,
// which cycle opens, who is allowed to go on.
//
// Compare looks at two states of desired state and at nothing else, so the same
// two commits always give the same Change. It also applies the rules that need
// both sides: a merged release, plan or approval never changes, and loosening
// is pointed out wherever it happens. Those findings are part of the Change;
// what people read is made from it in package view.
package change

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// What happened to a thing.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// The directions of an edit to a bound.
const (
	Tighter = "tighter"
	Looser  = "looser"
)

// The levels of a finding.
const (
	Refused = "refused" // must not be merged
	Decide  = "decide"  // a person must look at exactly this
)

// A Change is everything that differs between two states. Lists are sorted by
// the id of what they tell.
type Change struct {
	Base      string     `json:"base"` // commit
	Head      string     `json:"head"`
	Findings  []Finding  `json:"findings"` // refused ones first
	Releases  []Release  `json:"releases"`
	Packages  []Package  `json:"packages"`
	Subjects  []Subject  `json:"subjects"` // publishers, partners, operator, week, matrices, sources of advisories
	Tenants   []Tenant   `json:"tenants"`
	Policies  []Policy   `json:"policies"`
	Waves     []Subject  `json:"waves"`
	Freezes   []Freeze   `json:"freezes"`
	Holds     []Hold     `json:"holds"`
	Cycles    []Cycle    `json:"cycles"`
	Approvals []Approval `json:"approvals"`
	Class     string     `json:"class"`            // of all that is allowed: tightening, loosening; "" where nothing of that changes
	Looser    []string   `json:"looser,omitempty"` // what got looser, or is not proven to tighten, a row each
	Reach     Reach      `json:"reach"`            // of the whole change
}

// Empty reports whether nothing that packmill knows about differs.
func (c Change) Empty() bool {
	return len(c.Releases)+len(c.Packages)+len(c.Subjects)+len(c.Tenants)+len(c.Policies)+len(c.Waves)+
		len(c.Freezes)+len(c.Holds)+len(c.Cycles)+len(c.Approvals) == 0
}

// Refusals are the findings that forbid the merge, as errors of kind Refused.
func (c Change) Refusals() fleet.Errors {
	var out fleet.Errors
	for _, f := range c.Findings {
		if f.Level == Refused {
			e := fleet.Errorf(fleet.Refused, "change", f.Object, "%s", f.Text)
			e.Pos.File = f.File
			e.Hint = f.Hint
			out = append(out, e)
		}
	}
	return out
}

// A Finding is something about the change that a person must know before
// anything else.
type Finding struct {
	Level  string `json:"level"`
	Object string `json:"object"`
	File   string `json:"file,omitempty"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`
}

// A Subject is a thing of which only the edited fields are told.
type Subject struct {
	What  string `json:"what"` // added, removed, changed
	Kind  string `json:"kind"` // publisher, partner, operator, week, wave, matrix, advisories, group, answer
	Name  string `json:"name"`
	Edits []Edit `json:"edits,omitempty"`
	Class string `json:"class,omitempty"` // of a wave, the week or the operator: tightening, loosening
}

// An Edit is one field before and after, in the spelling of the schema. An
// empty side was absent.
type Edit struct {
	Field     string `json:"field"`
	Old       string `json:"old"`
	New       string `json:"new"`
	Direction string `json:"direction,omitempty"` // tighter, looser; "" where neither applies
}

// A Package is a package that came, went, or is described differently.
type Package struct {
	What  string          `json:"what"`
	ID    fleet.PackageID `json:"id"`
	Name  string          `json:"name"`
	Kind  string          `json:"kind"`
	Edits []Edit          `json:"edits,omitempty"`
	Reach Reach           `json:"reach"`
}

// A Release is a release that came, or one that must not have changed.
type Release struct {
	What       string          `json:"what"`
	Package    fleet.PackageID `json:"package"`
	Name       string          `json:"name"` // of the package
	Kind       string          `json:"kind"` // of the package
	From       string          `json:"from"` // the release before, "" for the first
	To         string          `json:"to"`
	Counter    int             `json:"counter"`
	Class      string          `json:"class"` // major, minor, patch, security, config, new
	Published  *time.Time      `json:"published,omitempty"`
	Fixes      []string        `json:"fixes,omitempty"`
	Rollback   string          `json:"rollback"` // previous, uninstall, forwardOnly
	Matrix     []string        `json:"matrix,omitempty"`
	Installers []Installer     `json:"installers,omitempty"`
	Files      []Edit          `json:"files,omitempty"` // payload of a configuration: path, digests
	Edits      []Edit          `json:"edits,omitempty"` // of a release that changed after its merge
	Reach      Reach           `json:"reach"`
	Dates      []Date          `json:"dates,omitempty"`
	// WithinHours is the strictest critical.withinHours of the tenants reached,
	// 0 unless the release is of class security; Due is its end, counted from
	// Published, nil when nobody knows when that was.
	WithinHours float64    `json:"withinHours,omitempty"`
	Due         *time.Time `json:"due,omitempty"`
}

// What became of the code signature of an installer.
const (
	SignerSame     = "same"     // the subject of the release before, by the same issuer as far as both are known
	SignerReissued = "reissued" // the same subject, but another issuer vouches for it
	SignerChanged  = "changed"  // another subject than before
	SignerLost     = "lost"     // signed before, unsigned now
	SignerUnsigned = "unsigned" // unsigned, as before or for the first time
	SignerExpected = "expected" // first release, by a signer the publisher names
	SignerFirst    = "first"    // first signature, by a signer nobody named
)

// An Installer is one installer of a release beside the same one of the release
// before. The previous fields are zero when there was none.
type Installer struct {
	Key            string       `json:"key"`
	Platform       string       `json:"platform"`
	Arch           string       `json:"arch"`
	Type           string       `json:"type"`
	Source         string       `json:"source"` // URL, package URL, or "upload"
	Host           string       `json:"host"`   // of a URL, "" otherwise
	PreviousHost   string       `json:"previousHost,omitempty"`
	HostKnown      bool         `json:"hostKnown"` // the publisher names the host, or there is none
	Digest         fleet.Digest `json:"digest"`
	Size           int64        `json:"size"` // bytes
	PreviousSize   int64        `json:"previousSize,omitempty"`
	Signer         string       `json:"signer"` // subject, "" when unsigned
	PreviousSigner string       `json:"previousSigner,omitempty"`
	Issuer         string       `json:"issuer,omitempty"` // of the signer's certificate, where it was noted
	PreviousIssuer string       `json:"previousIssuer,omitempty"`
	SignerState    string       `json:"signerState"`
	Read           string       `json:"read,omitempty"` // version read from the bytes
}

// Growth is how much larger the installer is than the one before, in percent;
// false when there is nothing to compare with.
func (i Installer) Growth() (float64, bool) {
	if i.PreviousSize == 0 {
		return 0, false
	}
	return float64(i.Size-i.PreviousSize) * 100 / float64(i.PreviousSize), true
}

// A Date is when a wave would open for a release merged now.
type Date struct {
	Cycle     fleet.CycleID `json:"cycle"`
	Wave      string        `json:"wave"`
	Opens     time.Time     `json:"opens"`
	LocalTime bool          `json:"localTime,omitempty"`
	Frozen    string        `json:"frozen,omitempty"` // the freeze in force at Opens
}

// A Reach is whom a change touches. Devices are those of the tenants' newest
// inventory: an upper bound, since waves and platforms may take fewer.
type Reach struct {
	Tenants []fleet.TenantID `json:"tenants"`
	Devices int              `json:"devices"`
	Unknown int              `json:"unknown"` // tenants without an inventory
	Kept    []Kept           `json:"kept,omitempty"`
}

// A Kept is a tenant that has the package and will not take the release.
type Kept struct {
	Tenant fleet.TenantID `json:"tenant"`
	Why    string         `json:"why"`
}

// A Tenant is a tenant that came, went, or is described differently.
type Tenant struct {
	What    string         `json:"what"`
	ID      fleet.TenantID `json:"id"`
	Name    string         `json:"name"`
	Edits   []Edit         `json:"edits,omitempty"`
	Devices int            `json:"devices"` // -1 when not known
}

// A Policy is the same edits of the effective policy of several tenants or
// groups.
type Policy struct {
	Subjects []string `json:"subjects"` // tenant ids; a group as "<tenant> group <group>"
	Edits    []Edit   `json:"edits"`
	Class    string   `json:"class,omitempty"` // tightening, loosening; "" where no bound and no exception changes
	Reach    Reach    `json:"reach"`
}

// A Freeze is a freeze that came, went or moved.
type Freeze struct {
	What  string       `json:"what"`
	ID    string       `json:"id"`
	Value fleet.Freeze `json:"freeze"`
	Edits []Edit       `json:"edits,omitempty"`
}

// A Hold is a hold or revocation that came, went or changed.
type Hold struct {
	What  string     `json:"what"`
	ID    string     `json:"id"`
	Value fleet.Hold `json:"hold"`
	Edits []Edit     `json:"edits,omitempty"`
	Reach Reach      `json:"reach"`
}

// A Cycle is a cycle that was opened, or one that must not have changed.
type Cycle struct {
	What    string                      `json:"what"`
	ID      fleet.CycleID               `json:"id"`
	CutOff  time.Time                   `json:"cutOff"`
	Waves   []string                    `json:"waves"`
	Entries []Entry                     `json:"entries"`
	Plans   map[string]fleet.PlanRecord `json:"plans,omitempty"` // by gate
	Edits   []Edit                      `json:"edits,omitempty"`
	Reach   Reach                       `json:"reach"`
}

// An Entry is one release of a cycle.
type Entry struct {
	Package  fleet.PackageID `json:"package"`
	Name     string          `json:"name"`
	From     string          `json:"from"`
	To       string          `json:"to"`
	Class    string          `json:"class"`
	Fixes    []string        `json:"fixes,omitempty"`
	Rollback string          `json:"rollback"`
	Artifact fleet.Digest    `json:"artifact"`
}

// An Approval is an approval that was added, or one that must not have changed.
type Approval struct {
	What  string         `json:"what"`
	Value fleet.Approval `json:"approval"`
	Plan  fleet.Digest   `json:"recorded"` // digest that plan.cue records for the gate, "" when none
	Edits []Edit         `json:"edits,omitempty"`
}
