package evidence

import (
	"fmt"
	"path"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// The branches, by name below refs/heads.
const (
	Control = "evidence/control"
	shards  = 16
)

// Branches are all evidence branches, control first, then the shards in order.
func Branches() []string {
	out := []string{Control}
	for i := range shards {
		out = append(out, fmt.Sprintf("evidence/%02x", i))
	}
	return out
}

// Shard is the branch that holds a tenant's facts.
func Shard(t fleet.TenantID) string { return "evidence/" + t.Shard() }

// The folders of facts about a cycle on the control branch.

// DetectedDir holds fleet.Detection rows.
func DetectedDir(c fleet.CycleID) string { return path.Join(string(c), "detected") }

// BuiltDir holds fleet.Built rows.
func BuiltDir(c fleet.CycleID) string { return path.Join(string(c), "built") }

// TestedDir holds fleet.Tested rows.
func TestedDir(c fleet.CycleID) string { return path.Join(string(c), "tested") }

// PlanDir holds the fleet.PlanRow rows of the plan with the given digest.
func PlanDir(c fleet.CycleID, plan fleet.Digest) string {
	return path.Join(string(c), "plan", plan.Hex())
}

// WavesDir holds fleet.WaveStart rows.
func WavesDir(c fleet.CycleID) string { return path.Join(string(c), "waves") }

// VerdictsDir holds fleet.Verdict rows.
func VerdictsDir(c fleet.CycleID) string { return path.Join(string(c), "verdicts") }

// CommandsDir holds fleet.Command rows.
func CommandsDir(c fleet.CycleID) string { return path.Join(string(c), "commands") }

// WordsDir holds fleet.Word rows.
func WordsDir(c fleet.CycleID) string { return path.Join(string(c), "words") }

// NoticesDir holds fleet.Notice rows.
func NoticesDir(c fleet.CycleID) string { return path.Join(string(c), "notices") }

// The folders of facts about tenants, on the tenants' shards.

// MembersDir holds fleet.Membership rows.
func MembersDir(c fleet.CycleID, wave string) string { return path.Join(string(c), "members", wave) }

// IntentsDir holds fleet.Intent rows.
func IntentsDir(c fleet.CycleID, wave string) string { return path.Join(string(c), "intents", wave) }

// ReceiptsDir holds fleet.Receipt rows.
func ReceiptsDir(c fleet.CycleID, wave string) string { return path.Join(string(c), "receipts", wave) }

// ReportsDir holds fleet.Report rows.
func ReportsDir(c fleet.CycleID, wave string) string { return path.Join(string(c), "reports", wave) }

// InventoryDir holds fleet.InventoryRow rows.
func InventoryDir(t fleet.TenantID) string { return path.Join("inventory", t.Slug()) }

// ReadinessDir holds fleet.Readiness rows.
func ReadinessDir(t fleet.TenantID) string { return path.Join("readiness", t.Slug()) }

// AppsDir holds fleet.AppRow rows.
func AppsDir(t fleet.TenantID) string { return path.Join("apps", t.Slug()) }

// SilentDir holds fleet.Silence rows.
func SilentDir(c fleet.CycleID, wave string) string { return path.Join(string(c), "silent", wave) }

// ReconciledDir holds fleet.Reconciliation rows.
func ReconciledDir(t fleet.TenantID) string { return path.Join("reconciled", t.Slug()) }

// The folders of facts that belong to no cycle, on the control branch:
// fleet.Merge, fleet.Heartbeat and Checkpoint rows. They grow for years, so
// their batches are spread over 256 folders: git
// writes a folder's whole list anew with every file it adds.
const (
	MergesDir    = "merges"
	HeartbeatDir = "heartbeat"
	HeadsDir     = "heads"
)

// SignatureSuffix ends the name of every batch's signature: there are as many
// such files as batches.
const SignatureSuffix = ".dsse.json"

// The names of a batch's two files.
const (
	rowsSuffix     = ".jsonl"
	envelopeSuffix = SignatureSuffix
	idLength       = 32 // hex digits of fleet.DeriveID
)

// batchName splits a file's path into the batch it belongs to (dir/id) and its
// suffix; ok is false for a file that belongs to no batch.
func batchName(file string) (batch, suffix string, ok bool) {
	for _, suffix := range []string{rowsSuffix, envelopeSuffix} {
		if batch, found := strings.CutSuffix(file, suffix); found {
			return batch, suffix, validPlace(path.Dir(batch)) && isHex(path.Base(batch), idLength)
		}
	}
	return "", "", false
}

// spread reports whether a folder's batches lie one folder deeper.
func spread(dir string) bool { return dir == MergesDir || dir == HeartbeatDir || dir == HeadsDir }

// folderOf is where the batches of dir with these rows lie. It rests on the
// rows alone, so that looking whether they were said before reads one folder.
func folderOf(dir string, rows fleet.Digest) string {
	if spread(dir) {
		return path.Join(dir, rows.Hex()[:2])
	}
	return dir
}

// dirOf is the dir of a batch whose rows lie at file, the inverse of folderOf.
func dirOf(file string) string {
	dir := path.Dir(file)
	if top, rest, deeper := strings.Cut(dir, "/"); deeper && spread(top) && isHex(rest, 2) {
		return top
	}
	return dir
}

// validPlace reports whether dir is a plain relative path of names.
func validPlace(dir string) bool {
	for _, name := range strings.Split(dir, "/") {
		if name == "" || name[0] == '.' || strings.ContainsFunc(name, func(r rune) bool { return !nameRune(r) }) {
			return false
		}
	}
	return len(dir) <= 250
}

func nameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

func isHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}
