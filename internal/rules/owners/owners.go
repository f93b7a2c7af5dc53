// Package owners reads a CODEOWNERS file: whom a forge asks to review a path.
package owners

import (
	"regexp"
	"strings"
)

// Files are where a forge looks for the file, in this order; the first that is
// there counts (docs.github.com, "About code owners").
func Files() []string { return []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"} }

// Bounds on what is read. GitHub takes files below 3 MB; a catalog's owners need
// far less.
const (
	maxBytes   = 256 << 10
	maxPattern = 1 << 10
)

// A Set is the rules of a file in its order.
type Set struct{ rules []rule }

type rule struct {
	pattern *regexp.Regexp
	owners  []string
}

// Parse reads a file. A line it does not understand is left out, as the forge
// leaves it out: a comment, a negation, a range of characters.
func Parse(data []byte) Set {
	var s Set
	for _, line := range strings.Split(string(data[:min(len(data), maxBytes)]), "\n") {
		pattern, rest := cutPattern(strings.TrimSpace(line))
		if pattern == "" || len(pattern) > maxPattern || pattern[0] == '#' || pattern[0] == '!' || strings.ContainsAny(pattern, "[]") {
			continue
		}
		compiled, err := regexp.Compile(expression(pattern))
		if err != nil {
			continue
		}
		r := rule{pattern: compiled}
		for _, word := range strings.Fields(rest) {
			if word[0] == '#' {
				break
			}
			r.owners = append(r.owners, word)
		}
		s.rules = append(s.rules, r)
	}
	return s
}

// cutPattern parts a line at its first space that no backslash stands before.
func cutPattern(line string) (pattern, rest string) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		case c == ' ' || c == '\t':
			return b.String(), line[i:]
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// expression is a pattern as a regular expression on whole paths: "/" at its
// start or in its middle ties it to the root, "*" stays within a folder, "**"
// does not, and what names a folder names all below. "docs/*" names the files
// of the folder alone.
func expression(pattern string) string {
	tied := strings.Contains(strings.TrimSuffix(pattern, "/"), "/")
	folder := strings.HasSuffix(pattern, "/")
	body := strings.Trim(pattern, "/")
	var b strings.Builder
	b.WriteString(`^`)
	if !tied {
		b.WriteString(`(.*/)?`)
	}
	for i := 0; i < len(body); i++ {
		switch {
		case strings.HasPrefix(body[i:], "**/"):
			b.WriteString(`(.*/)?`)
			i += 2
		case strings.HasPrefix(body[i:], "**"):
			b.WriteString(`.*`)
			i++
		case body[i] == '*':
			b.WriteString(`[^/]*`)
		case body[i] == '?':
			b.WriteString(`[^/]`)
		default:
			b.WriteString(regexp.QuoteMeta(body[i : i+1]))
		}
	}
	last := body[strings.LastIndexByte(body, '/')+1:]
	switch {
	case folder:
		b.WriteString(`/.*`)
	case !tied || !strings.HasSuffix(last, "*"):
		b.WriteString(`(/.*)?`)
	}
	return b.String() + `$`
}

// Of are the owners of a path as the file writes them, "@login", "@org/team" or
// a mail address: those of the last rule that names the path, which may have
// none.
func (s Set) Of(path string) []string {
	for i := len(s.rules) - 1; i >= 0; i-- {
		if s.rules[i].pattern.MatchString(path) {
			return s.rules[i].owners
		}
	}
	return nil
}

// Reviewers parts owners into logins and teams (without their organization) that
// can be asked for a review. Mail addresses cannot.
func Reviewers(owners []string) (logins, teams []string) {
	for _, o := range owners {
		name, ok := strings.CutPrefix(o, "@")
		if !ok || name == "" {
			continue
		}
		if _, team, ok := strings.Cut(name, "/"); ok {
			teams = append(teams, team)
		} else {
			logins = append(logins, name)
		}
	}
	return logins, teams
}
