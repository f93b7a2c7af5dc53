package initial

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/calendar"
)

func TestFilesValidate(t *testing.T) {
	for _, c := range []struct {
		preset, week, detect string
		waves, tenants       int
	}{
		{"", "", "Wed", 3, 2}, {"factory", "monday-friday", "Wed", 3, 2}, {"factory", "tuesday", "Tue", 3, 2},
		{"staged", "", "Wed", 4, 2}, {"site", "", "Wed", 3, 3},
	} {
		t.Run(c.preset+c.week, func(t *testing.T) {
			repo := loaded(t, Options{Preset: c.preset, Week: c.week})
			if got := repo.Week.Steps["detect"].On; got != c.detect {
				t.Errorf("detect is on %s, want %s", got, c.detect)
			}
			if len(repo.Packages) != 2 || len(repo.Tenants) != c.tenants || len(repo.Waves) != c.waves {
				t.Errorf("%d packages, %d tenants, %d waves", len(repo.Packages), len(repo.Tenants), len(repo.Waves))
			}
			for id, p := range repo.Packages {
				if len(p.Releases) != 0 {
					t.Errorf("%s has a release: its digest would be invented", id)
				}
			}
		})
	}
}

func loaded(t *testing.T, o Options) *fleet.Repository {
	t.Helper()
	files, err := Files(o)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := desired.Load(context.Background(), desired.MapTree(files), desired.Options{
		Evaluator: desired.InProcess{}, Now: time.Date(2026, 11, 18, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatalf("%+v:\n%v", o, err)
	}
	return repo
}

// A wave of a preset is judged for the last time, and has soaked, before the next
// one opens: a week that cannot be kept would make every wave late. So it is in
// the lane cve, which is over within the 72 hours that a critical fix has.
func TestWeeksCanBeKept(t *testing.T) {
	for _, o := range []Options{{}, {Week: "tuesday"}, {Preset: "staged"}, {Preset: "site"}} {
		repo := loaded(t, o)
		for _, lane := range []string{fleet.LaneWeek, fleet.LaneSecurity} {
			id := fleet.CycleID("2026-W47")
			if lane != fleet.LaneWeek {
				id += "-cve-01"
			}
			cutOff := time.Date(2026, 11, 18, 14, 0, 0, 0, time.UTC)
			waves := fleet.WavesIn(repo.Waves, lane)
			var last time.Time
			for i, w := range waves {
				opens, err := calendar.Opens(repo.Week, id, cutOff, w)
				if err != nil {
					t.Fatal(err)
				}
				if w.Gate.Looks[len(w.Gate.Looks)-1] > w.Soak && i < len(waves)-1 && lane != fleet.LaneWeek {
					t.Errorf("%+v: wave %s of %s looks on when it has soaked", o, w.Name, lane)
				}
				if opens.Before(last) {
					t.Errorf("%+v: wave %s of %s opens at %s, the one before is over at %s", o, w.Name, lane, opens, last)
				}
				last = opens.Add(max(w.Soak, w.Gate.Looks[len(w.Gate.Looks)-1]).Std())
			}
			if lane == fleet.LaneSecurity && last.Sub(cutOff) > 72*time.Hour {
				t.Errorf("%+v: a critical fix takes %s", o, last.Sub(cutOff))
			}
		}
	}
}

// In every preset a critical fix meets our own devices and a pilot first.
func TestSecurityLanes(t *testing.T) {
	for _, preset := range Presets() {
		repo := loaded(t, Options{Preset: preset})
		waves := fleet.WavesIn(repo.Waves, fleet.LaneSecurity)
		if len(waves) < 3 || !slices.Equal(waves[0].Select.Tenants["role"], fleet.Values{"own"}) {
			t.Fatalf("%s: the lane has %d waves, the first of %v", preset, len(waves), waves[0].Select.Tenants)
		}
		if pilot := waves[1].Select; pilot.Percent == nil || *pilot.Percent > 20 || len(pilot.Cover) == 0 {
			t.Errorf("%s: the second wave of the lane is no pilot: %+v", preset, pilot)
		}
	}
}

func TestUnknownOptions(t *testing.T) {
	for _, o := range []Options{{Week: "sunday"}, {Preset: "factoring"}, {Preset: "staged", Week: "tuesday"}, {Preset: "factory", Week: "staged"}} {
		if _, err := Files(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestModulePath(t *testing.T) {
	for path, ok := range map[string]bool{"": true, "git.example.com/ops/packages": true, "example.com/packages@v1": true, "bad module": false, "packages": false, "Example.com/x": false, "../x": false} {
		if _, err := Files(Options{Module: path}); (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
	}
}
