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
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

// Seen is what one look at a package's feeds saw.
type Seen struct {
	Version   string
	Published time.Time // zero when the vendor does not say
	// FirstSeen is when an earlier look saw this version; zero when none did.
	FirstSeen time.Time
	Others    []Said // what the feeds under upstream.agree say
	// Bytes is what the vendor states now about bytes, by version and installer.
	Bytes map[string]map[string]Stated
	// Lifted are holds that a person let this version pass, with what they said
	// then: the same hold for another reason still stands. HoldChangedHash and
	// HoldTooYoung can be lifted.
	Lifted map[string]string
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
	hold := func(name, format string, args ...any) fleet.Detection {
		d.State, d.Hold, d.Why = fleet.StateHeld, name, fmt.Sprintf(format, args...)
		return d
	}
	u := *p.Upstream
	found, err := version.Parse(u.Scheme, s.Version)
	if err != nil {
		return hold(fleet.HoldUnparsable, "%v", err)
	}
	if why := changedBytes(p, s.Bytes); why != "" && !s.passes(fleet.HoldChangedHash, why) {
		return hold(fleet.HoldChangedHash, "%s", why)
	}
	if u.From.GoProxy != nil {
		d.State, d.Why = fleet.StateWatch, "a Go module: watched, never released from source"
		return d
	}
	if released {
		old, err := version.Parse(u.Scheme, current)
		if err != nil {
			return hold(fleet.HoldUnparsable, "the newest release in git: %v", err)
		}
		switch c := version.Compare(found, old); {
		case c < 0:
			return hold(fleet.HoldBackwards, "upstream has %s, older than the release %s: a recall, perhaps", s.Version, current)
		case c == 0:
			d.State = fleet.StateEqual
			return d
		}
	}
	if name, why := unready(u, found, s, now); name != "" {
		return hold(name, "%s", why)
	}
	d.State = fleet.StateNew
	return d
}

// unready is why a newer version must wait: not wanted, not agreed on, not old
// enough.
func unready(u fleet.Upstream, found version.Version, s Seen, now time.Time) (hold, why string) {
	allowed, err := version.Allowed(u.Allowed, s.Version)
	switch {
	case err != nil:
		return fleet.HoldNotAllowed, err.Error()
	case !allowed:
		return fleet.HoldNotAllowed, fmt.Sprintf("%s is not among the allowed versions %q", s.Version, u.Allowed)
	case found.Prerelease() && !u.Prerelease:
		return fleet.HoldNotAllowed, s.Version + " is a pre-release"
	}
	for _, other := range s.Others {
		if other.Failed != "" {
			return fleet.HoldDisagree, other.Feed + " gave no answer: " + other.Failed
		}
		v, err := version.Parse(u.Scheme, other.Version)
		if err != nil {
			return fleet.HoldDisagree, fmt.Sprintf("%s: %v", other.Feed, err)
		}
		if version.Compare(v, found) != 0 {
			return fleet.HoldDisagree, fmt.Sprintf("%s says %s, not %s", other.Feed, other.Version, s.Version)
		}
	}
	return tooYoung(u.MinimumReleaseAge.Std(), s, now)
}

// tooYoung counts from the vendor's release time, or from the first look that
// saw the version, which is this one when there was none before.
func tooYoung(age time.Duration, s Seen, now time.Time) (hold, why string) {
	since, word := s.Published, "published"
	if since.IsZero() {
		since, word = s.FirstSeen, "first seen"
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

// changedBytes says which pinned bytes the vendor now states otherwise.
func changedBytes(p fleet.Package, stated map[string]map[string]Stated) string {
	for _, v := range p.Versions() {
		for _, key := range slices.Sorted(maps.Keys(p.Releases[v].Installers)) {
			have, now := p.Releases[v].Installers[key], stated[v][key]
			switch {
			case now.Digest != "" && now.Digest != have.SHA256:
				return fmt.Sprintf("release %s, installer %s: git pins %s, the vendor now states %s", v, key, have.SHA256.Short(), now.Digest.Short())
			case now.Size != 0 && now.Size != have.Size:
				return fmt.Sprintf("release %s, installer %s: git pins %d bytes, the vendor now states %d", v, key, have.Size, now.Size)
			}
		}
	}
	return ""
}

// Class is the change class of a release of newer on top of the package's
// newest one: new, config, or how far apart the versions are. Versions that the
// scheme cannot read count as major.
func Class(p fleet.Package, newer string) string {
	current, _, released := p.Latest()
	switch {
	case p.Kind == "configuration":
		return "config"
	case !released:
		return "new"
	case p.Upstream == nil:
		return "major"
	}
	a, errA := version.Parse(p.Upstream.Scheme, current)
	b, errB := version.Parse(p.Upstream.Scheme, newer)
	if errA != nil || errB != nil {
		return "major"
	}
	return version.Class(a, b)
}

// JudgePayload compares a configuration's payload files with those of its
// newest release: a difference is a new version, the next integer.
func JudgePayload(p fleet.Package, payload map[string]fleet.Digest, now time.Time) fleet.Detection {
	current, latest, released := p.Latest()
	d := fleet.Detection{Package: p.ID, Current: current, Found: current, State: fleet.StateEqual, At: now}
	if released && maps.Equal(payload, latest.Files) {
		return d
	}
	d.State, d.Found = fleet.StateNew, "1"
	if !released {
		return d
	}
	n, err := strconv.Atoi(current)
	if err != nil || n < 1 {
		d.Found = current
		d.State, d.Hold, d.Why = fleet.StateHeld, fleet.HoldUnparsable, fmt.Sprintf("the newest release %q of a configuration is no whole number", current)
		return d
	}
	d.Found = strconv.Itoa(n + 1)
	return d
}

// Payload are the files below the package's folder that a configuration ships.
func Payload(p fleet.Package) []string {
	var out []string
	for _, s := range p.Settings {
		out = append(out, s.CatalogPolicy, s.Profile)
		if s.Scripts != nil {
			out = append(out, s.Scripts.Detect, s.Scripts.Remediate, s.Scripts.Revert)
		}
	}
	out = slices.DeleteFunc(out, func(s string) bool { return strings.TrimSpace(s) == "" })
	slices.Sort(out)
	return slices.Compact(out)
}
