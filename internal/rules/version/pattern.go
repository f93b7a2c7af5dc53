package version

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxPattern and maxGroups bound what a package's pattern may cost.
const (
	maxPattern = 200
	maxGroups  = 9
)

// preGroup is the group of a pattern that matches in pre-releases alone.
const preGroup = "pre"

// PatternFault is why a pattern cannot order versions, "" when it can. It is RE2
// (the syntax of Go's regexp) with one to nine groups beside "pre"; they are
// compared in the order in which they open, or, when they are named n1, n2 and
// so on, in the order of these names.
func PatternFault(pattern string) string {
	_, _, why := orderOf(pattern)
	return why
}

// orderOf compiles a pattern for whole texts and lists its groups in the order
// they are compared in.
func orderOf(pattern string) (form *regexp.Regexp, groups []int, why string) {
	if pattern == "" {
		return nil, nil, "it is empty"
	}
	if len(pattern) > maxPattern {
		return nil, nil, fmt.Sprintf("it is longer than %d characters", maxPattern)
	}
	if _, err := regexp.Compile(pattern); err != nil { // alone: "a)(b" must not pass for being wrapped
		return nil, nil, err.Error()
	}
	form, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, nil, err.Error()
	}
	named := map[string]int{}
	for i, name := range form.SubexpNames()[1:] {
		switch {
		case name == "":
			groups = append(groups, i+1)
		case named[name] != 0:
			return nil, nil, fmt.Sprintf("it has two groups %q", name)
		case name == preGroup:
			named[preGroup] = i + 1
		case len(name) == 2 && name[0] == 'n' && name[1] >= '1' && name[1] <= '9':
			named[name] = i + 1
		default:
			return nil, nil, fmt.Sprintf("the group %q is none of n1 to n9 and pre", name)
		}
	}
	delete(named, preGroup)
	if len(named) > 0 {
		if len(groups) > 0 {
			return nil, nil, "some of its groups have names and some have none: write (?:…) for those that are not compared"
		}
		for i := range len(named) {
			group, ok := named[fmt.Sprintf("n%d", i+1)]
			if !ok {
				return nil, nil, fmt.Sprintf("it has no group n%d", i+1)
			}
			groups = append(groups, group)
		}
	}
	if len(groups) == 0 || len(groups) > maxGroups {
		return nil, nil, fmt.Sprintf("it has %d groups to compare: one to %d order versions", len(groups), maxGroups)
	}
	return form, groups, ""
}

// parseRegex reads a text that the package's pattern matches as a whole. What
// its groups match is compared in turn, in runs of digits by value and others by
// letter: nothing and zero first, then words, then numbers. When the group "pre"
// matches something, the version is a pre-release, older than the same without.
// Class looks at the first two groups.
func (v *Version) parseRegex() string {
	form, groups, why := orderOf(v.scheme.Pattern)
	if why != "" {
		return "its pattern orders nothing: " + why
	}
	m := form.FindStringSubmatch(v.text)
	if m == nil {
		return fmt.Sprintf("the pattern %s does not match it", v.scheme.Pattern)
	}
	for _, g := range groups {
		v.keys = append(v.keys, natural(m[g]))
		v.class = append(v.class, strings.ToLower(trimZeros(m[g])))
	}
	if !slices.ContainsFunc(groups, func(g int) bool { return m[g] != "" }) {
		return "none of the pattern's groups matches anything in it"
	}
	last := []part{{}}
	if i := form.SubexpIndex(preGroup); i > 0 && m[i] != "" {
		last, v.prerelease = append([]part{{rank: rankPre}}, natural(m[i])...), true
	}
	v.keys = append(v.keys, last)
	return ""
}

// natural are the runs of digits and of anything else in a text.
func natural(s string) []part {
	var key []part
	for s = strings.ToLower(s); s != ""; {
		text, rest := split(s, false)
		if text != "" {
			key = append(key, part{rank: 1, text: text})
		}
		number, after := split(rest, true)
		if number != "" {
			key = append(key, numeric(number))
		}
		s = after
	}
	return key
}
