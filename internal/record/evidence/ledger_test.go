package evidence

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

var author = fleet.Identity{Name: "packmill", Email: "packmill@operator.example"}

const week = fleet.CycleID("2026-W47")

func start() time.Time { return time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC) }

// A world is a ledger over a repository in memory.
type world struct {
	*Ledger
	git   *memGit
	key   *testKey
	clock *fleet.ManualClock
}

func newWorld(t testing.TB, git *memGit, key *testKey) world {
	t.Helper()
	clock := fleet.NewManualClock(start())
	return world{over(git, key, key, clock, author), git, key, clock}
}

func (w world) append(t testing.TB, branch, dir string, rows any) {
	t.Helper()
	if err := w.Append(t.Context(), branch, dir, rows); err != nil {
		t.Fatalf("append to %s:%s: %v", branch, dir, err)
	}
}

func (w world) read(t testing.TB) *fleet.Record {
	t.Helper()
	r, err := w.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// clean fails the test if the audit finds anything.
func (w world) clean(t testing.TB) {
	t.Helper()
	found, err := w.Verify(t.Context())
	if err != nil || len(found) > 0 {
		t.Fatalf("a whole ledger has findings: %v %v", found, err)
	}
}

func beat(n int) []fleet.Heartbeat {
	return []fleet.Heartbeat{{Command: fmt.Sprintf("run %d", n), Main: "m", At: start()}}
}

// tenantIn is a tenant of the given shard.
func tenantIn(branch string) fleet.TenantID {
	for i := 0; ; i++ {
		if t := fleet.TenantID(fmt.Sprintf("nordic/t%d", i)); Shard(t) == branch {
			return t
		}
	}
}

func intent(t fleet.TenantID, id string) []fleet.Intent {
	return []fleet.Intent{{ID: id, Cycle: week, Wave: "everyone", Tenant: t, Package: "igor-pavlov/7-zip", Release: "24.09",
		Artifact: fleet.DigestOf([]byte("a")), Action: "assign", Opens: start(), Deadline: start(), NotAfter: start(), At: start()}}
}

// TestEveryKind writes rows of every kind and reads the same rows back, in the
// order they were appended.
func TestEveryKind(t *testing.T) {
	w := newWorld(t, newMemGit(nil), newKey(t))
	tenant := tenantIn("evidence/07")
	plan := fleet.DigestOf([]byte("plan"))
	counts := fleet.Counts{Succeeded: 3, Failed: 1}
	want := &fleet.Record{
		Detections: []fleet.Detection{{Package: "a/b", Found: "1.0", At: start()}, {Package: "a/c", Hold: "lower version", At: start()}},
		Builds:     []fleet.Built{{Package: "a/b", Version: "1.0", Artifact: plan, Inputs: plan, Files: []fleet.BuiltFile{{Installer: "x64", Digest: plan}}, At: start()}},
		Tests:      []fleet.Tested{{Package: "a/b", Cell: "linux", Result: "passed", Steps: []fleet.TestStep{{Name: "absent", Result: "passed"}}, At: start()}},
		Merges:     []fleet.Merge{{PR: 1, Title: "Bump @scope/tool to 1.2.3", Reviews: []fleet.Review{{Login: "ann", At: start()}}, Checks: []fleet.Check{}, At: start()}},
		PlanRows:   map[fleet.Digest][]fleet.PlanRow{plan: {{Tenant: tenant, Package: "a/b", To: "1.0", Wave: "everyone", NotBefore: start(), Deadline: start()}}},
		Starts:     []fleet.WaveStart{{Cycle: week, Wave: "everyone", Opens: start(), Plan: plan, At: start()}},
		Members:    []fleet.Membership{{Cycle: week, Wave: "everyone", Tenant: tenant, Devices: []string{"d1"}}},
		Intents:    intent(tenant, "i1"),
		Receipts:   []fleet.Receipt{{Intent: "i1", Cycle: week, Wave: "everyone", Tenant: tenant, Outcome: "done", At: start()}},
		Reports:    []fleet.Report{{Cycle: week, Wave: "everyone", Tenant: tenant, Look: fleet.Duration(time.Hour), Counts: counts, At: start()}},
		Verdicts:   []fleet.Verdict{{Cycle: week, Wave: "everyone", Decision: "pass", Counts: counts, Lower: 98.25, Upper: 100, Inputs: map[string]string{"main": "m"}, At: start()}},
		Words:      []fleet.Word{{Cycle: week, Wave: "everyone", Package: "a/b", Kind: "objection", By: "ann", Reason: "it is slow", At: start()}},
		Commands:   []fleet.Command{{What: fleet.CommandUnhold, Package: "a/b", Version: "1.0", Hold: "too-young", Why: "out since yesterday", By: "ann", Reason: "it is urgent", Comment: 7, At: start()}},
		Notices:    []fleet.Notice{{Key: "k", Cycle: week, Partner: "nordic", MessageID: "0123abcd@packmill.invalid", At: start()}},
		Inventory:  []fleet.InventoryRow{{Tenant: tenant, Device: "d1", Platform: "windows", Attributes: map[string]string{"model": "X1"}, LastSeen: "2026-11-17", At: start()}},
		Readiness:  []fleet.Readiness{{Tenant: tenant, State: fleet.ReadyYes, Features: map[string]string{"a": fleet.FeatureNo}, Licences: map[string]bool{"b": true}, Lacks: []fleet.Lack{{Role: "r"}}, At: start()}},
		Apps:       []fleet.AppRow{{Tenant: tenant, Name: "7-Zip", Version: "24.09", Devices: 3, At: start()}, {Tenant: tenant, Rest: 2, Devices: 5, At: start()}},
		Silences:   []fleet.Silence{{Cycle: week, Wave: "everyone", Tenant: tenant, Silent: 1, Devices: []string{"d1"}, At: start()}},
		Reconciled: []fleet.Reconciliation{{Tenant: tenant, From: start(), Until: start(), Events: 2, Findings: []fleet.ConsoleFinding{{Event: "e", Kind: fleet.WriteForeign, Person: true, At: start()}},
			Objects: map[string]fleet.OwnObject{"app": {Kind: "app", Package: "a/b"}}, At: start()}},
		Heartbeats: beat(1),
	}
	w.append(t, Control, DetectedDir(week), want.Detections[:1])
	w.append(t, Control, DetectedDir(week), want.Detections[1:])
	w.append(t, Control, BuiltDir(week), want.Builds)
	w.append(t, Control, TestedDir(week), want.Tests)
	w.append(t, Control, MergesDir, want.Merges)
	w.append(t, Control, PlanDir(week, plan), want.PlanRows[plan])
	w.append(t, Control, WavesDir(week), want.Starts)
	w.append(t, Control, VerdictsDir(week), want.Verdicts)
	w.append(t, Control, WordsDir(week), want.Words)
	w.append(t, Control, CommandsDir(week), want.Commands)
	w.append(t, Control, NoticesDir(week), want.Notices)
	w.append(t, Control, HeartbeatDir, want.Heartbeats)
	w.append(t, Shard(tenant), MembersDir(week, "everyone"), want.Members)
	w.append(t, Shard(tenant), IntentsDir(week, "everyone"), want.Intents)
	w.append(t, Shard(tenant), ReceiptsDir(week, "everyone"), want.Receipts)
	w.append(t, Shard(tenant), ReportsDir(week, "everyone"), want.Reports)
	w.append(t, Shard(tenant), InventoryDir(tenant), want.Inventory)
	w.append(t, Shard(tenant), ReadinessDir(tenant), want.Readiness)
	w.append(t, Shard(tenant), AppsDir(tenant), want.Apps)
	w.append(t, Shard(tenant), SilentDir(week, "everyone"), want.Silences)
	w.append(t, Shard(tenant), ReconciledDir(tenant), want.Reconciled)
	if err := w.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := w.read(t)
	heads, err := w.Heads(t.Context())
	if err != nil || !reflect.DeepEqual(heads, got.Heads) || len(got.Heads) != 17 || got.Heads[Shard(tenant)] == "" || got.Heads["evidence/00"] != "" {
		t.Errorf("heads %v and %v (%v) of the record", heads, got.Heads, err)
	}
	got.Heads = nil
	if key := got.Merges[0].Key; key != w.signer.KeyID() {
		t.Errorf("the merge's record was signed with %q, not %q", key, w.signer.KeyID())
	}
	got.Merges[0].Key = ""
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%+v\nwrote\n%+v", got, want)
	}
	w.clean(t)
	if len(w.kinds) != 21 {
		t.Errorf("%d kinds, but this test writes 21", len(w.kinds))
	}
}

// TestHeadsDependOnFactsAlone writes the same rows with another key, at
// another time and by another author.
func TestHeadsDependOnFactsAlone(t *testing.T) {
	a, b := newWorld(t, newMemGit(nil), newKey(t)), newWorld(t, newMemGit(nil), newKey(t))
	b.clock.Set(start().AddDate(0, 1, 0))
	b.Ledger.author = fleet.Identity{Name: "other", Email: "other@operator.example"}
	for n := range 3 {
		a.append(t, Control, HeartbeatDir, beat(n))
		b.append(t, Control, HeartbeatDir, beat(n))
	}
	if x, y := a.read(t).Heads[Control], b.read(t).Heads[Control]; x != y || x == "" {
		t.Errorf("heads differ: %s, %s", x, y)
	}
	// Known answer, so that the definition cannot drift unseen: every plan
	// that was ever approved depends on it.
	if got := nextHead("", "heartbeat/00.jsonl", []byte("{}\n")); got != "ee2d2422cb1bf598329f4a252c08909470c546518b7b385f67fbde64b098bf68" {
		t.Errorf("the chain is computed in another way: %s", got)
	}
}

// TestSaidTwice repeats appends, as a run after a crash does.
func TestSaidTwice(t *testing.T) {
	origin := newMemGit(nil)
	w := newWorld(t, newMemGit(origin), newKey(t))
	for _, n := range []int{1, 1, 2, 1, 2} {
		w.append(t, Control, HeartbeatDir, beat(n))
	}
	if got := w.read(t).Heartbeats; len(got) != 2 {
		t.Errorf("%d heartbeats of 2 different ones", len(got))
	}
	// A run that died between the local write and the push.
	tip, _ := w.git.Ref("refs/heads/" + Control)
	origin.refs = map[string]string{}
	delete(w.git.refs, "refs/remotes/origin/"+Control)
	w.append(t, Control, HeartbeatDir, beat(2))
	if got := origin.refs["refs/heads/"+Control]; got != tip {
		t.Errorf("the remote has %q, not the batch %q that was there", got, tip)
	}
	w.append(t, Control, HeartbeatDir, []fleet.Heartbeat{})
	if got := w.read(t).Heartbeats; len(got) != 2 {
		t.Errorf("no rows made a batch")
	}
	w.clean(t)
}

func TestAppendRefuses(t *testing.T) {
	w := newWorld(t, newMemGit(nil), newKey(t))
	tenant := tenantIn("evidence/03")
	row := fleet.InventoryRow{Tenant: tenant, Device: "d"}
	named := func(attributes map[string]string) []fleet.InventoryRow {
		r := row
		r.Attributes = attributes
		return []fleet.InventoryRow{r}
	}
	for name, c := range map[string]struct {
		branch, dir string
		rows        any
		want        string
	}{
		"other type":       {Control, HeartbeatDir, intent(tenant, "x"), "do not belong here"},
		"no slice":         {Control, HeartbeatDir, beat(1)[0], "do not belong here"},
		"no folder":        {Control, "elsewhere", beat(1), "no facts are kept"},
		"path out":         {Control, "../detected", []fleet.Detection{{}}, "no facts are kept"},
		"control on shard": {"evidence/00", HeartbeatDir, beat(1), "another branch"},
		"shard on control": {Control, IntentsDir(week, "w"), intent(tenant, "x"), "another branch"},
		"another shard":    {"evidence/04", IntentsDir(week, "w"), intent(tenant, "x"), "belongs to evidence/03"},
		"user name":        {Shard(tenant), InventoryDir(tenant), named(map[string]string{"userPrincipalName": "x"}), "userPrincipalName"},
		"device name":      {Shard(tenant), InventoryDir(tenant), named(map[string]string{"deviceName": "LAP-7"}), "deviceName"},
	} {
		t.Run(name, func(t *testing.T) {
			err := w.Append(t.Context(), c.branch, c.dir, c.rows)
			if fleet.KindOf(err) != fleet.Refused || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a refusal with %q", err, c.want)
			}
		})
	}
	if len(w.git.refs) > 0 {
		t.Errorf("something was written: %v", w.git.refs)
	}
	reader := over(w.git, nil, w.key, nil, fleet.Identity{})
	if err := reader.Append(t.Context(), Control, HeartbeatDir, beat(1)); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("appended without a key: %v", err)
	}
}

// TestPersonal tries the patterns both ways.
func TestPersonal(t *testing.T) {
	for text, refused := range map[string]bool{
		`{"a":"pkg:npm/@esbuild/win32-x64@0.25.0"}`:           false,
		`{"a":"@biomejs/cli-linux-x64"}`:                      false,
		`{"a":"actions/checkout@v4"}`:                         false,
		`{"a":"\\njane@operator.example"}`:                    true,
		`{"messageId":"00aa11@mail.operator.example"}`:        false,
		`{"messageId":"jane@mail.operator.example"}`:          true,
		`{"a":"jane@operator.example"}`:                       true,
		`{"a":"to <jane_d+x@sub.operator.example>, refused"}`: true,
		`{"UPN":"x"}`:           true,
		`{"a":"\"user\":"}`:     false,
		`{"model":"owner"}`:     false,
		`{"displayName":"Ann"}`: true,
	} {
		if err := refusePersonal([]byte(text)); (err != nil) != refused {
			t.Errorf("%s: %v, want refused %v", text, err, refused)
		}
	}
}

// TestScrub takes addresses out of details, and leaves the JSON whole.
func TestScrub(t *testing.T) {
	w := newWorld(t, newMemGit(nil), newKey(t))
	for n, c := range []struct{ text, want string }{
		{"550 jane@corp.example: no such user", "550 (address): no such user"},
		{"a line\njane@corp.example\ttab", "a line\n(address)\ttab"},
		{`<jane@corp.example> "quoted@corp.example" \back@corp.example`, `<(address)> "(address)" \(address)`},
		{"\x01jane@corp.example", "\x01(address)"},
		{"git@forge.example:a/b.git", "(address):a/b.git"},
		{"npm i @scope/a b@1.2.3", "npm i @scope/a b@1.2.3"},
		{`"messageId":"jane@corp.example"`, `"messageId":"(address)"`},
	} {
		w.append(t, Control, HeartbeatDir, []fleet.Heartbeat{{Command: c.text, At: start()}})
		if got := w.read(t).Heartbeats[n].Command; got != c.want {
			t.Errorf("%q is kept as %q, want %q", c.text, got, c.want)
		}
	}
	w.clean(t)
}

// TestTwoWriters lets writers with clones of their own, and two in one clone,
// append at once: nothing is lost, and every writer is asked again.
func TestTwoWriters(t *testing.T) {
	origin, key := newMemGit(nil), newKey(t)
	first := newMemGit(origin)
	clones := []*memGit{first, newMemGit(origin), first}
	const each = 5 // below maxAttempts together, whatever the order
	var wg sync.WaitGroup
	for n, git := range clones {
		w := newWorld(t, git, key)
		wg.Go(func() {
			for i := range each {
				if err := w.Append(t.Context(), Control, HeartbeatDir, beat(n*each+i)); err != nil {
					t.Errorf("writer %d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	audit := newWorld(t, origin.clone(), key)
	seen := map[string]bool{}
	for _, h := range audit.read(t).Heartbeats {
		seen[h.Command] = true
	}
	if len(seen) != each*len(clones) {
		t.Errorf("%d of %d batches are there", len(seen), each*len(clones))
	}
	audit.clean(t)
}

// TestStill asks the caller before it appends after another writer.
func TestStill(t *testing.T) {
	origin, key := newMemGit(nil), newKey(t)
	other, w := newWorld(t, newMemGit(origin), key), newWorld(t, newMemGit(origin), key)
	w.git.onPush = func(string) {
		w.git.onPush = nil
		other.append(t, Control, HeartbeatDir, beat(1))
	}
	revoked := errors.New("revoked meanwhile")
	asked := 0
	err := w.AppendIf(t.Context(), Control, HeartbeatDir, beat(2), func(ctx context.Context) error {
		asked++
		if r, err := w.Read(ctx); err != nil || len(r.Heartbeats) != 1 {
			t.Errorf("asked with %v, %v: the other writer's batch is not seen", r, err)
		}
		return revoked
	})
	if !errors.Is(err, revoked) || asked != 1 {
		t.Errorf("got %v after asking %d times", err, asked)
	}
	if got := w.read(t).Heartbeats; len(got) != 1 {
		t.Errorf("%d heartbeats: the refused one was written", len(got))
	}
	if err := w.AppendIf(t.Context(), Control, HeartbeatDir, beat(2), nil); err != nil || len(w.read(t).Heartbeats) != 2 {
		t.Errorf("a second run does not go on: %v", err)
	}
}

// TestBounded gives up after a bounded number of attempts.
func TestBounded(t *testing.T) {
	origin, key := newMemGit(nil), newKey(t)
	other, w := newWorld(t, newMemGit(origin), key), newWorld(t, newMemGit(origin), key)
	n := 0
	w.git.onPush = func(string) { n++; other.append(t, Control, HeartbeatDir, beat(n)) }
	err := w.Append(t.Context(), Control, HeartbeatDir, beat(1000))
	if fleet.KindOf(err) != fleet.Internal || n != maxAttempts {
		t.Errorf("gave up after %d attempts with %v", n, err)
	}
}

// TestReadAt reads what a plan was computed from, whatever came later.
func TestReadAt(t *testing.T) {
	w := newWorld(t, newMemGit(nil), newKey(t))
	tenant := tenantIn("evidence/0a")
	w.append(t, Control, HeartbeatDir, beat(1))
	w.append(t, Shard(tenant), IntentsDir(week, "w"), intent(tenant, "i1"))
	then := w.read(t)
	w.append(t, Control, HeartbeatDir, beat(2))
	w.append(t, Shard(tenant), IntentsDir(week, "w"), intent(tenant, "i2"))
	got, err := w.ReadAt(t.Context(), then.Heads)
	if err != nil || !reflect.DeepEqual(got, then) {
		t.Errorf("read %+v, %v; was %+v", got, err, then)
	}
	if got, err = w.ReadAt(t.Context(), map[string]string{Control: then.Heads[Control]}); err != nil || len(got.Intents) != 0 || len(got.Heartbeats) != 1 {
		t.Errorf("a branch without a head is not empty: %+v, %v", got, err)
	}
	_, err = w.ReadAt(t.Context(), map[string]string{Control: then.Heads[Shard(tenant)]})
	if fleet.KindOf(err) != fleet.Refused {
		t.Errorf("an unknown head: %v", err)
	}
	if _, err = w.ReadAt(t.Context(), map[string]string{"main": ""}); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("no evidence branch: %v", err)
	}
}

// TestClocksDiffer appends with a clock that runs behind the last writer's.
func TestClocksDiffer(t *testing.T) {
	w := newWorld(t, newMemGit(nil), newKey(t))
	w.append(t, Control, HeartbeatDir, beat(1))
	w.clock.Set(start().Add(-time.Hour))
	w.append(t, Control, HeartbeatDir, beat(2))
	w.clean(t)
}

// TestUnknownKind keeps what a newer packmill wrote.
func TestUnknownKind(t *testing.T) {
	w := newWorld(t, newMemGit(nil), newKey(t))
	newer := newWorld(t, w.git, w.key)
	newer.kinds = append(newer.kinds, onControl("drift/*", func(*fleet.Record, []string, []fleet.Heartbeat) {}))
	w.append(t, Control, HeartbeatDir, beat(1))
	newer.append(t, Control, "drift/x", beat(2))
	w.append(t, Control, HeartbeatDir, beat(3))
	r := w.read(t)
	if len(r.Heartbeats) != 2 || len(r.Unknown) != 1 || !strings.HasPrefix(r.Unknown[0], Control+":drift/x/") {
		t.Errorf("read %+v", r)
	}
	found, err := w.Verify(t.Context())
	if err != nil || len(found) != 1 || !found[0].Note {
		t.Errorf("found %v, %v, want one note", found, err)
	}
}
