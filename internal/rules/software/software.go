// Package software compares the programs that tenants' devices have with the
// catalog: which of them the catalog has a package for, and which are in use on
// many devices without one, which is what a factory should package next.
//
// A console tells programs by the names that Windows and macOS list them under,
// and by no identifier. So a program is the catalog's if one of these holds, tried
// in this order:
//
//  1. its name is the product code of an MSI that a release names;
//  2. its name, bare of version, architecture and language, is the name of the
//     package, of a program that a release's files name, or of the package in the
//     winget, Homebrew or Chocolatey lists;
//  3. its bare name begins with such a name, word by word, what follows it is a
//     version, an edition or a channel, and its publisher is the package's.
//
// A name is compared in lower case without marks. Several versions of one bare
// name and publisher are one program, counted together. Packages of the Windows
// store that come with Windows are recognised by the form of their names
// ("Microsoft.WindowsCalculator") and counted apart: nobody packages them.
package software

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/packmill/packmill/internal/fleet"
)

// A Program is what devices have of one program, over all tenants.
type Program struct {
	Name      string           `json:"name"` // as most devices list it
	Publisher string           `json:"publisher"`
	Platform  string           `json:"platform"`
	Versions  int              `json:"versions"`          // different ones
	Tenants   int              `json:"tenants"`           // that have it
	Devices   int              `json:"devices"`           // with any version; a device with two counts twice
	Package   fleet.PackageID  `json:"package,omitempty"` // the catalog's, "" for none
	Why       string           `json:"why,omitempty"`     // by which rule it is the package's
	In        []fleet.TenantID `json:"in"`
}

// A Comparison is programs in use held against the catalog.
type Comparison struct {
	Uncatalogued []Program `json:"uncatalogued"` // by tenants, then devices, most first
	Catalogued   []Program `json:"catalogued"`
	Store        int       `json:"store"` // packages of the Windows store, left out
	Rest         int       `json:"rest"`  // programs that snapshots only sum, left out
	RestDevices  int       `json:"restDevices"`
}

// Latest is each tenant's newest snapshot. A row that two runs of one instant
// told counts once.
func Latest(rows []fleet.AppRow) map[fleet.TenantID][]fleet.AppRow {
	newest := map[fleet.TenantID]time.Time{}
	for i := range rows {
		if r := &rows[i]; r.At.After(newest[r.Tenant]) {
			newest[r.Tenant] = r.At
		}
	}
	out, seen := map[fleet.TenantID][]fleet.AppRow{}, map[fleet.AppRow]bool{}
	for i := range rows {
		r := rows[i]
		if !r.At.Equal(newest[r.Tenant]) {
			continue
		}
		r.At = newest[r.Tenant] // of one form, or equal rows would differ
		if !seen[r] {
			seen[r] = true
			out[r.Tenant] = append(out[r.Tenant], r)
		}
	}
	return out
}

// Compare holds snapshots against the catalog.
func Compare(repo *fleet.Repository, snapshots map[fleet.TenantID][]fleet.AppRow) Comparison {
	known := catalogOf(repo)
	var out Comparison
	type key struct{ name, publisher, platform string }
	type sum struct {
		Program
		names    map[string]int
		versions map[string]bool
		tenants  map[fleet.TenantID]bool
	}
	sums := map[key]*sum{}
	for _, tenant := range slices.Sorted(maps.Keys(snapshots)) {
		for _, r := range snapshots[tenant] {
			switch {
			case r.Name == "":
				out.Rest, out.RestDevices = out.Rest+r.Rest, out.RestDevices+r.Devices
				continue
			case storeName(r.Name):
				out.Store++
				continue
			}
			k := key{Bare(r.Name, r.Version), plainWords(r.Publisher), r.Platform}
			s := sums[k]
			if s == nil {
				s = &sum{Program: Program{Publisher: r.Publisher, Platform: r.Platform}, names: map[string]int{}, versions: map[string]bool{}, tenants: map[fleet.TenantID]bool{}}
				sums[k] = s
				s.Package, s.Why = known.find(r.Name, k.name, r.Publisher)
			}
			s.names[r.Name] += r.Devices
			s.versions[r.Version], s.tenants[tenant] = true, true
			s.Devices += r.Devices
		}
	}
	for _, s := range sums {
		s.Name = slices.MaxFunc(slices.Sorted(maps.Keys(s.names)), func(a, b string) int { return cmp.Compare(s.names[a], s.names[b]) })
		s.Versions, s.Tenants, s.In = len(s.versions), len(s.tenants), slices.Sorted(maps.Keys(s.tenants))
		if s.Package == "" {
			out.Uncatalogued = append(out.Uncatalogued, s.Program)
		} else {
			out.Catalogued = append(out.Catalogued, s.Program)
		}
	}
	slices.SortFunc(out.Uncatalogued, byUse)
	slices.SortFunc(out.Catalogued, byUse)
	return out
}

func byUse(a, b Program) int {
	return cmp.Or(cmp.Compare(b.Tenants, a.Tenants), cmp.Compare(b.Devices, a.Devices), strings.Compare(a.Name, b.Name), strings.Compare(a.Publisher, b.Publisher), strings.Compare(a.Platform, b.Platform))
}

// A catalog is what the catalog's packages are known by.
type catalog struct {
	codes      map[string]fleet.PackageID // product code, lower case
	names      map[string]fleet.PackageID // bare name
	publishers map[fleet.PackageID]string // plain words
}

func catalogOf(repo *fleet.Repository) catalog {
	c := catalog{map[string]fleet.PackageID{}, map[string]fleet.PackageID{}, map[fleet.PackageID]string{}}
	for _, id := range slices.Sorted(maps.Keys(repo.Packages)) {
		pkg := repo.Packages[id]
		c.publishers[id] = plainWords(repo.Publishers[id.Publisher()].Name)
		names := []string{pkg.Name}
		if x := pkg.Identity; x != nil {
			_, winget, _ := strings.Cut(x.Winget, ".")
			names = append(names, strings.ReplaceAll(winget, ".", " "), strings.ReplaceAll(x.Cask, "-", " "), strings.ReplaceAll(x.Chocolatey, "-", " "))
		}
		for version, release := range pkg.Releases {
			for _, d := range release.Installers {
				if d.MSI != nil && d.MSI.ProductCode != "" {
					c.codes[strings.ToLower(d.MSI.ProductCode)] = id
				}
				if d.PE != nil {
					names = append(names, Bare(d.PE.ProductName, version))
				}
			}
		}
		for _, n := range names {
			if bare := Bare(n, ""); len(bare) > 1 && c.names[bare] == "" {
				c.names[bare] = id
			}
		}
	}
	return c
}

// find is the package a program belongs to, and why.
func (c catalog) find(name, bare, publisher string) (fleet.PackageID, string) {
	if id := c.codes[strings.ToLower(strings.TrimSpace(name))]; id != "" {
		return id, "its name is a release's product code"
	}
	if id := c.names[bare]; id != "" {
		return id, "by its name"
	}
	words := strings.Fields(bare)
	for n := len(words) - 1; n > 0; n-- {
		id := c.names[strings.Join(words[:n], " ")]
		if id != "" && editions(words[n:]) && samePublisher(plainWords(publisher), c.publishers[id]) {
			return id, "by the beginning of its name and its publisher"
		}
	}
	return "", ""
}

// samePublisher compares names without what a company's form adds.
func samePublisher(a, b string) bool {
	a, b = bareCompany(a), bareCompany(b)
	return a != "" && a == b
}

var company = regexp.MustCompile(`\b(inc|incorporated|corp|corporation|co|company|ltd|limited|llc|gmbh|ag|bv|b v|oy|ab|as|sa|sas|srl|foundation|the|software|technologies|systems)\b`)

func bareCompany(s string) string {
	return strings.Join(strings.Fields(company.ReplaceAllString(s, " ")), " ")
}

// editions reports whether words only tell an edition, a channel or a version.
func editions(words []string) bool {
	for _, w := range words {
		if strings.Trim(w, "0123456789v") != "" && !slices.Contains([]string{
			"esr", "lts", "stable", "enterprise", "professional", "pro", "community", "edition", "client", "desktop", "machine", "user", "update", "release", "setup", "installer", "app", "for", "windows", "mac",
		}, w) {
			return false
		}
	}
	return true
}

var (
	inBrackets = regexp.MustCompile(`\([^()]*\)|\[[^\[\]]*\]`)
	tag        = regexp.MustCompile(`\b(x64|x86|x86_64|amd64|arm64|aarch64|win32|win64|64-bit|32-bit|64 bit|32 bit|64bit|32bit|[a-z]{2}-[a-z]{2})\b`)
	number     = regexp.MustCompile(`\b(version |v)?[0-9]+(\.[0-9]+)+[a-z0-9.+-]*`)
	store      = regexp.MustCompile(`^(Microsoft|MicrosoftWindows|MicrosoftCorporationII|Windows|Clipchamp)\.[A-Za-z0-9]+([.-][A-Za-z0-9]+)*$`)
)

func storeName(name string) bool { return store.MatchString(name) }

// Bare is a program's name as it is compared: lower case, without version,
// architecture, language, marks and what stands in brackets.
func Bare(name, version string) string {
	s := strings.ToLower(name)
	if version != "" {
		s = strings.ReplaceAll(s, strings.ToLower(version), " ")
	}
	s = inBrackets.ReplaceAllString(s, " ")
	s = tag.ReplaceAllString(s, " ")
	s = number.ReplaceAllString(s, " ")
	if bare := plainWords(s); bare != "" {
		return bare
	}
	return plainWords(name)
}

// plainWords are the letters and digits of a text, in words; what joins letters
// in one name ("7-zip", "notepad++") stays out of the way in both.
func plainWords(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		case r == '+':
			b.WriteString("plus")
		case r == '®' || r == '™' || r == '©' || r == '\'':
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
