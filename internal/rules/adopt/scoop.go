package adopt

import (
	"regexp"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// scoop is the feed that a Scoop manifest's checkver names, with the addresses of
// its autoupdate.
func (w *work) scoop(picked []fleet.Offer) (found, bool) {
	if w.m.Check == nil {
		return found{}, false
	}
	c := *w.m.Check
	up := found{version: w.m.Version}
	if c.Other != "" || c.Replace != "" {
		w.ask("upstream", "Scoop finds the version by more than an expression (%s). What does it do, and which feed tells the same?", firstOf(c.Other, "replace"))
		return found{}, false
	}
	repository := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(c.GitHub, "/"), "https://github.com/"), ".git")
	owner, name, _ := strings.Cut(repository, "/")
	project, folder, _ := strings.Cut(c.SourceForge, "/")
	switch {
	case c.GitHub != "" && gitHubPart.MatchString(owner) && gitHubPart.MatchString(name):
		up.feed.GitHubReleases = &fleet.GitHubReleases{Repository: repository}
		w.ask("upstream.from", "What do the tags look like? Scoop takes any with or without a \"v\" before the version.")
	case c.SourceForge != "" && forgeProject.MatchString(project) && forgePath.MatchString("/"+folder):
		up.feed.SourceForge = &fleet.SourceForge{Project: project}
		if folder != "" {
			up.feed.SourceForge.Path = "/" + folder
		}
		up.feed.Match = `(?P<version>\d+(?:\.\d+)+)`
		if c.Regex != "" {
			up.feed.Match = c.Regex
		}
	case hostOf(c.URL) == "" || strings.ContainsAny(c.URL, "$ "):
		w.ask("upstream", "Scoop looks for the version at %.200q, which is no plain https address. Where else does the vendor tell it?", c.URL)
		return found{}, false
	case c.JSONPath != "":
		up.feed.HTTPJSON = &fleet.HTTPJSON{URL: c.URL, Path: rooted(c.JSONPath)}
		up.feed.Match = c.Regex
	case c.XPath != "":
		up.feed.HTTPXML = &fleet.HTTPXML{URL: c.URL, Path: c.XPath}
		up.feed.Match = c.Regex
	case c.Regex != "":
		up.feed.HTTPRegex = &fleet.HTTPRegex{URL: c.URL, Pattern: c.Regex}
	default:
		return found{}, false
	}
	pattern := up.feed.Match
	if up.feed.HTTPRegex != nil {
		pattern = up.feed.HTTPRegex.Pattern
	}
	groups, ok := compiled(pattern)
	if !ok {
		w.ask("upstream", "Scoop's expression %.200q is none of RE2. How is it said there?", pattern)
		return found{}, false
	}
	for _, o := range picked {
		up.sources = append(up.sources, w.autoupdate("installers."+keyOf(o, picked)+".source", o, groups))
	}
	return up, true
}

// autoupdate is the source that an autoupdate address stands for, nil with a
// question where it has no counterpart.
func (w *work) autoupdate(at string, o fleet.Offer, groups []string) *fleet.Source {
	if o.Template == "" {
		if filled, held := fill(o.URL, w.m.Version); held {
			return &fleet.Source{URL: filled}
		}
		w.ask(at, "Where are the bytes of the next version? The address %.200q does not hold the version, and the manifest has no autoupdate for it.", o.URL)
		return nil
	}
	template, unknown := translate(o.Template, groups)
	if unknown != "" || hostOf(template) == "" || strings.ContainsAny(template, " ") {
		w.ask(at, "Where are the bytes of the next version? Scoop's address %.200q %s.", o.Template, firstOf(unknown, "is no plain https address"))
		return nil
	}
	return &fleet.Source{URL: template}
}

var variable = regexp.MustCompile(`\$\{?([A-Za-z]+)\}?`)

// translate writes Scoop's variables as packmill's placeholders
// (github.com/ScoopInstaller/Scoop/wiki/App-Manifest-Autoupdate); unknown says
// which one has no counterpart.
func translate(template string, groups []string) (out, unknown string) {
	if strings.ContainsAny(template, "{}") && !strings.Contains(template, "${") {
		return "", "holds braces"
	}
	out = variable.ReplaceAllStringFunc(template, func(v string) string {
		word := variable.FindStringSubmatch(v)[1]
		switch word {
		case "version":
			return "{version}"
		case "majorVersion":
			return "{major}"
		case "minorVersion":
			return "{minor}"
		case "cleanVersion":
			return "{digits}"
		}
		for _, g := range groups {
			if strings.EqualFold(word, "match"+g) {
				return "{" + g + "}"
			}
		}
		unknown = "holds $" + word + ", which has no counterpart"
		return v
	})
	return out, unknown
}

// rooted is a JSONPath that begins at the root: Scoop lets the "$" away.
func rooted(path string) string {
	switch {
	case strings.HasPrefix(path, "$"):
		return path
	case strings.HasPrefix(path, "["):
		return "$" + path
	}
	return "$." + strings.TrimPrefix(path, ".")
}

// compiled are the named groups of a pattern beside the version's. An empty
// pattern has none.
func compiled(pattern string) ([]string, bool) {
	if pattern == "" {
		return nil, true
	}
	p, err := regexp.Compile(pattern)
	if err != nil {
		return nil, false
	}
	var out []string
	for _, g := range p.SubexpNames() {
		if g != "" && g != "version" {
			out = append(out, g)
		}
	}
	return out, true
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
