package rollout

import (
	"archive/zip"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/testreq"
)

// changes are, for every IANA zone, the instants from 2024 to 2032 at which its
// clocks change.
func changes(t *testing.T) map[string][]time.Time {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	testreq.Need(t, "go", err == nil, "asks it where the list of zones is")
	files, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	testreq.Need(t, "zoneinfo.zip", err == nil, "the Go tree has no list of zones")
	defer files.Close()
	out := map[string][]time.Time{}
	for _, f := range files.File {
		if strings.HasSuffix(f.Name, "/") || f.Name == "Factory" {
			continue
		}
		zone, err := calendar.Zone(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		for at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).In(zone); ; {
			_, next := at.ZoneBounds()
			if next.IsZero() || next.Year() > 2032 {
				break
			}
			out[f.Name] = append(out[f.Name], next.UTC())
			at = next
		}
		if out[f.Name] == nil {
			out[f.Name] = []time.Time{time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)} // a zone whose clocks never change
		}
	}
	return out
}

// A chance makes repositories, rows and instants around a change of clocks.
type chance struct{ *rand.Rand }

func (c chance) minutes(n int) time.Duration { return time.Duration(c.IntN(n)) * time.Minute }

func (c chance) clock() string {
	return time.Time{}.Add(c.minutes(144) * 10).Format("15:04")
}

func (c chance) dst() fleet.DSTRule {
	return fleet.DSTRule{Gap: []string{"later", "skip"}[c.IntN(2)], Fold: []string{"first", "second"}[c.IntN(2)]}
}

// world is a tenant with up to three windows and the waves' week in one zone,
// with up to two freezes around an instant.
func (c chance) world(zone string, about time.Time) (*fleet.Repository, fleet.Wave) {
	days := []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
	wave := fleet.Wave{
		Name: "w", Opens: fleet.Opens{Step: "go", Zone: []string{"operator", "tenant"}[c.IntN(2)]}, Arm: fleet.Duration(c.minutes(720)),
		OnMissedWindow: []string{"next", "runIfWithin"}[c.IntN(2)], Within: fleet.Duration(c.minutes(600)), Gate: fleet.Gate{Looks: []fleet.Duration{fleet.Duration(28 * time.Hour)}},
	}
	tenant := fleet.Tenant{ID: "p/t", Zone: zone, Windows: map[string]fleet.Window{}, Packages: map[fleet.PackageID][]fleet.Assignment{"p/a": nil}}
	for n := range c.IntN(4) {
		w := fleet.Window{From: c.clock(), Until: c.clock(), For: []string{"install"}, DST: c.dst(), Holidays: []string{"open", "shut"}[c.IntN(2)]}
		for _, day := range c.Perm(7)[:1+c.IntN(4)] {
			w.On = append(w.On, days[day])
		}
		tenant.Windows[string(rune('a'+n))] = w
	}
	week := fleet.Week{Zone: []string{"Europe/Helsinki", zone}[c.IntN(2)], DST: c.dst(), Steps: map[string]fleet.WeekStep{
		"go": {On: days[c.IntN(7)], At: c.clock(), Holiday: []string{"keep", "next"}[c.IntN(2)]},
	}, Holidays: &fleet.Holidays{Add: map[string]string{about.Format(time.DateOnly): "closed"}}}
	repo := &fleet.Repository{
		Week: week, Waves: []fleet.Wave{wave}, Tenants: map[fleet.TenantID]fleet.Tenant{"p/t": tenant}, Freezes: map[string]fleet.Freeze{},
		Packages: map[fleet.PackageID]fleet.Package{"p/a": {Releases: map[string]fleet.Release{"1": {Change: []string{"minor", "security"}[c.IntN(2)]}}}},
	}
	for n := range c.IntN(3) {
		from := about.Add(c.minutes(4*1440) - 48*time.Hour)
		repo.Freezes[string(rune('a'+n))] = fleet.Freeze{From: from, Until: from.Add(time.Minute + c.minutes(2880)), Scope: []string{"all", "nonSecurity"}[c.IntN(2)]}
	}
	return repo, wave
}

// TestNothingOutsideItsTime is about every change of clocks from 2024 to 2032
// in every zone: no instant that a run may act on, however late it comes, lies
// outside the tenant's windows or in a freeze, and nothing begins late where no
// window is open.
func TestNothingOutsideItsTime(t *testing.T) {
	c := chance{rand.New(rand.NewPCG(24, 2026))}
	tried, planned, shifted, missed := 0, 0, 0, 0
	all := changes(t)
	for _, zone := range slices.Sorted(maps.Keys(all)) {
		for _, change := range all[zone] {
			repo, wave := c.world(zone, change)
			week, err := calendar.Zone(repo.Week.Zone)
			if err != nil {
				t.Fatal(err)
			}
			p := planner{repo: repo, wave: wave, opens: change.Add(c.minutes(2*1440) - 24*time.Hour).Truncate(time.Minute), zone: week}
			stay := p.stay(repo.Tenants["p/t"])
			if stay.why != "" {
				continue // left out of the plan
			}
			row := fleet.PlanRow{Tenant: "p/t", Package: "p/a", To: "1", NotBefore: stay.opens, Deadline: later(stay.until, stay.opens.Add(time.Hour))}
			if !stay.until.IsZero() {
				row.Deadline = stay.until
			}
			if wave.Opens.Zone == "tenant" {
				row.LocalTime, row.NotBefore, row.Deadline = true, reading(row.NotBefore, stay.zone), reading(row.Deadline, stay.zone)
			}
			for range 3 {
				now := stay.opens.Add(c.minutes(2160) - 12*time.Hour)
				got := TimingOf(repo, "2026-W47", wave, row, Consent{Until: stay.opens.Add(c.minutes(240 * 60))}, now)
				tried++
				switch {
				case got.Missed:
					missed++
					continue
				case got.Late == "":
					planned++
				default:
					shifted++
				}
				if why := violates(t, repo, wave, row, got, now); why != "" {
					t.Fatalf("%s around %s, at %s: %s\n%+v\n%+v\n%+v\n%+v", zone, change, now, why, got, row, repo.Tenants["p/t"], repo.Freezes)
				}
			}
		}
	}
	t.Logf("%d timings: %d as planned, %d shifted, %d missed", tried, planned, shifted, missed)
	if planned < 1000 || shifted < 1000 || missed < 100 {
		t.Error("the test looked at too little")
	}
}

// violates says which rule a timing breaks, "" for none. It goes by the
// windows one by one and not by what a timetable makes of them.
func violates(t *testing.T, repo *fleet.Repository, wave fleet.Wave, row fleet.PlanRow, got Timing, now time.Time) string {
	t.Helper()
	tenant := repo.Tenants[row.Tenant]
	zone, err := calendar.Zone(tenant.Zone)
	if err != nil {
		t.Fatal(err)
	}
	opens, deadline, security := got.Opens, got.Deadline, repo.Packages[row.Package].Releases[row.To].Change == "security"
	if row.LocalTime {
		// The end of a night that has an hour twice is told by one reading.
		opens, deadline = InstantOf(opens, zone), InstantOf(deadline, zone)
	}
	held := func(at time.Time) (ends time.Time, ok bool) {
		days, err := calendar.TenantDays(repo.Week, tenant)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range tenant.Windows {
			span, in, err := calendar.InWindow(w, tenant.Zone, days, at)
			if err != nil {
				t.Fatal(err)
			}
			if in && span.Until.After(ends) {
				ends, ok = span.Until, true
			}
		}
		return ends, ok
	}
	ends, in := held(opens)
	_, open := held(now)
	switch {
	case repo.Frozen(opens, security) != "":
		return "it starts in a freeze"
	case !deadline.After(opens) && !row.LocalTime:
		return "its deadline is not after its start"
	case deadline.After(opens) && repo.Frozen(deadline.Add(-time.Nanosecond), security) != "":
		return "its deadline lies in a freeze"
	case got.Due(now) && repo.Frozen(now, security) != "":
		return "it is due in a freeze"
	case len(tenant.Windows) > 0 && !in:
		return "it starts outside every window"
	case len(tenant.Windows) > 0 && deadline.After(ends):
		return "its deadline lies outside the window it starts in"
	case len(tenant.Windows) > 0 && got.Due(now) && now.After(opens) && !open:
		return "it is pushed late, and no window is open"
	case len(tenant.Windows) == 0 && got.Due(now) && now.Sub(opens) > punctual && (wave.OnMissedWindow != "runIfWithin" || now.Sub(opens) > max(wave.Within.Std(), punctual)):
		return "it is pushed late, and nobody let it"
	case now.After(opens.Add(punctual)) && !open && got.Late == "":
		return "it is late in silence"
	}
	return ""
}
