package adopt

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"

	"github.com/packmill/packmill/internal/fleet"
)

var (
	publisherPart = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	packagePart   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
)

// id is the package's id: what was asked for, or one made of the manifest's.
func (w *work) id(picked []fleet.Offer) (fleet.PackageID, error) {
	publisher, name := w.options.Publisher, ""
	if w.options.ID != "" {
		var found bool
		if publisher, name, found = strings.Cut(string(w.options.ID), "/"); !found {
			return "", fleet.Errorf(fleet.Invalid, "adopt", string(w.options.ID), "is no id such as \"igor-pavlov/7-zip\"")
		}
	} else {
		theirs, rest, found := strings.Cut(w.m.ID, ".")
		if w.m.Kind == fleet.ManifestFile && w.m.Publisher != "" {
			theirs, rest = firm.ReplaceAllString(w.m.Publisher, ""), w.m.ID
			if hostName.MatchString(theirs) {
				theirs, _, _ = strings.Cut(theirs, ".")
			}
		} else if w.m.Kind != fleet.ManifestWinget || !found {
			theirs, rest = w.vendor(picked), w.m.ID
			if w.m.Kind == fleet.ManifestWinget {
				theirs = w.m.ID
			}
		}
		if publisher == "" {
			publisher = slug(theirs, false)
		}
		name = slug(rest, w.m.Kind != fleet.ManifestWinget || digitAfterDot.MatchString(rest))
	}
	if !publisherPart.MatchString(publisher) || !packagePart.MatchString(name) || len(publisher)+len(name) > 200 {
		e := fleet.Errorf(fleet.Invalid, "adopt", w.m.ID, "%q and %q cannot be the publisher and the package of an id", publisher, name)
		e.Hint = "name the package with --id publisher/package"
		return "", e
	}
	return fleet.PackageID(publisher + "/" + name), nil
}

// firm is the legal form at the end of a firm's name, which ids go without.
var firm = regexp.MustCompile(`(?i)[ ,]+(corporation|corp|incorporated|inc|limited|ltd|llc|gmbh|ag|ab|oy|s\.?a|b\.?v|s\.?r\.?o|org)\.?$`)

// digitAfterDot tells "Python.3.12", whose dots are a version's, from names.
var digitAfterDot = regexp.MustCompile(`\d\.\d`)

// vendor is who publishes, by the addresses: the owner on GitHub, or the domain
// of the homepage or of the installers.
func (w *work) vendor(picked []fleet.Offer) string {
	for _, o := range picked {
		if g, ok := onGitHub(o.URL); ok {
			owner, _, _ := strings.Cut(g.repository, "/")
			return owner
		}
	}
	for _, address := range []string{w.m.Homepage, picked[0].URL} {
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" {
			continue
		}
		if u.Hostname() == "github.com" {
			owner, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
			return owner
		}
		if domain, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(u.Hostname())); err == nil {
			name, _, _ := strings.Cut(domain, ".")
			if short, known := shorteners[domain]; known {
				name = short
			}
			return name
		}
	}
	return ""
}

// shorteners are domains of a vendor's own that do not bear his name.
var shorteners = map[string]string{"aka.ms": "microsoft", "g.co": "google"}

// slug is a text as a part of an id: lower-case letters, digits, hyphens, and
// dots where they may stay. "Notepad++" is "notepad-plus-plus".
func slug(text string, dots bool) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ReplaceAll(strings.ToLower(text), "+", "-plus-")) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', dots && r == '.':
			b.WriteRune(r)
		case r >= 0x300 && r < 0x370: // a letter's accent
		default:
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-.")
	for strings.Contains(out, "--") {
		out = strings.ReplaceAll(out, "--", "-")
	}
	return out
}

// keyOf is an installer's name in the package: its processor, and its language
// where there are several.
func keyOf(o fleet.Offer, all []fleet.Offer) string {
	for _, other := range all {
		if o.Language != "" && other.Arch == o.Arch && other.Language != o.Language {
			return o.Arch + "-" + strings.ToLower(o.Language)
		}
	}
	return o.Arch
}

// hostOf is the host of a plain https address, "" for any other.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Port() != "" {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	if _, err := netip.ParseAddr(host); err == nil || !hostName.MatchString(host) {
		return ""
	}
	return host
}

var hostName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
