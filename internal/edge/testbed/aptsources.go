package testbed

import (
	"bufio"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// An aptSource is one repository of the machine's package sources
// (sources.list(5)), as far as a base is made from it.
type aptSource struct {
	uri        string
	suite      string
	components []string
	signedBy   string // keyring file, "" for the default ones
}

// line is the source in the one-line form.
func (s aptSource) line() string {
	option := ""
	if s.signedBy != "" {
		option = "[signed-by=" + s.signedBy + "] "
	}
	return "deb " + option + s.uri + " " + s.suite + " " + strings.Join(s.components, " ") + "\n"
}

// aptSources reads the package sources of a system for its own release: the
// repository the base comes from first, then its updates.
func aptSources(system fs.FS) (codename string, sources []aptSource, err error) {
	release, err := fs.ReadFile(system, "etc/os-release")
	if err != nil {
		return "", nil, err
	}
	for line := range strings.Lines(string(release)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			codename = strings.Trim(name, `"`)
		}
	}
	files, err := fs.Glob(system, "etc/apt/sources.list.d/*")
	if err != nil {
		return "", nil, err
	}
	for _, name := range append([]string{"etc/apt/sources.list"}, files...) {
		data, err := fs.ReadFile(system, name)
		if err != nil {
			continue
		}
		switch path.Ext(name) {
		case ".list":
			sources = append(sources, oneLineSources(string(data))...)
		case ".sources":
			sources = append(sources, stanzaSources(string(data))...)
		}
	}
	sources = slices.DeleteFunc(sources, func(s aptSource) bool {
		return s.suite != codename && s.suite != codename+"-updates" && s.suite != codename+"-security"
	})
	for i := range sources {
		sources[i].uri = resolveMirror(system, sources[i].uri)
	}
	sources = slices.DeleteFunc(sources, func(s aptSource) bool {
		return !strings.HasPrefix(s.uri, "http://") && !strings.HasPrefix(s.uri, "https://")
	})
	slices.SortStableFunc(sources, func(a, b aptSource) int { return len(a.suite) - len(b.suite) })
	return codename, sources, nil
}

// resolveMirror gives the first mirror of a mirror list file, as the machines of
// some CI services have it; other addresses stay.
func resolveMirror(system fs.FS, uri string) string {
	name, ok := strings.CutPrefix(uri, "mirror+file:")
	if !ok {
		return uri
	}
	data, err := fs.ReadFile(system, strings.TrimPrefix(name, "/"))
	if err != nil {
		return uri
	}
	for word := range strings.FieldsSeq(string(data)) {
		if strings.HasPrefix(word, "http://") || strings.HasPrefix(word, "https://") {
			return word
		}
	}
	return uri
}

// oneLineSources reads "deb [options] uri suite component…" lines.
func oneLineSources(text string) []aptSource {
	var out []aptSource
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !ok {
			continue
		}
		var s aptSource
		rest = strings.TrimSpace(rest)
		if options, after, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]"); ok && strings.HasPrefix(rest, "[") {
			rest = after
			for option := range strings.FieldsSeq(options) {
				if value, ok := strings.CutPrefix(option, "signed-by="); ok {
					s.signedBy = value
				}
			}
		}
		if words := strings.Fields(rest); len(words) >= 3 {
			s.uri, s.suite, s.components = words[0], words[1], words[2:]
			out = append(out, s)
		}
	}
	return out
}

// stanzaSources reads deb822 stanzas. A key that stands inside the stanza is
// left out: the keyrings of the system then apply.
func stanzaSources(text string) []aptSource {
	var out []aptSource
	fields := map[string]string{}
	flush := func() {
		if strings.EqualFold(fields["enabled"], "no") || !slices.Contains(strings.Fields(fields["types"]), "deb") {
			clear(fields)
			return
		}
		for uri := range strings.FieldsSeq(fields["uris"]) {
			for suite := range strings.FieldsSeq(fields["suites"]) {
				s := aptSource{uri: uri, suite: suite, components: strings.Fields(fields["components"])}
				if key := fields["signed-by"]; strings.HasPrefix(key, "/") && !strings.ContainsAny(key, " \n") {
					s.signedBy = key
				}
				out = append(out, s)
			}
		}
		clear(fields)
	}
	var name string
	scanner := bufio.NewScanner(strings.NewReader(text))
	for scanner.Scan() {
		line := scanner.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			flush()
		case strings.HasPrefix(line, " "), strings.HasPrefix(line, "\t"):
			fields[name] += "\n" + strings.TrimSpace(line)
		default:
			key, value, _ := strings.Cut(line, ":")
			name = strings.ToLower(key)
			fields[name] = strings.TrimSpace(value)
		}
	}
	flush()
	return out
}

// ofRelease are the sources of the machine's own release as another release has
// them: the same mirrors and keys, and the suites of that release.
func ofRelease(sources []aptSource, own, release string) []aptSource {
	out := slices.Clone(sources)
	for i := range out {
		out[i].suite = release + strings.TrimPrefix(out[i].suite, own)
	}
	return out
}
