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
		"deferred": {Quality{Name: "x", Hotpatch: true, Approvals: []Approval{{"monthly", "all", true, 7}}}.body(),
			`{"approvalSettings":[{"approvalMethodType":"automatic","deferredDeploymentInDay":7,"windowsQualityUpdateCadence":"monthly","windowsQualityUpdateCategory":"all"}],"displayName":"x","hotpatchEnabled":true}`},
		"feature at once": {Feature{Name: "x", Version: "Windows 11, version 24H2"}.body(),
			`{"displayName":"x","featureUpdateVersion":"Windows 11, version 24H2","installFeatureUpdatesOptional":false}`},
		"feature in parts": {Feature{Name: "x", Version: "v", Optional: true, Rollout: &Rollout{day, day.AddDate(0, 0, 9), 3}}.body(),
			`{"displayName":"x","featureUpdateVersion":"v","installFeatureUpdatesOptional":true,"rolloutSettings":{"offerEndDateTimeInUTC":"2026-11-19T18:30:00Z","offerIntervalInDays":3,"offerStartDateTimeInUTC":"2026-11-10T18:30:00Z"}}`},
		"drivers":           {Drivers{Name: "x"}.body(), `{"approvalType":"manual","displayName":"x"}`},
		"drivers by itself": {Drivers{Name: "x", Automatic: true, DeferDays: 3}.body(), `{"approvalType":"automatic","deploymentDeferralInDays":3,"displayName":"x"}`},
		"expedited deployment": {Deployment{Audience: "a", Entry: "e", Expedite: true, RebootDays: 1}.settings(),
			`{"@odata.type":"microsoft.graph.windowsUpdates.deploymentSettings","expedite":{"isExpedited":true,"isReadinessTest":false},"userExperience":{"daysUntilForcedReboot":1}}`},
		"by rate": {Deployment{Feature: true, Start: day, PerOffer: 100, Every: fleet.Duration(48 * time.Hour), Rules: []Rule{{"rollback", 5, "pauseDeployment"}}}.settings(),
			`{"@odata.type":"microsoft.graph.windowsUpdates.deploymentSettings","monitoring":{"monitoringRules":[{"action":"pauseDeployment","signal":"rollback","threshold":5}]},` +
				`"schedule":{"gradualRollout":{"@odata.type":"#microsoft.graph.windowsUpdates.rateDrivenRolloutSettings","devicesPerOffer":100,"durationBetweenOffers":"P2D"},"startDateTime":"2026-11-10T18:30:00Z"}}`},
		"by date": {Deployment{Feature: true, Until: day, Every: fleet.Duration(24 * time.Hour)}.settings(),
			`{"@odata.type":"microsoft.graph.windowsUpdates.deploymentSettings","schedule":{"gradualRollout":{"@odata.type":"#microsoft.graph.windowsUpdates.dateDrivenRolloutSettings","durationBetweenOffers":"P1D","endDateTime":"2026-11-10T18:30:00Z"}}}`},
		"content": {Deployment{Audience: "a", Entry: "e", Expedite: true}.body()["content"].(map[string]any),
			`{"@odata.type":"#microsoft.graph.windowsUpdates.catalogContent","catalogEntry":{"@odata.type":"#microsoft.graph.windowsUpdates.qualityUpdateCatalogEntry","id":"e"}}`},
	} {
		data, err := json.Marshal(tt.body)
		if err != nil || string(data) != tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, data, tt.want)
		}
	}
}

// TestChecks refuses what the service would.
func TestChecks(t *testing.T) {
	day := fleet.Duration(24 * time.Hour)
	good := Deployment{Audience: "a", Entry: "e", Feature: true}
	with := func(change func(*Deployment)) Deployment {
		d := good
		change(&d)
		return d
	}
	for name, check := range map[string]func() error{
		"reboot":               Expedite{RebootDays: 3}.check,
		"seven approvals":      Quality{Approvals: make([]Approval, 7)}.check,
		"deferred by hand":     Quality{Approvals: []Approval{{"monthly", "all", false, 1}}}.check,
		"deferred too long":    Quality{Approvals: []Approval{{"monthly", "all", true, 31}}}.check,
		"twice":                Quality{Approvals: []Approval{{"monthly", "all", true, 1}, {"monthly", "all", false, 0}}}.check,
		"no version":           Feature{}.check,
		"ends before":          Feature{Version: "v", Rollout: &Rollout{Start: day0(), End: day0().Add(-1), EveryDays: 1}}.check,
		"no interval":          Feature{Version: "v", Rollout: &Rollout{Start: day0(), End: day0().Add(1)}}.check,
		"drivers by hand":      Drivers{DeferDays: 1}.check,
		"nothing":              Deployment{}.check,
		"plain patch":          Deployment{Audience: "a", Entry: "e"}.check,
		"scheduled patch":      Deployment{Audience: "a", Entry: "e", Expedite: true, Start: day0()}.check,
		"expedited feature":    with(func(d *Deployment) { d.Expedite = true }).check,
		"rate and date":        with(func(d *Deployment) { d.PerOffer, d.Until, d.Every = 1, day0(), day }).check,
		"hours between offers": with(func(d *Deployment) { d.PerOffer, d.Every = 1, day/2 }).check,
		"threshold":            with(func(d *Deployment) { d.Rules = []Rule{{"rollback", 0, "alertError"}} }).check,
		"fallback":             with(func(d *Deployment) { d.Rules = []Rule{{"rollback", 5, "offerFallback"}} }).check,
	} {
		if err := check(); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := good.check(); err != nil {
		t.Error(err)
	}
}

func day0() time.Time { return day }

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
