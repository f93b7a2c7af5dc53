package reports_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/intune/reports"
	"github.com/packmill/packmill/internal/fleet"
)

func need() []string { return []string{"DeviceId", "AppInstallState"} }

func small() reports.Limits { return reports.Limits{Rows: 1000, Bytes: 1 << 20, Ratio: 100} }

// zipped is a zip with files by name, in the order given: name, content, …
func zipped(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(data []byte, l reports.Limits) (string, error) {
	var out []string
	err := reports.ReadExport(bytes.NewReader(data), int64(len(data)), need(), l, func(r reports.Row) error {
		out = append(out, r.Cell("DeviceId")+"="+r.Cell("AppInstallState")+r.Cell("none"))
		return nil
	})
	return strings.Join(out, " "), err
}

func TestReadExport(t *testing.T) {
	const head = "DeviceName,DeviceId,AppInstallState\r\n"
	lying := zipped(t, "a.csv", head+strings.Repeat("PC,d,1\r\n", 10))
	for name, tt := range map[string]struct {
		data []byte
		l    reports.Limits
		want string
		err  string
	}{
		"rows":           {zipped(t, "a.csv", head+"PC,d-1,1\r\n\"P,C\",d-2,\"2\"\r\n"), small(), "d-1=1 d-2=2", ""},
		"mark":           {zipped(t, "A.CSV", "\xef\xbb\xbfDeviceId,AppInstallState\nd-1,1\n"), small(), "d-1=1", ""},
		"none":           {zipped(t, "a.csv", head), small(), "", ""},
		"beside":         {zipped(t, "readme.txt", "x", "a.csv", head+"PC,d,1\n"), small(), "d=1", ""},
		"empty":          {nil, small(), "", "is empty"},
		"no zip":         {[]byte("<Error>AuthenticationFailed</Error>"), small(), "", "is no zip"},
		"no CSV":         {zipped(t, "a.json", "{}"), small(), "", "0 CSV files"},
		"two":            {zipped(t, "a.csv", head, "b.csv", head), small(), "", "2 CSV files"},
		"no head":        {zipped(t, "a.csv", ""), small(), "", "file is empty"},
		"column missing": {zipped(t, "a.csv", "DeviceId\nd\n"), small(), "", "no column AppInstallState"},
		"column twice":   {zipped(t, "a.csv", "DeviceId,DeviceId,AppInstallState\n"), small(), "", "twice"},
		"short row":      {zipped(t, "a.csv", head+"PC,d\n"), small(), "", "row 1 has 2 cells"},
		"bad quotes":     {zipped(t, "a.csv", head+"PC,\"d,1\n"), small(), "", "row 1"},
		"rows too many":  {zipped(t, "a.csv", head+strings.Repeat("PC,d,1\n", 5)), reports.Limits{Rows: 3, Bytes: 1 << 20, Ratio: 100}, "d=1 d=1 d=1", "more than 3 rows"},
		"bomb":           {zipped(t, "a.csv", head+strings.Repeat("PC,d,1\n", 100_000)), small(), "", "zip bomb"},
		"long line":      {zipped(t, "a.csv", head+strings.Repeat("x", 600_000)), reports.Limits{Rows: 9, Bytes: 1 << 20, Ratio: 10_000}, "", "longer than it may be"},
		"says less":      {shrunk(lying), small(), "*", "not a valid zip"},
	} {
		got, err := read(tt.data, tt.l)
		if (err == nil) != (tt.err == "") || err != nil && (!strings.Contains(err.Error(), tt.err) || fleet.KindOf(err) != fleet.Invalid) {
			t.Errorf("%s: error %v, want %q", name, err, tt.err)
		}
		if got != tt.want && tt.want != "*" {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// shrunk is a zip whose directory says that its file is shorter than it is.
func shrunk(data []byte) []byte {
	out := bytes.Clone(data)
	i := bytes.Index(out, []byte("PK\x01\x02"))
	out[i+24], out[i+25] = 40, 0
	return out
}

func TestRowsMayStop(t *testing.T) {
	stop := errors.New("enough")
	data := zipped(t, "a.csv", "DeviceId,AppInstallState\na,1\nb,1\n")
	n := 0
	err := reports.ReadExport(bytes.NewReader(data), int64(len(data)), need(), small(), func(reports.Row) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestReadPage(t *testing.T) {
	for name, tt := range map[string]struct{ data, want, err string }{
		"rows":         {`{"TotalRowCount":9,"Schema":[{"Column":"AppInstallState","PropertyType":"Int32"},{"Column":"DeviceId"}],"Values":[[1,"d-1"],[null,"d-2"],[true]],"SessionId":"x"}`, "9: d-1=1 d-2= =true", ""},
		"none":         {`{"TotalRowCount":0,"Schema":[],"Values":[]}`, "0:", ""},
		"no values":    {`{"TotalRowCount":3}`, "3:", ""},
		"no column":    {`{"TotalRowCount":1,"Schema":[{"Column":"DeviceId"}],"Values":[["d"]]}`, "", "no column AppInstallState"},
		"no JSON":      {`<html>`, "", "no JSON"},
		"cut off":      {`{"TotalRowCount":1,"Schema":[`, "", "no JSON"},
		"negative":     {`{"TotalRowCount":-1}`, "", "no page"},
		"wrong shapes": {`{"TotalRowCount":1,"Values":[{"DeviceId":"d"}]}`, "", "no JSON"},
		"long":         {`{"TotalRowCount":1,"Values":[["` + strings.Repeat("x", 1<<20) + `"]]}`, "", "longer than 1048576 bytes"},
	} {
		p, err := reports.ReadPage(strings.NewReader(tt.data), need(), small())
		if (err == nil) != (tt.err == "") || err != nil && (!strings.Contains(err.Error(), tt.err) || fleet.KindOf(err) != fleet.Invalid) {
			t.Errorf("%s: error %v, want %q", name, err, tt.err)
		}
		if err != nil {
			continue
		}
		got := fmt.Sprint(p.Total) + ":"
		for _, r := range p.Rows {
			got += " " + r.Cell("DeviceId") + "=" + r.Cell("AppInstallState")
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func FuzzReadExport(f *testing.F) {
	f.Add(zipped(f, "a.csv", "DeviceId,AppInstallState\nd,1\n"))
	f.Add(zipped(f, "a.csv", "\xef\xbb\xbfDeviceId,AppInstallState\n\"d\n\",\"1\"\"\"\n"))
	f.Add(shrunk(zipped(f, "a.csv", "DeviceId,AppInstallState\n"+strings.Repeat("d,1\n", 20))))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		err := reports.ReadExport(bytes.NewReader(data), int64(len(data)), need(), small(), func(r reports.Row) error {
			n++
			_ = r.Cell("DeviceId")
			return nil
		})
		if n > small().Rows {
			t.Errorf("%d rows were handed on", n)
		}
		if err != nil && fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("error %v is not of kind Invalid", err)
		}
	})
}

func FuzzReadPage(f *testing.F) {
	f.Add([]byte(`{"TotalRowCount":2,"Schema":[{"Column":"DeviceId"},{"Column":"AppInstallState"}],"Values":[["d",1],["e",null]]}`))
	f.Add([]byte(`{"TotalRowCount":0,"Schema":null,"Values":null}`))
	f.Add([]byte(`{"Values":[[[]]],"Schema":[{"Column":"DeviceId"},{"Column":"AppInstallState"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := reports.ReadPage(bytes.NewReader(data), need(), small())
		if err != nil && fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("error %v is not of kind Invalid", err)
		}
		for _, r := range p.Rows {
			if len(r.Cell("DeviceId")) > 1<<16 {
				t.Error("a cell without end")
			}
		}
	})
}
