package vendors

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A History is what one vendor does over a year: the versions that it publishes
// in truth, and the trouble that its feed and its files are in meanwhile.
type History struct {
	Name     string // of its program: "tool03"
	Feed     string // github, npm, json, text, xml
	Versions []TrueVersion
	Troubles []Trouble
}

// A TrueVersion is one that the vendor means, from an instant on. Of Fixes and
// Poses one at most is set.
type TrueVersion struct {
	Version string
	At      time.Time
	Fixes   string // a vulnerability that its notes name and CISA lists of the vendor's program
	Poses   string // one that its notes name and CISA lists of another product
}

// A Trouble is a time in which a feed lies or cannot be read, and what kind of
// trouble it is.
type Trouble struct {
	Shown
	Kind    string
	Version string // whose file it is, "" when the feed is in trouble
}

// The kinds of trouble beside the faults of a server.
const (
	Recall  = "recall"  // the feed tells a version before the one that everybody has
	Flap    = "flap"    // the feed tells a new version, the one before again, and then the new one
	Garbage = "garbage" // the feed tells a word, or zeros
)

// YearFeeds are the kinds of feeds that histories have, in turn.
func YearFeeds() []string { return []string{"github", "npm", "json", "text", "xml"} }

// YearHost is where the pages and files of histories are.
const YearHost = "downloads.example"

// Year makes a year of a number of vendors, looked at every seven days from the
// first instant on and four days before that: versions in irregular intervals, and
// in about one look of seven some trouble, whose time covers the looks that it
// spoils exactly. Some versions come so shortly before a look that only a fix of
// what is exploited may be proposed then: in the notes of the first vendor on
// GitHub each of them names a vulnerability that CISA lists of the vendor's own
// program, in those of the others one of another product. Equal seeds give equal
// years.
func Year(seed uint64, look time.Time, vendors int) (Data, []History) {
	var data Data
	var out []History
	for i := range vendors {
		y := &yearOf{
			rand: rand.New(rand.NewPCG(seed, uint64(i))), data: &data, look: look,
			History: History{Name: fmt.Sprintf("tool%02d", i), Feed: YearFeeds()[i%len(YearFeeds())]},
		}
		y.invent()
		y.advise(i)
		y.publish()
		y.trouble()
		out = append(out, y.History)
	}
	return data, out
}

// weeks is how long a year is.
const weeks = 52

// A yearOf is one vendor's year in the making.
type yearOf struct {
	History
	rand *rand.Rand
	data *Data
	look time.Time // the first
	n    int       // words and zeros told so far
}

// invent makes the true versions: one long before the first look, then one every
// few days or weeks.
func (y *yearOf) invent() {
	major, minor, patch := 1, 0, 0
	at := y.look.AddDate(0, 0, -60)
	pace := 8 + y.rand.IntN(30) // days
	for at.Before(y.look.AddDate(0, 0, 7*weeks)) {
		y.Versions = append(y.Versions, TrueVersion{Version: fmt.Sprintf("%d.%d.%d", major, minor, patch), At: at})
		switch y.rand.IntN(8) {
		case 0:
			major, minor, patch = major+1, 0, 0
		case 1, 2, 3:
			minor, patch = minor+1, 0
		default:
			patch++
		}
		at = at.Add(time.Duration(24+y.rand.IntN(2*24*pace)) * time.Hour)
	}
}

// YearVendor is who CISA says makes the programs of histories.
const YearVendor = "Vendor"

// advise has versions that are young at a look name a vulnerability that is known
// to be exploited: nth is the vendor's place among all.
func (y *yearOf) advise(nth int) {
	if y.Feed != "github" {
		return // no other feed of a year has notes
	}
	for i := range y.Versions {
		v := &y.Versions[i]
		next := y.look
		for next.Before(v.At) {
			next = next.AddDate(0, 0, 7)
		}
		if age := next.Sub(v.At); v.At.Before(y.look) || age < 6*time.Hour || age >= 72*time.Hour {
			continue
		}
		id := fmt.Sprintf("CVE-2026-%d%03d", 10+nth, i)
		e := Exploited{Shown: Shown{At: v.At}, CVE: id, Vendor: YearVendor, Product: y.Name}
		if v.Fixes = id; nth > 0 {
			v.Fixes, v.Poses, e.Vendor, e.Product = "", id, "Microsoft", "Windows"
		}
		y.data.Exploited = append(y.data.Exploited, e)
		y.data.Scores = append(y.data.Scores, Score{Shown: Shown{At: v.At}, CVE: id, Probability: 0.5})
	}
}

// publish has the feed and the files tell the true versions.
func (y *yearOf) publish() {
	var repo Repository
	var npm NPMPackage
	for _, v := range y.Versions {
		shown, program := Shown{At: v.At}, y.program(v.Version, 4000)
		switch y.Feed {
		case "github":
			repo.Releases = append(repo.Releases, Release{Shown: shown, Tag: "v" + v.Version, Notes: v.notes(), Assets: map[string]Content{y.file(v.Version): program}})
		case "npm":
			npm.Versions = append(npm.Versions, NPMVersion{Shown: shown, Version: v.Version, Files: map[string]Content{"bin/tool.exe": program}})
		default:
			y.page("/"+y.file(v.Version), shown, program)
			y.page(y.feedPath(), shown, y.tells(v.Version, v.At))
		}
	}
	if y.Feed == "github" {
		repo.Name = "vendor/" + y.Name
		y.data.GitHub = append(y.data.GitHub, repo)
	}
	if y.Feed == "npm" {
		npm.Name = "@vendor/" + y.Name
		y.data.NPM = append(y.data.NPM, npm)
	}
}

func (v TrueVersion) notes() string {
	if v.Fixes+v.Poses == "" {
		return "Faster."
	}
	return "Faster, and " + v.Fixes + v.Poses + " is fixed."
}

func (y *yearOf) program(version string, size int) Content {
	return Installer(y.Name, "Vendor", version, size)
}

func (y *yearOf) file(version string) string { return y.Name + "-" + version + ".exe" }

func (y *yearOf) page(path string, shown Shown, c Content) {
	y.data.Pages = append(y.data.Pages, Page{Shown: shown, Host: YearHost, Path: path, Content: c})
}

func (y *yearOf) feedPath() string { return "/" + y.Name + "/latest" }

// tells is the feed's document with a version in it.
func (y *yearOf) tells(version string, at time.Time) Content {
	stamp := at.UTC().Format(time.RFC3339)
	switch y.Feed {
	case "json":
		return Text(fmt.Sprintf(`{"latest": {"version": %q, "date": %q}}`, version, stamp))
	case "xml":
		return Text(fmt.Sprintf("<feed><release version=%q><date>%s</date></release></feed>\n", version, stamp))
	default:
		return Text(fmt.Sprintf("<html><body>Download <a href=\"%s\">%s %s</a></body></html>\n", y.file(version), y.Name, version))
	}
}

// trouble spoils some looks.
func (y *yearOf) trouble() {
	kinds := []string{RateLimited, Unavailable, Changed}
	if y.listed() {
		kinds = append(kinds, HTML, Truncated)
	} else {
		kinds = append(kinds, Recall, Recall, Garbage, HTML, Truncated)
	}
	for week := 2; week < weeks; week++ {
		at := y.look.AddDate(0, 0, 7*week)
		if !y.listed() && y.fresh(at) && y.rand.IntN(2) == 0 {
			y.flap(at)
			week += 2 // until it counts as settled
			continue
		}
		if y.rand.IntN(7) > 0 {
			continue
		}
		y.spoil(kinds[y.rand.IntN(len(kinds))], at, Shown{At: at.Add(-time.Hour), Until: at.Add(time.Hour)})
		week++ // a healthy look follows
	}
}

// listed reports whether the feed lists all versions, so that it cannot go back
// or tell words.
func (y *yearOf) listed() bool { return y.Feed == "github" || y.Feed == "npm" }

// current is the place of the newest true version at an instant.
func (y *yearOf) current(at time.Time) int {
	n := 0
	for i, v := range y.Versions {
		if !v.At.After(at) {
			n = i
		}
	}
	return n
}

// fresh reports whether the newest version came after the last look but could be
// seen four days before this one, and is the last one for a while.
func (y *yearOf) fresh(at time.Time) bool {
	i := y.current(at)
	age := at.Sub(y.Versions[i].At)
	return i > 0 && age > 4*24*time.Hour && age < 7*24*time.Hour && (i+1 == len(y.Versions) || y.Versions[i+1].At.Sub(at) > 15*24*time.Hour)
}

// flap has the feed tell the version before at a look. The new one is told again
// afterwards, and is not to be trusted at the next look either; after two weeks it
// may be.
func (y *yearOf) flap(at time.Time) {
	before := y.Versions[y.current(at)-1]
	y.page(y.feedPath(), Shown{At: at.Add(-time.Hour), Until: at.Add(time.Hour)}, y.tells(before.Version, before.At))
	y.Troubles = append(y.Troubles, Trouble{Shown: Shown{At: at.Add(-time.Hour), Until: at.AddDate(0, 0, 14).Add(time.Hour)}, Kind: Flap})
}

// spoil makes the trouble of one kind at a look.
func (y *yearOf) spoil(kind string, at time.Time, shown Shown) {
	i := y.current(at)
	v := y.Versions[i]
	age := at.Sub(v.At)
	switch {
	case (kind == Changed || kind == Recall) && age <= 10*24*time.Hour:
		return // it is of a version that everybody has
	case kind == Changed && y.Feed != "github" && (age >= 14*24*time.Hour || y.Feed == "text"):
		return // nobody downloads old files again, or those of unknown age
	}
	fault := func(path string) { y.data.Faults = append(y.data.Faults, Fault{Shown: shown, Path: path, Kind: kind}) }
	switch kind {
	case RateLimited, Unavailable:
		fault(y.feedAddress())
	case Changed, HTML, Truncated:
		fault(y.fileAddress(v.Version, kind))
	case Recall:
		if i < 2 {
			return
		}
		y.page(y.feedPath(), shown, y.tells(y.Versions[i-2].Version, y.Versions[i-2].At))
	case Garbage:
		words := []string{"RateLimited", "Unknown", "Latest", "null", "0.0.0.0", "0.0.0", "undefined"}
		y.page(y.feedPath(), shown, y.tells(words[y.n%len(words)], at))
		y.n++
	}
	t := Trouble{Shown: shown, Kind: kind}
	if kind == HTML || kind == Truncated {
		t.Version = v.Version
	}
	y.Troubles = append(y.Troubles, t)
}

// feedAddress is where the feed is on this server.
func (y *yearOf) feedAddress() string {
	switch y.Feed {
	case "github":
		return "/api.github.com/repos/vendor/" + y.Name + "/"
	case "npm":
		return "/npm/@vendor/" + y.Name
	default:
		return "/" + YearHost + y.feedPath()
	}
}

// fileAddress is where a fault of a version's file takes hold: GitHub states
// digests on one host and has the bytes on another, npm changes all files of a
// package.
func (y *yearOf) fileAddress(version, kind string) string {
	asset := "/vendor/" + y.Name + "/releases/download/v" + version + "/"
	switch {
	case y.Feed == "github" && kind == Changed:
		return "/github.com" + asset
	case y.Feed == "github":
		return "/objects.githubusercontent.com" + asset
	case y.Feed == "npm" && kind == Changed:
		return "/npm/@vendor/" + y.Name
	case y.Feed == "npm":
		return "/npm/@vendor/" + y.Name + npmFile(y.Name, version)
	default:
		return "/" + YearHost + "/" + y.file(version)
	}
}
