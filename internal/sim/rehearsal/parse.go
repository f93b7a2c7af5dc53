package rehearsal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// maxModel is the most bytes a model may have.
const maxModel = 1 << 20

// hint is what to do about a model that cannot be used.
const hint = "packmill schema rehearsal says what a model may hold; packmill demo writes one"

// Parse reads a model from JSON. name is the file it came from, for errors,
// which have its line and column and are of kind Invalid.
func Parse(name string, data []byte) (Model, error) {
	p := parser{name: name, data: data}
	if len(data) > maxModel {
		return Model{}, p.fail(0, "a model has at most %d bytes, this has %d", maxModel, len(data))
	}
	m := Model{CheckIn: fleet.Duration(time.Hour)}
	document := struct {
		Schema string `json:"schema"`
		*Model
	}{Model: &m}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&document); err != nil {
		return Model{}, p.fail(offsetOf(err, d), "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if d.More() {
		return Model{}, p.fail(d.InputOffset(), "something follows on the model")
	}
	if !strings.HasPrefix(document.Schema, "packmill.dev/rehearsal/v1") {
		return Model{}, p.at("schema", "its schema is %q, not packmill.dev/rehearsal/v1", document.Schema)
	}
	return m, p.check(&m)
}

// offsetOf is where in its input a decoder found an error.
func offsetOf(err error, d *json.Decoder) int64 {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return syntax.Offset - 1 // it counts the byte that is wrong
	case errors.As(err, &kind):
		return kind.Offset
	default:
		return d.InputOffset()
	}
}

type parser struct {
	name string
	data []byte
}

// fail is an error at a byte of the file.
func (p parser) fail(offset int64, format string, args ...any) error {
	before := p.data[:min(max(offset, 0), int64(len(p.data)))]
	line := bytes.Count(before, []byte("\n"))
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
	return &fleet.Error{
		Op: "rehearsal.model", Object: fmt.Sprintf("%s:%d:%d", p.name, line+1, column+1), Kind: fleet.Invalid,
		Err: fmt.Errorf(format, args...), Hint: hint,
	}
}

// at is an error at the value that a path names: keys and indices, dots between.
func (p parser) at(path, format string, args ...any) error {
	return p.fail(p.find(path), path+": "+format, args...)
}

// find is where in the file the value of a path begins, 0 when it is not there.
func (p parser) find(path string) int64 {
	d := json.NewDecoder(bytes.NewReader(p.data))
	found := int64(0)
	var walk func(at string) error
	walk = func(at string) error {
		t, err := d.Token()
		if err != nil {
			return err
		}
		if at == path {
			found = max(d.InputOffset()-int64(len(fmt.Sprint(t))), 0)
			return errStopped
		}
		open, ok := t.(json.Delim)
		for i := 0; ok && d.More(); i++ {
			step := fmt.Sprint(i)
			if open == '{' {
				key, err := d.Token()
				if err != nil {
					return err
				}
				step = fmt.Sprint(key)
			}
			if err := walk(strings.TrimPrefix(at+"."+step, ".")); err != nil {
				return err
			}
		}
		if ok {
			_, err = d.Token() // the closing one
		}
		return err
	}
	_ = walk("") // what cannot be read has been refused before
	return found
}

// check refuses values that make no sense.
func (p parser) check(m *Model) error {
	if m.CheckIn.Std() < time.Second {
		return p.at("checkIn", "%s is less than a second", m.CheckIn)
	}
	for _, s := range []struct {
		path  string
		share float64
	}{{"silent", m.Silent}, {"deferring", m.Deferring}, {"failing.others", m.Failing.Others}} {
		if !(s.share >= 0 && s.share <= 1) {
			return p.at(s.path, "%v is no share from 0 to 1", s.share)
		}
	}
	for name, share := range m.Failing.Releases {
		if id, version, ok := strings.Cut(name, "@"); !ok || version == "" || strings.Count(id, "/") != 1 {
			return p.at("failing.releases", "%q is not <publisher>/<package>@<version>", name)
		}
		if !(share >= 0 && share <= 1) {
			return p.at("failing.releases."+name, "%v is no share from 0 to 1", share)
		}
	}
	return errors.Join(p.checkRuns(m), p.checkPeople(m))
}

func (p parser) checkRuns(m *Model) error {
	switch every := m.Runs.Every.Std(); {
	case every < 0 || every > 0 && every < time.Minute:
		return p.at("runs.every", "%s is less than a minute", m.Runs.Every)
	case every == 0 && len(m.Runs.At) == 0:
		return p.at("runs", "packmill would never run: give every or at")
	case m.Runs.Late < 0:
		return p.at("runs.late", "%s is before the run", m.Runs.Late)
	}
	steps := map[string]bool{}
	for i, at := range m.Runs.At {
		steps[at.Step] = true
		if i > 0 && !m.Runs.At[i-1].At.Before(at.At) {
			return p.at(fmt.Sprintf("runs.at.%d", i), "the moments are not in order")
		}
	}
	for i, k := range m.Kills {
		path := fmt.Sprintf("kills.%d", i)
		switch {
		case !steps[k.Step]:
			return p.at(path+".step", "%q is no moment of runs.at", k.Step)
		case k.Chunk < 1:
			return p.at(path+".chunk", "%d is no chunk: they count from 1", k.Chunk)
		case k.After != AfterIntents && k.After != AfterCall && k.After != AfterReceipts:
			return p.at(path+".after", "%q is not %s, %s or %s", k.After, AfterIntents, AfterCall, AfterReceipts)
		}
	}
	for i, o := range m.Outages {
		if !o.From.Before(o.Until) {
			return p.at(fmt.Sprintf("outages.%d.until", i), "the outage ends before it begins")
		}
	}
	return nil
}

func (p parser) checkPeople(m *Model) error {
	for i, x := range m.People {
		path := fmt.Sprintf("people.%d", i)
		if x.After < 0 {
			return p.at(path+".after", "%s is before the proposal", x.After)
		}
		for n := 1; n < len(x.At); n++ {
			if !x.At[n-1].At.Before(x.At[n].At) {
				return p.at(fmt.Sprintf("%s.at.%d", path, n), "the moments are not in order")
			}
		}
	}
	return nil
}
