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

// Ripe is which of the versions that a feed lists is to be judged: the newest,
// unless it has not been out long enough and an older one, newer than what is
// released, has. Otherwise a vendor who publishes a day before every look would
// never be proposed. One that a person let pass its hold need not have been out
// long enough. It gives "" when the scheme can read none of them.
func Ripe(p fleet.Package, offers []Offer, lifted func(version string) bool, now time.Time) string {
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
		if lifted != nil && lifted(o.Version) {
			return o.Version
		}
		if o.Published.IsZero() {
			break // what earlier looks saw must be asked
		}
		age := u.MinimumReleaseAge.For(Class(p, o.Version), false).Std()
		if hold, _ := tooYoung(age, Seen{Version: o.Version, Published: o.Published}, now); hold == "" {
			return o.Version
		}
	}
	return list[0].Version
}
