package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// DashboardTitle is the title of the issue that lists all packages.
const DashboardTitle = "packmill: packages"

// dashboardLimit is the size of the issue in bytes. GitHub takes 65,536
// characters.
const dashboardLimit = 60_000

// A Watched is a package as the newest look saw it, and what came of that.
type Watched struct {
	fleet.Detection
	Pull int       // number of its open pull request, 0 when there is none
	Note string    // what the run said about the pull request: "declined …"
	Next time.Time // when it is looked at next, or may be proposed; zero when not known

	Revoked  string // file of the hold that takes the newest release back, "" for none
	Declined int    // number of the pull request that a person closed, 0 for none
}

// RetryBox is the hidden end of a box's line, by which a ticked one is known:
// the package, and the pull request that was declined.
func RetryBox(id fleet.PackageID, declined int) string {
	return fmt.Sprintf("<!-- packmill:retry %s %d -->", id, declined)
}

// retryBoxes are the boxes of packages whose version was declined, as many as
// fit into room bytes.
func retryBoxes(list []Watched, room int) string {
	const head = "\n### Propose again\n\nWhoever may edit this text may tick. Nothing else comes of it than a pull request.\n\n"
	var b strings.Builder
	for _, w := range list {
		if w.Declined == 0 || w.State != fleet.StateNew {
			continue
		}
		line := fmt.Sprintf("- [ ] retry %s %s %s\n", within(string(w.Package), 160, Neutral), within(w.Found, 80, Neutral), RetryBox(w.Package, w.Declined))
		if len(head)+b.Len()+len(line) > room {
			break
		}
		b.WriteString(line)
	}
	if b.Len() == 0 {
		return ""
	}
	return head + b.String()
}

// Dashboard is the issue that lists all packages, what people must look at
// first. The same facts give the same text: it says nothing about when it was
// written. What does not fit is counted.
func Dashboard(list []Watched) string {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Watched) int { return cmp.Compare(a.Package, b.Package) })
	sections := []struct {
		title string
		takes func(Watched) bool
	}{
		{glyphStop + " Held: a person must look", func(w Watched) bool {
			return w.State == fleet.StateHeld && w.Hold != fleet.HoldTooYoung
		}},
		{glyphStop + " Revoked: nothing newer is there", func(w Watched) bool { return w.State == fleet.StateEqual && w.Revoked != "" }},
		{glyphLook + " Proposed", func(w Watched) bool { return w.State == fleet.StateNew && w.Pull > 0 }},
		{glyphNone + " New, and not proposed", func(w Watched) bool { return w.State == fleet.StateNew && w.Pull == 0 }},
		{glyphNone + " Too young", func(w Watched) bool { return w.State == fleet.StateHeld && w.Hold == fleet.HoldTooYoung }},
		{glyphGood + " Current", func(w Watched) bool { return w.State == fleet.StateEqual && w.Revoked == "" }},
		{glyphNone + " Watched only, or without an upstream", func(w Watched) bool { return w.State == fleet.StateWatch || w.State == fleet.StateNone }},
	}
	var counts []string
	var b strings.Builder
	left := 0
	for _, s := range sections {
		rows := slices.DeleteFunc(slices.Clone(list), func(w Watched) bool { return !s.takes(w) })
		if len(rows) == 0 {
			continue
		}
		counts = append(counts, s.title+": "+grouped(len(rows)))
		head := fmt.Sprintf("\n### %s (%s)\n\n| package | released | found | why | next check |\n|---|---|---|---|---|\n", s.title, grouped(len(rows)))
		if left == 0 && b.Len()+len(head) <= dashboardLimit-1500 {
			b.WriteString(head)
		}
		for _, w := range rows {
			row := watchedRow(w)
			if left > 0 || b.Len()+len(row) > dashboardLimit-1500 { // room for what stands around the rows
				left++
				continue
			}
			b.WriteString(row)
		}
	}
	out := "Every package of the catalog, as the newest look at its upstream found it. This text is edited in place; close the issue to have it no more.\n\n" +
		"Approvers command by a comment: `packmill ignore <package> <version>: <reason>`, `packmill unhold <package> <version>: <reason>` for what is held as changed-hash or too-young, or `packmill retry <package>: <reason>` for what was declined.\n\n" +
		strings.Join(counts, " · ") + "\n" + b.String()
	out += retryBoxes(list, dashboardLimit-800-len(out)) // room for the last sentence, and for its marker
	if left > 0 {
		out += fmt.Sprintf("\n… and %s more that do not fit here: `packmill detect` lists all of them.\n", plural(left, "package"))
	}
	return out
}

func watchedRow(w Watched) string {
	why := w.Why
	if w.Hold != "" {
		why = w.Hold + ": " + why
	}
	if w.Revoked != "" {
		why = strings.TrimPrefix(why+"; "+w.Current+" is revoked by "+w.Revoked, "; ")
	}
	cells := within(why, 300, Neutral)
	if w.Pull > 0 {
		cells = strings.TrimSuffix(fmt.Sprintf("#%d, %s", w.Pull, cells), ", ")
	}
	if w.Note != "" {
		cells = strings.TrimPrefix(cells+"; "+within(w.Note, 300, Neutral), "; ")
	}
	next := "not known"
	if !w.Next.IsZero() {
		next = utc(w.Next)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", within(string(w.Package), 160, Neutral), orNone(within(w.Current, 80, Neutral)),
		orNone(within(w.Found, 80, Neutral)), cells, next)
}
