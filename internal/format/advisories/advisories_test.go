package advisories

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/packmill/packmill/internal/fleet"
)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestKEV(t *testing.T) {
	got, err := KEV(testdata(t, "kev.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := fleet.KEV{Version: "2026.11.17", Released: time.Date(2026, 11, 17, 18, 0, 53, 367_600_000, time.UTC), Listed: map[string][]fleet.Exploited{
		"CVE-2026-10001": {{Vendor: "Acme", Product: "Tool", Added: "2026-11-17", Ransomware: true}},
		"CVE-2026-10002": {{Vendor: "Umbrella", Product: "Mail Gateway", Added: "2026-11-03"}},
		"CVE-2026-10003": {{Vendor: "Acme", Product: "Library", Added: "2026-10-30"}, {Vendor: "Umbrella", Product: "Mail Gateway", Added: "2026-10-31"}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestEPSS(t *testing.T) {
	got, err := EPSS(testdata(t, "epss.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]fleet.Likelihood{"CVE-2026-10001": {Probability: 0.4321, Date: "2026-11-17"}, "CVE-2026-10002": {Probability: 0.00043, Date: "2026-11-17"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got, err := EPSS([]byte(`{"status": "OK", "total": 0, "data": []}`)); err != nil || len(got) != 0 {
		t.Errorf("an answer about none: %v, %v", got, err)
	}
}

// readers are both, as what they tell and how many.
func readers() map[string]func([]byte) (int, error) {
	return map[string]func([]byte) (int, error){
		"kev.json":  func(data []byte) (int, error) { k, err := KEV(data); return len(k.Listed), err },
		"epss.json": func(data []byte) (int, error) { e, err := EPSS(data); return len(e), err },
	}
}

// TestEdited takes from each document what must be there, spoils it, and adds
// what no reader knows.
func TestEdited(t *testing.T) {
	for _, tt := range []struct{ file, old, new, want string }{
		{"kev.json", `"catalogVersion"`, `"x"`, "has no catalogVersion"},
		{"kev.json", `"dateReleased"`, `"x"`, "has no dateReleased"},
		{"kev.json", `"count"`, `"x"`, "no count"},
		{"kev.json", `"vulnerabilities"`, `"x"`, "has no vulnerabilities"},
		{"kev.json", `"cveID": "CVE-2026-10002"`, `"x": 1`, "vulnerabilities[1]: has no cveID"},
		{"kev.json", `"vendorProject": "Umbrella"`, `"x": 1`, "vulnerabilities[1]: has no vendorProject"},
		{"kev.json", `"product": "Tool"`, `"x": 1`, "vulnerabilities[0]: has no product"},
		{"kev.json", `"product": "Tool"`, `"product": null`, "vulnerabilities[0]: has no product"},
		{"kev.json", `"product": "Tool"`, `"product": " "`, "vulnerabilities[0]: product is no name"},
		{"kev.json", `"product": "Tool"`, `"product": "a\u0000b"`, "vulnerabilities[0]: product is no name"},
		{"kev.json", `"product": "Tool"`, `"product": ["Tool"]`, "product is a array"},
		{"kev.json", `"dateAdded": "2026-11-17"`, `"x": 1`, "vulnerabilities[0]: has no dateAdded"},
		{"kev.json", `"dateAdded": "2026-11-17"`, `"dateAdded": "11/17/2026"`, "vulnerabilities[0]: dateAdded is no date"},
		{"kev.json", `"count": 4`, `"count": 5`, "are 4; the catalog says that it has 5"},
		{"kev.json", `CVE-2026-10002`, `CVE-2026-1`, `cveID is no CVE id: "CVE-2026-1"`},
		{"kev.json", `2026-11-17T18:00:53.3676Z`, `yesterday`, "dateReleased: is no instant"},
		{"kev.json", `"notes": ""`, `"notes": {"deep": [1, {}]}, "severity": 10`, ""},
		{"kev.json", `"knownRansomwareCampaignUse": "Unknown",`, ``, ""},
		{"kev.json", `"dueDate": "2026-12-08",`, ``, ""},
		{"kev.json", `{`, "\xef\xbb\xbf{", ""},
		{"epss.json", `"data"`, `"x"`, "has no data"},
		{"epss.json", `"cve": "CVE-2026-10001"`, `"x": 1`, "data[0]: has no cve"},
		{"epss.json", `"epss": "0.432100000"`, `"x": 1`, "data[0]: has no epss"},
		{"epss.json", `"epss": "0.432100000"`, `"epss": 0.4`, "epss is a number"},
		{"epss.json", `0.432100000`, `NaN`, "data[0]: epss is no probability"},
		{"epss.json", `0.432100000`, `1.2`, "data[0]: epss is no probability"},
		{"epss.json", `0.432100000`, `-0`, ""},
		{"epss.json", `0.432100000`, `high`, "data[0]: epss is no probability"},
		{"epss.json", `"date": "2026-11-17"`, `"date": "today"`, "data[0]: date is no date"},
		{"epss.json", `CVE-2026-10001`, `GHSA-1`, "data[0]: cve is no CVE id"},
		{"epss.json", `"status": "OK",`, `"status": "OK", "model": "v2025.03.14",`, ""},
		{"epss.json", `"percentile": "0.973500000",`, ``, ""},
	} {
		text := string(testdata(t, tt.file))
		if !strings.Contains(text, tt.old) {
			t.Fatalf("%s does not hold %q", tt.file, tt.old)
		}
		n, err := readers()[tt.file]([]byte(strings.Replace(text, tt.old, tt.new, 1)))
		switch {
		case tt.want == "" && (err != nil || n == 0):
			t.Errorf("%s with %q: %d, %v", tt.file, tt.new, n, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || fleet.KindOf(err) != fleet.Invalid):
			t.Errorf("%s with %q: %v, want %q", tt.file, tt.new, err, tt.want)
		}
	}
}

// TestHostile gives both readers what is huge, deep, of another encoding, or
// another document.
func TestHostile(t *testing.T) {
	entry := `{"cveID": "CVE-2026-10001", "vendorProject": "a", "product": "b", "dateAdded": "2026-11-17", "cve": "CVE-2026-10001", "epss": "0.1", "date": "2026-11-17"}`
	many := strings.Repeat(entry+",", maxEntries) + entry
	head := fmt.Sprintf(`{"catalogVersion": "1", "dateReleased": "2026-11-17T00:00:00Z", "count": %d, `, maxEntries+1)
	for what, text := range map[string]string{
		"nothing": "", "white space": " \n", "a byte order mark": "\xef\xbb\xbf", "null": "null", "a list": "[]", "a number": "404", "a page": "<!DOCTYPE html><html>Sign in</html>",
		"an error": `{"status": "ERROR", "message": "rate limited"}`, "no UTF-8": "{\"data\": [], \"x\": \"\xc3\x28\"}", "UTF-16": "\xff\xfe{\x00}\x00",
		"large":           `{"x": "` + strings.Repeat("0123456789abcdef", maxDocument/16) + `"}`,
		"many values":     "{\"data\": [" + strings.Repeat("{},", maxValues/2) + "{}]}",
		"many entries":    head + `"vulnerabilities": [` + many + `], "data": [` + many + `]}`,
		"deep arrays":     strings.Repeat("[", 1_000_000),
		"deep objects":    strings.Repeat(`{"data":`, 200_000),
		"deep and closed": `{"x": ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`,
		"cut off":         `{"data": [{"cve": "CVE-2026-10001", `, "more": `{"data": [` + entry + `]} {}`,
		"a long name": `{"data": [{"cve": "` + strings.Repeat("C", 1000) + `", "epss": "0.1", "date": "2026-11-17"}], "catalogVersion": "` + strings.Repeat("1", 1000) + `"}`,
	} {
		for name, read := range readers() {
			n, err := read([]byte(text))
			if err == nil || n != 0 {
				t.Errorf("%s of %s tells %d", name, what, n)
				continue
			}
			if fleet.KindOf(err) != fleet.Invalid || len(err.Error()) > 300 || strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Errorf("%s of %s: %v", name, what, err)
			}
		}
	}
}

// FuzzKEV looks for catalogs that break the reader, or make it tell what it must
// not.
func FuzzKEV(f *testing.F) {
	f.Add(testdata(f, "kev.json"))
	f.Add([]byte(`{"catalogVersion": "1", "dateReleased": "2026-11-17T00:00:00Z", "count": 0, "vulnerabilities": []}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		kev, err := KEV(data)
		if err != nil {
			return
		}
		if kev.Version == "" || kev.Released.Location() != time.UTC || len(kev.Listed) > maxEntries {
			t.Fatalf("%+v", kev)
		}
		for id, list := range kev.Listed {
			if !fleet.ValidCVE(id) || len(list) == 0 {
				t.Fatalf("%q: %v", id, list)
			}
			for _, e := range list {
				if e.Vendor == "" || e.Product == "" || len(e.Vendor) > maxName || strings.ContainsFunc(e.Product, unicode.IsControl) {
					t.Fatalf("%q: %+v", id, e)
				}
			}
		}
	})
}

// FuzzEPSS does the same for scores.
func FuzzEPSS(f *testing.F) {
	f.Add(testdata(f, "epss.json"))
	f.Add([]byte(`{"data": [{"cve": "CVE-2026-10001", "epss": "1e-400", "date": "2026-11-17"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		scores, err := EPSS(data)
		if err != nil {
			return
		}
		for id, s := range scores {
			if !fleet.ValidCVE(id) || !(s.Probability >= 0 && s.Probability <= 1) || len(s.Date) != len(time.DateOnly) {
				t.Fatalf("%q: %+v", id, s)
			}
		}
	})
}
