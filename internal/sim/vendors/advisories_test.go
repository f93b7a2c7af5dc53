package vendors

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
)

// TestCatalog has entries of the catalog come and go by the clock, and the
// catalog be another one each time.
func TestCatalog(t *testing.T) {
	clock := fleet.NewManualClock(morning)
	data := world()
	data.Exploited = append(data.Exploited, Exploited{Shown: Shown{At: morning.AddDate(0, 0, 1), Until: morning.AddDate(0, 0, 3)}, CVE: "CVE-2026-10001", Vendor: "Umbrella", Product: "Tool"})
	_, config := serve(t, data, clock)
	for _, tt := range []struct {
		days    int
		version string
		of      int // products that CVE-2026-10001 is listed of
	}{{-3, "2025.10.14", 0}, {0, "2026.11.16", 1}, {1, "2026.11.19", 2}, {3, "2026.11.21", 1}} {
		clock.Set(morning.AddDate(0, 0, tt.days))
		kev, err := upstream.New(config).KEV(t.Context(), KEVAddress)
		if err != nil || kev.Version != tt.version || len(kev.Listed["CVE-2026-10001"]) != tt.of {
			t.Errorf("after %d days: %+v, %v", tt.days, kev, err)
		}
	}
	clock.Set(morning.AddDate(-3, 0, 0))
	if kev, err := upstream.New(config).KEV(t.Context(), KEVAddress); err == nil {
		t.Errorf("a catalog before there was one: %+v", kev)
	}
}

// TestAdvisoryFaults: whatever a source answers with, it is an error and never
// an empty answer.
func TestAdvisoryFaults(t *testing.T) {
	for _, kind := range []string{RateLimited, Unavailable, HTML, Truncated} {
		data := world()
		always := Shown{At: morning.AddDate(-1, 0, 0)}
		data.Faults = []Fault{{Shown: always, Path: "/www.cisa.gov/", Kind: kind}, {Shown: always, Path: "/api.first.org/", Kind: kind}}
		_, config := serve(t, data, fleet.NewManualClock(morning))
		c := upstream.New(config)
		if kev, err := c.KEV(t.Context(), KEVAddress); err == nil {
			t.Errorf("%s: %+v", kind, kev)
		}
		if scores, err := c.EPSS(t.Context(), EPSSAddress, []string{"CVE-2026-10001"}); err == nil {
			t.Errorf("%s: %+v", kind, scores)
		}
	}
}

// TestEPSSOfADay: scores are of the day they are asked for.
func TestEPSSOfADay(t *testing.T) {
	clock := fleet.NewManualClock(morning)
	_, config := serve(t, world(), clock)
	scores, err := upstream.New(config).EPSS(t.Context(), EPSSAddress, []string{"CVE-2026-10001", "CVE-2025-10002"})
	if want := (fleet.Likelihood{Probability: 0.4321, Date: morning.Format(time.DateOnly)}); err != nil || scores["CVE-2026-10001"] != want || len(scores) != 2 {
		t.Errorf("%+v, %v", scores, err)
	}
}
