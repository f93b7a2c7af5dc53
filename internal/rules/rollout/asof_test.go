package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

func TestMainAt(t *testing.T) {
	line := []rollout.OnMain{{Commit: "root", Made: on(17, 12, 0)}, {Commit: "a", Made: on(18, 8, 0)}, {Commit: "b", Made: on(18, 15, 0)}, {Commit: "c", Made: on(20, 12, 0)}}
	dated := func(i int, made time.Time) []rollout.OnMain {
		out := append([]rollout.OnMain(nil), line...)
		out[i].Made = made
		return out
	}
	none := &fleet.Record{}
	for _, c := range []struct {
		name string
		line []rollout.OnMain
		rec  *fleet.Record
		at   time.Time
		want string
	}{
		{"before the first commit", line, none, on(17, 11, 59), ""},
		{"at the first commit", line, none, on(17, 12, 0), "root"},
		{"between two", line, none, on(18, 14, 59), "a"},
		{"to the second", line, none, on(18, 15, 0), "b"},
		{"after all", line, none, on(30, 0, 0), "c"},
		{"a commit that says it is older than what it stands on", dated(3, on(1, 0, 0)), none, on(18, 14, 0), "a"},
		{"and once that is there, it is too", dated(3, on(1, 0, 0)), none, on(18, 15, 0), "c"},
		{"a commit from the future keeps those behind it back", dated(2, on(29, 0, 0)), none, on(21, 0, 0), "a"},
		{"until a run goes by one of them", dated(2, on(29, 0, 0)), &fleet.Record{Heartbeats: []fleet.Heartbeat{{Main: "c"}}}, on(21, 0, 0), "c"},
		{"or its merge is recorded", dated(2, on(29, 0, 0)), &fleet.Record{Merges: []fleet.Merge{{Commit: "b"}}}, on(21, 0, 0), "c"},
		{"or an intent names it", dated(1, on(29, 0, 0)), &fleet.Record{Intents: []fleet.Intent{{Main: "a"}}}, on(18, 14, 0), "a"},
		{"or a verdict", dated(1, on(29, 0, 0)), &fleet.Record{Verdicts: []fleet.Verdict{{Inputs: map[string]string{"main": "a"}}}}, on(18, 14, 0), "a"},
		{"what evidence names is of another line", line, &fleet.Record{Heartbeats: []fleet.Heartbeat{{Main: "elsewhere"}}}, on(18, 9, 0), "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := rollout.MainAt(c.line, c.rec, c.at); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
