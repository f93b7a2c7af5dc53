package desired

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// TestProofs are run when they are asked for, of a repository that is sound, at
// a time that is known; what they find has its place.
func TestProofs(t *testing.T) {
	shut := edit{"schedules/waves.cue", `success: 98`, `success: 0`}
	broken := edit{freeze, `"2027-01-04T00:00:00+02:00"`, `"2036-01-04T00:00:00+02:00"`}
	for _, tt := range []struct {
		name    string
		edits   []edit
		options Options
		want    []string // parts of the findings, in order
	}{
		{"not asked for", []edit{shut}, Options{Now: now}, nil},
		{"at no time", []edit{shut}, Options{Prove: func(*fleet.Error) {}}, nil},
		{"asked for", []edit{shut}, Options{Now: now, Prove: func(*fleet.Error) {}}, []string{"no release ever gets past it"}},
		{"not of a repository with findings", []edit{shut, broken}, Options{Now: now, Prove: func(*fleet.Error) {}}, []string{"the freeze lasts"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.options.Evaluator = InProcess{}
			_, err := Load(t.Context(), edited(t, tt.edits...), tt.options)
			list, _ := err.(fleet.Errors)
			if len(list) != len(tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			for i, e := range list {
				if !strings.Contains(e.Err.Error(), tt.want[i]) || e.Kind != fleet.Invalid || e.Pos.Line == 0 {
					t.Errorf("got %+v, want %q", e, tt.want[i])
				}
			}
		})
	}
}
