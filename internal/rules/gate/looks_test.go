package gate

import (
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

var began = time.Date(2026, 11, 19, 7, 0, 0, 0, time.UTC)

func looking(inconclusive string, extend int, looks ...fleet.Duration) fleet.Gate {
	return fleet.Gate{Success: 95, Error: 5, Confidence: 0.9, MinReports: 20, Silent: "failed", Looks: looks, Inconclusive: inconclusive, MaxExtend: extend}
}

func TestLooks(t *testing.T) {
	for name, c := range map[string]struct {
		gate fleet.Gate
		want []fleet.Duration
	}{
		"as named, rising":           {looking("askHuman", 3, 4*hour, hour), []fleet.Duration{hour, 4 * hour}},
		"pooling adds none":          {looking("pool", 3, hour), []fleet.Duration{hour}},
		"extended at the interval":   {looking("extend", 2, hour, 4*hour), []fleet.Duration{hour, 4 * hour, 7 * hour, 10 * hour}},
		"one look is its interval":   {looking("wait", 3, 24*hour), []fleet.Duration{24 * hour, 48 * hour, 72 * hour, 96 * hour}},
		"as often as it may":         {looking("wait", 0, hour), []fleet.Duration{hour}},
		"a look twice has no length": {looking("extend", 1, 4*hour, 4*hour), []fleet.Duration{4 * hour, 4 * hour, 8 * hour}},
		"none":                       {looking("extend", 3), nil},
	} {
		if got := Looks(c.gate); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func given(decision string, look fleet.Duration, silent int) *fleet.Verdict {
	return &fleet.Verdict{Decision: decision, Look: look, Counts: fleet.Counts{Succeeded: 10, Silent: silent}, At: began.Add(look.Std())}
}

func TestSettled(t *testing.T) {
	looks := []fleet.Duration{hour, 4 * hour}
	for name, c := range map[string]struct {
		gate    fleet.Gate
		verdict *fleet.Verdict
		want    bool
	}{
		"nothing yet":                         {looking("askHuman", 3, looks...), nil, false},
		"passed at the first look":            {looking("extend", 3, looks...), given(Pass, hour, 5), true},
		"failed":                              {looking("extend", 3, looks...), given(Fail, hour, 5), true},
		"undecided at the first look":         {looking("askHuman", 3, looks...), given(Inconclusive, hour, 0), false},
		"a person is asked after the last":    {looking("askHuman", 3, looks...), given(Inconclusive, 4*hour, 5), true},
		"pooling was the last word":           {looking("pool", 3, looks...), given(Inconclusive, 4*hour, 5), true},
		"waits while devices are silent":      {looking("wait", 3, looks...), given(Inconclusive, 4*hour, 5), false},
		"nobody is left to wait for":          {looking("wait", 3, looks...), given(Inconclusive, 4*hour, 0), true},
		"waited as long as it may":            {looking("wait", 3, looks...), given(Inconclusive, 13*hour, 5), true},
		"extends though all have spoken":      {looking("extend", 3, looks...), given(Inconclusive, 4*hour, 0), false},
		"extended as often as it may":         {looking("extend", 3, looks...), given(Inconclusive, 13*hour, 0), true},
		"extended, with looks still to come":  {looking("extend", 3, looks...), given(Inconclusive, 10*hour, 0), false},
		"a gate without looks has no more":    {looking("extend", 3), given(Inconclusive, hour, 0), true},
		"what it does not know asks a person": {looking("shrug", 3, looks...), given(Inconclusive, 4*hour, 5), true},
	} {
		if got := Settled(c.gate, c.verdict); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestDue(t *testing.T) {
	looks := []fleet.Duration{hour * 6, 24 * hour}
	plain, waiting := looking("askHuman", 0, looks...), looking("wait", 2, looks...)
	stopping := plain
	stopping.Stop = &fleet.Stop{Good: 1, Bad: 5, Alpha: 0.05, Beta: 0.1, Every: 2 * hour}
	late := given(Inconclusive, 24*hour, 3)
	late.At = began.Add(31 * time.Hour)
	for name, c := range map[string]struct {
		gate    fleet.Gate
		verdict *fleet.Verdict
		spoke   fleet.Duration // 0 is never
		age     fleet.Duration
		due     fleet.Duration
		next    fleet.Duration // 0 is none
	}{
		"too early":                           {plain, nil, 0, 5 * hour, 0, 6 * hour},
		"the first look":                      {plain, nil, 0, 6 * hour, 6 * hour, 24 * hour},
		"once":                                {plain, given(Inconclusive, 6*hour, 3), 0, 7 * hour, 0, 24 * hour},
		"a late runner takes the newest":      {plain, nil, 0, 30 * hour, 24 * hour, 0},
		"what passed is done with":            {plain, given(Pass, 6*hour, 3), 0, 30 * hour, 0, 0},
		"what failed too":                     {plain, given(Fail, 6*hour, 3), 0, 30 * hour, 0, 0},
		"undecided at the end":                {plain, given(Inconclusive, 24*hour, 3), 0, 60 * hour, 0, 0},
		"waiting adds a look":                 {waiting, given(Inconclusive, 24*hour, 3), 0, 30 * hour, 0, 42 * hour},
		"and takes it":                        {waiting, given(Inconclusive, 24*hour, 3), 0, 42 * hour, 42 * hour, 60 * hour},
		"for nobody it does not":              {waiting, given(Inconclusive, 24*hour, 0), 0, 42 * hour, 0, 0},
		"nor for ever":                        {waiting, given(Inconclusive, 60*hour, 3), 0, 90 * hour, 0, 0},
		"looking for a stop comes first":      {stopping, nil, 0, 2 * hour, 2 * hour, 6 * hour},
		"and waits for its interval":          {stopping, given(Inconclusive, 2*hour, 3), 0, 3 * hour, 0, 4 * hour},
		"a look is worth more":                {stopping, given(Inconclusive, 4*hour, 3), 0, 7 * hour, 6 * hour, 24 * hour},
		"a person is asked, it goes on":       {stopping, given(Inconclusive, 24*hour, 3), 0, 27 * hour, 26 * hour, 0},
		"after a late look it waits as long":  {stopping, late, 0, 32 * hour, 0, 33 * hour},
		"then goes on":                        {stopping, late, 0, 33 * hour, 32 * hour, 0},
		"after a pass it does not":            {stopping, given(Pass, 6*hour, 3), 0, 9 * hour, 0, 0},
		"a word has the look repeated":        {plain, given(Inconclusive, 6*hour, 3), 7 * hour, 7 * hour, 6 * hour, 24 * hour},
		"at the end too":                      {plain, given(Inconclusive, 24*hour, 3), 25 * hour, 26 * hour, 24 * hour, 0},
		"a word before the verdict says less": {plain, given(Inconclusive, 6*hour, 3), 5 * hour, 7 * hour, 0, 24 * hour},
		"a word opens nothing early":          {plain, nil, hour, 2 * hour, 0, 6 * hour},
	} {
		var spoke time.Time
		if c.spoke != 0 {
			spoke = began.Add(c.spoke.Std())
		}
		due, next := Due(c.gate, c.verdict, spoke, began, began.Add(c.age.Std()))
		var after fleet.Duration
		if !next.IsZero() {
			after = fleet.Duration(next.Sub(began))
		}
		if due != c.due || after != c.next {
			t.Errorf("%s: due %s, next %s, want %s and %s", name, due, after, c.due, c.next)
		}
	}
}

// TestDueEnds: whatever a gate says, looking at what is due makes it not due.
func TestDueEnds(t *testing.T) {
	for _, inconclusive := range []string{"wait", "extend", "pool", "askHuman"} {
		for _, every := range []fleet.Duration{0, hour, 5 * hour} {
			g := looking(inconclusive, 3, 6*hour, 24*hour)
			if every > 0 {
				g.Stop = &fleet.Stop{Good: 1, Bad: 5, Alpha: 0.05, Beta: 0.1, Every: every}
			}
			var v *fleet.Verdict
			looked := 0
			for age := time.Duration(0); age < 120*time.Hour; age += 20 * time.Minute {
				now := began.Add(age)
				due, _ := Due(g, v, time.Time{}, began, now)
				if due == 0 {
					continue
				}
				if due.Std() > age || v != nil && due <= v.Look {
					t.Fatalf("%s, every %s: at %s the look at %s is due after %+v", inconclusive, every, age, due, v)
				}
				v, looked = &fleet.Verdict{Decision: Inconclusive, Look: due, Counts: fleet.Counts{Silent: 1}, At: now}, looked+1
				if again, _ := Due(g, v, time.Time{}, began, now); again != 0 {
					t.Fatalf("%s, every %s: due again at %s", inconclusive, every, age)
				}
			}
			if want := len(Looks(g)); every == 0 && looked != want || looked < want {
				t.Errorf("%s, every %s: looked %d times, the gate has %d looks", inconclusive, every, looked, want)
			}
		}
	}
}
