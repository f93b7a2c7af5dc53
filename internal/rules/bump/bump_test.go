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

func hours(n int) fleet.Duration { return fleet.Duration(time.Duration(n) * time.Hour) }

// pkg has releases 1.0.0 and 1.1.0 and takes versions that are 72 hours old.
func pkg(edit func(*fleet.Package)) fleet.Package {
	p := fleet.Package{ID: "acme/tool", Kind: "application",
		Upstream: &fleet.Upstream{From: fleet.Feed{NPM: &fleet.NPM{Package: "tool"}}, Scheme: "semver", MinimumReleaseAge: fleet.ReleaseAge{Default: hours(72)}},
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
		{"no time, seen before", nil, Seen{Version: "1.2.0", History: []Sighting{{"1.2.0", now.Add(-time.Hour)}, {"1.2.0", old}}}, fleet.StateNew, "", ""},
		{"no time, another one seen before", nil, Seen{Version: "1.2.0", History: []Sighting{{"1.1.9", old}}}, fleet.StateHeld, fleet.HoldTooYoung, "first seen 2026-11-18T06:00:00Z"},
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
		{"disagree", nil, Seen{Version: "1.2.0", Published: old, Others: []Said{{Feed: "b", Version: "1.2.0"}, {Feed: "c", Version: "1.1.9"}}}, fleet.StateHeld, fleet.HoldDisagree, "2 of 3 sources say 1.2.0, 3 must: c says 1.1.9"},
		{"other feed silent", nil, Seen{Version: "1.2.0", Published: old, Others: []Said{{Feed: "b", Failed: "404"}}}, fleet.StateHeld, fleet.HoldDisagree, "404"},
		{"other feed nonsense", nil, Seen{Version: "1.2.0", Published: old, Others: []Said{{Feed: "b", Version: "Latest"}}}, fleet.StateHeld, fleet.HoldDisagree, "Latest"},
		{"disagreement about nothing new", nil, Seen{Version: "1.1.0", Others: []Said{{Feed: "b", Version: "1.0.0"}}}, fleet.StateEqual, "", ""},
		{"changed digest", nil, Seen{Version: "1.1.0", Bytes: stated("1.1.0", Stated{Digest: fleet.DigestOf([]byte("b"))})}, fleet.StateHeld, fleet.HoldChangedHash, "release 1.1.0, installer x64"},
		{"changed digest of an old release", nil, Seen{Version: "1.2.0", Published: old, Bytes: stated("1.0.0", Stated{Digest: fleet.DigestOf([]byte("b"))})}, fleet.StateNew, "", ""},
		{"changed size", nil, Seen{Version: "1.1.0", Bytes: stated("1.1.0", Stated{Size: 101})}, fleet.StateHeld, fleet.HoldChangedHash, "states 101"},
		{"same bytes", nil, Seen{Version: "1.1.0", Bytes: stated("1.1.0", Stated{Digest: pins.SHA256, Size: 100})}, fleet.StateEqual, "", ""},
		{"bytes of what is not released", nil, Seen{Version: "1.2.0", Published: old, Bytes: stated("1.2.0", Stated{Size: 70})}, fleet.StateNew, "", ""},
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

// TestJudgeEpoch begins the vendor's numbers anew: the package is in epoch 1,
// its newest release as each case says.
func TestJudgeEpoch(t *testing.T) {
	old := now.Add(-96 * time.Hour)
	for _, tt := range []struct {
		name        string
		epoch       int // of the package
		newest      int // of the newest release
		found       string
		state, hold string
		why         string
	}{
		{"lower number in a higher epoch", 1, 0, "0.1.0", fleet.StateNew, "", ""},
		{"higher number in a higher epoch", 1, 0, "9.0.0", fleet.StateNew, "", ""},
		{"not begun anew yet", 1, 0, "1.1.0", fleet.StateEqual, "", ""},
		{"a version of the epoch before again", 1, 0, "1.0.0", fleet.StateHeld, fleet.HoldBackwards, "1.0.0 is a release of epoch 0"},
		{"lower number in the same epoch", 1, 1, "0.1.0", fleet.StateHeld, fleet.HoldBackwards, "older than the release 1.1.0"},
		{"higher number in the same epoch", 1, 1, "1.2.0", fleet.StateNew, "", ""},
		{"the package fell back", 0, 1, "1.2.0", fleet.StateHeld, fleet.HoldBackwards, "epoch 1, upstream.epoch is 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pkg(func(p *fleet.Package) {
				p.Upstream.Epoch = tt.epoch
				r := p.Releases["1.1.0"]
				r.Epoch = tt.newest
				p.Releases["1.1.0"] = r
			})
			d := Judge(p, Seen{Version: tt.found, Published: old}, now)
			if d.State != tt.state || d.Hold != tt.hold || !strings.Contains(d.Why, tt.why) {
				t.Errorf("%s %s %q, want %s %s %q", d.State, d.Hold, d.Why, tt.state, tt.hold, tt.why)
			}
		})
	}
	// The scheme may be another one since: old releases are not read any more.
	p := pkg(func(p *fleet.Package) {
		p.Upstream.Epoch, p.Releases = 1, map[string]fleet.Release{"2024-R2": {Counter: 1}}
	})
	if d := Judge(p, Seen{Version: "1.0.0", Published: old}, now); d.State != fleet.StateNew || Class(p, "1.0.0") != "major" {
		t.Errorf("%s %s %q, class %s", d.State, d.Hold, d.Why, Class(p, "1.0.0"))
	}
	// A release of a lower epoch may stand above the newest one by number.
	p = pkg(func(p *fleet.Package) {
		p.Upstream.Epoch = 1
		p.Releases = map[string]fleet.Release{"9.0.0": {Counter: 1}, "1.0.0": {Counter: 2, Epoch: 1}}
	})
	if d := Judge(p, Seen{Version: "9.0.0", Published: old}, now); d.Hold != fleet.HoldBackwards || !strings.Contains(d.Why, "epoch 0") {
		t.Errorf("a released version again: %s %s %q", d.State, d.Hold, d.Why)
	}
}

func TestJudgeIgnored(t *testing.T) {
	p := pkg(func(p *fleet.Package) { p.Upstream.Ignore = []string{"1.2.*"} })
	old := now.Add(-96 * time.Hour)
	if d := Judge(p, Seen{Version: "1.2.7", Published: old}, now); d.Hold != fleet.HoldNotAllowed || !strings.Contains(d.Why, `"1.2.*"`) {
		t.Errorf("an ignored version: %s %s %q", d.State, d.Hold, d.Why)
	}
	if d := Judge(p, Seen{Version: "1.3.0", Published: old}, now); d.State != fleet.StateNew {
		t.Errorf("another version: %s %s %q", d.State, d.Hold, d.Why)
	}
}

func TestJudgeAgreement(t *testing.T) {
	old := now.Add(-96 * time.Hour)
	others := []Said{{Feed: "b", Version: "1.2.0+rebuilt"}, {Feed: "c", Version: "1.1.9"}, {Feed: "d", Failed: "404"}, {Feed: "e", Version: "Latest"}}
	for _, tt := range []struct {
		quorum      int
		others      []Said
		state       string
		agree, need int
	}{
		{0, others[:1], fleet.StateNew, 2, 2}, {0, others[:2], fleet.StateHeld, 2, 3}, {2, others[:2], fleet.StateNew, 2, 2},
		{2, others, fleet.StateNew, 2, 2}, {3, others, fleet.StateHeld, 2, 3}, {2, others[1:], fleet.StateHeld, 1, 2}, {1, others[1:], fleet.StateNew, 1, 1},
	} {
		d := Judge(pkg(func(p *fleet.Package) { p.Upstream.Quorum = tt.quorum }), Seen{Version: "1.2.0", Published: old, Source: "a", Others: tt.others}, now)
		if d.State != tt.state || (d.Hold == fleet.HoldDisagree) != (tt.state == fleet.StateHeld) {
			t.Errorf("quorum %d of %d: %s %s %q", tt.quorum, len(tt.others)+1, d.State, d.Hold, d.Why)
		}
		a := d.Agreement
		if a == nil || a.Agree != tt.agree || a.Need != tt.need || a.Of != len(tt.others)+1 || len(a.Sources) != a.Of || a.Sources[0] != (fleet.Said{Source: "a", Version: "1.2.0", Agrees: true}) {
			t.Fatalf("quorum %d of %d: %+v", tt.quorum, len(tt.others)+1, a)
		}
		agree := 0
		for _, s := range a.Sources {
			if s.Agrees {
				agree++
			}
			if s.Version == "Latest" && (s.Agrees || s.Failed == "") {
				t.Errorf("a word agrees: %+v", s)
			}
		}
		if agree != a.Agree {
			t.Errorf("%d sources agree, %d are counted", agree, a.Agree)
		}
	}
	if d := Judge(pkg(nil), Seen{Version: "1.2.0", Published: old}, now); d.Agreement != nil {
		t.Errorf("one source alone: %+v", d.Agreement)
	}
}

func TestJudgeFlapping(t *testing.T) {
	day := func(n int) time.Time { return now.AddDate(0, 0, -n) }
	ignoring := func(p *fleet.Package) { p.Upstream.Ignore = []string{"1.3.0"} }
	for _, tt := range []struct {
		name    string
		edit    func(*fleet.Package)
		found   string
		history []Sighting
		hold    string
		why     string
	}{
		{"never seen", nil, "1.2.0", nil, "", ""},
		{"seen all the time", nil, "1.2.0", []Sighting{{"1.2.0", day(9)}, {"1.2.0", day(2)}}, "", ""},
		{"the next one, seen before", nil, "1.3.0", []Sighting{{"1.2.0", day(9)}, {"1.3.0", day(2)}}, "", ""},
		{"back to what is released", nil, "1.1.0", []Sighting{{"1.1.0", day(9)}, {"1.2.0", day(2)}}, fleet.HoldFlapping, "1.1.0 again"},
		{"back from what is older than released", nil, "1.1.0", []Sighting{{"1.1.0", day(9)}, {"1.0.0", day(2)}}, "", ""},
		{"the next one", nil, "1.3.0", []Sighting{{"1.1.0", day(30)}, {"1.2.0", day(9)}}, "", ""},
		{"back to an earlier one", nil, "1.2.0", []Sighting{{"1.2.0", day(9)}, {"1.3.0", day(2)}}, fleet.HoldFlapping, "1.2.0 again, first seen 2026-11-09T06:00:00Z, after 1.3.0 was seen 2026-11-16T06:00:00Z"},
		{"in any order", nil, "1.2.0", []Sighting{{"1.3.0", day(2)}, {"1.2.0", day(9)}, {"1.3.0", day(5)}}, fleet.HoldFlapping, "after 1.3.0 was seen 2026-11-16"},
		{"forth again", nil, "1.3.0", []Sighting{{"1.3.0", day(9)}, {"1.2.0", day(2)}}, fleet.HoldFlapping, ""},
		{"spelt otherwise", nil, "1.2.0+2", []Sighting{{"1.2.0+1", day(9)}, {"1.3.0", day(2)}}, fleet.HoldFlapping, ""},
		{"not settled", nil, "1.2.0", []Sighting{{"1.2.0", day(20)}, {"1.3.0", day(13)}, {"1.2.0", day(6)}}, fleet.HoldFlapping, "until 2026-11-19T06:00:00Z"},
		{"settled", nil, "1.2.0", []Sighting{{"1.2.0", day(20)}, {"1.3.0", day(14)}, {"1.2.0", day(6)}}, "", ""},
		{"words came between", nil, "1.2.0", []Sighting{{"1.2.0", day(9)}, {"Latest", day(2)}}, "", ""},
		{"the other one is ignored now", ignoring, "1.2.0", []Sighting{{"1.2.0", day(9)}, {"1.3.0", day(2)}}, "", ""},
		{"a pre-release came between", nil, "1.2.0", []Sighting{{"1.2.0", day(9)}, {"1.3.0-rc.1", day(2)}}, "", ""},
		{"a look to come", nil, "1.2.0", []Sighting{{"1.2.0", day(9)}, {"1.3.0", day(-2)}}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Judge(pkg(tt.edit), Seen{Version: tt.found, Published: day(10), History: tt.history}, now)
			if d.Hold != tt.hold || !strings.Contains(d.Why, tt.why) || (d.State == fleet.StateHeld) != (tt.hold != "") {
				t.Errorf("%s %s %q, want %s %q", d.State, d.Hold, d.Why, tt.hold, tt.why)
			}
		})
	}
}

// TestJudgeSize has a newest release of 100 bytes.
func TestJudgeSize(t *testing.T) {
	for _, tt := range []struct {
		factor int
		size   int64
		epoch  int
		held   bool
	}{
		{0, 0, 0, false}, {0, 100, 0, false}, {0, 400, 0, false}, {0, 401, 0, true}, {0, 25, 0, false}, {0, 24, 0, true}, {0, 1 << 62, 0, true}, {0, 1, 0, true},
		{10, 1000, 0, false}, {10, 1001, 0, true}, {10, 10, 0, false}, {10, 9, 0, true}, {0, 1 << 40, 1, false},
	} {
		p := pkg(func(p *fleet.Package) { p.Upstream.SizeFactor, p.Upstream.Epoch = tt.factor, tt.epoch })
		stated := map[string]map[string]Stated{"1.2.0": {"x64": {Size: tt.size}, "arm64": {Size: 1}}}
		d := Judge(p, Seen{Version: "1.2.0", Published: now.Add(-96 * time.Hour), Bytes: stated}, now)
		if (d.Hold == fleet.HoldSize) != tt.held || (d.State == fleet.StateNew) == tt.held {
			t.Errorf("%d bytes, factor %d, epoch %d: %s %s %q", tt.size, tt.factor, tt.epoch, d.State, d.Hold, d.Why)
		}
		if tt.held && !strings.Contains(d.Why, "installer x64") {
			t.Errorf("%q", d.Why)
		}
	}
	if why := OutOfProportion(pkg(func(p *fleet.Package) { p.Releases = nil }), map[string]int64{"x64": 1}); why != "" {
		t.Errorf("a first release is out of proportion: %s", why)
	}
}

// TestReleaseAge waits longer for what changes more, and less for fixes.
func TestReleaseAge(t *testing.T) {
	wait := func(n int) *fleet.Duration { d := hours(n); return &d }
	ages := fleet.ReleaseAge{Default: hours(72), Major: wait(336), Patch: wait(24), New: wait(1), Security: wait(6)}
	for _, tt := range []struct {
		ages     fleet.ReleaseAge
		found    string
		security bool
		want     int // hours
	}{
		{ages, "2.0.0", false, 336}, {ages, "1.2.0", false, 72}, {ages, "1.1.1", false, 24},
		{ages, "2.0.0", true, 6}, {ages, "1.1.1", true, 6},
		{fleet.ReleaseAge{Default: hours(72), Minor: wait(5)}, "1.2.0", false, 5}, {fleet.ReleaseAge{Default: hours(72)}, "1.2.0", true, 72},
		{fleet.ReleaseAge{Default: hours(2), Security: wait(6)}, "1.2.0", true, 2},
	} {
		p := pkg(func(p *fleet.Package) { p.Upstream.MinimumReleaseAge = tt.ages })
		at := now.Add(-time.Duration(tt.want) * time.Hour)
		var fixes []string
		if tt.security {
			fixes = []string{"CVE-2026-10001"}
		}
		if d := Judge(p, Seen{Version: tt.found, Published: at, Fixes: fixes}, now); d.State != fleet.StateNew {
			t.Errorf("%s, security %v, after %d h: %s %s", tt.found, tt.security, tt.want, d.Hold, d.Why)
		}
		if d := Judge(p, Seen{Version: tt.found, Published: at.Add(time.Second), Fixes: fixes}, now); d.Hold != fleet.HoldTooYoung {
			t.Errorf("%s, security %v, a second before %d h: %s %s", tt.found, tt.security, tt.want, d.State, d.Hold)
		}
	}
	fresh := pkg(func(p *fleet.Package) { p.Releases, p.Upstream.MinimumReleaseAge = nil, ages })
	if d := Judge(fresh, Seen{Version: "1.2.0", Published: now.Add(-time.Hour)}, now); d.State != fleet.StateNew {
		t.Errorf("the first release: %s %s", d.Hold, d.Why)
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
		{func(p *fleet.Package) { p.Upstream.Epoch = 1 }, "1.1.1", "major"},
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
