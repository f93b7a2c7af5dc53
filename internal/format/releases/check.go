package releases

import "github.com/packmill/packmill/internal/fleet"

// CheckPattern tells what is wrong with an RE2 pattern, nil for nothing.
func CheckPattern(pattern string) error { return errOf(compile(pattern)) }

// CheckCSS tells what is wrong with a CSS selector.
func CheckCSS(selector string) error { return errOf(compileCSS(selector)) }

// CheckXPath tells what is wrong with an XPath expression.
func CheckXPath(path string) error { return errOf(compileXPath(path)) }

// CheckJSONPath tells what is wrong with a JSONPath.
func CheckJSONPath(path string) error { return errOf(compileJSONPath(path)) }

func errOf[T any](_ T, err error) error { return err }

// Words are the words that a feed's pattern makes known beside those that every
// template may use: its named groups, in braces. A pattern that cannot be read
// has none.
func Words(f fleet.Feed) []string {
	var out []string
	for _, text := range []string{f.Match, pageOf(f)} {
		if text == "" {
			continue
		}
		p, err := compile(text)
		if err != nil {
			continue
		}
		for _, name := range p.SubexpNames() {
			if name != "" && name != "version" {
				out = append(out, "{"+name+"}")
			}
		}
	}
	return out
}

func pageOf(f fleet.Feed) string {
	if f.HTTPRegex != nil {
		return f.HTTPRegex.Pattern
	}
	return ""
}

// ListsFiles reports whether a feed tells which files a release has, so that an
// installer can name one of them.
func ListsFiles(f fleet.Feed) bool {
	for _, lists := range []bool{
		f.GitHubReleases != nil, f.GitLab != nil, f.Gitea != nil, f.SourceForge != nil, f.News != nil, f.Sparkle != nil, f.Winget != nil,
		f.Cask != nil, f.NuGet != nil, f.PyPI != nil, f.RPM != nil, f.ElectronBuilder != nil, f.Squirrel != nil, f.Omaha != nil, f.Evergreen != nil,
	} {
		if lists {
			return true
		}
	}
	return false
}
