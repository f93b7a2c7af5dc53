package adopt

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A found is where new versions are found, and where each installer's bytes are.
type found struct {
	feed    fleet.Feed
	version string          // the manifest's, as the feed spells it
	sources []*fleet.Source // of the installers, in their order; nil where it is not known
}

// upstream finds where the vendor publishes and sets the package's upstream. It
// asks what the manifest leaves open.
func (w *work) upstream(picked []fleet.Offer) (found, error) {
	var up found
	ok := false
	// What a checkver looks at was chosen by people; by the addresses is the next
	// best, and better than Scoop's "any tag of that repository".
	ways := []func([]fleet.Offer) (found, bool){w.github, w.sourceforge, w.scoop, w.catalog}
	if c := w.m.Check; c != nil && c.GitHub == "" {
		ways = []func([]fleet.Offer) (found, bool){w.scoop, w.github, w.sourceforge}
	}
	for _, way := range ways {
		if up, ok = way(picked); ok {
			break
		}
	}
	if !ok {
		w.ask("upstream", "Where does the vendor tell new versions? The manifest names no place that packmill can read.")
		return found{sources: make([]*fleet.Source, len(picked))}, nil
	}
	for i, s := range up.sources {
		if s != nil && picked[i].Member != "" {
			s.Member, _ = fill(picked[i].Member, up.version)
			w.ask("installers."+keyOf(picked[i], picked)+".source", "Does the program need other files of the archive? Only the member is put in place.")
		}
	}
	scheme, err := w.scheme(up.version)
	if err != nil {
		return found{}, err
	}
	w.result.Package.Upstream = &fleet.Upstream{From: up.feed, Scheme: scheme}
	return up, nil
}

// A release is a file attached to a release on GitHub.
type release struct{ repository, tag, asset string }

var gitHubPart = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// onGitHub reads the address of such a file.
func onGitHub(address string) (release, bool) {
	u, err := url.Parse(address)
	if err != nil || strings.ToLower(u.Hostname()) != "github.com" {
		return release{}, false
	}
	parts := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	if len(parts) < 6 || parts[2] != "releases" || parts[3] != "download" || !gitHubPart.MatchString(parts[0]) || !gitHubPart.MatchString(parts[1]) {
		return release{}, false
	}
	return release{parts[0] + "/" + parts[1], strings.Join(parts[4:len(parts)-1], "/"), parts[len(parts)-1]}, true
}

// github is the releases of one repository that all installers are files of.
func (w *work) github(picked []fleet.Offer) (found, bool) {
	var first release
	up := found{}
	for i, o := range picked {
		r, ok := onGitHub(o.URL)
		switch {
		case !ok || strings.ContainsAny(r.asset, `*?[]\`):
			return found{}, false
		case i == 0:
			first = r
			if up.version, ok = within(r.tag, w.m.Version); !ok {
				w.ask("upstream", "%s is published at github.com/%s under the tag %q, which does not hold the version. How do the tags follow it? Then githubReleases of that repository is the vendor's own word.", w.m.Version, r.repository, r.tag)
				return found{}, false
			}
		case r.repository != first.repository || r.tag != first.tag:
			return found{}, false
		}
		asset, _ := fill(r.asset, up.version)
		up.sources = append(up.sources, &fleet.Source{Asset: asset})
	}
	tag, _ := fill(first.tag, up.version)
	feed := fleet.GitHubReleases{Repository: first.repository}
	if tag != "{version}" {
		feed.Tag = tag
	}
	if strings.Count(tag, "{version}") != 1 || strings.ContainsAny(strings.ReplaceAll(tag, "{version}", ""), "0123456789{}") {
		w.ask("upstream.from", "The tag of %s is %q. Is the part beside the version the same for every release?", up.version, first.tag)
		if strings.Count(tag, "{version}") != 1 {
			return found{}, false
		}
	}
	up.feed.GitHubReleases = &feed
	return up, true
}

var (
	forgeProject = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	forgePath    = regexp.MustCompile(`^/[^?#]*$`)
)

// onSourceForge reads the address of a project's file.
func onSourceForge(address string) (project, file string, ok bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch host := strings.ToLower(u.Hostname()); {
	case host == "sourceforge.net" && len(parts) >= 4 && parts[0] == "projects" && parts[2] == "files":
		project, parts = parts[1], parts[3:]
		if parts[len(parts)-1] == "download" {
			parts = parts[:len(parts)-1]
		}
	case host == "downloads.sourceforge.net" && len(parts) >= 3 && parts[0] == "project":
		project, parts = parts[1], parts[2:]
	default:
		return "", "", false
	}
	file = "/" + strings.Join(parts, "/")
	return project, file, len(parts) > 0 && forgeProject.MatchString(project) && forgePath.MatchString(file)
}

// sourceforge is the files of one project, by the folder of the version or else
// by the name of a file.
func (w *work) sourceforge(picked []fleet.Offer) (found, bool) {
	up := found{version: w.m.Version}
	var of string
	for i, o := range picked {
		project, file, ok := onSourceForge(o.URL)
		if !ok || i > 0 && project != of || strings.ContainsAny(path.Base(file), `*?[]\`) {
			return found{}, false
		}
		of = project
		asset, _ := fill(path.Base(file), up.version)
		up.sources = append(up.sources, &fleet.Source{Asset: asset})
	}
	_, file, _ := onSourceForge(picked[0].URL)
	parts := strings.Split(strings.TrimPrefix(file, "/"), "/")
	at := slices.IndexFunc(parts, func(p string) bool { return len(places(p, up.version)) == 1 })
	if at < 0 {
		return found{}, false
	}
	tail := `/[^/]+$`
	if at == len(parts)-1 {
		tail = `$`
	}
	place := places(parts[at], up.version)[0]
	up.feed.SourceForge = &fleet.SourceForge{Project: of}
	if at > 0 {
		up.feed.SourceForge.Path = "/" + strings.Join(parts[:at], "/")
	}
	up.feed.Match = "/" + regexp.QuoteMeta(parts[at][:place]) + `(?P<version>\d+(?:\.\d+)*)` + regexp.QuoteMeta(parts[at][place+len(up.version):]) + tail
	return up, true
}

// catalog is the catalog that the manifest is of, for want of the vendor's own
// word.
func (w *work) catalog(picked []fleet.Offer) (found, bool) {
	up := found{version: w.m.Version}
	switch w.m.Kind {
	case fleet.ManifestWinget:
		up.feed.Winget = &fleet.Winget{ID: w.m.ID}
	case fleet.ManifestCask:
		up.feed.Cask = &fleet.Cask{Token: w.m.ID}
	case fleet.ManifestEvergreen:
		up.feed.Evergreen = &fleet.Evergreen{App: w.m.ID, Where: w.where(picked)}
	default:
		return found{}, false
	}
	for range picked {
		up.sources = append(up.sources, &fleet.Source{Listed: true})
	}
	w.ask("upstream.from", "Where does the vendor himself tell new versions? His own feed was not found; this asks the catalog that the manifest is of.")
	return up, true
}

// where are the values that tell the rows that were taken over from those of
// other channels.
func (w *work) where(picked []fleet.Offer) map[string]string {
	out := map[string]string{}
	for key, value := range picked[0].Row {
		differs := slices.ContainsFunc(w.m.Installers, func(o fleet.Offer) bool { return o.Row[key] != value })
		same := !slices.ContainsFunc(picked, func(o fleet.Offer) bool { return o.Row[key] != value })
		if (differs || key == "Channel" || key == "Release" || key == "Ring") && same && value != "" {
			out[key] = value
		}
	}
	if len(out) > 0 {
		w.ask("upstream.from", "Are these the rows that are wanted? They are those of the first version that Evergreen lists.")
	}
	return out
}
