package rehearsal_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/rehearsal"
)

const whole = `{
  "schema": "packmill.dev/rehearsal/v1",
  "seed": 7,
  "checkIn": "30m",
  "silent": 0.02,
  "deferring": 0.1,
  "failing": {"others": 0.001, "releases": {"acme/tool@2.0": 0.2}},
  "runs": {"every": "1h", "late": "7h", "at": [{"at": "2026-11-19T04:00:00Z", "step": "dogfood"}]},
  "people": [{"branch": "approve/", "login": "ada", "approves": "Ada", "merges": "Bo", "after": "2h"}],
  "outages": [{"tenant": "p/t", "from": "2026-11-19T00:00:00Z", "until": "2026-11-20T00:00:00Z"}],
  "kills": [{"step": "dogfood", "chunk": 1, "after": "call", "says": "after call"}]
}`

func TestParse(t *testing.T) {
	m, err := rehearsal.Parse("model.json", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 19, 4, 0, 0, 0, time.UTC)
	want := rehearsal.Model{
		Seed: 7, CheckIn: fleet.Duration(30 * time.Minute), Silent: 0.02, Deferring: 0.1,
		Failing: rehearsal.Failing{Others: 0.001, Releases: map[string]float64{"acme/tool@2.0": 0.2}},
		Runs:    rehearsal.Runs{Every: fleet.Duration(time.Hour), Late: fleet.Duration(7 * time.Hour), At: []rehearsal.Moment{{At: at, Step: "dogfood"}}},
		People:  []rehearsal.Person{{Branch: "approve/", Login: "ada", Approves: "Ada", Merges: "Bo", After: fleet.Duration(2 * time.Hour)}},
		Outages: []rehearsal.Outage{{Tenant: "p/t", From: at.Add(-4 * time.Hour), Until: at.Add(20 * time.Hour)}},
		Kills:   []rehearsal.Kill{{Step: "dogfood", Chunk: 1, After: "call", Says: "after call"}},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("%+v\nwant %+v", m, want)
	}
}

// TestParseRefuses names for every mistake where it stands.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ old, new, where, says string }{
		{`"seed": 7,`, `"seed": 7,,`, "model.json:3:13", "invalid character"},
		{`"seed": 7`, `"seed": "x"`, "model.json:3:", "cannot unmarshal"},
		{`"seed": 7`, `"sed": 7`, "model.json:", `unknown field "sed"`},
		{`rehearsal/v1`, `rehearsal/v9`, "model.json:2:", "packmill.dev/rehearsal/v9"},
		{`"checkIn": "30m"`, `"checkIn": "0s"`, "model.json:4:", "less than a second"},
		{`"silent": 0.02`, `"silent": 1.2`, "model.json:5:13", "no share from 0 to 1"},
		{`"deferring": 0.1`, `"deferring": -0.5`, "model.json:6:16", "no share"},
		{`"acme/tool@2.0": 0.2`, `"acme/tool": 0.2`, "model.json:7:", "not <publisher>/<package>@<version>"},
		{`"every": "1h"`, `"every": "1s"`, "model.json:8:", "less than a minute"},
		{`"late": "7h"`, `"late": "-7h"`, "model.json:8:", "before the run"},
		{`"after": "2h"`, `"after": "-2h"`, "model.json:9:", "before the proposal"},
		{`"until": "2026-11-20`, `"until": "2026-11-18`, "model.json:10:", "ends before it begins"},
		{`{"step": "dogfood", "chunk"`, `{"step": "noon", "chunk"`, "model.json:11:", "no moment of runs.at"},
		{`"chunk": 1`, `"chunk": 0`, "model.json:11:", "count from 1"},
		{`"after": "call", "says"`, `"after": "lunch", "says"`, "model.json:11:", "not intents, call or receipts"},
	} {
		text := strings.Replace(whole, c.old, c.new, 1)
		if text == whole {
			t.Fatalf("%q is not in the model", c.old)
		}
		_, err := rehearsal.Parse("model.json", []byte(text))
		if err == nil || !strings.Contains(err.Error(), c.where) || !strings.Contains(err.Error(), c.says) || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: %v, want %s … %s", c.new, err, c.where, c.says)
		}
	}
	if _, err := rehearsal.Parse("m", []byte(`{"schema":"packmill.dev/rehearsal/v1"}`)); err == nil || !strings.Contains(err.Error(), "never run") {
		t.Errorf("a model in which packmill never runs: %v", err)
	}
}

// FuzzParse: whatever a file holds, it is a model that holds together or an
// error of kind Invalid, and a model that was read can be written and read.
func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"schema":"packmill.dev/rehearsal/v1","runs":{"every":"1h"}}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := rehearsal.Parse("model.json", data)
		if err != nil {
			if fleet.KindOf(err) != fleet.Invalid {
				t.Fatalf("kind %v: %v", fleet.KindOf(err), err)
			}
			return
		}
		again, err := json.Marshal(struct {
			Schema string `json:"schema"`
			rehearsal.Model
		}{"packmill.dev/rehearsal/v1", m})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rehearsal.Parse("model.json", again); err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
	})
}
