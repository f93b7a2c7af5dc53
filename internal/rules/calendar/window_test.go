package calendar

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// rules are all rules for the days clocks change.
func rules() []fleet.DSTRule {
	return []fleet.DSTRule{{Gap: "later", Fold: "first"}, {Gap: "later", Fold: "second"}, {Gap: "skip", Fold: "first"}, {Gap: "skip", Fold: "second"}}
}

// edge is when a window's edge is, by a list of what the clocks show: false
// where a rule leaves the day without it.
func edge(shown map[reading][]time.Time, r reading, change time.Time, rule fleet.DSTRule) (time.Time, bool) {
	list := shown[r]
	switch {
	case len(list) == 0:
		return change, rule.Gap == "later"
	case rule.Fold == "second":
		return list[len(list)-1], true
	default:
		return list[0], true
	}
}

// TestEveryWindow compares the openings of windows that begin and end near
// every change of clocks, in every zone and under every rule, with what the
// clocks show. No window is open at a minute of which clocks show neither a
// reading within its edges nor one that they show twice.
func TestEveryWindow(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 2026))
	openings, none := 0, 0
	for _, name := range zones(t) {
		loc := zone(t, name)
		for _, change := range transitions(loc) {
			shown, first := shownAround(loc, change)
			for range 6 {
				from := first.Add(time.Duration(random.IntN(30)-15) * 10 * time.Minute)
				until := from.Add(time.Duration(1+random.IntN(15)) * 10 * time.Minute)
				w := fleet.Window{On: []string{from.Weekday().String()[:3]}, From: from.Format("15:04"), Until: until.Format("15:04"), DST: rules()[random.IntN(4)]}
				a, okA := edge(shown, readingOf(from), change.UTC(), w.DST)
				b, okB := edge(shown, readingOf(until), change.UTC(), w.DST)
				said := fmt.Sprintf("%s %s–%s %+v", name, from.Format("2006-01-02 15:04"), w.Until, w.DST)
				if !okA || !okB || !a.Before(b) {
					none++
					if span, ok := opensOn(t, w, name, DateOf(from), a); ok {
						t.Fatalf("%s: open %v, and clocks leave no time of it", said, span)
					}
					continue
				}
				openings++
				span, ok := opensOn(t, w, name, DateOf(from), a)
				if !ok || !span.From.Equal(a) || !span.Until.Equal(b) {
					t.Fatalf("%s: open %v, %v; want %s to %s", said, span, ok, a, b)
				}
				for u := span.From; u.Before(span.Until); u = u.Add(10 * time.Minute) {
					r := readingOf(u.In(loc))
					within := !r.before(readingOf(from)) && r.before(readingOf(until))
					if !within && len(shown[r]) < 2 {
						t.Fatalf("%s: open at %s, when clocks show %v", said, u, r)
					}
				}
			}
		}
	}
	t.Logf("%d openings, %d days without one", openings, none)
	if openings < 10000 || none < 500 {
		t.Error("the test looked at too little")
	}
}

// opensOn is the opening of a window that begins on a date, as NextWindow and
// InWindow tell it.
func opensOn(t *testing.T, w fleet.Window, zone string, date Date, about time.Time) (Span, bool) {
	t.Helper()
	if about.IsZero() {
		about = date.noon()
	}
	loc, err := Zone(zone)
	if err != nil {
		t.Fatal(err)
	}
	for at := about.Add(-30 * time.Hour); at.Before(about.Add(48 * time.Hour)); {
		span, ok, err := NextWindow(w, zone, Days{}, at)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return span, false
		}
		// An edge in a gap may be told on another date: go by the nearest.
		if begins := DateOf(span.From.In(loc)); begins == date || span.From.Equal(about) {
			in, held, err := InWindow(w, zone, Days{}, span.From)
			if _, after, _ := InWindow(w, zone, Days{}, span.Until); err != nil || !held || in != span || after {
				t.Fatalf("%s %+v: NextWindow says %v, InWindow %v, %v, %v; open at its end %v", zone, w, span, in, held, err, after)
			}
			return span, true
		}
		at = span.Until
	}
	return Span{}, false
}

func (r reading) before(o reading) bool {
	if r.Date != o.Date {
		return r.noon().Before(o.noon())
	}
	return r.hour*60+r.minute < o.hour*60+o.minute
}
