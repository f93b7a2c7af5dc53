package factory_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	forgeedge "github.com/packmill/packmill/internal/edge/forge"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/vendors"
)

// commandLedger keeps what is appended of commands.
type commandLedger struct {
	factory.Ledger
	rec *fleet.Record
}

func (l commandLedger) Append(_ context.Context, _, dir string, rows any) error {
	if !strings.HasSuffix(dir, "/commands") {
		return fleet.Errorf(fleet.Internal, "test", dir, "is no folder of commands")
	}
	l.rec.Commands = append(l.rec.Commands, rows.([]fleet.Command)...)
	return nil
}

// say writes a comment below an issue.
func (m *mill) say(t *testing.T, token string, issue int, text string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"body": text})
	if err != nil {
		t.Fatal(err)
	}
	address := m.api + "repos/example/fleet/issues/" + itoa(issue) + "/comments"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s", address, resp.Status)
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) } // a number always has a form

// TestCommands has people ignore a version and let another pass its hold, below
// the issue of all packages: what counts is recorded and answered once.
func TestCommands(t *testing.T) {
	data := vendorData()
	data.GitHub[0].Releases = []vendors.Release{{ // none that is old enough
		Shown: shown(-1), Tag: "v1.2.0", Assets: map[string]vendors.Content{"tool-1.2.0.exe": vendors.Installer("Tool", "Acme", "1.2.0", 5000)},
	}}
	m := newMill(t, data, nil)
	rec, run := withRecord(t, m)
	client := m.Forge.(*forgeedge.Client)
	if p := of(t, run(), "acme/github"); p.Hold != fleet.HoldTooYoung {
		t.Fatalf("got %+v", p.Detection)
	}
	issue, _, err := client.Issue(t.Context(), "packages")
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []struct{ token, text string }{
		{"ann", "packmill unhold acme/github 1.2.0: it fixes what we wait for"},
		{"ann", "packmill ignore acme/json 1.1.0: it breaks our add-in"},
		{"eve", "packmill ignore acme/npm 1.1.0: because"},
		{"ann", "packmill ignore acme/npm 9.9.9: no such version"},
		{"ann", "packmill unhold acme/npm 1.1.0: it is not held"},
		{"ann", "packmill ignore acme/npm 1.1.0"},
		{"ann", "When will Git be looked at?"},
	} {
		m.say(t, said.token, issue.Number, said.text)
	}
	list := run()
	if len(rec.Commands) != 2 || rec.Commands[0].Hold != fleet.HoldTooYoung || rec.Commands[1].Reason != "it breaks our add-in" || rec.Commands[1].By != "ann" || rec.Commands[0].Comment == 0 {
		t.Fatalf("recorded %+v", rec.Commands)
	}
	p := of(t, list, "acme/github")
	if p.Pull.Branch != "bump/acme/github/1.2.0" || !strings.Contains(p.Pull.Body, "⛔ 1 thing needs a decision") || !strings.Contains(p.Pull.Body, "**held as too-young**") || !strings.Contains(p.Pull.Body, "it fixes what we wait for") {
		t.Errorf("not let pass: %+v", p)
	}
	if p := of(t, list, "acme/json"); p.Hold != fleet.HoldIgnored || p.Why != "ignored by ann: it breaks our add-in" {
		t.Errorf("not ignored: %+v", p.Detection)
	}
	if p := of(t, list, "acme/npm"); p.State != fleet.StateNew {
		t.Errorf("ignored: %+v", p.Detection)
	}
	comments, err := client.Comments(t.Context(), issue.Number)
	if err != nil {
		t.Fatal(err)
	}
	var answers []string
	for _, c := range comments {
		if c.Own {
			answers = append(answers, c.Body)
		}
	}
	if len(answers) != 5 { // none to eve, whom policy does not name
		t.Fatalf("%d answers: %q", len(answers), answers)
	}
	for i, want := range []string{"Recorded.", "Recorded.", "not the version that was last found", "only versions that are held", "not understood"} {
		if !strings.Contains(answers[i], want) {
			t.Errorf("answer %d: %q, want %q", i, answers[i], want)
		}
	}
	run()
	if n := m.writes.Load() + m.listed.Load(); n != 0 || len(rec.Commands) != 2 {
		t.Errorf("the run after sent %d writes; commands %+v", n, rec.Commands)
	}
}
