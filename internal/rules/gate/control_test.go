package gate

import (
	"math/big"
	"strings"
	"testing"
	"testing/quick"

	"github.com/packmill/packmill/internal/fleet"
)

func controlled() fleet.Gate {
	return fleet.Gate{Success: 95, Error: 5, Confidence: 0.9, MinReports: 20, Silent: "failed", Looks: []fleet.Duration{hour, 4 * hour}, ReportDeadline: 2 * hour}
}

// TestControl: what hits the devices that have not got a release as well is not
// the release; what hits the others alone is.
func TestControl(t *testing.T) {
	g := controlled()
	sequential := g
	sequential.Stop = &fleet.Stop{Good: 1, Bad: 5, Alpha: 0.05, Beta: 0.1, Every: hour}
	broken := fleet.Counts{Succeeded: 80, Failed: 20}
	for name, c := range map[string]struct {
		gate    fleet.Gate
		counts  fleet.Counts
		control fleet.Control
		look    fleet.Duration
		want    string
		excused int
		rule    string
	}{
		"a bad build":                         {g, broken, fleet.Control{N: 1000}, hour, Fail, 0, "20 failed: at 90 % confidence more than"},
		"nothing to compare with":             {g, broken, fleet.Control{}, hour, Fail, 0, "20 failed"},
		"the others fail now and then":        {g, broken, fleet.Control{N: 1000, Failed: 20}, hour, Fail, 0, "20 failed"},
		"the others fail often, but less so":  {g, broken, fleet.Control{N: 1000, Failed: 100}, hour, Fail, 0, "20 failed"},
		"the others fail alike":               {g, broken, fleet.Control{N: 1000, Failed: 190}, hour, Inconclusive, 0, "of 1000 devices that have not got it 190 failed too"},
		"of the others too few were heard of": {g, broken, fleet.Control{N: 1000, Silent: 985, Failed: 4}, hour, Fail, 0, "20 failed"},
		"sequential, a bad build":             {sequential, broken, fleet.Control{N: 1000}, hour, Fail, 0, "the sequential test takes a rate of 5 % for the likelier one than 1 %"},
		"sequential, all fail alike":          {sequential, broken, fleet.Control{N: 1000, Failed: 190}, hour, Inconclusive, 0, "something else hits both"},

		"an outage":                     {g, fleet.Counts{Succeeded: 300, Silent: 200}, fleet.Control{N: 1000, Silent: 400}, 4 * hour, Pass, 200, "200 silent ones are excused"},
		"an outage, early":              {g, fleet.Counts{Succeeded: 300, Silent: 200}, fleet.Control{N: 1000, Silent: 400}, hour, Inconclusive, 0, "200 silent ones count as failed against a pass"},
		"devices that do not come back": {g, fleet.Counts{Succeeded: 300, Silent: 200}, fleet.Control{N: 1000}, 4 * hour, Inconclusive, 0, "200 silent ones count as failed"},
		"more silent than the others":   {g, fleet.Counts{Succeeded: 300, Silent: 200}, fleet.Control{N: 1000, Silent: 200}, 4 * hour, Inconclusive, 0, "200 silent ones count as failed"},
		"a little more than the others": {g, fleet.Counts{Succeeded: 440, Silent: 60}, fleet.Control{N: 1000, Silent: 104}, 4 * hour, Pass, 52, "8 silent ones count as failed against a pass, 52 silent ones are excused"},
		"too few others":                {g, fleet.Counts{Succeeded: 300, Silent: 200}, fleet.Control{N: 19, Silent: 8}, 4 * hour, Inconclusive, 0, "200 silent ones count"},
		"an outage hides a bad build":   {g, fleet.Counts{Succeeded: 300, Failed: 60, Silent: 200}, fleet.Control{N: 1000, Silent: 400}, 4 * hour, Fail, 200, "60 failed"},
		"nobody is heard of at all":     {g, fleet.Counts{Silent: 500}, fleet.Control{N: 1000, Silent: 1000}, 4 * hour, Inconclusive, 500, "0 of 500 devices reported"},
		"an impossible control":         {g, fleet.Counts{Succeeded: 500}, fleet.Control{N: 10, Failed: 8, Silent: 3}, 4 * hour, Fail, 0, "stays shut"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Judge(c.gate, Sample{Counts: c.counts, Control: c.control, Look: c.look})
			if got.Decision != c.want || got.Excused != c.excused || !strings.Contains(got.Rule, c.rule) {
				t.Errorf("%s, %d excused (%s), want %s, %d (%s)", got.Decision, got.Excused, got.Rule, c.want, c.excused, c.rule)
			}
		})
	}
}

// TestReportDeadline: until it, silence is waited for whatever it counts as
// later.
func TestReportDeadline(t *testing.T) {
	g := controlled()
	quiet := fleet.Counts{Succeeded: 300, Silent: 100}
	for silent, want := range map[string][2]string{"failed": {Inconclusive, Inconclusive}, "excluded": {Inconclusive, Pass}} {
		g.Silent = silent
		for i, look := range []fleet.Duration{hour, 4 * hour} {
			if got := judge(g, quiet, look, false); got.Decision != want[i] {
				t.Errorf("silent %s at %s: %s (%s), want %s", silent, look, got.Decision, got.Rule, want[i])
			}
		}
	}
	g.Silent = "excluded"
	g.ReportDeadline = 0
	if got := judge(g, quiet, hour, false); got.Decision != Pass {
		t.Errorf("without a deadline: %s (%s)", got.Decision, got.Rule)
	}
}

// TestPassesOnlyAtLooks: what is looked at between them may stop a wave, and
// not pass it.
func TestPassesOnlyAtLooks(t *testing.T) {
	g := controlled()
	g.Stop = &fleet.Stop{Good: 1, Bad: 5, Alpha: 0.05, Beta: 0.1, Every: hour}
	for look, want := range map[fleet.Duration]string{hour: Pass, 3 * hour: Inconclusive, 4 * hour: Pass, 8 * hour: Inconclusive} {
		if got := judge(g, fleet.Counts{Succeeded: 300}, look, false); got.Decision != want {
			t.Errorf("at %s: %s (%s), want %s", look, got.Decision, got.Rule, want)
		}
		if got := judge(g, fleet.Counts{Succeeded: 1, Failed: 2}, look, false); got.Decision != Fail {
			t.Errorf("two of three broken at %s: %s (%s)", look, got.Decision, got.Rule)
		}
	}
	for name, stop := range map[string]fleet.Stop{
		"rates the wrong way round": {Good: 5, Bad: 1, Alpha: 0.05, Beta: 0.1}, "one rate": {Good: 5, Bad: 5, Alpha: 0.05, Beta: 0.1},
		"no good rate": {Bad: 5, Alpha: 0.05, Beta: 0.1}, "certain": {Good: 1, Bad: 5, Beta: 0.1}, "a coin": {Good: 1, Bad: 5, Alpha: 0.05, Beta: 0.5},
	} {
		g.Stop = &stop
		if got := judge(g, fleet.Counts{Succeeded: 300}, hour, false); got.Decision != Fail || !strings.Contains(got.Rule, "stays shut") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestFisher holds the exact test against sums of whole numbers.
func TestFisher(t *testing.T) {
	for _, c := range [][4]int{{3, 20, 1, 20}, {5, 10, 2, 40}, {1, 1, 0, 9}, {8, 30, 20, 200}, {12, 12, 3, 30}, {40, 300, 60, 900}} {
		k, n, control, m := c[0], c[1], c[2], c[3]
		favourable := new(big.Int)
		for i := k; i <= min(n, k+control); i++ {
			ways := new(big.Int).Binomial(int64(k+control), int64(i))
			favourable.Add(favourable, ways.Mul(ways, new(big.Int).Binomial(int64(n+m-k-control), int64(n-i))))
		}
		want, _ := new(big.Rat).SetFrac(favourable, new(big.Int).Binomial(int64(n+m), int64(n))).Float64()
		near(t, "tail", hypergeometricTail(k, n, k+control, n+m), want, 1e-9)
		if got := moreOften(k, n, control, m, 0.95); got != (want <= 0.05) {
			t.Errorf("%d of %d against %d of %d: more often %v with %v", k, n, control, m, got, want)
		}
	}
	if moreOften(0, 0, 0, 10, 0.9) || moreOften(5, 10, 0, 0, 0.9) || moreOften(2, 20, 10, 100, 0.8) {
		t.Error("nothing, or less, is more often")
	}
}

// TestControlledProperties: with a control group, too, one more failure never
// helps, silence never stops, and a quieter wave passes no sooner.
func TestControlledProperties(t *testing.T) {
	order := map[string]int{Fail: 0, Inconclusive: 1, Pass: 2}
	if err := quick.Check(func(ok uint16, failed, silent, more, deaf, n, broken uint8, sequential, late bool) bool {
		g := controlled()
		if sequential {
			g.Stop = &fleet.Stop{Good: 1, Bad: 5, Alpha: 0.05, Beta: 0.1, Every: hour}
		}
		control := fleet.Control{N: int(n) + int(deaf) + int(broken), Silent: int(deaf), Failed: int(broken)}
		look := map[bool]fleet.Duration{false: hour, true: 4 * hour}[late]
		at := func(c fleet.Counts) int {
			return order[Judge(g, Sample{Counts: c, Control: control, Look: look}).Decision]
		}
		c := fleet.Counts{Succeeded: int(ok%600) + 1, Failed: int(failed), Silent: int(silent)}
		worse, quieter, spoken := c, c, c
		worse.Succeeded, worse.Failed = worse.Succeeded-1, worse.Failed+1
		quieter.Silent += int(more)
		spoken.Silent = 0
		return at(worse) <= at(c) && at(quieter) <= at(c) && at(c) <= at(spoken) && (at(quieter) == 0) == (at(spoken) == 0)
	}, &quick.Config{MaxCount: 800}); err != nil {
		t.Error(err)
	}
}
