package conformance

import (
	"errors"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// Advisories asks both sources of vulnerabilities about one that is listed as
// exploited, and about one that there is not.
func Advisories(t *testing.T, config upstream.Config, sources fleet.AdvisorySources, listed string) {
	t.Run("kev", func(t *testing.T) {
		c := upstream.New(config)
		kev, err := c.KEV(t.Context(), sources.KEV)
		answered(t, config, err)
		if len(kev.Listed[listed]) == 0 || kev.Released.IsZero() {
			t.Errorf("the catalog of %s lists %d, and %s as %+v", kev.Released, len(kev.Listed), listed, kev.Listed[listed])
		}
		if again, err := c.KEV(t.Context(), sources.KEV); err != nil || again.Version != kev.Version || c.Summary().Requests != 1 {
			t.Errorf("the second time: %s, %v after %d requests", again.Version, err, c.Summary().Requests)
		}
	})
	t.Run("epss", func(t *testing.T) {
		const none = "CVE-1999-9999999"
		c := upstream.New(config)
		scores, err := c.EPSS(t.Context(), sources.EPSS, []string{listed, none})
		answered(t, config, err)
		score, ok := scores[listed]
		if _, err := time.Parse(time.DateOnly, score.Date); !ok || err != nil || score.Probability <= 0 || len(scores) != 1 {
			t.Errorf("%+v, %v", scores, err)
		}
		if again, err := c.EPSS(t.Context(), sources.EPSS, []string{none, listed, listed}); err != nil || len(again) != 1 || c.Summary().Requests != 1 {
			t.Errorf("the second time: %+v, %v after %d requests", again, err, c.Summary().Requests)
		}
	})
}

// answered skips where a source out of reach or a proxy in between says no.
func answered(t *testing.T, config upstream.Config, err error) {
	t.Helper()
	var status *transport.StatusError
	if config.Mirror == "" && errors.As(err, &status) {
		t.Skipf("refused: %v", err)
	}
	reached(t, err)
}
