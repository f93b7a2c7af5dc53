package factory_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/vendors"
)

// yearPackage is the package of a history.
func yearPackage(h vendors.History) []byte {
	exe := `platform: "windows", type: "exe", ` + registry
	page := "https://" + vendors.YearHost + "/" + h.Name + "/latest"
	file := exe + `, source: url: "https://` + vendors.YearHost + `/` + h.Name + `-{version}.exe"`
	id := "acme/" + h.Name
	switch h.Feed {
	case "github":
		file := vendorPackage(id, `from: githubReleases: {repository: "vendor/`+h.Name+`", tag: "v{version}"}, scheme: "semver", minimumReleaseAge: {default: "72h", security: "4h"}`, exe+`, source: asset: "`+h.Name+`-{version}.exe"`)
		own := `{vendor: "` + vendors.YearVendor + `", product: "` + h.Name + `"}`
		return []byte(strings.Replace(string(file), "\trollback:", "\tadvisories: cveProducts: ["+own+"]\n\trollback:", 1))
	case "npm":
		return vendorPackage(id, `from: npm: package: "@vendor/`+h.Name+`", scheme: "semver"`,
			`platform: "windows", type: "portable", `+registry+`, source: {purl: "pkg:npm/%40vendor/`+h.Name+`@{version}", member: "package/bin/tool.exe"}`)
	case "json":
		return vendorPackage(id, `from: httpJSON: {url: "`+page+`", path: "$.latest.version", published: "$.latest.date"}, scheme: "windows"`, file)
	case "xml":
		return vendorPackage(id, `from: httpXML: {url: "`+page+`", path: "//release/@version", published: "//release/date"}, scheme: "windows"`, file)
	default:
		return vendorPackage(id, `from: httpRegex: {url: "`+page+`", pattern: ">`+h.Name+` (?P<version>[^<]+)<"}, scheme: "windows"`, file)
	}
}

// TestYear looks at a year of vendors, twice a week and with proposals once,
// as they are: with outages, recalls, versions that come and go, words for versions, replaced files, and
// pages in place of installers. People merge each proposal the same day. No pull
// request may be of anything but a version that the vendor means, none of those
// that were there to be had may be missed, and each trouble must be a hold of its
// own class. Fixes of what is exploited come sooner, and nothing else does that
// only says so.
func TestYear(t *testing.T) {
	if testing.Short() {
		t.Skip("looks at 52 weeks")
	}
	data, histories := vendors.Year(47, detectTime, 10)
	edits := edited(`proposals: labels: security: ["urgent"]`)
	edits["catalog/advisories/sources.cue"] = advisorySources
	for _, h := range histories {
		edits["catalog/acme/"+h.Name+"/package.cue"] = yearPackage(h)
	}
	for name := range vendorFiles() {
		if strings.HasPrefix(name, "catalog/acme/") && !strings.HasSuffix(name, "publisher.cue") && !strings.Contains(name, "app-0000") {
			edits[name] = nil
		}
	}
	y := &year{t: t, mill: newMill(t, data, edits), histories: map[fleet.PackageID]vendors.History{}, holds: map[string]int{}}
	for _, h := range histories {
		y.histories[fleet.PackageID("acme/"+h.Name)] = h
	}
	for week := range 52 {
		for _, before := range looksBefore {
			y.clock.Set(detectTime.AddDate(0, 0, 7*week-before))
			y.look(before == 0)
		}
	}
	t.Logf("%d pull requests of %d packages, %d of them false, %d versions missed; %d were fixes before their time, %d impostors waited; holds: %v", y.pulls, len(histories), y.untrue, y.missed, y.sooner, y.waited, y.holds)
	if y.sooner == 0 || y.waited == 0 {
		t.Error("the year has no fix of what is exploited, or nothing that poses as one")
	}
	if y.pulls < 100 {
		t.Errorf("%d pull requests in a year: too few to show anything", y.pulls)
	}
	for _, class := range []string{fleet.HoldBackwards, fleet.HoldFlapping, fleet.HoldUnparsable, fleet.HoldChangedHash, fleet.HoldTooYoung, fleet.HoldUnreachable, fleet.HoldRateLimited, fleet.HoldNotInstaller, fleet.HoldTruncated} {
		if y.holds[class] == 0 {
			t.Errorf("the year has no hold %q", class)
		}
	}
}

// looksBefore are the looks of a week, in days before the one that proposes.
var looksBefore = []int{4, 0}

// A year is what TestYear counts.
type year struct {
	*mill
	t          *testing.T
	histories  map[fleet.PackageID]vendors.History
	detections []fleet.Detection
	known      factory.Look // of the state that nobody has changed since

	pulls, untrue, missed int
	sooner, waited        int // versions younger than 72 hours at a look: fixes that were proposed, impostors that were not
	holds                 map[string]int
}

// look looks at all vendors; on the week's day what is new is proposed, and
// merged.
func (y *year) look(proposing bool) {
	look := y.known
	if look.Repo == nil {
		look = y.run(y.t)
	}
	y.Upstream, y.known = upstream.New(y.config), factory.Look{}
	look.Seen = factory.Seen(y.detections)
	look.Packages = slices.Collect(maps.Keys(y.histories))
	if !proposing {
		findings, err := y.Detect(y.t.Context(), look)
		if err != nil {
			y.t.Fatal(err)
		}
		for _, f := range findings {
			y.detections = append(y.detections, f.Detection)
		}
		y.known = look
		return
	}
	look.Recheck = factory.RecheckFor // as the week does
	list, err := y.Propose(y.t.Context(), look)
	if err != nil {
		y.t.Fatal(err)
	}
	for _, p := range list {
		y.detections = append(y.detections, p.Detection)
		y.judge(look.Repo, p)
	}
	for _, p := range list {
		if p.Pull.Number == 0 {
			continue
		}
		if err := y.ann.Approve(y.t.Context(), p.Pull.Number, p.Pull.Head); err != nil {
			y.t.Fatal(err)
		}
		if _, err := y.ann.Merge(y.t.Context(), p.Pull.Number, p.Pull.Head); err != nil {
			y.t.Fatal(err)
		}
	}
}

// judge compares what came of a package with what its vendor really did.
func (y *year) judge(repo *fleet.Repository, p factory.Proposed) {
	h, now := y.histories[p.Package], y.clock.Now()
	current, _, _ := repo.Packages[p.Package].Latest()
	class := p.Hold
	if class != "" {
		y.holds[class]++
	}
	proposed := ""
	if p.Pull.Number != 0 {
		y.pulls++
		proposed = p.Detection.Found
	}
	true := slices.ContainsFunc(h.Versions, func(v vendors.TrueVersion) bool { return v.Version == proposed && !v.At.After(now) })
	if proposed != "" && !true {
		y.untrue++
		y.t.Errorf("%s %s: a pull request of %s, which the vendor never meant", now.Format(time.DateOnly), p.Package, proposed)
	}
	due := y.due(h, p, current)
	y.early(h, p, proposed)
	for _, trouble := range h.Troubles {
		if !trouble.In(now) || trouble.Version != "" && (trouble.Version == current || trouble.Version != due) {
			continue // nobody asks for that file: it is released, or not wanted
		}
		settled := trouble.Kind == vendors.Flap && now.After(trouble.At.AddDate(0, 0, 8)) // to the second
		if want := y.classes(trouble.Kind); !slices.Contains(want, class) && !settled {
			y.t.Errorf("%s %s: %s is told as %s %q (%s), want a hold of %v", now.Format(time.DateOnly), p.Package, trouble.Kind, p.State, class, p.Why, want)
		}
		return
	}
	if class == fleet.HoldRateLimited && y.refused(h.Feed) {
		return // a host that refuses one question is asked no other in that run
	}
	if due != proposed && due != current {
		y.missed++
		y.t.Errorf("%s %s has %s and %s is due: %s %q (%s)", now.Format(time.DateOnly), p.Package, current, due, p.State, class, p.Why)
	}
}

// wait is how long a version must be out.
func (y *year) wait(v vendors.TrueVersion) time.Duration {
	if v.Fixes != "" {
		return 4 * time.Hour
	}
	return 72 * time.Hour
}

// early looks at versions that are too young for anything but a fix of what is
// exploited: such a one is of class security and names what it fixes, and no
// other is proposed.
func (y *year) early(h vendors.History, p factory.Proposed, proposed string) {
	for _, v := range h.Versions {
		age := y.clock.Now().Sub(v.At)
		if age < 0 || age >= 72*time.Hour || v.Version != proposed && v.Version != p.Detection.Found {
			continue
		}
		switch {
		case proposed == v.Version && v.Fixes == "":
			y.untrue++
			y.t.Errorf("%s: %s was proposed %s after it was published (%s)", p.Package, v.Version, age, v.Poses)
		case proposed == v.Version:
			y.sooner++
			if r := p.Release; r.Change != "security" || !slices.Equal(r.Fixes, []string{v.Fixes}) || !slices.Contains(p.Pull.Labels, "urgent") {
				y.t.Errorf("%s: %s fixes %s and is proposed as %s, fixes %q, labels %q", p.Package, v.Version, v.Fixes, r.Change, r.Fixes, p.Pull.Labels)
			}
		case v.Poses != "" && p.Hold == fleet.HoldTooYoung:
			y.waited++
		}
	}
}

// refused reports whether the host of a kind of feed refuses somebody now.
func (y *year) refused(feed string) bool {
	host := func(feed string) string {
		if feed == "github" || feed == "npm" {
			return feed
		}
		return vendors.YearHost
	}
	for _, h := range y.histories {
		for _, trouble := range h.Troubles {
			if host(h.Feed) == host(feed) && trouble.Kind == vendors.RateLimited && trouble.In(y.clock.Now()) {
				return true
			}
		}
	}
	return false
}

// classes are the holds that a trouble may be told as.
func (y *year) classes(kind string) []string {
	switch kind {
	case vendors.RateLimited:
		return []string{fleet.HoldRateLimited}
	case vendors.Unavailable:
		return []string{fleet.HoldUnreachable}
	case vendors.Changed:
		return []string{fleet.HoldChangedHash}
	case vendors.HTML:
		return []string{fleet.HoldNotInstaller, fleet.HoldTruncated} // a page of another length than is stated breaks off
	case vendors.Truncated:
		return []string{fleet.HoldTruncated}
	case vendors.Recall:
		return []string{fleet.HoldBackwards}
	case vendors.Flap:
		return []string{fleet.HoldFlapping}
	case vendors.Garbage:
		return []string{fleet.HoldUnparsable}
	}
	return []string{fmt.Sprintf("no class for %q", kind)}
}

// due is the version that a look must bring: the newest that is there to be had
// and has been out for three days, or the current one.
func (y *year) due(h vendors.History, p factory.Proposed, current string) string {
	now, want := y.clock.Now(), current
	for _, v := range h.Versions {
		if v.At.After(now) {
			break
		}
		out := v.At
		if h.Feed == "text" { // says no time: counts from the first look
			out = nextLook(v.At)
		}
		if old := !now.Before(out.Add(y.wait(v))); old {
			want = v.Version
		} else if h.Feed != "github" {
			return current // the feed tells the newest alone, which is too young
		}
	}
	return want
}

// nextLook is the first look at or after an instant.
func nextLook(at time.Time) time.Time {
	for look := detectTime; ; look = look.AddDate(0, 0, 7) {
		for _, before := range looksBefore {
			if day := look.AddDate(0, 0, -before); !day.Before(at) {
				return day
			}
		}
	}
}
