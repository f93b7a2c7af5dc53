package intune

import "strings"

// People copy objects, and what they copy takes packmill's line along. So a line
// names its own object: one that names another is a copy's, and a copy is its
// maker's. An object is made in one request, before its id is known, and named by
// the next write; lines from before they did that name nothing either. Among those
// a copy is told by what it cannot have: it is the younger one, and whoever copies
// an app gets a line that tells of content without the content.

// ownMarker is an app's marker, if it is the app's own. It names the app from now
// on, whatever it said.
func ownMarker(app mobileApp) (Marker, bool) {
	m, ok := ParseMarker(text(app.Notes))
	if !ok || m.ID != "" && !strings.EqualFold(m.ID, app.ID) {
		return Marker{}, false
	}
	m.ID = app.ID
	return m, true
}

// readMarker is ownMarker of an app that was read whole: one whose unnamed line
// tells of content that the app does not have was copied.
func readMarker(app mobileApp) (Marker, bool) {
	m, ok := ParseMarker(text(app.Notes))
	if ok && m.ID == "" && m.File != "" && kindOf(app.ODataType).uploads() && app.CommittedContentVersion == "" {
		return Marker{}, false
	}
	return ownMarker(app)
}

// originals are those of a list of apps, oldest first, that bear a marker of their
// own. Of several for one slot and kind whose lines name nothing, and tell of a
// release, the oldest is the original, unless one that names itself is: that was
// written since. Those that tell of no release are half made.
func originals(apps []mobileApp) []mobileApp {
	type seat struct {
		slotKey
		kind kind
	}
	taken := map[seat]bool{}
	var out []mobileApp
	for _, app := range apps {
		if m, _ := ParseMarker(text(app.Notes)); m.ID != "" && m.ID == app.ID && finished(m) {
			taken[seat{slotKey{m.Package, m.Slot}, kindOf(app.ODataType)}] = true
		}
	}
	for _, app := range apps {
		m, ok := ownMarker(app)
		if !ok {
			continue
		}
		if said, _ := ParseMarker(text(app.Notes)); said.ID == "" && finished(m) {
			at := seat{slotKey{m.Package, m.Slot}, kindOf(app.ODataType)}
			if taken[at] {
				continue
			}
			taken[at] = true
		}
		out = append(out, app)
	}
	return out
}

// finished reports whether a marker tells of a release, or of an app that people
// made.
func finished(m Marker) bool { return m.File != "" || m.Adopted }
