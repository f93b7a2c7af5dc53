package desired

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
	"github.com/packmill/packmill/internal/rules/version"
)

// elsewhere are the feeds that docs/datasources.md leaves to other pages.
var elsewhere = []string{"match", "version"}

// TestDatasourcesPage checks the examples of docs/datasources.md: each is what a
// package may say under upstream.from and as an installer's source, and every
// feed has one.
func TestDatasourcesPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "datasources.md"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := newChecker()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```cue\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		example := c.ctx.CompileString(block[1])
		if err := example.Err(); err != nil {
			t.Errorf("%v in:\n%s", err, block[1])
			continue
		}
		path := "from"
		if whole := example.LookupPath(cue.ParsePath("upstream")); whole.Exists() {
			path = "upstream.from"
			if err := c.def("Upstream").Unify(whole).Validate(cue.Concrete(true)); err != nil {
				t.Errorf("%v in:\n%s", err, block[1])
			}
		}
		from := c.def("Feed").Unify(example.LookupPath(cue.ParsePath(path)))
		var feed fleet.Feed
		if err := from.Validate(cue.Concrete(true)); err != nil {
			t.Errorf("%v in:\n%s", err, block[1])
		} else if err := from.Decode(&feed); err != nil {
			t.Errorf("%v in:\n%s", err, block[1])
		}
		for _, part := range feedParts(feed) {
			if err := part.check(part.text); part.text != "" && err != nil {
				t.Errorf("%v: %v in:\n%s", part.keys, err, block[1])
			}
		}
		for i := range reflect.TypeFor[fleet.Feed]().NumField() {
			name, _, _ := strings.Cut(reflect.TypeFor[fleet.Feed]().Field(i).Tag.Get("json"), ",")
			shown[name] = shown[name] || !reflect.ValueOf(feed).Field(i).IsZero()
		}
		for _, at := range []string{"source", "installers.x64.source"} {
			if source := example.LookupPath(cue.ParsePath(at)); source.Exists() {
				checkSource(t, c, feed, source)
			}
		}
	}
	for name, has := range shown {
		if !has && !slices.Contains(elsewhere, name) {
			t.Errorf("the page has no example of %s", name)
		}
	}
	if len(shown) == 0 {
		t.Error("the page has no examples")
	}
}

func checkSource(t *testing.T, c *checker, feed fleet.Feed, value cue.Value) {
	t.Helper()
	value = c.def("Source").Unify(value)
	var source fleet.Source
	if err := value.Validate(cue.Concrete(true)); err != nil {
		t.Errorf("%v in %v", err, value)
	} else if err := value.Decode(&source); err != nil {
		t.Errorf("%v in %v", err, value)
	}
	if (source.Asset != "" || source.Listed) && !releases.ListsFiles(feed) {
		t.Errorf("the feed lists no files for %v", value)
	}
	sums := fleet.Checksum{}
	if source.Checksum != nil {
		sums = *source.Checksum
	}
	if sums.Asset != "" && !releases.ListsFiles(feed) {
		t.Errorf("the feed lists no files for %v", value)
	}
	if words := version.Unknown(source.Asset+source.URL+sums.Asset+sums.URL, sourceWords(fleet.Package{Upstream: &fleet.Upstream{From: feed}})); len(words) > 0 {
		t.Errorf("nothing fills in %v of %v", words, value)
	}
}
