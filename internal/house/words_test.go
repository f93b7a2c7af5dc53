package house

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A word is text that no file of the repository may hold, and why.
type word struct {
	pattern *regexp.Regexp
	why     string
}

// TestWords reads every file that git knows and looks for text that ties it to
// one machine: hosts of the package registries this machine is set up with
// (other machines use mirrors: packmill asks the clients), and paths of a home.
func TestWords(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	words := forbidden(t, root)
	files := tracked(t, root)
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			continue // deleted in the work tree, or a link to nothing
		}
		for _, finding := range findWords(name, data, words) {
			t.Error(finding)
		}
	}
	if len(files) < 10 {
		t.Fatalf("%d files were read: the test looks at nothing", len(files))
	}
}

// TestFindWords proves that the patterns match what they should, and no more.
func TestFindWords(t *testing.T) {
	words := []word{hostWord("registry.example.net")}
	words = append(words, fixedWords()...)
	bad := []string{
		"see https://registry.example.net/x", "REGISTRY.example.net", "in /home/" + "ann/src", "/Users/" + "ann/src",
		"as issue " + "#12 says",
	}
	for _, text := range bad {
		if found := findWords("a.md", []byte("fine\n"+text+"\n"), words); len(found) != 1 || !strings.HasPrefix(found[0], "a.md:2: ") {
			t.Errorf("%q: %q", text, found)
		}
	}
	for _, text := range []string{"myregistry.example.net.org", "the home of /homework", "colour #123456", "Merge (#12)"} {
		if found := findWords("a.md", []byte(text), words); len(found) != 0 {
			t.Errorf("%q: %q", text, found)
		}
	}
	if found := findWords("internal/x/testdata/openapi.json", []byte(bad[0]), words); len(found) != 0 {
		t.Errorf("a vendor's own document is not ours to edit: %q", found)
	}
}

func findWords(name string, data []byte, words []word) []string {
	if bytes.IndexByte(data, 0) >= 0 {
		return nil // not text
	}
	if strings.Contains(name, "/testdata/") && strings.Contains(path.Base(name), "openapi") {
		return nil
	}
	var found []string
	for _, w := range words {
		for _, at := range w.pattern.FindAllIndex(data, -1) {
			line := 1 + bytes.Count(data[:at[0]], []byte("\n"))
			found = append(found, fmt.Sprintf("%s:%d: %q: %s", name, line, data[at[0]:at[1]], w.why))
		}
	}
	return found
}

// forbidden are the words of this machine and those of any.
func forbidden(t *testing.T, root string) []word {
	t.Helper()
	words := fixedWords()
	for _, host := range registryHosts(t) {
		words = append(words, hostWord(host))
	}
	return append(words, word{regexp.MustCompile(regexp.QuoteMeta(filepath.ToSlash(root)) + `\b`), "the place of this checkout"})
}

// fixedWords are forbidden on every machine.
func fixedWords() []word {
	return []word{
		{regexp.MustCompile(`/(home|Users)/[a-z][a-z0-9_-]*/`), "a path of somebody's machine"},
		{regexp.MustCompile(`(?i)\bissue #?[0-9]+\b`), "numbers of a tracker mean nothing to a reader of the source"},
	}
}

func hostWord(host string) word {
	return word{regexp.MustCompile(`(?im)(?:^|[^a-z0-9.\n-])` + regexp.QuoteMeta(host) + `(?:$|[^a-z0-9.\n-]|\.$|\.[^a-z0-9\n])`),
		"a registry host: take it from the client's configuration"}
}

// registryHosts are the hosts that the package clients of this machine are set
// up with: Go, npm and apt, as far as each is here.
func registryHosts(t *testing.T) []string {
	t.Helper()
	var addresses []string
	for _, call := range [][]string{{"go", "env", "GOPROXY"}, {"npm", "config", "get", "registry"}} {
		out, err := exec.CommandContext(t.Context(), call[0], call[1:]...).Output()
		if err != nil {
			continue // the client is not here
		}
		addresses = append(addresses, strings.FieldsFunc(string(out), func(r rune) bool { return strings.ContainsRune(",| \n", r) })...)
	}
	lists, _ := filepath.Glob("/etc/apt/sources.list.d/*")
	for _, name := range append(lists, "/etc/apt/sources.list") {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
				addresses = append(addresses, strings.Fields(line)...)
			}
		}
	}
	return hostsOf(addresses)
}

// hostsOf are the distinct hosts of those words that are web addresses, sorted.
func hostsOf(addresses []string) []string {
	var hosts []string
	for _, a := range addresses {
		u, err := url.Parse(a)
		if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
			continue
		}
		hosts = append(hosts, u.Hostname())
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func TestHostsOf(t *testing.T) {
	got := hostsOf([]string{"https://b.example/x", "direct", "deb", "http://a.example", "https://b.example:8443/", "Signed-By:", "off"})
	if want := []string{"a.example", "b.example"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// tracked are the files of the checkout, by git where it is one.
func tracked(t *testing.T, root string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("the sources are no git checkout: %v", err)
	}
	return slices.DeleteFunc(strings.Split(string(out), "\x00"), func(s string) bool { return s == "" })
}
