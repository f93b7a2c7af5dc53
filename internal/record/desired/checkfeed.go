package desired

import (
	"slices"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
	"github.com/packmill/packmill/internal/rules/version"
)

// feeds checks what the schema cannot read of a package's feeds: patterns,
// selectors and templates.
func (x *checks) feeds(file string, p fleet.Package) {
	if p.Upstream == nil {
		return
	}
	x.feed(file, k("pkg", "upstream", "from"), p.Upstream.From)
	for i, f := range p.Upstream.Agree {
		x.feed(file, k("pkg", "upstream", "agree", index(i)), f)
	}
}

func (x *checks) feed(file string, at []string, f fleet.Feed) {
	for _, c := range feedParts(f) {
		if c.text == "" {
			continue
		}
		if err := c.check(c.text); err != nil {
			x.fault(file, append(slices.Clone(at), c.keys...), "%v", err)
		}
	}
	if f.SourceForge != nil && f.Match == "" {
		x.fault(file, append(slices.Clone(at), "sourceforge"), "tells paths of files: give a match that cuts the version out")
	}
	for name, tag := range feedTags(f) { // read, not filled in: nothing else is looked for
		x.placeholders(file, append(slices.Clone(at), name, "tag"), tag, []string{"{version}"})
	}
	if f.Match != "" && (f.NPM != nil || f.Apt != nil || f.GoProxy != nil) {
		x.fault(file, append(slices.Clone(at), "match"), "the package manager itself says which version is newest: there is nothing to match")
	}
	if f.Version != "" {
		if f.Match == "" {
			x.fault(file, append(slices.Clone(at), "version"), "there is no match whose groups could be put together")
			return
		}
		x.placeholders(file, append(slices.Clone(at), "version"), f.Version, append(version.Placeholders(), releases.Words(f)...))
	}
}

// A feedPart is a text of a feed in a language of its own.
type feedPart struct {
	keys  []string
	text  string
	check func(string) error
}

func feedParts(f fleet.Feed) []feedPart {
	out := []feedPart{{k("match"), f.Match, releases.CheckPattern}}
	if f.HTTPJSON != nil {
		out = append(out, feedPart{k("httpJSON", "path"), f.HTTPJSON.Path, releases.CheckJSONPath},
			feedPart{k("httpJSON", "published"), f.HTTPJSON.Published, releases.CheckJSONPath})
	}
	if f.HTTPRegex != nil {
		out = append(out, feedPart{k("httpRegex", "pattern"), f.HTTPRegex.Pattern, releases.CheckPattern})
	}
	if f.HTTPHTML != nil {
		out = append(out, feedPart{k("httpHTML", "select"), f.HTTPHTML.Select, releases.CheckCSS})
	}
	if f.HTTPXML != nil {
		out = append(out, feedPart{k("httpXML", "path"), f.HTTPXML.Path, releases.CheckXPath},
			feedPart{k("httpXML", "published"), f.HTTPXML.Published, releases.CheckXPath})
	}
	if f.HTTPHeader != nil {
		out = append(out, feedPart{k("httpHeader", "header"), f.HTTPHeader.Header, releases.CheckHeader})
	}
	return out
}

// feedTags are the forms of tags, by the field of the feed they stand in.
func feedTags(f fleet.Feed) map[string]string {
	out := map[string]string{}
	if f.GitHubReleases != nil {
		out["githubReleases"] = f.GitHubReleases.Tag
	}
	if f.GitHubTags != nil {
		out["githubTags"] = f.GitHubTags.Tag
	}
	if f.GitLab != nil {
		out["gitlab"] = f.GitLab.Tag
	}
	if f.Gitea != nil {
		out["gitea"] = f.Gitea.Tag
	}
	return out
}

// sourceWords are the words that the sources of a package's installers may use.
func sourceWords(p fleet.Package) []string {
	words := version.Placeholders()
	if p.Upstream != nil {
		words = append(words, releases.Words(p.Upstream.From)...)
	}
	return words
}
