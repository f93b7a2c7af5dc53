package bump

import (
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

var (
	now  = time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)
	pins = fleet.Download{SHA256: fleet.DigestOf([]byte("a")), Size: 100}
)

// pkg has releases 1.0.0 and 1.1.0 and takes versions that are 72 hours old.
func pkg(edit func(*fleet.Package)) fleet.Package {
	p := fleet.Package{ID: "acme/tool", Kind: "application",
		Upstream: &fleet.Upstream{From: fleet.Feed{NPM: &fleet.NPM{Package: "tool"}}, Scheme: "semver", MinimumReleaseAge: fleet.Duration(72 * time.Hour)},
		Releases: map[string]fleet.Release{
			"1.0.0": {Counter: 1, Installers: map[string]fleet.Download{"x64": pins}},
			"1.1.0": {Counter: 2, Installers: map[string]fleet.Download{"x64": pins}},
		}}
	if edit != nil {
		edit(&p)
	}
	return p
}

func TestJudge(t *testing.T) {
	old := now.Add(-96 * time.Hour)
	stated := func(v string, s Stated) map[string]map[string]Stated {
		return map[string]map[string]Stated{v: {"x64": s}}
	}
	fresh := func(p *fleet.Package) { p.Releases = nil }
	for _, tt := range []struct {
		name        string
		edit        func(*fleet.Package)
		seen        Seen
		state, hold string
		why         string // part of it
	}{
		{"equal", nil, Seen{Version: "1.1.0"}, fleet.StateEqual, "", ""},
		{"equal with build metadata", nil, Seen{Version: "1.1.0+7"}, fleet.StateEqual, "", ""},
		{"new", nil, Seen{Version: "1.2.0", Published: old}, fleet.StateNew, "", ""},
		{"first", fresh, Seen{Version: "1.2.0", Published: old}, fleet.StateNew, "", ""},
		{"backwards", nil, Seen{Version: "1.0.0", Published: old}, fleet.StateHeld, fleet.HoldBackwards, "older than the release 1.1.0"},
		{"never seen, older", nil, Seen{Version: "1.0.5", Published: old}, fleet.StateHeld, fleet.HoldBackwards, ""},
		{"a word", nil, Seen{Version: "RateLimited"}, fleet.StateHeld, fleet.HoldUnparsable, "RateLimited"},
		{"zero", nil, Seen{Version: "0.0.0"}, fleet.StateHeld, fleet.HoldUnparsable, ""},
		{"empty", nil, Seen{}, fleet.StateHeld, fleet.HoldUnparsable, "empty"},
		{"release of another scheme", func(p *fleet.Package) { p.Releases = map[string]fleet.Release{"2024-R2": {Counter: 1}} }, Seen{Version: "1.2.0", Published: old}, fleet.StateHeld, fleet.HoldUnparsable, "in git"},
		{"young", nil, Seen{Version: "1.2.0", Published: now.Add(-time.Hour)}, fleet.StateHeld, fleet.HoldTooYoung, "from 2026-11-21T05:00:00Z on"},
		{"old enough to the second", nil, Seen{Version: "1.2.0", Published: now.Add(-72 * time.Hour)}, fleet.StateNew, "", ""},
		{"no time, never seen", nil, Seen{Version: "1.2.0"}, fleet.StateHeld, fleet.HoldTooYoung, "first seen 2026-11-18T06:00:00Z"},
		{"no time, seen before", nil, Seen{Version: "1.2.0", FirstSeen: old}, fleet.StateNew, "", ""},
		{"a time to come", nil, Seen{Version: "1.2.0", Published: now.Add(time.Hour)}, fleet.StateHeld, fleet.HoldTooYoung, ""},
		{"young and lifted", nil, Seen{Version: "1.2.0", Published: now.Add(-time.Hour), Lifted: map[string]string{
			fleet.HoldTooYoung: "published 2026-11-18T05:00:00Z, may be proposed from 2026-11-21T05:00:00Z on"}}, fleet.StateNew, "", ""},
		{"young, another reason lifted", nil, Seen{Version: "1.2.0", Published: now.Add(-time.Hour), Lifted: map[string]string{
			fleet.HoldTooYoung: "published 2026-11-18T04:00:00Z, may be proposed from 2026-11-21T04:00:00Z on"}}, fleet.StateHeld, fleet.HoldTooYoung, ""},
		{"changed size, another hold lifted", nil, Seen{Version: "1.1.0", Bytes: stated("1.1.0", Stated{Size: 101}), Lifted: map[string]string{fleet.HoldTooYoung: "x"}}, fleet.StateHeld, fleet.HoldChangedHash, "states 101"},
		{"changed size, lifted", nil, Seen{Version: "1.2.0", Published: old, Bytes: stated("1.1.0", Stated{Size: 101}), Lifted: map[string]string{
			fleet.HoldChangedHash: "release 1.1.0, installer x64: git pins 100 bytes, the vendor now states 101"}}, fleet.StateNew, "", ""},
		{"pre-release", nil, Seen{Version: "2.0.0-rc.1", Published: old}, fleet.StateHeld, fleet.HoldNotAllowed, "pre-release"},
		{"wanted pre-release", func(p *fleet.Package) { p.Upstream.Prerelease = true }, Seen{Version: "2.0.0-rc.1", Published: old}, fleet.StateNew, "", ""},
		{"outside allowed", func(p *fleet.Package) { p.Upstream.Allowed = "1.*" }, Seen{Version: "2.0.0", Published: old}, fleet.StateHeld, fleet.HoldNotAllowed, `"1.*"`},
		{"malformed allowed", func(p *fleet.Package) { p.Upstream.Allowed = "[" }, Seen{Version: "2.0.0", Published: old}, fleet.StateHeld, fleet.HoldNotAllowed, "malformed"},
		{"agreed", nil, Seen{Version: "1.2.0", Published: old, Others: []Said{{Feed: "b", Version: "1.2.0"}}}, fleet.StateNew, "", ""},
		{"disagree", nil, Seen{Version: "1.2.0", Published: old, Others: []Said{{Feed: "b", Version: "1.2.0"}, {Feed: "c", Version: "1.1.9"}}}, fleet.StateHeld, fleet.HoldDisagree, "c says 1.1.9, not 1.2.0"},
		{"other feed silent", nil, Seen{Version: "1.2.0", Published: old, Others: []Said{{Feed: "b", Failed: "404"}}}, fleet.StateHeld, fleet.HoldDisagree, "404"},
		{"other feed nonsense", nil, Seen{Version: "1.2.0", Published: old, Others: []Said{{Feed: "b", Version: "Latest"}}}, fleet.StateHeld, fleet.HoldDisagree, "Latest"},
		{"disagreement about nothing new", nil, Seen{Version: "1.1.0", Others: []Said{{Feed: "b", Version: "1.0.0"}}}, fleet.StateEqual, "", ""},
		{"changed digest", nil, Seen{Version: "1.1.0", Bytes: stated("1.1.0", Stated{Digest: fleet.DigestOf([]byte("b"))})}, fleet.StateHeld, fleet.HoldChangedHash, "release 1.1.0, installer x64"},
		{"changed digest of an old release", nil, Seen{Version: "1.2.0", Published: old, Bytes: stated("1.0.0", Stated{Digest: fleet.DigestOf([]byte("b"))})}, fleet.StateHeld, fleet.HoldChangedHash, "release 1.0.0"},
		{"changed size", nil, Seen{Version: "1.1.0", Bytes: stated("1.1.0", Stated{Size: 101})}, fleet.StateHeld, fleet.HoldChangedHash, "states 101"},
		{"same bytes", nil, Seen{Version: "1.1.0", Bytes: stated("1.1.0", Stated{Digest: pins.SHA256, Size: 100})}, fleet.StateEqual, "", ""},
		{"bytes of what is not released", nil, Seen{Version: "1.2.0", Published: old, Bytes: stated("1.2.0", Stated{Size: 7})}, fleet.StateNew, "", ""},
		{"go module", func(p *fleet.Package) {
			p.Releases, p.Upstream.From = nil, fleet.Feed{GoProxy: &fleet.GoProxy{Module: "m"}}
		}, Seen{Version: "1.2.0", Published: old}, fleet.StateWatch, "", "watched"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Judge(pkg(tt.edit), tt.seen, now)
			if d.State != tt.state || d.Hold != tt.hold || !strings.Contains(d.Why, tt.why) {
				t.Errorf("%s %s %q, want %s %s %q", d.State, d.Hold, d.Why, tt.state, tt.hold, tt.why)
			}
			if (d.Hold == "") != (d.State != fleet.StateHeld) || d.Package != "acme/tool" || !d.At.Equal(now) || d.Found != tt.seen.Version {
				t.Errorf("inconsistent: %+v", d)
			}
		})
	}
}

func TestClass(t *testing.T) {
	for _, tt := range []struct {
		edit    func(*fleet.Package)
		version string
		want    string
	}{
		{nil, "1.1.1", "patch"}, {nil, "1.2.0", "minor"}, {nil, "2.0.0", "major"}, {nil, "nonsense", "major"},
		{func(p *fleet.Package) { p.Releases = nil }, "2.0.0", "new"},
		{func(p *fleet.Package) { p.Upstream = nil }, "1.1.1", "major"},
		{func(p *fleet.Package) { p.Kind = "configuration" }, "3", "config"},
	} {
		if got := Class(pkg(tt.edit), tt.version); got != tt.want {
			t.Errorf("Class(%s) = %s, want %s", tt.version, got, tt.want)
		}
	}
}

func TestJudgePayload(t *testing.T) {
	a, b := fleet.DigestOf([]byte("a")), fleet.DigestOf([]byte("b"))
	files := map[string]fleet.Digest{"files/x": a}
	config := func(version string, counter int) fleet.Package {
		p := fleet.Package{ID: "acme/policy", Kind: "configuration"}
		if version != "" {
			p.Releases = map[string]fleet.Release{version: {Counter: counter, Files: files}}
		}
		return p
	}
	for _, tt := range []struct {
		name    string
		p       fleet.Package
		payload map[string]fleet.Digest
		state   string
		found   string
	}{
		{"first", config("", 0), files, fleet.StateNew, "1"},
		{"same", config("3", 3), files, fleet.StateEqual, "3"},
		{"edited", config("3", 3), map[string]fleet.Digest{"files/x": b}, fleet.StateNew, "4"},
		{"added", config("3", 3), map[string]fleet.Digest{"files/x": a, "files/y": b}, fleet.StateNew, "4"},
		{"removed", config("3", 3), map[string]fleet.Digest{}, fleet.StateNew, "4"},
		{"no number", config("2024-R2", 1), map[string]fleet.Digest{}, fleet.StateHeld, "2024-R2"},
	} {
		if d := JudgePayload(tt.p, tt.payload, now); d.State != tt.state || d.Found != tt.found {
			t.Errorf("%s: %s %s, want %s %s", tt.name, d.State, d.Found, tt.state, tt.found)
		}
	}
}

func TestPayload(t *testing.T) {
	p := fleet.Package{Settings: map[string]fleet.Setting{
		"b": {CatalogPolicy: "files/edge.json"},
		"a": {Scripts: &fleet.SettingScripts{Detect: "files/d.ps1", Remediate: "files/r.ps1", Revert: "files/d.ps1"}},
		"c": {Profile: "files/m.mobileconfig"},
	}}
	if got, want := strings.Join(Payload(p), " "), "files/d.ps1 files/edge.json files/m.mobileconfig files/r.ps1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
