// Package bump decides whether a version that a vendor publishes may become a
// release.
//
// Feeds lie regularly: versions go backwards and come back, bytes change under
// an old version, one feed is a day ahead of another. What a person would have
// to look at is a hold with a name, and a hold never becomes a pull request.
// The checks stand in an order in which the first that applies is the one worth
// telling.
package bump

import (
	"fmt"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

// Seen is what one look at a package's feeds saw.
type Seen struct {
	Version   string
	Published time.Time // zero when the vendor does not say
	// Fixes are the exploited vulnerabilities that the version fixes (Fixes): the
	// wait may be shorter then.
	Fixes  []string
	Source string // the feed that named Version, for people
	Others []Said // what the feeds under upstream.agree say
	// History is what earlier looks saw, in any order.
	History []Sighting
	// Bytes is what the vendor states now about bytes, by version and installer.
	Bytes map[string]map[string]Stated
	// Lifted are holds that a person let this version pass, with what they said
	// then: the same hold for another reason still stands. HoldChangedHash and
	// HoldTooYoung can be lifted.
	Lifted map[string]string
}

// A Sighting is a version that an earlier look saw upstream.
type Sighting struct {
	Version string
	At      time.Time
}

// passes reports whether a person lifted this hold.
func (s Seen) passes(hold, why string) bool { return why != "" && s.Lifted[hold] == why }

// Said is another feed's newest version, or why it told none.
type Said struct {
	Feed    string
	Version string
	Failed  string
}

// Stated is what a vendor states about bytes; zero fields are not stated.
type Stated struct {
	Digest fleet.Digest
	Size   int64
}

// Judge compares what was seen with the package's releases. The package must
// have an upstream.
func Judge(p fleet.Package, s Seen, now time.Time) fleet.Detection {
	current, _, released := p.Latest()
	d := fleet.Detection{Package: p.ID, Current: current, Found: s.Version, At: now}
	hold := func(name, why string) fleet.Detection {
		d.State, d.Hold, d.Why = fleet.StateHeld, name, why
		return d
	}
	u := *p.Upstream
	found, err := version.SchemeOf(u).Parse(s.Version)
	if err != nil {
		return hold(fleet.HoldUnparsable, err.Error())
	}
	if why := changedBytes(p, s.Bytes); why != "" && !s.passes(fleet.HoldChangedHash, why) {
		return hold(fleet.HoldChangedHash, why)
	}
	if u.From.GoProxy != nil {
		d.State, d.Why = fleet.StateWatch, "a Go module: watched, never released from source"
		return d
	}
	if released {
		newer, name, why := follows(p, found)
		if name != "" {
			return hold(name, why)
		}
		if !newer {
			if why := flapping(u, found, s.History, now, true); why != "" {
				return hold(fleet.HoldFlapping, why)
			}
			d.State = fleet.StateEqual
			return d
		}
	}
	d.Agreement, d.Fixes = agreement(u, found, s), s.Fixes
	if name, why := unready(p, found, s, d.Agreement, now); name != "" {
		return hold(name, why)
	}
	if why := OutOfProportion(p, sizes(s.Bytes[s.Version])); why != "" {
		return hold(fleet.HoldSize, why)
	}
	d.State = fleet.StateNew
	return d
}

// follows compares a version with the newest release. In a higher epoch every
// version is newer, except those that are releases already.
func follows(p fleet.Package, found version.Version) (newer bool, hold, why string) {
	current, latest, _ := p.Latest()
	u := *p.Upstream
	if latest.Epoch > u.Epoch {
		return false, fleet.HoldBackwards, fmt.Sprintf("the release %s is of epoch %d, upstream.epoch is %d", current, latest.Epoch, u.Epoch)
	}
	if latest.Epoch < u.Epoch {
		if found.String() == current {
			return false, "", ""
		}
		if r, taken := p.Releases[found.String()]; taken {
			return false, fleet.HoldBackwards, fmt.Sprintf("%s is a release of epoch %d already: one version is released once", found, r.Epoch)
		}
		return true, "", ""
	}
	old, err := version.SchemeOf(u).Parse(current)
	if err != nil {
		return false, fleet.HoldUnparsable, fmt.Sprintf("the newest release in git: %v", err)
	}
	c := version.Compare(found, old)
	if c < 0 {
		return false, fleet.HoldBackwards, fmt.Sprintf("upstream has %s, older than the release %s: a recall, perhaps", found, current)
	}
	if r, taken := p.Releases[found.String()]; taken && c > 0 {
		return false, fleet.HoldBackwards, fmt.Sprintf("%s is a release of epoch %d already: one version is released once", found, r.Epoch)
	}
	return c > 0, "", ""
}

// unready is why a newer version must wait: not wanted, not agreed on, not the
// only one of late, not old enough.
func unready(p fleet.Package, found version.Version, s Seen, a *fleet.Agreement, now time.Time) (hold, why string) {
	u := *p.Upstream
	if why := version.Unwanted(u, s.Version); why != "" {
		return fleet.HoldNotAllowed, why
	}
	if a != nil && a.Agree < a.Need {
		return fleet.HoldDisagree, disagreement(*a, s.Version)
	}
	if why := flapping(u, found, s.History, now, false); why != "" {
		return fleet.HoldFlapping, why
	}
	return tooYoung(u.MinimumReleaseAge.For(Class(p, s.Version), len(s.Fixes) > 0).Std(), s, now)
}

// settleFor is how long only one version must have been seen before one that
// came back counts as settled: two of the week's looks.
const settleFor = 14 * 24 * time.Hour

// flapping is why a version that came back is not trusted yet: between an
// earlier look that saw it and this one, another look saw another version, and
// that is not long ago. With newerOnly the other one must be newer: where the
// vendor is back at what is released already, only that is a recall. Versions
// that the package does not want are left out: people may have ignored the one
// that came between.
func flapping(u fleet.Upstream, found version.Version, history []Sighting, now time.Time, newerOnly bool) string {
	var first time.Time
	var other Sighting
	for _, h := range history {
		v, err := version.SchemeOf(u).Parse(h.Version)
		switch {
		case err != nil || h.At.After(now) || version.Unwanted(u, h.Version) != "":
		case version.Compare(v, found) != 0:
			if h.At.After(other.At) && (!newerOnly || version.Compare(v, found) > 0) {
				other = h
			}
		case first.IsZero() || h.At.Before(first):
			first = h.At
		}
	}
	if first.IsZero() || !first.Before(other.At) || now.Sub(other.At) >= settleFor {
		return ""
	}
	return fmt.Sprintf("%s again, first seen %s, after %s was seen %s: settled when nothing else is seen until %s",
		found, first.UTC().Format(time.RFC3339), other.Version, other.At.UTC().Format(time.RFC3339), other.At.Add(settleFor).UTC().Format(time.RFC3339))
}

// tooYoung counts from the vendor's release time, or from the first look that
// saw the version, which is this one when there was none before.
func tooYoung(age time.Duration, s Seen, now time.Time) (hold, why string) {
	since, word := s.Published, "published"
	if since.IsZero() || since.After(now) { // a time to come is none
		since, word = firstSeen(s), "first seen"
	}
	if since.IsZero() || since.After(now) {
		since = now
	}
	if ready := since.Add(age); now.Before(ready) {
		why := fmt.Sprintf("%s %s, may be proposed from %s on", word, since.UTC().Format(time.RFC3339), ready.UTC().Format(time.RFC3339))
		if !s.passes(fleet.HoldTooYoung, why) {
			return fleet.HoldTooYoung, why
		}
	}
	return "", ""
}

// firstSeen is when an earlier look saw the version, zero when none did.
func firstSeen(s Seen) (first time.Time) {
	for _, h := range s.History {
		if h.Version == s.Version && (first.IsZero() || h.At.Before(first)) {
			first = h.At
		}
	}
	return first
}

// Class is the change class of a release of newer on top of the package's
// newest one: new, config, or how far apart the versions are. A new epoch, and
// versions that the scheme cannot read, count as major.
func Class(p fleet.Package, newer string) string {
	current, latest, released := p.Latest()
	switch {
	case p.Kind == "configuration":
		return "config"
	case !released:
		return "new"
	case p.Upstream == nil, latest.Epoch != p.Upstream.Epoch:
		return "major"
	}
	a, errA := version.SchemeOf(*p.Upstream).Parse(current)
	b, errB := version.SchemeOf(*p.Upstream).Parse(newer)
	if errA != nil || errB != nil {
		return "major"
	}
	return version.Class(a, b)
}
