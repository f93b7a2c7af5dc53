package msi

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/testreq"
)

// TestMSIInfo compares, for every recipe, all that msiinfo prints with the same
// text made from what the reader read, byte by byte: the list of tables, every
// table with the names, types and keys of its columns, the summary information,
// the list of streams and the bytes of each.
//
// msiinfo prints a binary cell as the name of the stream that holds it, and so
// does this test; the streams' bytes are compared on their own. It does not
// escape what it prints, so that a cell with a tab could be read in two ways;
// texts that are equal cannot.
func TestMSIInfo(t *testing.T) {
	program := testreq.Program(t, "msiinfo")
	tables, rows := map[string]int{}, 0
	for name := range recipes() {
		t.Run(name, func(t *testing.T) {
			path := build(t, name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parse(data)
			if err != nil {
				t.Fatal(err)
			}
			info := func(args ...string) string { return msiinfo(t, program, args...) }
			list, err := f.Tables()
			if err != nil {
				t.Fatal(err)
			}
			// Two that the program makes up, from the summary and the code page.
			if got, want := "_SummaryInformation\n_ForceCodepage\n"+lines(list), info("tables", path); got != want {
				t.Errorf("tables:\n%s\nmsiinfo:\n%s", got, want)
			}
			if got, want := fmt.Sprintf("\r\n\r\n%d\t_ForceCodepage\r\n\x00", f.CodePage()), info("export", path, "_ForceCodepage"); got != want {
				t.Errorf("code page %q, msiinfo %q", got, want)
			}
			for _, table := range list {
				got, n := export(t, f, table)
				if want := info("export", path, table); got != want {
					t.Errorf("table %s: %s", table, difference(got, want))
				}
				tables[table] += n
				rows += n
			}
			if got, want := summaryText(f.Summary), info("suminfo", path); got != want {
				t.Errorf("summary:\n%s\nmsiinfo:\n%s", got, want)
			}
			compareStreams(t, f, path, info)
		})
	}
	if len(recipes()) < 10 || rows < 23_000 {
		t.Errorf("%d MSIs with %d rows: the test looks at too little", len(recipes()), rows)
	}
	for table, n := range tables {
		if n == 0 && !slices.Contains([]string{"Error", "Signature"}, table) {
			t.Errorf("table %s has no row in any of them", table)
		}
	}
}

// compareStreams compares the names of all streams and the bytes of each.
func compareStreams(t *testing.T, f *File, path string, info func(...string) string) {
	t.Helper()
	var names []string
	for _, s := range f.Streams() {
		names = append(names, s.Name)
		r, err := f.Open(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil || int64(len(data)) != s.Size {
			t.Errorf("stream %q: %d of %d bytes, %v", s.Name, len(data), s.Size, err)
		}
		if want := info("extract", path, s.Name); sha256.Sum256(data) != sha256.Sum256([]byte(want)) {
			t.Errorf("stream %q has other bytes: %d here, %d there", s.Name, len(data), len(want))
		}
	}
	theirs := strings.Split(strings.TrimSuffix(info("streams", path), "\n"), "\n")
	slices.Sort(theirs)
	if !slices.Equal(names, theirs) {
		t.Errorf("streams %q, msiinfo %q", names, theirs)
	}
}

func msiinfo(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC", "WINDOWS_LANGUAGE=")
	cmd.Dir = t.TempDir() // exporting a table with binary cells writes them into folders
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("msiinfo %q: %v\n%s", args, err, complaints.String())
	}
	return string(out)
}

// export writes a table as msiinfo does: names, types, the table's name with
// its keys, then rows; tabs between cells, no escapes.
func export(t testing.TB, f *File, name string) (text string, rows int) {
	t.Helper()
	table, err := f.Table(name)
	if err != nil || table == nil {
		t.Fatalf("table %s: %v", name, err)
	}
	var names, types []string
	keys := []string{name}
	for _, c := range table.Columns {
		letter := map[Kind]string{Int16: "i", Int32: "i", Text: "s", Binary: "v"}[c.Kind]
		if c.Localizable {
			letter = "l"
		}
		if c.Nullable {
			letter = strings.ToUpper(letter)
		}
		width := map[Kind]int{Int16: 2, Int32: 4, Text: c.Width}[c.Kind]
		names, types = append(names, c.Name), append(types, letter+strconv.Itoa(width))
		if c.Key {
			keys = append(keys, c.Name)
		}
	}
	all := [][]string{names, types, keys}
	for r := range table.Rows() {
		var cells []string
		for i, c := range table.Columns {
			switch c.Kind {
			case Text:
				cells = append(cells, r.Exact(i))
			case Binary:
				cells = append(cells, r.Stream(i))
			default:
				if n, ok := r.Int(i); ok {
					cells = append(cells, strconv.Itoa(n))
				} else {
					cells = append(cells, "")
				}
			}
		}
		all = append(all, cells)
	}
	var b strings.Builder
	for _, cells := range all {
		b.WriteString(strings.Join(cells, "\t") + "\r\n")
	}
	return b.String(), table.Len()
}

// summaryText is the summary as "msiinfo suminfo" prints it.
func summaryText(s Summary) string {
	var b strings.Builder
	text := func(name, v string) {
		if v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	number := func(name string, v int) {
		if v != 0 {
			fmt.Fprintf(&b, "%s: %d (%x)\n", name, v, v)
		}
	}
	instant := func(name string, v time.Time) {
		if !v.IsZero() {
			fmt.Fprintf(&b, "%s: %s\n", name, v.Format(time.ANSIC))
		}
	}
	text("Title", s.Title)
	text("Subject", s.Subject)
	text("Author", s.Author)
	text("Keywords", s.Keywords)
	text("Comments", s.Comments)
	text("Template", s.Template)
	text("Last author", s.LastAuthor)
	text("Revision number (UUID)", s.Revision)
	instant("Last printed", s.LastPrinted)
	instant("Created", s.Created)
	instant("Last saved", s.LastSaved)
	number("Version", s.Pages)
	number("Source", s.Words)
	number("Restrict", s.Characters)
	text("Application", s.Application)
	number("Security", s.Security)
	return b.String()
}

func lines(list []string) string { return strings.Join(list, "\n") + "\n" }

// difference shows where two texts part.
func difference(got, want string) string {
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	from := max(0, n-80)
	return fmt.Sprintf("%d and %d bytes, different at %d:\n got %q\nwant %q", len(got), len(want), n,
		got[from:min(len(got), n+80)], want[from:min(len(want), n+80)])
}
