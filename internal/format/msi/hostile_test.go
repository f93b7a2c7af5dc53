package msi

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// readEverything asks a file for all there is to ask.
func readEverything(data []byte) error {
	f, err := parse(data)
	if err != nil {
		return err
	}
	var errs []error
	note := func(_ any, err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	note(f.Components())
	note(f.Files())
	note(f.RegistryValues())
	note(f.Services())
	note(f.Shortcuts())
	note(f.Upgrades())
	note(f.LaunchConditions())
	note(f.Features())
	note(f.Cabinets())
	note(f.CustomActions())
	note(nil, f.Digest(sha256.New()))
	_, _, _ = f.Scope(), f.Storages(), f.CodePage()
	for _, s := range f.Streams() {
		if r, err := f.Open(s.Name); err == nil {
			note(io.Copy(io.Discard, r))
		}
	}
	tables, err := f.Tables()
	note(nil, err)
	for _, name := range tables {
		table, err := f.Table(name)
		if err != nil {
			note(nil, err)
			continue
		}
		for r := range table.Rows() {
			for i := range table.Columns {
				_, _, _ = r.Text(i), r.Exact(i), r.Stream(i)
				_, _ = r.Int(i)
			}
		}
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

// put writes 32-bit numbers over a file's bytes.
func put(data []byte, at int, values ...uint32) []byte {
	data = bytes.Clone(data)
	for i, v := range values {
		binary.LittleEndian.PutUint32(data[at+4*i:], v)
	}
	return data
}

// with is the smallest installer with a stream replaced.
func with(stream string, data []byte) []byte {
	d := product(nil)
	d.streams[stream] = data
	return d.bytes()
}

// tables is an installer with these tables more.
func tables(list map[string][][]any) []byte { return product(list).bytes() }

// TestHostile makes files that lie, one each. The error names the structure and
// the offset where it is wrong.
func TestHostile(t *testing.T) {
	good := tables(nil)
	header := func(at int) int { return int(binary.LittleEndian.Uint32(good[at:])) }
	dir := (header(48) + 1) * 512
	fat := (header(76) + 1) * 512
	folders := func(rows ...[]any) [][]any {
		return append([][]any{{"Directory", "Directory_Parent", "DefaultDir"}}, rows...)
	}
	component := [][]any{{"Component", "ComponentId", "Directory_", "Attributes#", "Condition", "KeyPath"}, {"C", "", "D", 0, "", ""}}
	for name, c := range map[string]struct {
		data []byte
		want string // a regular expression
	}{
		"HTML":                      {[]byte("<!DOCTYPE html>" + strings.Repeat(" ", 4096)), `header, offset 0: .*no compound file`},
		"empty":                     {nil, `header, offset 0`},
		"header alone":              {good[:512], `header, offset 512: the file ends`},
		"sectors of 2^20":           {put(good, 28, 0x0014fffe), `header, offset 26: version 3`},
		"small sectors of 2^9":      {put(good, 32, 9), `header, offset 32`},
		"another cutoff":            {put(good, 56, 1<<20), `header, offset 56`},
		"4 GiB of allocation table": {put(good, 44, 0xffffffff), `header, offset 44: 4294967295 sectors`},
		"4 GiB of its list":         {put(good, 72, 0xffffffff), `header, offset 44: .*4294967295 of its list`},
		"table past the end":        {put(good, 76, 0x7fffffff), `list of allocation tables, offset 76: sector 2147483647`},
		"no table":                  {put(good, 44, 0), `directory, offset \d+: the allocation table does not know`},
		"list not there":            {put(good, 44, 2, uint32(header(48)), 0, 4096, uint32(header(60)), 1, 0x7fffffff, 1, uint32(header(76))), `list of allocation tables, offset 80`},
		"directory past the end":    {put(good, 48, 0x7ffffffe), `directory, offset 109951162\d+: .* past the end`},
		"directory in a circle":     {put(good, fat+4*header(48), uint32(header(48))), fmt.Sprintf(`directory, offset %d: its chain of sectors comes back`, dir)},
		"directory without a root":  {put(good, dir+64, 0x00010016), `directory, offset \d+: it does not begin with a root`},
		"entry of 4 GiB":            {put(good, dir+128+120, 0xffffffff), fmt.Sprintf(`directory entry, offset %d: a stream of 4294967295 bytes`, dir+128+120)},
		"entry of a type":           {put(good, dir+128+64, 0x01070012), fmt.Sprintf(`directory entry, offset %d: it is of no known type: 7`, dir+128+66)},
		"entry with a long name":    {put(good, dir+128+64, 0x0102ffff), fmt.Sprintf(`directory entry, offset %d: a name`, dir+128+64)},
		"entry to nowhere":          {put(good, dir+128+72, 77777), fmt.Sprintf(`directory entry, offset %d: it names entry 77777`, dir+128+72)},
		"entries in a circle":       {put(good, dir+128+72, 1), `compound file, offset \d+: .*traversal`},
		"two of a name":             {compound([]part{{"a", []byte("x")}, {"a", []byte("y")}}), `directory: two entries`},
		"a storage in itself":       {put(compound([]part{{"a", nil}}), 512+128+76, 1), `compound file, offset \d+: .*traversal`},
		"no database":               {compound([]part{{"a", []byte("x")}}), `"!_StringPool": the stream is not there`},

		"pool cut off":            {with(tableStream("_StringPool"), []byte{0, 0, 0, 0, 1}), `string pool, offset 5`},
		"pool names more":         {with(tableStream("_StringPool"), []byte{0, 0, 0, 0, 0xff, 0xff, 1, 0}), `string pool, offset 4: text 1 has 65535 bytes`},
		"pool names 4 GiB":        {with(tableStream("_StringPool"), []byte{0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0}), `string pool, offset 8: text 1 has 4294967295`},
		"pool ends in a record":   {with(tableStream("_StringPool"), []byte{0, 0, 0, 0, 0, 0, 1, 0}), `string pool, offset 8: it ends within a record`},
		"pool names less":         {with(tableStream("_StringPool"), []byte{0, 0, 0, 0, 1, 0, 1, 0}), `string data, offset 1: \d+ bytes belong to no text`},
		"numbers of three bytes":  {with(tableStream("_StringPool"), threeBytes(product(nil))), `table _Tables, offset 2: its bytes are no whole`},
		"_Tables without a name":  {with(tableStream("_Tables"), []byte{0, 0}), `table _Tables, offset 0: a table without a name`},
		"_Tables past the pool":   {with(tableStream("_Tables"), []byte{0xff, 0xff}), `table _Tables, offset 0: a table without a name`},
		"_Tables twice":           {with(tableStream("_Tables"), []byte{1, 0, 1, 0}), `table _Tables, offset 2: a table without a name of its own`},
		"_Columns of no table":    {with(tableStream("_Tables"), []byte{2, 0}), `table _Columns, offset 0: columns of a table that is none`},
		"_Columns cut off":        {with(tableStream("_Columns"), make([]byte, 9)), `table _Columns, offset 9`},
		"_Columns with none":      {with(tableStream("_Columns"), nil), `table _Columns: table "Property" has none`},
		"column 32,767":           {with(tableStream("_Columns"), []byte{1, 0, 0xff, 0xff, 2, 0, 0, 0x9d}), `table _Columns, offset 2: column 32767`},
		"column 0":                {with(tableStream("_Columns"), []byte{1, 0, 0, 0x80, 2, 0, 0, 0x9d}), `table _Columns, offset 2: column 0`},
		"a gap in columns":        {with(tableStream("_Columns"), []byte{1, 0, 2, 0x80, 2, 0, 0, 0x9d}), `table "Property" has no column 1`},
		"a type of 3 bytes":       {with(tableStream("_Columns"), []byte{1, 0, 1, 0x80, 2, 0, 3, 0x81}), `table _Columns, offset 6: column .* type 0x0103`},
		"a column twice":          {with(tableStream("_Columns"), []byte{1, 0, 1, 0, 1, 0x80, 1, 0x80, 2, 0, 3, 0, 0, 0x9d, 0, 0x9d}), `table _Columns, offset 2: table "Property" has column 1`},
		"Property without values": {with(tableStream("Property"), []byte{1, 0}), `table "Property", offset 2`},
		"Property past the pool":  {with(tableStream("Property"), []byte{4, 0, 99, 0}), `table "Property", offset 2: row 1, column Value: there is no text 99`},
		"Property twice":          {with(tableStream("Property"), []byte{3, 0, 3, 0, 4, 0, 4, 0}), `table "Property", offset 2: row 2: property .* twice`},
		"no product code":         {with(tableStream("Property"), nil), `no ProductCode`},
		"summary cut off":         {with(summaryStream, make([]byte, 20)), `summary information, offset 20`},
		"summary set of 4 GiB":    {with(summaryStream, put(make([]byte, 48), 44, 0xffffffff)), `summary information, offset 44`},
		"summary of 4 billion":    {with(summaryStream, put(make([]byte, 64), 44, 48, 0, 0xffffffff)), `summary information, offset 52: 4294967295 properties`},
		"summary text of 4 GiB":   {with(summaryStream, put(make([]byte, 80), 44, 48, 24, 1, 7, 16, 30, 0xffffffff)), `summary information, offset 64: property 7 is longer`},
		"summary property away":   {with(summaryStream, put(make([]byte, 80), 44, 48, 24, 1, 7, 0xffffff00)), `summary information, offset 60: property 7 stands at`},

		"a folder in itself":  {tables(map[string][][]any{"Directory": folders([]any{"D", "E", "d"}, []any{"E", "F", "e"}, []any{"F", "E", "f"}), "Component": component}), `table "Directory", offset \d+: row 2: folder "E" is inside itself`},
		"a folder of nobody":  {tables(map[string][][]any{"Directory": folders([]any{"D", "E", "d"}), "Component": component}), `table "Directory", offset 2: row 1: its parent "E" is no folder`},
		"a folder twice":      {tables(map[string][][]any{"Directory": folders([]any{"D", "", "d"}, []any{"D", "", "d"}), "Component": component}), `table "Directory", offset 2: row 2: no folder of its own`},
		"a folder upwards":    {tables(map[string][][]any{"Directory": folders([]any{"D", "", `x|..`}), "Component": component}), `table "Directory", offset 4: row 1: folder "D" has the name ".."`},
		"no such folder":      {tables(map[string][][]any{"Directory": folders([]any{"E", "", "e"}), "Component": component}), `table "Component", offset 4: row 1: component "C": .* no folder "D"`},
		"no such column":      {tables(map[string][][]any{"Upgrade": {{"UpgradeCode"}, {"{U}"}}}), `table "Upgrade", offset 0: it has no column VersionMin`},
		"no such cabinet":     {tables(map[string][][]any{"Media": {{"DiskId#", "Cabinet"}, {1, "#gone.cab"}}}), `table "Media", offset 2: row 1: the embedded cabinet "gone.cab"`},
		"a service of nobody": {tables(map[string][][]any{"ServiceInstall": {{"ServiceInstall", "Name", "ServiceType#", "StartType#", "ErrorControl#", "Component_"}, {"S", "s", 16, 2, 1, "X"}}}), `table "ServiceInstall", offset 10: row 1: .* no component "X"`},
		"a root of seven":     {tables(map[string][][]any{"Directory": folders([]any{"D", "", "d"}), "Component": component, "Registry": {{"Registry", "Root#", "Key", "Name", "Value", "Component_"}, {"R", 7, "k", "n", "v", "C"}}}), `table "Registry", offset 2: row 1: .* root 7`},
	} {
		err := bounded(t, name, c.data)
		if err == nil || fleet.KindOf(err) != fleet.Invalid || !regexp.MustCompile(c.want).MatchString(err.Error()) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// threeBytes is a database's string pool with the mark of large ones.
func threeBytes(d *database) []byte {
	d.bytes()
	pool := d.streams[tableStream("_StringPool")]
	pool[3] |= 0x80
	return pool
}

// bounded reads a file and checks what that took: 64 MiB and ten seconds are
// far more than any of these files should need.
func bounded(t *testing.T, name string, data []byte) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	started := time.Now()
	err := readEverything(data)
	took := time.Since(started)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 || took > 10*time.Second {
		t.Errorf("%s: %d bytes of file took %d MiB and %v", name, len(data), used>>20, took)
	}
	return err
}

// A stream whose chain comes back to itself ends where its size says, or where
// the file holds no more; never does it run on.
func TestCyclicStream(t *testing.T) {
	d := product(nil)
	d.streams["big"] = bytes.Repeat([]byte("x"), 8192)
	data := d.bytes()
	f, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, bytes.Repeat([]byte("x"), 512))
	first := uint32(at/512 - 1)
	fat := (int(binary.LittleEndian.Uint32(data[76:])) + 1) * 512
	for name, next := range map[string]uint32{"to itself": first, "to its end": endOfChain, "out of the file": 0x00ffffff} {
		bad := put(data, fat+4*int(first), next)
		err := bounded(t, name, bad)
		if name == "to itself" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), `stream "big", offset`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(f.Streams()) != 1 {
		t.Errorf("streams %v", f.Streams())
	}
}

// A directory of storages in storages costs the library memory by the square of
// their number, and is refused before it reads them.
func TestNestedStorages(t *testing.T) {
	var parts []part
	for i := range 20_000 {
		parts = append(parts, part{fmt.Sprint(i), nil})
	}
	data := compound(parts)
	dir := (int(binary.LittleEndian.Uint32(data[48:])) + 1) * 512
	for i := range parts {
		if i+1 < len(parts) {
			data = putHere(data, dir+(i+1)*entrySize+72, noEntry, uint32(i+2)) // a child, no sibling
		}
	}
	if err := bounded(t, "nested", data); err == nil || !strings.Contains(err.Error(), "more than 1000 storages") {
		t.Errorf("nested storages: %v", err)
	}
}

func putHere(data []byte, at int, values ...uint32) []byte {
	copy(data[at:], put(data[at:at+4*len(values)], 0, values...))
	return data
}

// Many rows that name one long text share it, and many files in one deep folder
// end with an error instead of their paths.
func TestAmplification(t *testing.T) {
	long := strings.Repeat("n", 60_000)
	rows := [][]any{{"Condition", "Description"}}
	for range 5_000 {
		rows = append(rows, []any{long, long})
	}
	if err := bounded(t, "one long text", tables(map[string][][]any{"LaunchCondition": rows})); err != nil {
		t.Errorf("one long text: %v", err)
	}
	folder := [][]any{{"Directory", "Directory_Parent", "DefaultDir"}, {"D0", "", "d"}}
	for i := range 200 {
		folder = append(folder, []any{fmt.Sprint("D", i+1), fmt.Sprint("D", i), strings.Repeat("n", 250)})
	}
	err := bounded(t, "long paths", tables(map[string][][]any{"Directory": folder,
		"Component": {{"Component", "Directory_", "Attributes#"}, {"C", "D200", 0}}}))
	if err == nil || !strings.Contains(err.Error(), "a path of") {
		t.Errorf("long paths: %v", err)
	}
}

// TestTruncated cuts MSIs at every 512 bytes. A part that is read without an
// error would be one whose end holds nothing.
func TestTruncated(t *testing.T) {
	for _, name := range []string{"hello.msi", "hello-signed.msi", "hello64-signed.msi"} {
		data := testdata(t, name)
		for n := 0; n < len(data); n += 512 {
			err := readEverything(data[:n])
			if err == nil || fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "offset") {
				t.Errorf("%s, %d of %d bytes: %v", name, n, len(data), err)
			}
		}
		if err := readEverything(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
