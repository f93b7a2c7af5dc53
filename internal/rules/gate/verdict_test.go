package gate

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

func inputs(change func(in *Inputs)) Inputs {
	in := Inputs{
		Cycle: "2026-W47", Wave: "broad", Package: "acme/tool", Artifact: fleet.DigestOf([]byte("tool 2.0")),
		Gate: looking("askHuman", 0, hour, 4*hour), Look: 4 * hour,
		Counts: map[fleet.TenantID]fleet.Counts{"p/a": {Succeeded: 60}, "p/b": {Succeeded: 60}},
		Limits: map[fleet.TenantID]float64{"p/a": 5, "p/b": 5},
		From:   map[string]string{"main": "c0", "evidence/control": "h0"},
	}
	change(&in)
	return in
}

func said(kind, by, reason string, minute int) fleet.Word {
	return fleet.Word{Cycle: "2026-W47", Wave: "broad", Package: "acme/tool", Kind: kind, By: by, Reason: reason, At: began.Add(time.Duration(minute) * time.Minute)}
}

func TestDecide(t *testing.T) {
	small := map[fleet.TenantID]fleet.Counts{"p/a": {Succeeded: 20}}
	before := map[fleet.TenantID]fleet.Counts{"p/a": {Succeeded: 50}, "p/c": {Succeeded: 80, Failed: 1}}
	signOffs := func(n int, words ...fleet.Word) func(in *Inputs) {
		return func(in *Inputs) { in.Gate.SignOffs, in.Words = n, words }
	}
	pool := func(counts, earlier map[fleet.TenantID]fleet.Counts) func(in *Inputs) {
		return func(in *Inputs) { in.Gate.Inconclusive, in.Counts, in.Earlier = "pool", counts, earlier }
	}
	for name, c := range map[string]struct {
		change func(in *Inputs)
		want   string
		rule   string
	}{
		"good":                 {func(*Inputs) {}, Pass, "120 of 120 devices reported"},
		"a service stopped it": {func(in *Inputs) { in.Stopped = map[fleet.TenantID]string{"p/b": "it paused the deployment"} }, Fail, "but in p/b it paused the deployment"},
		"empty wave":           {func(in *Inputs) { in.Counts = nil }, Inconclusive, "no device is in the wave"},
		"some cannot be asked": {func(in *Inputs) { in.Deaf = 2 }, Inconclusive, "2 tenants could not be asked"},
		"one tenant is hit": {func(in *Inputs) {
			in.Counts["p/c"] = fleet.Counts{Succeeded: 500}
			in.Counts["p/b"] = fleet.Counts{Succeeded: 54, Failed: 6}
			in.Limits["p/b"] = 2
		}, Inconclusive, "but more failures than the policy bears on [p/b]"},
		"a tenant without a limit":       {func(in *Inputs) { in.Counts["p/b"] = fleet.Counts{Succeeded: 500, Failed: 4}; in.Limits = nil }, Inconclusive, "more failures than the policy bears on [p/b]"},
		"fails whatever people say":      {func(in *Inputs) { in.Counts["p/b"] = fleet.Counts{Succeeded: 20, Failed: 40}; in.Gate.SignOffs = 2 }, Fail, "40 failed"},
		"an objection":                   {signOffs(0, said(fleet.Objection, "ann", "the plug-in is gone", 1)), Inconclusive, "but ann objects: the plug-in is gone"},
		"taken back":                     {signOffs(0, said(fleet.Objection, "ann", "gone", 1), said(fleet.Withdrawn, "ann", "", 2)), Pass, "120 of 120"},
		"by somebody else it is not":     {signOffs(0, said(fleet.Objection, "ann", "gone", 1), said(fleet.Withdrawn, "ben", "", 2)), Inconclusive, "ann objects"},
		"and again":                      {signOffs(0, said(fleet.Objection, "ann", "", 1), said(fleet.Withdrawn, "ann", "", 2), said(fleet.Objection, "ann", "still", 3)), Inconclusive, "ann objects: still"},
		"the order of rows is not time":  {signOffs(0, said(fleet.Withdrawn, "ann", "", 2), said(fleet.Objection, "ann", "", 1)), Pass, "120 of 120"},
		"sign-offs are lacking":          {signOffs(2), Inconclusive, "but 0 of 2 sign-offs are there"},
		"one person counts once":         {signOffs(2, said(fleet.SignOff, "ann", "", 1), said(fleet.SignOff, "Ann", "", 2)), Inconclusive, "1 of 2 sign-offs are there, by Ann"},
		"two persons":                    {signOffs(2, said(fleet.SignOff, "ann", "", 1), said(fleet.SignOff, "ben", "", 2)), Pass, "120 of 120"},
		"who objects has not signed off": {signOffs(1, said(fleet.SignOff, "ann", "", 1), said(fleet.Objection, "ann", "no", 2)), Inconclusive, "ann objects: no; 0 of 1 sign-offs"},
		"sign-offs prove nothing":        {func(in *Inputs) { in.Counts = small; signOffs(1, said(fleet.SignOff, "ann", "", 1))(in) }, Inconclusive, "20 of 20 devices reported"},

		"too small alone":              {func(in *Inputs) { in.Counts = small; in.Earlier = before }, Inconclusive, "20 of 20"},
		"with the waves before it":     {pool(small, before), Pass, "together with the waves before it 151 of 151 devices reported, 1 failed"},
		"but not before the last look": {func(in *Inputs) { pool(small, before)(in); in.Look = hour }, Inconclusive, "20 of 20"},
		"an empty wave is not helped":  {pool(nil, before), Inconclusive, "no device is in the wave"},
		"nothing before it":            {pool(small, nil), Inconclusive, "20 of 20"},
		"a tenant is hit in this wave": {func(in *Inputs) {
			pool(map[fleet.TenantID]fleet.Counts{"p/a": {Succeeded: 17, Failed: 2}}, map[fleet.TenantID]fleet.Counts{"p/a": {Succeeded: 600}})(in)
			in.Limits["p/a"] = 1
		}, Inconclusive, "policy bears on [p/a]"},
		"a tenant is hit in all together": {pool(map[fleet.TenantID]fleet.Counts{"p/c": {Succeeded: 19, Failed: 1}}, map[fleet.TenantID]fleet.Counts{"p/a": {Succeeded: 600}, "p/c": {Succeeded: 60, Failed: 7}}), Inconclusive, "policy bears on [p/c]"},
		"what is not a number is told":    {func(in *Inputs) { in.Gate.Success = math.NaN() }, Fail, "stays shut"},
	} {
		t.Run(name, func(t *testing.T) {
			in := inputs(c.change)
			v := Decide(in)
			if v.Decision != c.want || !strings.Contains(v.Rule, c.rule) {
				t.Errorf("%s (%s), want %s (%s)", v.Decision, v.Rule, c.want, c.rule)
			}
			if v.Counts != Pool(in.Counts) || v.Cycle != in.Cycle || v.Wave != in.Wave || v.Package != in.Package || v.Artifact != in.Artifact || v.Look != in.Look {
				t.Errorf("not about what was asked: %+v", v)
			}
		})
	}
}

// TestEqualInputs: equal inputs give equal verdicts, and different ones another
// digest.
func TestEqualInputs(t *testing.T) {
	a, b := Decide(inputs(func(*Inputs) {})), Decide(inputs(func(*Inputs) {}))
	if !reflect.DeepEqual(a, b) || !a.InputsDigest.Valid() {
		t.Errorf("%+v and %+v", a, b)
	}
	for name, change := range map[string]func(in *Inputs){
		"a count":     func(in *Inputs) { in.Counts["p/a"] = fleet.Counts{Succeeded: 61} },
		"a tenant":    func(in *Inputs) { in.Counts["p/c"] = in.Counts["p/b"]; delete(in.Counts, "p/b") },
		"earlier":     func(in *Inputs) { in.Earlier = in.Counts },
		"control":     func(in *Inputs) { in.Control.N = 1 },
		"a limit":     func(in *Inputs) { in.Limits["p/a"] = 4 },
		"deaf":        func(in *Inputs) { in.Deaf = 1 },
		"a word":      func(in *Inputs) { in.Words = []fleet.Word{said(fleet.SignOff, "ann", "", 1)} },
		"main":        func(in *Inputs) { in.From["main"] = "c1" },
		"the gate":    func(in *Inputs) { in.Gate.SignOffs = 1 },
		"the look":    func(in *Inputs) { in.Look = hour },
		"the subject": func(in *Inputs) { in.Artifact = fleet.DigestOf([]byte("tool 2.1")) },
	} {
		if v := Decide(inputs(change)); v.InputsDigest == a.InputsDigest {
			t.Errorf("%s makes no difference", name)
		}
	}
}

func TestAbout(t *testing.T) {
	other := said(fleet.Objection, "ann", "", 1)
	other.Wave = "pilot"
	if got := About([]fleet.Word{other, said(fleet.SignOff, "ben", "", 3), said(fleet.SignOff, "cid", "", 2)}, "2026-W47", "broad", "acme/tool"); len(got) != 2 || !Newest(got).Equal(began.Add(3*time.Minute)) {
		t.Errorf("%+v", got)
	}
	if !Newest(nil).IsZero() {
		t.Error("nobody spoke at some time")
	}
}
