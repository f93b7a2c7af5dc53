package rollout_test

import (
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// gated changes the gate of the first wave.
func gated(change func(g *fleet.Gate)) fact {
	return func(w *world) { change(&w.repo.Waves[0].Gate) }
}

// silent is how many devices of the newest verdict had not reported.
func silent(n int) fact {
	return func(w *world) { w.rec.Verdicts[len(w.rec.Verdicts)-1].Counts.Silent = n }
}

// said is a person's word on tool in a wave.
func said(kind, by, wave string, at time.Time) fact {
	return func(w *world) {
		w.rec.Words = append(w.rec.Words, fleet.Word{Cycle: w47, Wave: wave, Package: tool, Kind: kind, By: by, Reason: "a reason", At: at})
	}
}

// TestStepExtendsLooks: a gate says what becomes of an undecided last look.
func TestStepExtendsLooks(t *testing.T) {
	at := func(hours int) time.Time { return dogfoodAt.Add(time.Duration(hours) * time.Hour) }
	undecided := func(how string, extend int) fact {
		return all(gated(func(g *fleet.Gate) { g.Inconclusive, g.MaxExtend = how, extend }), dogfooding,
			verdict("dogfood", pad, 6, "pass", at(6)), verdict("dogfood", tool, 28, "inconclusive", at(28)), silent(3))
	}
	next := []string{"dogfood the gate looks next at 2026-11-21 09:00Z"} // 28 h and 22 h more
	asks := []string{"propose-approval everyone"}
	waits := []string{"everyone its approval waits for a merge"}
	try(t, []situation{
		{"a person is asked", undecided("askHuman", 3), at(30), asks, waits},
		{"pooling was the last word", undecided("pool", 3), at(30), asks, waits},
		{"waits while devices are silent", undecided("wait", 2), at(30), nil, next},
		{"and looks again", undecided("wait", 2), at(50), []string{"judge dogfood tool 50h"}, []string{"dogfood the gate looks next at 2026-11-22 07:00Z"}},
		{"nobody is left to wait for", all(undecided("wait", 2), silent(0)), at(30), asks, waits},
		{"extends whether or not", all(undecided("extend", 2), silent(0)), at(30), nil, next},
		{"the last of the added looks", undecided("extend", 1), at(50), []string{"judge dogfood tool 50h last"}, nil},
		{"a late runner takes the newest", undecided("extend", 2), at(73), []string{"judge dogfood tool 72h last"}, nil},
		{"not for ever", all(undecided("extend", 1), verdict("dogfood", tool, 50, "inconclusive", at(50)), silent(3)), at(51), asks, waits},
		{"a pass ends it", all(undecided("extend", 2), verdict("dogfood", tool, 50, "pass", at(50))), at(51), asks, waits},
	})
}

// TestStepStopsBetweenLooks: a sequential test is looked at between looks, and
// goes on while people are asked.
func TestStepStopsBetweenLooks(t *testing.T) {
	at := func(hours int) time.Time { return dogfoodAt.Add(time.Duration(hours) * time.Hour) }
	stopping := all(gated(func(g *fleet.Gate) {
		g.Stop = &fleet.Stop{Good: 1, Bad: 5, Alpha: 0.05, Beta: 0.1, Every: fleet.Duration(2 * time.Hour)}
	}), dogfooding)
	one := all(stopping, verdict("dogfood", pad, 2, "inconclusive", at(2)), verdict("dogfood", tool, 2, "inconclusive", at(2)))
	asked := all(one, verdict("dogfood", pad, 6, "pass", at(6)), verdict("dogfood", tool, 28, "inconclusive", at(28)))
	propose := "propose-approval everyone"
	waits := []string{"everyone its approval waits for a merge"}
	try(t, []situation{
		{"not at once", stopping, at(1), nil, []string{"dogfood the gate looks next at 2026-11-19 09:00Z"}},
		{"at its interval", stopping, at(2), []string{"judge dogfood pad tool 2h"}, []string{"dogfood the gate looks next at 2026-11-19 13:00Z"}},
		{"once", one, at(3), nil, []string{"dogfood the gate looks next at 2026-11-19 11:00Z"}},
		{"again", one, at(4), []string{"judge dogfood pad tool 4h"}, []string{"dogfood the gate looks next at 2026-11-19 13:00Z"}},
		{"a look comes first, and serves for both", one, at(7), []string{"judge dogfood pad tool 6h"}, []string{"dogfood the gate looks next at 2026-11-20 11:00Z"}},
		{"entries that were not looked at alike", all(one, verdict("dogfood", pad, 6, "inconclusive", at(6))), at(8), []string{"judge dogfood tool 6h", "judge dogfood pad 8h"},
			[]string{"dogfood the gate looks next at 2026-11-20 11:00Z"}},
		{"while people are asked", asked, at(30), []string{"judge dogfood tool 30h last", propose}, waits},
		{"a fail then halts", all(asked, verdict("dogfood", tool, 30, "fail", at(30)), did("withdraw", "dogfood", own, tool, at(30))), at(31), []string{"propose-revoke dogfood tool 2.0", propose}, append([]string{"the revocation of acme/tool 2.0"}, waits...)},
		{"not once the next wave has started", all(asked, approve("everyone", at(29)), beat("announce 2026-W47", announceAt), start("everyone", announceAt)), announceAt,
			[]string{"deploy everyone nordic/aalto pad tool", "deploy everyone nordic/berg pad tool"}, []string{"everyone armed"}},
	})
}

// TestStepHeedsWords: what people say has an undecided entry judged again, and
// keeps out what they object to later, until people merge it knowing that.
func TestStepHeedsWords(t *testing.T) {
	at := func(hours int) time.Time { return dogfoodAt.Add(time.Duration(hours) * time.Hour) }
	undecided := all(dogfooding, verdict("dogfood", pad, 6, "pass", at(6)), verdict("dogfood", tool, 28, "inconclusive", at(28)))
	propose := []string{"propose-approval everyone"}
	waits := []string{"everyone its approval waits for a merge"}
	everyone := func(merged time.Time) fact {
		return all(approve("everyone", merged), beat("announce 2026-W47", announceAt), start("everyone", announceAt))
	}
	padOnly := []string{"deploy everyone nordic/aalto pad", "deploy everyone nordic/berg pad"}
	both := []string{"deploy everyone nordic/aalto pad tool", "deploy everyone nordic/berg pad tool"}
	out := []string{"everyone acme/tool stays out: wave dogfood passed it, and ann objects", "everyone armed"}
	armed := []string{"everyone armed"}
	settled := all(dogfooded, everyone(at(29)), did("assign", "everyone", aalt, pad, deployAt), did("assign", "everyone", berg, pad, deployAt),
		did("assign", "everyone", aalt, tool, deployAt), did("assign", "everyone", berg, tool, deployAt),
		verdict("everyone", pad, 24, "pass", deployAt.Add(24*time.Hour)), verdict("everyone", tool, 24, "pass", deployAt.Add(24*time.Hour)))
	after := deployAt.Add(26 * time.Hour)
	try(t, []situation{
		{"a sign-off after the last look", all(undecided, said(fleet.SignOff, "ann", "dogfood", at(29))), at(30), append([]string{"judge dogfood tool 28h last"}, propose...), waits},
		{"once", all(undecided, said(fleet.SignOff, "ann", "dogfood", at(29)), verdict("dogfood", tool, 28, "inconclusive", at(30))), at(30), propose, waits},
		{"on another wave says nothing here", all(undecided, said(fleet.SignOff, "ann", "everyone", at(29))), at(30), propose, waits},
		{"an objection after the pass", all(dogfooded, everyone(at(29)), said(fleet.Objection, "ann", "dogfood", at(30))), announceAt, padOnly, out},
		{"taken back", all(dogfooded, everyone(at(29)), said(fleet.Objection, "ann", "dogfood", at(30)), said(fleet.Withdrawn, "ann", "dogfood", at(31))), announceAt, both, armed},
		{"known to those who merged", all(dogfooded, everyone(at(31)), said(fleet.Objection, "ann", "dogfood", at(30))), announceAt, both, armed},
		{"to what the last wave passed", all(settled, said(fleet.Objection, "ann", "everyone", deployAt.Add(25*time.Hour))), after,
			[]string{"promote everyone nordic/aalto pad 2.0", "promote everyone nordic/berg pad 2.0", "promote everyone us/own pad 2.0"}, nil},
		{"until people close the cycle", all(settled, said(fleet.Objection, "ann", "everyone", deployAt.Add(25*time.Hour)), approval(w47, rollout.CloseGate, after)), after,
			[]string{"promote everyone nordic/aalto pad 2.0", "promote everyone nordic/berg pad 2.0", "promote everyone us/own pad 2.0",
				"promote everyone nordic/aalto tool 2.0", "promote everyone nordic/berg tool 2.0", "promote everyone us/own tool 2.0"}, nil},
	})
}
