package evidence

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// samples are rows of every type that is read in canonical form, with and
// without what may be absent, and with texts that are not plain.
func samples() []any {
	at := time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)
	odd := `tab	"quote" \ backslash é 漢 <&>` + "\u2028"
	return []any{
		[]fleet.InventoryRow{
			{Tenant: "p/t", Device: "ab12", Platform: "windows", OSBuild: "10.0", Attributes: map[string]string{"model": "X", "country": "FI"}, LastSeen: "2026-11-18", At: at},
			{Tenant: "p/t"}, {Tenant: "p/t", Device: odd, Attributes: map[string]string{odd: odd, "{": "}"}, At: at.Add(time.Nanosecond)},
		},
		[]fleet.Intent{{ID: "i", Cycle: "2026-W47", Generation: 12, Opens: at, Reason: odd}, {Generation: -1}, {}},
		[]fleet.Receipt{{Intent: "i", Recovered: true, Detail: odd, At: at}, {Outcome: "done"}},
		[]fleet.Report{{Look: fleet.Duration(28 * time.Hour), Counts: fleet.Counts{Succeeded: 3, Silent: 1}, Errors: []string{"0x1", odd}, Signals: map[string]fleet.SignalCount{"login": {}}, AsOf: at}, {Signals: map[string]fleet.SignalCount{"login": {}}}, {}},
		[]fleet.Membership{{Cycle: "2026-W47", Devices: []string{"a", "b"}, Inactive: 2}, {Devices: []string{}}, {}},
		[]fleet.PlanRow{{Tenant: "p/t", Devices: 7, NotBefore: at, LocalTime: true, Why: odd}, {}},
		[]fleet.WaveStart{{Cycle: "2026-W47", Wave: "pilot", Opens: at, Devices: 1 << 40}},
		[]fleet.Heartbeat{{Command: "run", At: at.In(time.FixedZone("", 7200))}},
		[]fleet.Detection{{Package: "a/b", State: "new", At: at}},
		[]fleet.AppRow{{Tenant: "p/t", Name: "7-Zip", Publisher: odd, Version: "24.09", Platform: "windows", Devices: 3, At: at}, {Tenant: "p/t", Rest: 9, Devices: 12, At: at}, {}},
		[]fleet.Silence{{Cycle: "2026-W47", Wave: "pilot", Tenant: "p/t", Look: fleet.Duration(time.Hour), Silent: 2, Devices: []string{"a", "b"}, At: at}, {}},
	}
}

// decoders are, by row type, how its kind decodes a payload, and how
// encoding/json alone does.
type decoders map[string][2]func(payload []byte) (any, error)

func newDecoders() decoders {
	out := decoders{}
	pairOf[fleet.InventoryRow](out)
	pairOf[fleet.Intent](out)
	pairOf[fleet.Receipt](out)
	pairOf[fleet.Report](out)
	pairOf[fleet.Membership](out)
	pairOf[fleet.PlanRow](out)
	pairOf[fleet.WaveStart](out)
	pairOf[fleet.Heartbeat](out)
	pairOf[fleet.Detection](out)
	pairOf[fleet.Merge](out)
	pairOf[fleet.Verdict](out)
	pairOf[fleet.AppRow](out)
	pairOf[fleet.Silence](out)
	pairOf[fleet.Reconciliation](out)
	return out
}

func pairOf[T any](out decoders) {
	out[reflect.TypeFor[T]().Name()] = [2]func([]byte) (any, error){
		rowsDecoder[T](), func(payload []byte) (any, error) { return decodeRows[T](nil, nil, payload) },
	}
}

// compare decodes a payload both ways, as one type or as all.
func (d decoders) compare(t *testing.T, payload []byte, names ...string) {
	t.Helper()
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(d))
	}
	for _, name := range names {
		got, err1 := d[name][0](payload)
		want, err2 := d[name][1](payload)
		if fmt.Sprint(err1) != fmt.Sprint(err2) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s from %q:\n%+v, %v\nwant\n%+v, %v", name, payload, got, err1, want, err2)
		}
	}
}

// TestCanonical reads what the ledger writes, and everything that is nearly it.
func TestCanonical(t *testing.T) {
	d := newDecoders()
	for _, rows := range samples() {
		v := reflect.ValueOf(rows)
		name := v.Type().Elem().Name()
		payload, err := encodeRows(v)
		if err != nil {
			t.Fatal(err)
		}
		d.compare(t, payload)
		d.compare(t, append(payload, payload...), name)
		for at := range payload { // one byte missing, one byte different
			d.compare(t, append(append([]byte(nil), payload[:at]...), payload[at+1:]...), name)
			altered := append([]byte(nil), payload...)
			altered[at] = `",:{}[]\0e. n`[at%13]
			d.compare(t, altered, name)
		}
	}
}

// TestCanonicalIsUsed shows that the rows of which there are many are read
// without encoding/json.
func TestCanonicalIsUsed(t *testing.T) {
	for _, rows := range samples() {
		v := reflect.ValueOf(rows)
		form := canonicalOf(v.Type().Elem())
		payload, err := encodeRows(v.Slice(0, 1))
		if err != nil || form == nil {
			t.Fatalf("%T: %v, form %v", rows, err, form)
		}
		plain := !strings.Contains(string(payload), `\`)
		row := reflect.New(v.Type().Elem()).Elem()
		read := form.row(newCursor().(*cursor), payload[:len(payload)-1], row)
		if read != plain {
			t.Errorf("%s is read %v, want %v", payload, read, plain)
		}
	}
}

// FuzzCanonical compares both ways of reading on whatever may stand in a batch.
func FuzzCanonical(f *testing.F) {
	for _, rows := range samples() {
		payload, err := encodeRows(reflect.ValueOf(rows))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	for _, text := range []string{
		`{"tenant":"a","tenant":"b"}`, `{"Tenant":"a"}`, `{"tenant":null}`, `{"devices":01}`, `{"devices":-0}`, `{"devices":1.0}`, `{"devices":1e2}`, `{"devices":99999999999999999999}`,
		`{"attributes":{"a":"1","a":"2"}}`, `{"attributes":{}}`, `{"attributes":null}`, "{\"device\":\"\xff\"}", `{"at":"2026-11-18T06:00:00+02:00"}`, `{"at":"2026-11-18t06:00:00z"}`, `{"look":"28h"}`, `{"look":28}`,
		`{}`, `null`, `[]`, `{"devices":[]}`, `{"devices":[""]}`, `{"counts":{"failed":1}}`, `{"counts":{"failed":1,}}`, `{,"tenant":"a"}`, `{"recovered":false}`, ` {}`, `{} `,
	} {
		f.Add([]byte(text + "\n"))
	}
	d := newDecoders()
	f.Fuzz(func(t *testing.T, payload []byte) { d.compare(t, payload) })
}
