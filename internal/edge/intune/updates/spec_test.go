package updates

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

var day = time.Date(2026, 11, 10, 18, 30, 0, 0, time.UTC)

// TestBodies holds what is sent against what Microsoft documents of each kind.
func TestBodies(t *testing.T) {
	for name, tt := range map[string]struct {
		body map[string]any
		want string
	}{
		"expedite": {Expedite{Name: "x", Release: day, RebootDays: 2}.body(),
			`{"displayName":"x","expeditedUpdateSettings":{"daysUntilForcedReboot":2,"qualityUpdateRelease":"2026-11-10T00:00:00Z"}}`},
		"by hand": {Quality{Name: "x"}.body(), `{"approvalSettings":[` +
			`{"approvalMethodType":"manual","windowsQualityUpdateCadence":"monthly","windowsQualityUpdateCategory":"security"},` +
			`{"approvalMethodType":"manual","windowsQualityUpdateCadence":"monthly","windowsQualityUpdateCategory":"nonSecurity"},` +
			`{"approvalMethodType":"manual","windowsQualityUpdateCadence":"outOfBand","windowsQualityUpdateCategory":"security"},` +
			`{"approvalMethodType":"manual","windowsQualityUpdateCadence":"outOfBand","windowsQualityUpdateCategory":"nonSecurity"}],"displayName":"x","hotpatchEnabled":false}`},
		"feature at once": {Feature{Name: "x", Version: "Windows 11, version 24H2"}.body(),
			`{"displayName":"x","featureUpdateVersion":"Windows 11, version 24H2","installFeatureUpdatesOptional":false}`},
		"drivers": {Drivers{Name: "x"}.body(), `{"approvalType":"manual","displayName":"x"}`},
		"by rate": {deployment{perOffer: 100, everyDays: 2, rollbacks: 5}.settings(),
			`{"@odata.type":"microsoft.graph.windowsUpdates.deploymentSettings","monitoring":{"monitoringRules":[{"action":"pauseDeployment","signal":"rollback","threshold":5}]},` +
				`"schedule":{"gradualRollout":{"@odata.type":"#microsoft.graph.windowsUpdates.rateDrivenRolloutSettings","devicesPerOffer":100,"durationBetweenOffers":"P2D"}}}`},
		"by date": {deployment{until: day, everyDays: 1}.settings(),
			`{"@odata.type":"microsoft.graph.windowsUpdates.deploymentSettings","schedule":{"gradualRollout":{"@odata.type":"#microsoft.graph.windowsUpdates.dateDrivenRolloutSettings","durationBetweenOffers":"P1D","endDateTime":"2026-11-10T18:30:00Z"}}}`},
		"content": {deployment{audience: "a", entry: "e"}.body()["content"].(map[string]any),
			`{"@odata.type":"#microsoft.graph.windowsUpdates.catalogContent","catalogEntry":{"@odata.type":"#microsoft.graph.windowsUpdates.featureUpdateCatalogEntry","id":"e"}}`},
	} {
		data, err := json.Marshal(tt.body)
		if err != nil || string(data) != tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, data, tt.want)
		}
	}
}

// TestChecks refuses what the service would.
func TestChecks(t *testing.T) {
	for name, check := range map[string]func() error{
		"reboot":     Expedite{RebootDays: 3}.check,
		"no version": Feature{}.check,
	} {
		if err := check(); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMarker(t *testing.T) {
	m := Marker{Key: Key{"a/b", "candidate"}, Release: "1", Updates: []string{"u"}, Targets: []string{"z", "a"}}
	text, err := withMarker("people's\npackmill: {\"part\":\"old\"}\nwords", m)
	if err != nil || !strings.HasPrefix(text, "people's\nwords\npackmill: ") {
		t.Errorf("%q, %v", text, err)
	}
	if got, ok := ParseMarker(text); !ok || got.line() != m.line() || got.Targets[0] != "a" {
		t.Errorf("%+v", got)
	}
	for _, foreign := range []string{"", "packmill: ", "packmill: {}", "packmill: {\"package\":\"a/b\"}", "x packmill: {\"part\":\"candidate\"}"} {
		if _, ok := ParseMarker(foreign); ok {
			t.Errorf("%q reads as packmill's", foreign)
		}
	}
	if _, err := withMarker(strings.Repeat("x", maxDescription), m); fleet.KindOf(err) != fleet.Stalled {
		t.Errorf("too long: %v", err)
	}
}

func TestSameKB(t *testing.T) {
	for _, p := range [][2]string{{"KB5068861", "5068861"}, {"kb5068861 ", "KB5068861"}} {
		if !sameKB(p[0], p[1]) {
			t.Errorf("%q is not %q", p[0], p[1])
		}
	}
	if sameKB("", "") || sameKB("KB1", "KB10") {
		t.Error("different articles are the same")
	}
}
