package view

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/packmill/packmill/internal/fleet"
)

// testCycle is the end of the week: one release through, one under way, one
// revoked, one source held.
func testCycle(t *testing.T) Cycle {
	t.Helper()
	helsinki, err := time.LoadLocation("Europe/Helsinki")
	if err != nil {
		t.Fatal(err)
	}
	repo, rec, plans := testRepo(), testRecord(), testPlans()
	repo.Holds = map[string]fleet.Hold{"r": {Kind: "revocation", Package: notepad, Release: "8.7.1", Artifact: digit(902), Reason: "error rate is above 2 %"}}
	birch := repo.Tenants["nordic/birch"]
	birch.Policy.OptOuts = map[fleet.PackageID]fleet.Because{notepad: {Reason: "own editor", Expires: day(30, 0)}}
	birch.Policy.Pins = map[fleet.PackageID]fleet.PinnedTo{zip: {Version: "24.08", Reason: "over when the wave opens", Expires: day(22, 0)}}
	repo.Tenants["nordic/birch"] = birch
	rec.Intents = append(rec.Intents,
		fleet.Intent{ID: "back", Cycle: week, Wave: "dogfood", Tenant: "example-msp/own", Package: notepad, Release: "8.7.1", Artifact: digit(902), Action: "rollback", At: day(19, 16)},
		fleet.Intent{ID: "late", Cycle: week, Wave: "everyone", Tenant: "nordic/acme", Package: zip, Release: "24.09", Artifact: digit(901), Action: "promote", Generation: 1, At: day(26, 13)},
		fleet.Intent{ID: "again", Cycle: week, Wave: "everyone", Tenant: "nordic/acme", Package: zip, Release: "24.09", Artifact: digit(901), Action: "promote", Generation: 2, At: day(26, 14)},
		fleet.Intent{ID: "open", Cycle: week, Wave: "everyone", Tenant: "nordic/birch", Package: zip, Release: "24.09", Artifact: digit(901), Action: "promote", At: day(26, 14)})
	rec.Receipts = append(rec.Receipts,
		fleet.Receipt{Intent: "late", Cycle: week, Wave: "everyone", Tenant: "nordic/acme", Package: zip, Artifact: digit(901), Action: "promote", Outcome: "expired", At: day(26, 13)},
		fleet.Receipt{Intent: "again", Cycle: week, Wave: "everyone", Tenant: "nordic/acme", Package: zip, Artifact: digit(901), Action: "promote", Outcome: "done", At: day(26, 14)})
	rec.Receipts = append(rec.Receipts, fleet.Receipt{Intent: "back", Cycle: week, Wave: "dogfood", Tenant: "example-msp/own", Package: notepad, Artifact: digit(902), Action: "rollback", Outcome: "done", At: day(19, 16)})
	approval := func(gate string) *fleet.Approval {
		return &fleet.Approval{Cycle: week, Gate: gate, Plan: plans[0].Digest()}
	}
	return Cycle{
		Repo: repo, Record: rec, ID: week, Zone: helsinki, Version: "v0.0.0-test",
		Waves: []CycleWave{
			{Name: "dogfood", Phase: "judged", Opens: day(19, 7), Approval: approval("dogfood"), Merge: &rec.Merges[1]},
			{Name: "everyone", Phase: "baking", Opens: day(23, 12), Approval: approval("everyone"), Merge: &rec.Merges[2]},
		},
		Entries: []CycleEntry{
			{Package: policy, Entry: repo.Cycles[week].Entries[policy], State: StateRunning, Phases: []string{PhasePassed, PhaseBaking}},
			{Package: zip, Entry: repo.Cycles[week].Entries[zip], State: StateReleased, Phases: []string{PhasePassed, PhasePassed}, Merge: &rec.Merges[0]},
			{Package: notepad, Entry: repo.Cycles[week].Entries[notepad], State: StateRevoked, Why: "error rate is above 2 %", Phases: []string{PhaseFailed, PhaseStopped}},
		},
	}
}

func TestPages(t *testing.T) {
	files, err := Pages(testCycle(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		golden(t, path.Join("pages", name), string(content))
	}
	if len(files) != 2+3*2+6 {
		t.Errorf("%d files", len(files))
	}
	for range 5 {
		again, err := Pages(testCycle(t))
		if err != nil {
			t.Fatal(err)
		}
		for name := range files {
			if !bytes.Equal(files[name], again[name]) {
				t.Fatalf("%s: not the same bytes", name)
			}
		}
	}
}

// TestPagesAreSound parses every page: nothing is loaded or run, every table
// has a caption and scoped heads, every link leads to a file that is there.
func TestPagesAreSound(t *testing.T) {
	files, err := Pages(testCycle(t))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, content := range files {
		if path.Ext(name) != ".html" {
			continue
		}
		seen++
		doc, err := html.Parse(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{}
		walkHTML(doc, func(n *html.Node) { ids[attr(n, "id")] = true })
		walkHTML(doc, func(n *html.Node) {
			switch n.Data {
			case "script", "img", "link", "iframe", "object", "form":
				t.Errorf("%s: <%s>", name, n.Data)
			case "html":
				if attr(n, "lang") != "en" {
					t.Errorf("%s: no language", name)
				}
			case "th":
				if attr(n, "scope") == "" {
					t.Errorf("%s: a head without scope", name)
				}
			case "table":
				if first := firstElement(n); first == nil || first.Data != "caption" {
					t.Errorf("%s: a table without caption", name)
				}
			case "svg":
				if first := firstElement(n); first == nil || first.Data != "title" {
					t.Errorf("%s: a drawing without title", name)
				}
			case "a":
				href := attr(n, "href")
				if id, ok := strings.CutPrefix(href, "#"); ok {
					if !ids[id] {
						t.Errorf("%s: %s leads nowhere", name, href)
					}
				} else if _, ok := files[path.Join(path.Dir(name), href)]; !ok {
					t.Errorf("%s: %s leads nowhere", name, href)
				}
			}
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || a.Key == "src" {
					t.Errorf("%s: attribute %s", name, a.Key)
				}
			}
		})
	}
	if seen != 4 {
		t.Errorf("%d pages were read", seen)
	}
}

func walkHTML(n *html.Node, do func(*html.Node)) {
	if n.Type == html.ElementNode {
		do(n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walkHTML(c, do)
	}
}

func attr(n *html.Node, key string) string {
	i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
	if i < 0 {
		return ""
	}
	return n.Attr[i].Val
}

func firstElement(n *html.Node) *html.Node {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.ElementNode {
			return c
		}
	}
	return nil
}

// TestPagePolicy compares the hash the policy allows with the style itself, as
// a browser reads both.
func TestPagePolicy(t *testing.T) {
	p, err := newPages(testCycle(t))
	if err != nil {
		t.Fatal(err)
	}
	page, err := p.render("index.html", p.indexData())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var style, policy string
	walkHTML(doc, func(n *html.Node) {
		if n.Data == "style" {
			style = n.FirstChild.Data
		}
		if attr(n, "http-equiv") == "Content-Security-Policy" {
			policy = attr(n, "content")
		}
	})
	if want := "default-src 'none'; style-src '" + hashOf([]byte(style)) + "'"; policy != want {
		t.Errorf("policy %q, want %q", policy, want)
	}
}

// TestHostilePage puts mark-up into every text that comes from outside.
func TestHostilePage(t *testing.T) {
	c := testCycle(t)
	const evil = `<script>alert(1)</script><img src=x onerror=alert(1)>`
	c.Entries[2].Why = evil
	c.Repo.Operator.Name = evil
	p := c.Repo.Packages[notepad]
	p.Name = evil
	c.Repo.Packages[notepad] = p
	c.Record.Detections[0].Why = evil
	c.Record.Merges[1].Approvers = []string{evil}
	for i := range c.Record.Verdicts {
		c.Record.Verdicts[i].Rule = evil
	}
	for i := range c.Record.Tests {
		c.Record.Tests[i].Steps[2].Detail = evil
	}
	c.Record.Apps[1].Name, c.Record.Reconciled[0].Findings[0].What, c.Record.Reports[0].Errors = evil, evil, []string{evil}
	files, err := Pages(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if path.Ext(name) == ".html" && regexp.MustCompile(`<(script|img)`).Match(content) {
			t.Errorf("%s holds mark-up from outside", name)
		}
	}
}

// TestPageSize draws a cycle of 80 packages on 500 tenants.
func TestPageSize(t *testing.T) {
	c := testCycle(t)
	cycle := fleet.Cycle{CutOff: day(18, 14), Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{}}
	c.Entries = nil
	for i := range 80 {
		id := fleet.PackageID(fmt.Sprintf("publisher-%02d/package-with-a-long-name-%02d", i, i))
		c.Repo.Packages[id] = application(id, "A package with a long name", "previous", "1.0", "1.1")
		e := fleet.Entry{Release: "1.1", Artifact: digit(5000 + i)}
		cycle.Entries[id] = e
		c.Entries = append(c.Entries, CycleEntry{Package: id, Entry: e, State: StateReleased, Phases: []string{PhasePassed, PhasePassed}})
		for j := range 500 {
			tenant := fleet.TenantID(fmt.Sprintf("partner-%02d/tenant-%03d", j%20, j))
			c.Record.Intents = append(c.Record.Intents, fleet.Intent{Cycle: week, Wave: "everyone", Tenant: tenant, Package: id, Artifact: e.Artifact, Action: "assign", At: day(23, 11)})
			c.Record.Reports = append(c.Record.Reports, fleet.Report{Cycle: week, Wave: "everyone", Tenant: tenant, Package: id, Artifact: e.Artifact, Counts: fleet.Counts{Succeeded: 90, Failed: 2, Silent: 8}, Errors: []string{"0x80070643"}, At: day(24, 12)})
		}
	}
	c.Repo.Cycles[week] = cycle
	files, err := Pages(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if path.Ext(name) != ".html" {
			continue
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if len(content) > 250<<10 || packed.Len() > 30<<10 {
			t.Errorf("%s: %d bytes, %d packed", name, len(content), packed.Len())
		}
	}
	if !strings.Contains(string(files["index.html"]), " 100 more are in") {
		t.Error("the page does not say what it leaves out")
	}
}

// Effects are what the audit counts: assignments, promotions and ways back,
// each once however often it was tried.
func TestEffects(t *testing.T) {
	want := map[fleet.TenantID]string{"example-msp/own": "4 of 4", "nordic/acme": "3 of 3", "nordic/birch": "2 of 3", "direct/cedar": "2 of 2"}
	for _, x := range BoardOf(testCycle(t)).Tenants {
		if got := fmt.Sprintf("%d of %d", x.Receipts, x.Intents); got != want[x.Tenant] {
			t.Errorf("%s: %s receipts, want %s", x.Tenant, got, want[x.Tenant])
		}
	}
}

// A tenant that has the package and does not take the release is told with the
// reason; one whose pin had ended is not.
func TestKept(t *testing.T) {
	for _, p := range BoardOf(testCycle(t)).Packages {
		want := "[]"
		if p.Package == notepad {
			want = "[{nordic/birch opted out until 2026-11-30: own editor}]"
		}
		if got := fmt.Sprint(p.Kept); got != want {
			t.Errorf("%s: kept from %s, want %s", p.Package, got, want)
		}
	}
}
