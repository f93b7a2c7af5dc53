package desired

import (
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// closing is a closing of the cycle of the test repository, by the plan of its
// last wave.
func closing(decision string) edit {
	return edit{"schedules/cycles/2026-W47/approvals/close.cue", "", "package schedules\n\napprovals: \"2026-W47\": close: {cycle: \"2026-W47\", gate: \"close\", decision: \"" + decision + "\", because: \"b\", plan: \"sha256:2222222222222222222222222222222222222222222222222222222222222222\", validUntil: \"2026-12-25T00:00:00Z\", summary: {packages: 1, tenants: 1, devices: 40, deadline: \"2026-11-20T07:00:00Z\"}}\n"}
}

// TestClosedCycle: what is closed tells what was, and does not keep waves, lanes
// and freezes from changing.
func TestClosedCycle(t *testing.T) {
	planned := []edit{{planFile, `dogfood:`, `everyone:`}, {approval, "", ""}, {holdFile, "", ""}}
	cve := func(e edit) edit {
		e.file = strings.Replace(e.file, "2026-W47", "2026-W47-cve-01", 1)
		e.new = strings.ReplaceAll(e.new, `"2026-W47"`, `"2026-W47-cve-01"`)
		return e
	}
	moved := func(file, from, to string) []edit { // the cycle as one of the lane cve
		text := strings.ReplaceAll(strings.Replace(string(msp(t)[file]), from, to, 1), `"2026-W47"`, `"2026-W47-cve-01"`)
		return []edit{{file, "", ""}, {strings.Replace(file, "2026-W47", "2026-W47-cve-01", 1), "", text}}
	}
	const waves = "schedules/waves.cue"
	lane := slices.Concat(
		moved(cycleFile, "waves:", "overrides: {freezes: [\"2026-year-end\"], reason: \"it burns\"}\n\twaves:"), moved(planFile, `dogfood:`, `everyone:`),
		[]edit{{approval, "", ""}, {holdFile, "", ""}, {sevenZip9, `change:`, `change: "security" // was:`}},
	)
	for _, c := range []struct {
		name  string
		edits []edit
		close edit
	}{
		{"a wave is renamed", append(planned, edit{waves, `dogfood: {`, `pioneers: {`}), closing("approved")},
		{"a wave is removed", append(planned, edit{waves, `	dogfood: {`, `	_dogfood: {`}), closing("approved")},
		{"waves change places", append(planned, edit{waves, `order: 1`, `order: 3`}), closing("approved")},
		{"a wave is left to the lanes", append(planned, edit{waves, "dogfood: {", "dogfood: {\n\t\tlanesOnly: true\n\t\tlanes: oob: {after: \"0h\", soak: \"4h\", looks: [\"4h\"]}"}), closing("approved")},
		{"a lane is no more", lane, cve(closing("approved"))},
		{"nor is the freeze", append(lane, edit{freeze, "", ""}), cve(closing("approved"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := load(t, edited(t, append(slices.Clone(c.edits), c.close)...)); err != nil {
				t.Errorf("closed: %v", err)
			}
			if _, err := load(t, edited(t, c.edits...)); fleet.KindOf(err) != fleet.Invalid {
				t.Errorf("open: %v", err)
			}
		})
	}
}
