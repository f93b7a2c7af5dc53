package change

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Values that stand alone, of waves and of trust, are bounds in disguise: a
// success of 98 lets through what reaches 98 or more. Each function below says
// which bound a value stands for; which of the two allows less is then proven,
// as it is for policies.

func smallerIsTighter(e Edit) string { return byNumber(e, "<=") }

func largerIsTighter(e Edit) string { return byNumber(e, ">=") }

// byNumber compares two numbers or durations as bounds on one side. A side that
// is absent or no number has no direction.
func byNumber(e Edit, side string) string {
	was, ok1 := number(e.Old)
	is, ok2 := number(e.New)
	if !ok1 || !ok2 {
		return ""
	}
	bound := func(f float64) string { return side + strconv.FormatFloat(f, 'g', -1, 64) }
	return provenDirection(bound(was), bound(is))
}

// withAbsent compares two upper limits where one that is absent means a number
// too.
func withAbsent(e Edit, absent float64) string {
	value := func(s string) string {
		if n, ok := number(s); !ok || n <= 0 {
			return strconv.FormatFloat(absent, 'g', -1, 64)
		}
		return s
	}
	return smallerIsTighter(Edit{Old: value(e.Old), New: value(e.New)})
}

func number(s string) (float64, bool) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return f, !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d.Seconds(), true
	}
	return 0, false
}

// ordered compares two values of an enumeration written from loosest to
// tightest: a value stands for itself and all that are tighter.
func ordered(e Edit, values ...string) string {
	was, is := slices.Index(values, e.Old), slices.Index(values, e.New)
	if was < 0 || is < 0 {
		return ""
	}
	bound := func(from int) string {
		words := make([]string, 0, len(values))
		for _, v := range values[from:] {
			words = append(words, strconv.Quote(v))
		}
		return strings.Join(words, " | ")
	}
	return provenDirection(bound(was), bound(is))
}

// gateDirection judges an edit of a wave: what makes it harder to go on, or
// slower, is tighter.
func gateDirection(e Edit) string {
	switch e.Field {
	case "gate.success", "gate.confidence", "gate.minReports", "minDevices", "inactiveAfterDays", "soak", "gate.stop.alpha":
		return largerIsTighter(e)
	case "gate.error", "gate.maxExtend", "gate.stop.good", "gate.stop.bad", "gate.stop.beta", "gate.stop.every":
		if e.New == "" && e.Field == "gate.stop.bad" {
			return Looser // nothing stops it between looks any longer
		}
		return smallerIsTighter(e)
	case "gate.signals":
		return bySignals(e)
	case "gate.signOffs", "gate.reportDeadline":
		// Absent is none: no person is asked, no silence is waited for.
		e.Old, e.New = cmp.Or(e.Old, "0"), cmp.Or(e.New, "0")
		return largerIsTighter(e)
	case "gate.silent":
		return ordered(e, "excluded", "failed")
	case "advance":
		return ordered(e, "autoMerge", "merge")
	case "onMissedWindow":
		return ordered(e, "runIfWithin", "next")
	case "within":
		return withAbsent(e, time.Hour.Seconds())
	default:
		return ""
	}
}

// bySignals compares what devices must be healthy by. None named is the
// installation and all of a package's probes, which any list may fall short of;
// so may a list too long to be told.
func bySignals(e Edit) string {
	var was, is []string
	switch {
	case e.New == "":
		return Tighter
	case json.Unmarshal([]byte(e.Old), &was) != nil || json.Unmarshal([]byte(e.New), &is) != nil:
		return Looser
	}
	for _, name := range was {
		if !slices.Contains(is, name) {
			return Looser
		}
	}
	return Tighter
}

func arrow(e Edit) string {
	return fmt.Sprintf("%s → %s", orNothing(e.Old), orNothing(e.New))
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// count is "1 other", "3 others".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + strings.TrimSpace(noun) + "s"
}
