package upstream

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A Machine is what of a computer its package clients' configuration is read
// from.
type Machine struct {
	Getenv func(string) string
	// Root is the file system from "/" on.
	Root fs.FS
	// Run runs a program outside of any project and returns its output. It may
	// be nil.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)
}

// Config reads where npm, apt, go and pip of this machine get their packages, and
// from the environment PACKMILL_GITHUB_API, PACKMILL_MIRROR and GITHUB_TOKEN.
// A client that is not there leaves its field empty.
//
// The environment is read first, then the user's files, then the client itself
// is asked. A repository's own .npmrc is never read: it comes with pull
// requests, and would decide where bytes come from.
func (m Machine) Config(ctx context.Context) Config {
	return Config{
		NPMRegistry: m.npmRegistry(ctx),
		AptSources:  m.AptSources(),
		GoProxy:     m.goProxy(ctx),
		PyPIIndex:   m.pypiIndex(),
		AskPyPI:     func(ctx context.Context) string { return m.ask(ctx, "pip", "config", "get", "global.index-url") },
		GitHubAPI:   m.Getenv("PACKMILL_GITHUB_API"),
		GitHubToken: m.Getenv("GITHUB_TOKEN"),
		Mirror:      m.Getenv("PACKMILL_MIRROR"),
	}
}

func (m Machine) npmRegistry(ctx context.Context) string {
	for _, name := range []string{"NPM_CONFIG_REGISTRY", "npm_config_registry"} {
		if v := m.Getenv(name); v != "" {
			return v
		}
	}
	if home := strings.TrimPrefix(m.Getenv("HOME"), "/"); home != "" {
		if data, err := fs.ReadFile(m.Root, path.Join(home, ".npmrc")); err == nil {
			if v := npmrcRegistry(string(data)); v != "" {
				return v
			}
		}
	}
	return m.ask(ctx, "npm", "config", "get", "registry")
}

// npmrcRegistry is the registry that an .npmrc sets, "" when it sets none.
func npmrcRegistry(text string) string {
	registry := ""
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(line, "=")
		if ok && strings.TrimSpace(name) == "registry" {
			registry = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return registry
}

func (m Machine) goProxy(ctx context.Context) string {
	if v := m.Getenv("GOPROXY"); v != "" {
		return v
	}
	return m.ask(ctx, "go", "env", "GOPROXY")
}

// pypiIndex looks where pip does (pip.pypa.io/en/stable/topics/configuration):
// what is nearer to the user wins.
func (m Machine) pypiIndex() string {
	if v := m.Getenv("PIP_INDEX_URL"); v != "" {
		return v
	}
	home := m.Getenv("HOME")
	config := orDefault(m.Getenv("XDG_CONFIG_HOME"), path.Join(home, ".config"))
	for _, name := range []string{m.Getenv("PIP_CONFIG_FILE"), path.Join(config, "pip/pip.conf"), path.Join(home, ".pip/pip.conf"), "/etc/pip.conf", "/etc/xdg/pip/pip.conf"} {
		if data, err := fs.ReadFile(m.Root, strings.TrimPrefix(path.Clean("/"+name), "/")); err == nil {
			if v := pipIndex(string(data)); v != "" {
				return v
			}
		}
	}
	return ""
}

// pipIndex is the index that a pip.conf sets for all commands, "" when it sets
// none.
func pipIndex(text string) string {
	section, index := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			continue
		}
		i := strings.IndexAny(line, "=:")
		if section == "global" && i > 0 && strings.ReplaceAll(strings.TrimSpace(line[:i]), "_", "-") == "index-url" {
			index = strings.TrimSpace(line[i+1:])
		}
	}
	return index
}

// ask is the first line that a program prints, "" when it fails.
func (m Machine) ask(ctx context.Context, name string, args ...string) string {
	if m.Run == nil {
		return ""
	}
	out, err := m.Run(ctx, name, args...)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line = strings.TrimSpace(line); line == "undefined" || line == "null" {
		return ""
	}
	return line
}

// AptSources reads sources.list, *.list and *.sources below /etc/apt
// (sources.list(5)), or below the folder PACKMILL_APT_DIR names. Sources for
// source code, disabled ones, and those that are not http or https are left out.
func (m Machine) AptSources() []AptSource {
	dir := orDefault(strings.TrimPrefix(m.Getenv("PACKMILL_APT_DIR"), "/"), "etc/apt")
	names := []string{path.Join(dir, "sources.list")}
	for _, pattern := range []string{"*.list", "*.sources"} {
		more, err := fs.Glob(m.Root, path.Join(dir, "sources.list.d", pattern))
		if err == nil {
			names = append(names, more...)
		}
	}
	var out []AptSource
	trusted := m.trustedKeys(dir)
	for _, name := range names {
		data, err := fs.ReadFile(m.Root, name)
		if err != nil {
			continue
		}
		if strings.HasSuffix(name, ".sources") {
			out = append(out, parseDeb822(string(data))...)
		} else {
			out = append(out, parseOneLine(string(data))...)
		}
	}
	for i := range out {
		out[i].Keys = m.keysOf(out[i].Keys, trusted)
	}
	return slices.DeleteFunc(out, func(s AptSource) bool {
		return !strings.HasPrefix(s.URI, "http://") && !strings.HasPrefix(s.URI, "https://")
	})
}

// trustedKeys are the keys that apt trusts for sources which name none.
func (m Machine) trustedKeys(dir string) []string {
	names := []string{path.Join(dir, "trusted.gpg")}
	for _, pattern := range []string{"*.gpg", "*.asc"} {
		if more, err := fs.Glob(m.Root, path.Join(dir, "trusted.gpg.d", pattern)); err == nil {
			names = append(names, more...)
		}
	}
	return m.readKeys(names)
}

// keysOf reads what a source says under Signed-By: files, or a key itself. A
// fingerprint chooses among the trusted keys, all of which are taken.
func (m Machine) keysOf(signedBy, trusted []string) []string {
	var out []string
	for _, s := range signedBy {
		switch {
		case strings.HasPrefix(s, "/"):
			out = append(out, m.readKeys([]string{strings.TrimPrefix(path.Clean(s), "/")})...)
		case strings.Contains(s, "-----BEGIN PGP"):
			out = append(out, s)
		default:
			out = append(out, trusted...)
		}
	}
	if len(signedBy) == 0 {
		return trusted
	}
	if out == nil {
		out = []string{""} // named, and not there: nothing it signs is believed
	}
	return out
}

func (m Machine) readKeys(names []string) []string {
	var out []string
	for _, name := range names {
		if data, err := fs.ReadFile(m.Root, name); err == nil && len(data) > 0 {
			out = append(out, string(data))
		}
	}
	return out
}

// parseOneLine reads the one-line style: deb [options] uri suite component…
func parseOneLine(text string) []AptSource {
	var out []AptSource
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !ok {
			continue
		}
		rest = strings.TrimSpace(rest)
		var signedBy []string
		if options, found := strings.CutPrefix(rest, "["); found {
			options, after, closed := strings.Cut(options, "]")
			if !closed {
				continue
			}
			rest = after
			for _, o := range strings.Fields(options) {
				if keys, ok := strings.CutPrefix(o, "signed-by="); ok {
					signedBy = strings.Split(keys, ",")
				}
			}
		}
		if fields := strings.Fields(rest); len(fields) > 2 {
			out = append(out, AptSource{URI: fields[0], Suite: fields[1], Components: fields[2:], Keys: signedBy})
		}
	}
	return out
}

// parseDeb822 reads stanzas of fields; a field goes on in lines that start with
// white space.
func parseDeb822(text string) []AptSource {
	var out []AptSource
	fields := map[string][]string{}
	field, block := "", ""
	flush := func() {
		if slices.Contains(fields["types"], "deb") && !slices.Contains(fields["enabled"], "no") {
			for _, uri := range fields["uris"] {
				for _, suite := range fields["suites"] {
					out = append(out, AptSource{URI: uri, Suite: suite, Components: fields["components"], Keys: signedBy(fields["signed-by"], block)})
				}
			}
		}
		fields, field, block = map[string][]string{}, "", ""
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.TrimSpace(line) == "":
			flush()
		case strings.HasPrefix(line, "#"):
		case line[0] == ' ' || line[0] == '\t':
			fields[field] = append(fields[field], strings.Fields(line)...)
			if field == "signed-by" {
				block += strings.TrimPrefix(strings.TrimSpace(line), ".") + "\n" // a dot stands for an empty line
			}
		default:
			name, value, _ := strings.Cut(line, ":")
			field = strings.ToLower(name)
			fields[field] = append(fields[field], strings.Fields(value)...)
		}
	}
	flush()
	return out
}

// signedBy is a stanza's Signed-By: words, or the key that the lines below hold.
func signedBy(words []string, block string) []string {
	if strings.Contains(block, "-----BEGIN PGP") {
		return []string{block}
	}
	return words
}
