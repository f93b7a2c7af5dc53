package bump_test

import (
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/bump"
)

func TestRipe(t *testing.T) {
	now := time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)
	offer := func(v string, hours int) bump.Offer {
		return bump.Offer{Version: v, Published: now.Add(-time.Duration(hours) * time.Hour)}
	}
	for name, c := range map[string]struct {
		released, ignore string
		offers           []bump.Offer
		want             string
	}{
		"the newest, when it is old enough":       {"1.0", "", []bump.Offer{offer("1.2", 80), offer("1.1", 200)}, "1.2"},
		"an older one, when the newest is young":  {"1.0", "", []bump.Offer{offer("1.2", 10), offer("1.1", 80)}, "1.1"},
		"the newest of those that are old enough": {"1.0", "", []bump.Offer{offer("1.3", 10), offer("1.1", 300), offer("1.2", 80)}, "1.2"},
		"the newest, when only it follows":        {"1.1", "", []bump.Offer{offer("1.2", 10), offer("1.1", 80)}, "1.2"},
		"the newest, when all are young":          {"1.0", "", []bump.Offer{offer("1.2", 10), offer("1.1", 20)}, "1.2"},
		"without a release too":                   {"", "", []bump.Offer{offer("1.2", 10), offer("1.1", 80)}, "1.1"},
		"the newest, when times are not told":     {"1.0", "", []bump.Offer{{Version: "1.2"}, offer("1.1", 80)}, "1.2"},
		"nothing that is ignored":                 {"1.0", "1.1", []bump.Offer{offer("1.2", 10), offer("1.1", 80)}, "1.2"},
		"nothing that cannot be read":             {"1.0", "", []bump.Offer{offer("Latest", 80), offer("1.2", 10)}, "1.2"},
		"nothing where nothing can be read":       {"1.0", "", []bump.Offer{offer("Latest", 80)}, ""},
		"never what is older than the release":    {"2.0", "", []bump.Offer{offer("1.2", 80), offer("1.1", 90)}, "1.2"},
	} {
		t.Run(name, func(t *testing.T) {
			p := fleet.Package{ID: "acme/tool", Upstream: &fleet.Upstream{Scheme: "windows", MinimumReleaseAge: fleet.ReleaseAge{Default: fleet.Duration(72 * time.Hour)}}}
			if c.released != "" {
				p.Releases = map[string]fleet.Release{c.released: {Counter: 1}}
			}
			if c.ignore != "" {
				p.Upstream.Ignore = []string{c.ignore}
			}
			if got := bump.Ripe(p, c.offers, nil, now); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// What a person let pass is taken before what has been out longer.
func TestRipeLifted(t *testing.T) {
	now := time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)
	p := fleet.Package{ID: "acme/tool", Upstream: &fleet.Upstream{Scheme: "windows", MinimumReleaseAge: fleet.ReleaseAge{Default: fleet.Duration(72 * time.Hour)}}}
	offers := []bump.Offer{{Version: "1.3", Published: now.Add(-time.Hour)}, {Version: "1.2", Published: now.Add(-2 * time.Hour)}, {Version: "1.1", Published: now.Add(-100 * time.Hour)}}
	for lifted, want := range map[string]string{"1.3": "1.3", "1.2": "1.2", "": "1.1", "1.0": "1.1"} {
		if got := bump.Ripe(p, offers, func(v string) bump.Known { return bump.Known{Lifted: v == lifted} }, now); got != want {
			t.Errorf("with %q let pass: %q, want %q", lifted, got, want)
		}
	}
}

// What fixes an exploited vulnerability is taken once it is old enough for that,
// and nobody is asked about what is old enough anyway, or not newer.
func TestRipeFixes(t *testing.T) {
	now := time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)
	hours := func(n int) fleet.Duration { return fleet.Duration(time.Duration(n) * time.Hour) }
	short := hours(4)
	p := fleet.Package{ID: "acme/tool", Releases: map[string]fleet.Release{"1.0": {Counter: 1}},
		Upstream: &fleet.Upstream{Scheme: "windows", MinimumReleaseAge: fleet.ReleaseAge{Default: hours(72), Security: &short}}}
	offer := func(v string, n int) bump.Offer {
		return bump.Offer{Version: v, Published: now.Add(-hours(n).Std())}
	}
	for _, c := range []struct {
		offers      []bump.Offer
		fixes       string
		want, asked string
	}{
		{[]bump.Offer{offer("1.2", 5), offer("1.1", 80), offer("1.0", 200)}, "1.2", "1.2", "1.2"},
		{[]bump.Offer{offer("1.2", 4), offer("1.1", 80)}, "1.2", "1.2", "1.2"},
		{[]bump.Offer{offer("1.2", 3), offer("1.1", 80)}, "1.2", "1.1", "1.2"},
		{[]bump.Offer{offer("1.2", 5), offer("1.1", 80)}, "1.1", "1.1", "1.2"},
		{[]bump.Offer{offer("1.3", 1), offer("1.2", 5), offer("1.1", 80)}, "1.2", "1.2", "1.3 1.2"},
		{[]bump.Offer{offer("1.2", 80), offer("1.1", 90)}, "1.2", "1.2", ""},
		{[]bump.Offer{offer("1.0", 5), offer("0.9", 5)}, "1.0", "1.0", ""},
		{[]bump.Offer{{Version: "1.2"}, offer("1.1", 80)}, "1.2", "1.2", "1.2"}, // its age is for who remembers
	} {
		var asked []string
		got := bump.Ripe(p, c.offers, func(v string) bump.Known { asked = append(asked, v); return bump.Known{Fixes: v == c.fixes} }, now)
		if got != c.want || strings.Join(asked, " ") != c.asked {
			t.Errorf("%v, %s fixes: %q, asked about %q; want %q, %q", c.offers, c.fixes, got, asked, c.want, c.asked)
		}
	}
}
