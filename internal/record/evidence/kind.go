package evidence

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A Checkpoint says where a shard stood when control was written, so that the
// loss of a shard's newest batches shows.
type Checkpoint struct {
	Branch string    `json:"branch"`
	Head   string    `json:"head"`
	At     time.Time `json:"at"`
}

// A kind is what a folder of batches holds.
type kind struct {
	pattern string // folder, "*" for one name
	control bool   // on the control branch; otherwise on the tenants' shards
	row     reflect.Type
	decode  func(payload []byte) (any, error)     // []row
	add     func(*fleet.Record, []string, any)    // record, names that met a "*", rows
	tenants func(rows any) (out []fleet.TenantID) // whose facts the rows are; nil on control
}

// kinds is the one table of what the ledger holds. A batch in a folder that is
// not here is verified like any other, kept, and listed in Record.Unknown: a
// newer packmill wrote it.
func kinds() []kind {
	return []kind{
		onControl("*/detected", func(r *fleet.Record, _ []string, rows []fleet.Detection) {
			r.Detections = append(r.Detections, rows...)
		}),
		onControl("*/built", func(r *fleet.Record, _ []string, rows []fleet.Built) { r.Builds = append(r.Builds, rows...) }),
		onControl("*/tested", func(r *fleet.Record, _ []string, rows []fleet.Tested) { r.Tests = append(r.Tests, rows...) }),
		onControl("*/plan/*", func(r *fleet.Record, names []string, rows []fleet.PlanRow) {
			plan := fleet.Digest("sha256:" + names[1])
			r.PlanRows[plan] = append(r.PlanRows[plan], rows...)
		}),
		onControl("*/waves", func(r *fleet.Record, _ []string, rows []fleet.WaveStart) { r.Starts = append(r.Starts, rows...) }),
		onControl("*/verdicts", func(r *fleet.Record, _ []string, rows []fleet.Verdict) { r.Verdicts = append(r.Verdicts, rows...) }),
		onControl("*/words", func(r *fleet.Record, _ []string, rows []fleet.Word) { r.Words = append(r.Words, rows...) }),
		onControl("*/commands", func(r *fleet.Record, _ []string, rows []fleet.Command) { r.Commands = append(r.Commands, rows...) }),
		onControl("*/notices", func(r *fleet.Record, _ []string, rows []fleet.Notice) { r.Notices = append(r.Notices, rows...) }),
		onControl(MergesDir, func(r *fleet.Record, _ []string, rows []fleet.Merge) { r.Merges = append(r.Merges, rows...) }),
		onControl(HeartbeatDir, func(r *fleet.Record, _ []string, rows []fleet.Heartbeat) {
			r.Heartbeats = append(r.Heartbeats, rows...)
		}),
		onControl(HeadsDir, func(*fleet.Record, []string, []Checkpoint) {}),
		onShard("*/members/*", func(m fleet.Membership) fleet.TenantID { return m.Tenant },
			func(r *fleet.Record, rows []fleet.Membership) { r.Members = append(r.Members, rows...) }),
		onShard("*/intents/*", func(i fleet.Intent) fleet.TenantID { return i.Tenant },
			func(r *fleet.Record, rows []fleet.Intent) { r.Intents = append(r.Intents, rows...) }),
		onShard("*/receipts/*", func(x fleet.Receipt) fleet.TenantID { return x.Tenant },
			func(r *fleet.Record, rows []fleet.Receipt) { r.Receipts = append(r.Receipts, rows...) }),
		onShard("*/reports/*", func(x fleet.Report) fleet.TenantID { return x.Tenant },
			func(r *fleet.Record, rows []fleet.Report) { r.Reports = append(r.Reports, rows...) }),
		onShard("inventory/*", func(x fleet.InventoryRow) fleet.TenantID { return x.Tenant },
			func(r *fleet.Record, rows []fleet.InventoryRow) { r.Inventory = append(r.Inventory, rows...) }),
		onShard("readiness/*", func(x fleet.Readiness) fleet.TenantID { return x.Tenant },
			func(r *fleet.Record, rows []fleet.Readiness) { r.Readiness = append(r.Readiness, rows...) }),
		onShard("apps/*", func(x fleet.AppRow) fleet.TenantID { return x.Tenant },
			func(r *fleet.Record, rows []fleet.AppRow) { r.Apps = append(r.Apps, rows...) }),
		onShard("*/silent/*", func(x fleet.Silence) fleet.TenantID { return x.Tenant },
			func(r *fleet.Record, rows []fleet.Silence) { r.Silences = append(r.Silences, rows...) }),
		onShard("reconciled/*", func(x fleet.Reconciliation) fleet.TenantID { return x.Tenant },
			func(r *fleet.Record, rows []fleet.Reconciliation) { r.Reconciled = append(r.Reconciled, rows...) }),
	}
}

func onControl[T any](pattern string, add func(*fleet.Record, []string, []T)) kind {
	return kind{
		pattern: pattern, control: true, row: reflect.TypeFor[T](),
		decode: rowsDecoder[T](),
		add:    func(r *fleet.Record, names []string, rows any) { add(r, names, rows.([]T)) },
	}
}

func onShard[T any](pattern string, tenant func(T) fleet.TenantID, add func(*fleet.Record, []T)) kind {
	return kind{
		pattern: pattern, row: reflect.TypeFor[T](),
		decode: rowsDecoder[T](),
		add:    func(r *fleet.Record, _ []string, rows any) { add(r, rows.([]T)) },
		tenants: func(rows any) (out []fleet.TenantID) {
			for _, row := range rows.([]T) {
				out = append(out, tenant(row))
			}
			return out
		},
	}
}

// kindOf finds what a folder holds, and the names in it that met a "*".
func kindOf(all []kind, dir string) (k kind, names []string, ok bool) {
	parts := strings.Split(dir, "/")
	for _, k := range all {
		if names, ok := matchDir(strings.Split(k.pattern, "/"), parts); ok {
			return k, names, true
		}
	}
	return kind{}, nil, false
}

func matchDir(pattern, parts []string) (names []string, ok bool) {
	if len(pattern) != len(parts) {
		return nil, false
	}
	for i, p := range pattern {
		switch {
		case p == "*":
			names = append(names, parts[i])
		case p != parts[i]:
			return nil, false
		}
	}
	return names, true
}

// encodeRows is the payload of a batch: every row's JSON on a line of its own,
// map keys sorted. The same rows give the same bytes.
func encodeRows(rows reflect.Value) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i := range rows.Len() {
		if err := enc.Encode(rows.Index(i).Interface()); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// rowsDecoder decodes the payloads of one kind.
func rowsDecoder[T any]() func(payload []byte) (any, error) {
	form := canonicalOf(reflect.TypeFor[T]())
	cursors := &sync.Pool{New: newCursor}
	return func(payload []byte) (any, error) {
		c := cursors.Get().(*cursor)
		defer cursors.Put(c)
		return decodeRows[T](form, c, payload)
	}
}

// decodeRows reads a payload strictly: no unknown field, nothing after a row,
// every line ended, no line empty. A form, if there is one, is tried first.
func decodeRows[T any](form *canonicalForm, c *cursor, payload []byte) ([]T, error) {
	rows := make([]T, 0, bytes.Count(payload, []byte("\n")))
	for n := 1; len(payload) > 0; n++ {
		line, rest, ended := bytes.Cut(payload, []byte("\n"))
		if !ended {
			return nil, fleet.Errorf(fleet.Refused, "evidence.decode", "", "line %d is cut off", n)
		}
		var row T
		if form == nil || !form.row(c, line, reflect.ValueOf(&row).Elem()) {
			row = *new(T)
			if err := strictJSON(line, &row); err != nil {
				return nil, fleet.Errorf(fleet.Refused, "evidence.decode", "", "line %d: %w", n, err)
			}
		}
		rows, payload = append(rows, row), rest
	}
	return rows, nil
}

// strictJSON decodes exactly one JSON value with known fields only.
func strictJSON(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fleet.Errorf(fleet.Refused, "evidence.decode", "", "more than one value")
	}
	return nil
}
