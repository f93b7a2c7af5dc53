package bump

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

// An Offer is one of the versions that a feed lists.
type Offer struct {
	Version   string
	Published time.Time // zero when the feed does not say
}

// Known is what else is known of a version.
type Known struct {
	Lifted bool // a person let it pass its hold
	Fixes  bool // it fixes a vulnerability that is known to be exploited
}

// Ripe is which of the versions that a feed lists is to be judged: the newest,
// unless it has not been out long enough and an older one, newer than what is
// released, has. Otherwise a vendor who publishes a day before every look would
// never be proposed. One that a person let pass its hold need not have been out
// long enough, and one that fixes what is exploited not as long as others. known
// is asked about those alone that are newer and young; nil knows nothing. Ripe
// gives "" when the scheme can read none of them.
func Ripe(p fleet.Package, offers []Offer, known func(version string) Known, now time.Time) string {
	u := *p.Upstream
	type offer struct {
		Offer
		parsed version.Version
	}
	var list []offer
	for _, o := range offers {
		if v, err := version.SchemeOf(u).Parse(o.Version); err == nil && version.Unwanted(u, o.Version) == "" {
			list = append(list, offer{o, v})
		}
	}
	if len(list) == 0 {
		return ""
	}
	slices.SortStableFunc(list, func(a, b offer) int { return version.Compare(b.parsed, a.parsed) })
	_, _, released := p.Latest()
	for _, o := range list {
		if released {
			if newer, _, _ := follows(p, o.parsed); !newer {
				break
			}
		}
		old := func(fixes bool) bool {
			age := u.MinimumReleaseAge.For(Class(p, o.Version), fixes).Std()
			hold, _ := tooYoung(age, Seen{Version: o.Version, Published: o.Published}, now)
			return hold == "" && !o.Published.IsZero()
		}
		if old(false) {
			return o.Version
		}
		var k Known
		if known != nil {
			k = known(o.Version)
		}
		if k.Lifted || k.Fixes && old(true) {
			return o.Version
		}
		if o.Published.IsZero() {
			break // what earlier looks saw must be asked
		}
	}
	return list[0].Version
}
