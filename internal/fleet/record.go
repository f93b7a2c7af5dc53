package fleet

import (
	"encoding/json"
	"time"
)

// A Record is observed state: every fact that evidence holds up to some point.
// Slices are in the order the facts were appended, shard by shard.
type Record struct {
	Heads      map[string]string // evidence branch → chain head (hex SHA-256), "" when empty
	Detections []Detection
	Builds     []Built
	Tests      []Tested
	Merges     []Merge
	PlanRows   map[Digest][]PlanRow // by plan digest
	Starts     []WaveStart
	Members    []Membership
	Intents    []Intent
	Receipts   []Receipt
	Reports    []Report
	Verdicts   []Verdict
	Words      []Word
	Commands   []Command
	Notices    []Notice
	Inventory  []InventoryRow
	Readiness  []Readiness
	Apps       []AppRow
	Silences   []Silence
	Reconciled []Reconciliation
	Heartbeats []Heartbeat
	Unknown    []string // "branch:path" of verified batches of a kind this version does not know
}

// A Detection is what one look at a package's upstream found.
type Detection struct {
	Package PackageID `json:"package"`
	Current string    `json:"current"`          // newest released version, "" when none
	Found   string    `json:"found"`            // version upstream, "" when none was readable
	Newest  string    `json:"newest,omitempty"` // the feed's newest, where Found is one before it
	State   string    `json:"state"`            // none, equal, new, watch, held
	Hold    string    `json:"hold,omitempty"`
	Why     string    `json:"why,omitempty"`
	// Agreement is what all sources of the package said, nil when it has one.
	Agreement *Agreement `json:"agreement,omitempty"`
	// Fixes are CVE ids that Found's vendor names in its notes and CISA lists as
	// exploited of the package's products.
	Fixes []string  `json:"fixes,omitempty"`
	At    time.Time `json:"at"`
}

// An Agreement is how many sources of a package name the version that was found.
type Agreement struct {
	Agree   int    `json:"agree"`
	Of      int    `json:"of"`
	Need    int    `json:"need"` // the package's quorum
	Sources []Said `json:"sources"`
}

// Said is the newest version by one source, or why it told none.
type Said struct {
	Source  string `json:"source"` // for people: "npm esbuild"
	Version string `json:"version,omitempty"`
	Failed  string `json:"failed,omitempty"`
	Agrees  bool   `json:"agrees"`
}

// Built says which artifact a release gave.
type Built struct {
	Package  PackageID   `json:"package"`
	Version  string      `json:"version"`
	Artifact Digest      `json:"artifact"` // OCI manifest
	Inputs   Digest      `json:"inputs"`   // release file, installers' digests and format version
	Files    []BuiltFile `json:"files"`
	// Provenance is the Sigstore bundle of the SLSA provenance that names the
	// artifact: what a clone alone proves the signature with.
	Provenance json.RawMessage `json:"provenance,omitempty"`
	At         time.Time       `json:"at"`
}

// A BuiltFile is one file of an artifact.
type BuiltFile struct {
	Installer string `json:"installer"` // key in the package, or setting key of a configuration
	Name      string `json:"name"`
	MediaType string `json:"mediaType"`
	Digest    Digest `json:"digest"`
	Size      int64  `json:"size"`
}

// Tested is the outcome of one matrix cell.
type Tested struct {
	Package   PackageID  `json:"package"`
	Version   string     `json:"version"`
	Artifact  Digest     `json:"artifact"`
	Cell      string     `json:"cell"` // environment name
	Installer string     `json:"installer"`
	Result    string     `json:"result"` // passed, failed, skipped
	Steps     []TestStep `json:"steps"`
	// Attestation is the Sigstore bundle of the in-toto test result, empty for
	// a cell that did not run.
	Attestation json.RawMessage `json:"attestation,omitempty"`
	At          time.Time       `json:"at"`
}

// A TestStep is one step of a cell, as docs/test.md lists them.
type TestStep struct {
	Name string `json:"name"`
	// Result is passed, failed, skipped (not looked at: it proves nothing), or
	// reported: what was found is for people to judge, and fails nothing.
	Result string `json:"result"`
	Detail string `json:"detail,omitempty"`
	// Log is the digest of what the step's programs were called with and wrote,
	// "" where none ran. The store has it, attached to the artifact.
	Log Digest `json:"log,omitempty"`
}

// A Merge records one merge into main: what, by whom, on whose word.
type Merge struct {
	PR        int      `json:"pr"`
	Title     string   `json:"title"`
	Author    string   `json:"author"`
	MergedBy  string   `json:"mergedBy"`
	Base      string   `json:"base"` // first parent
	Head      string   `json:"head"` // second parent
	Commit    string   `json:"commit"`
	Tree      string   `json:"tree"`
	Reviews   []Review `json:"reviews"`
	Checks    []Check  `json:"checks"`
	Approves  string   `json:"approves,omitempty"` // "<cycle>/<gate>" when the merge brings an approval
	Plan      Digest   `json:"plan,omitempty"`     // plan digest it approves
	Releases  []string `json:"releases,omitempty"` // "<package>@<version>" of every release file it adds
	Approvers []string `json:"approvers"`          // logins that count under the parent commit's policy, sorted
	// ApprovalBlobs are the approval files the commit changes: path → git blob
	// id that it brings, "" where it removes the file. An approval counts only
	// by the last merge that touched its file.
	ApprovalBlobs map[string]string `json:"approvalBlobs,omitempty"`
	// Policy says that the commit brings a gate's approval and changes
	// tenants/operator.cue, by which that approval would be judged: it does not
	// count.
	Policy bool `json:"policy,omitempty"`
	// CycleBlobs are the cycles' files the commit changes: path → git blob id
	// that it brings, "" where it removes the file. What a cycle passes counts
	// only by the last merge that touched its file.
	CycleBlobs map[string]string `json:"cycleBlobs,omitempty"`
	// Counted are, for each tenant's approval the commit changes, the logins
	// whose word counts for that tenant under the parent commit's policy: path →
	// logins, sorted.
	Counted map[string][]string `json:"counted,omitempty"`
	// Rejects are the rejections that the commit brings, of gates and by
	// tenants. They stay on record when their files are replaced later.
	Rejects []Rejection `json:"rejects,omitempty"`
	// Bot says that an app pressed the button, as the forge tells its accounts
	// apart.
	Bot bool `json:"bot,omitempty"`
	// Auto says that no human approved this: packmill merged it by itself, as
	// the policy before it allows, to "advance" to the next wave or to "revoke".
	Auto    string `json:"auto,omitempty"`
	Revokes []Hold `json:"revokes,omitempty"` // revocations it brings; they outlive their files
	// Fault says why main was not properly reviewed at this commit, judged by
	// the policy before it; "" when it was.
	Fault    string    `json:"fault,omitempty"`
	BaseTree string    `json:"baseTree,omitempty"` // tree of the first parent
	Previous string    `json:"previous,omitempty"` // commit of the previous merge record
	At       time.Time `json:"at"`
	Key      string    `json:"-"` // id of the key this record was signed with, as the ledger verified it
}

// A Review is one person's word on a pull request and the commit they saw.
type Review struct {
	Login  string    `json:"login"`
	ID     int64     `json:"id"`
	State  string    `json:"state"` // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED
	Commit string    `json:"commit"`
	Bot    bool      `json:"bot,omitempty"`
	At     time.Time `json:"at"`
}

// A Check is a status check on a commit.
type Check struct {
	Name       string `json:"name"`
	Conclusion string `json:"conclusion"`
}

// A WaveStart freezes a wave of a cycle: how many devices, and the Merkle root
// over all its memberships.
type WaveStart struct {
	Cycle   CycleID   `json:"cycle"`
	Wave    string    `json:"wave"`
	Opens   time.Time `json:"opens"`
	Devices int       `json:"devices"`
	Root    string    `json:"root"`
	Plan    Digest    `json:"plan"`
	At      time.Time `json:"at"`
	// Joined are the roots of the memberships that hold devices which came after
	// the plan, by tenant. Outside is how many such devices were left out, all of
	// them, because they were too many.
	Joined  map[TenantID]string `json:"joined,omitempty"`
	Outside int                 `json:"outside,omitempty"`
}

// A Membership is the frozen part of a wave that one tenant holds. Devices are
// keyed hashes.
type Membership struct {
	Cycle    CycleID  `json:"cycle"`
	Wave     string   `json:"wave"`
	Tenant   TenantID `json:"tenant"`
	Devices  []string `json:"devices"`
	Inactive int      `json:"inactive"` // excluded before the start
	Root     string   `json:"root"`
	Joined   int      `json:"joined,omitempty"` // of the devices, those that came after the plan
}

// An Intent is written before an effect on a tenant.
type Intent struct {
	ID         string    `json:"id"`
	Cycle      CycleID   `json:"cycle"`
	Wave       string    `json:"wave"`
	Tenant     TenantID  `json:"tenant"`
	Package    PackageID `json:"package"`
	Release    string    `json:"release"`
	Artifact   Digest    `json:"artifact"`
	Action     string    `json:"action"` // assign, withdraw, rollback, promote, uninstall, remove, restore
	Generation int       `json:"generation"`
	Main       string    `json:"main"`             // commit it was decided on
	Plan       Digest    `json:"plan,omitempty"`   // approved plan
	Opens      time.Time `json:"opens"`            // start on the device
	Deadline   time.Time `json:"deadline"`         // install by
	NotAfter   time.Time `json:"notAfter"`         // the call may begin until then
	Reason     string    `json:"reason,omitempty"` // verdict or hold for the way back
	Runner     string    `json:"runner,omitempty"` // who wrote it, and calls alone at first
	At         time.Time `json:"at"`
}

// A Receipt is written after an effect, with what was observed.
type Receipt struct {
	Intent    string    `json:"intent"`
	Cycle     CycleID   `json:"cycle"`
	Wave      string    `json:"wave"`
	Tenant    TenantID  `json:"tenant"`
	Package   PackageID `json:"package"`
	Artifact  Digest    `json:"artifact"`
	Action    string    `json:"action"`
	Outcome   string    `json:"outcome"`            // done, expired, failed
	Observed  Digest    `json:"observed,omitempty"` // artifact the tenant holds now
	Adopted   string    `json:"adopted,omitempty"`  // id of the app object that became the stable slot
	Recovered bool      `json:"recovered,omitempty"`
	Detail    string    `json:"detail,omitempty"`
	// Left is what the package's slots held and did afterwards, by slot, in
	// words: by it the next change notices what somebody else did there.
	Left map[string]string `json:"left,omitempty"`
	At   time.Time         `json:"at"`
}

// A Report is what the devices of one tenant said at one look.
type Report struct {
	Cycle    CycleID   `json:"cycle"`
	Wave     string    `json:"wave"`
	Tenant   TenantID  `json:"tenant"`
	Package  PackageID `json:"package"`
	Artifact Digest    `json:"artifact"`
	Look     Duration  `json:"look"` // age of the wave
	Counts   Counts    `json:"counts"`
	Errors   []string  `json:"errors,omitempty"` // distinct error codes, sorted; or NotAsked alone
	// Stopped says why the tenant's own service gives the release to nobody any
	// more, "" while it does.
	Stopped string `json:"stopped,omitempty"`
	// Signals are the same devices by what each signal said of them.
	Signals map[string]SignalCount `json:"signals,omitempty"`
	// AsOf is the newest instant that a device is told to have reported at: what
	// the console knew, however much later it was asked. Zero where none did.
	AsOf time.Time `json:"asOf,omitzero"`
	At   time.Time `json:"at"`
}

// NotAsked stands in a Report's errors when the tenant could not be asked at
// that look: all its members count as silent.
const NotAsked = "not-asked"

// Counts are devices of a frozen membership by what they reported.
type Counts struct {
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Silent    int `json:"silent"`
	Excluded  int `json:"excluded"`
}

// Add is the sum of two counts.
func (c Counts) Add(d Counts) Counts {
	return Counts{c.Succeeded + d.Succeeded, c.Failed + d.Failed, c.Silent + d.Silent, c.Excluded + d.Excluded}
}

// Total is all devices that are not excluded.
func (c Counts) Total() int { return c.Succeeded + c.Failed + c.Silent }

// A Verdict is a gate's answer for one entry and wave at one look.
type Verdict struct {
	Cycle    CycleID           `json:"cycle"`
	Wave     string            `json:"wave"`
	Package  PackageID         `json:"package"`
	Artifact Digest            `json:"artifact"`
	Look     Duration          `json:"look"`
	Decision string            `json:"decision"` // pass, fail, inconclusive
	Counts   Counts            `json:"counts"`
	Lower    float64           `json:"lower"` // success rate in percent, lower bound
	Upper    float64           `json:"upper"`
	Rule     string            `json:"rule"` // the sentence that decided
	Inputs   map[string]string `json:"inputs"`
	// InputsDigest names everything the answer was computed from: two verdicts
	// with one digest and different answers are an alarm.
	InputsDigest Digest   `json:"inputsDigest,omitempty"`
	Excused      int      `json:"excused,omitempty"` // of Counts.Silent: as many as the control group's silence explains
	Pooled       *Counts  `json:"pooled,omitempty"`  // with the earlier waves, when they decided together
	Control      *Control `json:"control,omitempty"` // waves not yet opened, in the same days

	At time.Time `json:"at"`
}

// A Notice is one message to one audience: an intent before it is handed to the
// channel (Sent false), a receipt after (Sent true).
type Notice struct {
	Key           string    `json:"key"` // derived from cycle, audience, template
	Cycle         CycleID   `json:"cycle"`
	Partner       string    `json:"partner"`
	Channel       string    `json:"channel"`
	Template      string    `json:"template"`
	MessageID     string    `json:"messageId"`
	Sent          bool      `json:"sent"`
	PossiblyTwice bool      `json:"possiblyTwice,omitempty"`
	At            time.Time `json:"at"`
}

// A Heartbeat says that a run took place.
type Heartbeat struct {
	Command string    `json:"command"`
	Main    string    `json:"main"`
	At      time.Time `json:"at"`
}

// A PlanRow is one line of a plan: one package on one tenant in one wave.
type PlanRow struct {
	Tenant    TenantID  `json:"tenant"`
	Package   PackageID `json:"package"`
	From      string    `json:"from"` // version before, "" when new
	To        string    `json:"to"`
	Artifact  Digest    `json:"artifact"` // what To was built to: an approval is for these bytes
	Wave      string    `json:"wave"`
	Devices   int       `json:"devices"`
	NotBefore time.Time `json:"notBefore"`
	Deadline  time.Time `json:"deadline"`
	LocalTime bool      `json:"localTime,omitempty"` // instants are the tenant's local time
	// Grace is how long a device has at least that was first reachable late: its
	// deadline is never earlier than that after NotBefore.
	Grace Duration `json:"grace,omitempty"`
	// Users says that the tenant takes the package for its users: the row reaches
	// those of the devices.
	Users bool `json:"users,omitempty"`
	// Adopts is the id of an app object of the tenant's own that becomes the
	// package's stable slot with this row.
	Adopts string `json:"adopts,omitempty"`
	// Awaited names the enrolment status pages that wait for the package's slots, as
	// the inventory told: `"Autopilot" waits for stable, <id of the app>`. Slots keep
	// their ids, so that nothing there changes.
	Awaited string `json:"awaited,omitempty"`
	Why     string `json:"why"`
}

// A Plan is what opening one gate of a cycle will do. Its digest covers rows
// and inputs.
type Plan struct {
	Cycle    CycleID           `json:"cycle"`
	Gate     string            `json:"gate"`
	CutOff   time.Time         `json:"cutOff"`
	Rows     []PlanRow         `json:"rows"`
	Groups   []GroupChange     `json:"groups,omitempty"` // of the tenants that have rows
	Skipped  []PlanSkip        `json:"skipped"`          // what is left out, and why
	Blobs    map[string]string `json:"blobs"`            // path → git blob id
	Evidence map[string]string `json:"evidence"`
	// Coverage is what the wave shows of the attributes it is to cover.
	Coverage []Coverage `json:"coverage,omitempty"`
}
