package view

import (
	"fmt"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestDashboard(t *testing.T) {
	look := func(id fleet.PackageID, current, found, state, hold, why string) Watched {
		return Watched{Detection: fleet.Detection{Package: id, Current: current, Found: found, State: state, Hold: hold, Why: why, At: day(18, 4)}, Next: day(25, 4)}
	}
	proposed := look(zip, "24.08", "24.09", fleet.StateNew, "", "")
	proposed.Pull = 12
	declined := look("mozilla/firefox", "132.0", "133.0", fleet.StateNew, "", "")
	declined.Declined, declined.Note = 9, "declined: pull request 9 was closed; reopen it to take the version up again"
	young := look(notepad, "8.7", "8.7.1", fleet.StateHeld, fleet.HoldTooYoung, "published 2026-11-17T06:00:00Z, may be proposed from 2026-11-20T06:00:00Z on")
	young.Next = day(20, 6)
	revoked := look("fabrikam/vpn-client", "5.2.0.0", "5.2.0.0", fleet.StateEqual, "", "")
	revoked.Revoked = "schedules/holds/vpn-client.cue"
	list := []Watched{
		young, proposed, declined,
		look("putty/putty", "0.81", "0.82", fleet.StateHeld, fleet.HoldSigner, `it is signed by "CN=@someone | else", whom the publisher's file does not name`),
		look(gitWin, "2.47.1", "2.46.2", fleet.StateHeld, fleet.HoldBackwards, "upstream has 2.46.2, older than the release 2.47.1: a recall, perhaps"),
		look("python/python", "3.13.0", "3.13.0", fleet.StateEqual, "", ""),
		look("acme/tool", "", "", fleet.StateNone, "", "no upstream: versions are handed in"),
		revoked,
	}
	text := Dashboard(list)
	golden(t, "dashboard.md", text)
	if again := Dashboard([]Watched{list[7], list[6], list[5], list[4], list[3], list[2], list[1], list[0]}); again != text {
		t.Error("the order of packages changes the text")
	}
	if box := "\n- [ ] retry mozilla/firefox 133.0 " + RetryBox("mozilla/firefox", 9) + "\n"; strings.Count(text, "- [ ]") != 1 || !strings.Contains(text, box) {
		t.Errorf("no box %q: %s", box, text)
	}
	html := rendered(t, text)
	if strings.Contains(text, "@someone") || strings.Count(html, "<tr>") != len(list)+7 {
		t.Errorf("a row broke the tables: %s", html)
	}
	for _, n := range []int{0, 1, 2_000} {
		var many []Watched
		for i := range n {
			many = append(many, look(fleet.PackageID(fmt.Sprintf("acme/app-%05d", i)), "1", "2", fleet.StateHeld, fleet.HoldSigner, strings.Repeat("why @x #1 | ", 100)))
		}
		for i := range n / 2 { // fewer rows, more boxes
			w := look(fleet.PackageID(fmt.Sprintf("acme/zap-%05d", i)), "1", "2", fleet.StateNew, "", "")
			w.Declined = i + 1
			many = append(many, w)
		}
		many = append(many, list...)
		text := Dashboard(many)
		rows := strings.Count(text, "| acme/app-") + strings.Count(text, "| acme/zap-")
		if len(text) > dashboardLimit || rows > 2*n || n > 1 && !strings.Contains(text, fmt.Sprintf("… and %s more", plural(len(many)-rows, "package"))) {
			t.Errorf("%d packages: %d bytes, %d rows", n, len(text), rows)
		}
	}
}

// TestDashboardBoxes has as many boxes as fit.
func TestDashboardBoxes(t *testing.T) {
	var list []Watched
	for i := range 250 {
		list = append(list, Watched{Declined: i + 1, Detection: fleet.Detection{Package: fleet.PackageID(fmt.Sprintf("acme/%0120d", i)), Current: "1", Found: "2", State: fleet.StateNew}})
	}
	text := Dashboard(list)
	if n := strings.Count(text, "- [ ]"); n == 0 || n == len(list) || len(text) > dashboardLimit {
		t.Errorf("%d boxes in %d bytes", n, len(text))
	}
}
