package factory_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
)

// edit has somebody change the text of an issue.
func (m *mill) edit(t *testing.T, token string, issue int, change func(string) string) {
	t.Helper()
	send := func(method string, body []byte) []byte {
		req, err := http.NewRequestWithContext(t.Context(), method, m.api+"repos/example/fleet/issues/"+itoa(issue), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s %s", method, resp.Status, data)
		}
		return data
	}
	var is struct {
		Body string `json:"body"`
	}
	if err := json.Unmarshal(send(http.MethodGet, nil), &is); err != nil {
		t.Fatal(err)
	}
	next := change(is.Body)
	if next == is.Body {
		t.Fatalf("nothing to change in %s", is.Body)
	}
	body, err := json.Marshal(map[string]string{"body": next})
	if err != nil {
		t.Fatal(err)
	}
	send(http.MethodPatch, body)
}

// TestCommandRetry declines a proposal three times: a comment of an approver has
// it proposed again, the second time a ticked box, and each does so once.
func TestCommandRetry(t *testing.T) {
	m := newMill(t, vendorData(), nil)
	rec, run := withRecord(t, m)
	run()
	const branch = "bump/acme/json/1.1.0"
	issue := packagesIssue(t, m)
	decline := func() int {
		t.Helper()
		pull := openPulls(t, m)[branch]
		if err := m.ann.Close(t.Context(), pull.Number, "Not this one."); err != nil || pull.Number == 0 {
			t.Fatal(pull, err)
		}
		if p := of(t, run(), "acme/json"); !strings.Contains(p.Note, fmt.Sprintf("declined: pull request %d", pull.Number)) {
			t.Fatalf("got %+v", p)
		}
		return pull.Number
	}
	again := func(list []factory.Proposed, old int) {
		t.Helper()
		if p := of(t, list, "acme/json"); p.Pull.Number <= old || p.Pull.Branch != branch {
			t.Fatalf("not proposed again: %+v", p)
		}
		run()
		if n := m.writes.Load() + m.listed.Load(); n != 0 {
			t.Errorf("the run after sent %d writes", n)
		}
	}
	first := decline()
	for _, said := range []struct{ token, text string }{
		{"eve", "packmill retry acme/json: I want it"}, {"ann", "packmill retry acme/npm: it is open"}, {"ann", "packmill retry acme/none: what"}, {"ann", "packmill retry acme/json"},
	} {
		m.say(t, said.token, issue, said.text)
	}
	if p := of(t, run(), "acme/json"); p.Pull.Number != 0 || len(rec.Commands) != 0 {
		t.Fatalf("got %+v, %+v", p, rec.Commands)
	}
	m.say(t, "ann", issue, "packmill retry acme/json: the add-in works now")
	again(run(), first)
	if c := rec.Commands; len(c) != 1 || c[0].What != fleet.CommandRetry || c[0].Version != "1.1.0" || c[0].Pull != first || c[0].By != "ann" || c[0].Reason != "the add-in works now" || c[0].Comment == 0 {
		t.Errorf("recorded %+v", c)
	}

	second := decline()
	forged := fmt.Sprintf("- [x] retry <!-- packmill:retry acme/json %d -->\n- [x] retry <!-- packmill:retry acme/github %d -->\n", first, second)
	m.edit(t, "eve", issue, func(s string) string { return s + "\n" + forged })
	if p := of(t, run(), "acme/json"); p.Pull.Number != 0 || len(rec.Commands) != 1 {
		t.Fatalf("a box that packmill did not offer counts: %+v, %+v", p, rec.Commands)
	}
	m.edit(t, "eve", issue, func(s string) string {
		return strings.Replace(s, "- [ ] retry acme/json", "- [x] retry acme/json", 1)
	})
	again(run(), second)
	if c := rec.Commands; len(c) != 2 || c[1].By != "" || c[1].Pull != second || c[1].Comment != 0 {
		t.Errorf("recorded %+v", c)
	}
	m.edit(t, "eve", issue, func(s string) string { return s + "\n- [ ] mine\n" })
	run()
	decline()
	var body string
	m.edit(t, "eve", issue, func(s string) string { body = s; return s + " " })
	if strings.Count(body, "- [ ] retry acme/json 1.1.0") != 1 || strings.Contains(body, "[x]") {
		t.Errorf("the issue says %s", body)
	}
}

// TestGroupRetry takes one version of a declined group up again, by itself.
func TestGroupRetry(t *testing.T) {
	m := groupMill(t, "")
	_, run := withRecord(t, m)
	run()
	pull := openPulls(t, m)[deskBranch]
	if err := m.ann.Close(t.Context(), pull.Number, "Not these."); err != nil {
		t.Fatal(err)
	}
	run()
	m.say(t, "ann", packagesIssue(t, m), "packmill retry acme/json: this one we want")
	list := run()
	if p := of(t, list, "acme/json"); p.Pull.Branch != "bump/acme/json/1.1.0" || p.Pull.Number <= pull.Number {
		t.Errorf("json: %+v", p)
	}
	if p := of(t, list, "acme/npm"); p.Pull.Number != 0 || !strings.Contains(p.Note, "declined") {
		t.Errorf("npm: %+v", p)
	}
	run()
	if n := m.writes.Load() + m.listed.Load(); n != 0 {
		t.Errorf("the run after sent %d writes", n)
	}
}
