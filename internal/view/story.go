package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// story is what happened in a cycle, in the order of time: for those who were
// not there.
func story(c Cycle, b Board, x *index) []BoardLine {
	var out []BoardLine
	for _, d := range b.Held {
		out = append(out, BoardLine{d.At, "look", fmt.Sprintf("%s is held: %s", d.Package, cmp.Or(d.Why, d.Hold))})
	}
	out = append(out, BoardLine{b.CutOff, "none", fmt.Sprintf("cut-off, %s", plural(len(b.Packages), "release"))})
	for _, w := range b.Waves {
		out = append(out, waveStory(c, w)...)
	}
	for _, p := range b.Packages {
		out = append(out, packageStory(c, p, x)...)
	}
	out = append(out, otherMerges(c)...)
	out = append(out, recovered(c)...)
	for _, n := range c.Record.Notices {
		if n.Cycle == c.ID && n.Sent {
			text := fmt.Sprintf("partner %s was told (channel %s)", n.Partner, n.Channel)
			if n.PossiblyTwice {
				text += ", possibly twice"
			}
			out = append(out, BoardLine{n.At, "none", text})
		}
	}
	slices.SortStableFunc(out, func(a, b BoardLine) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Text, b.Text)) })
	return out
}

func waveStory(c Cycle, w BoardWave) []BoardLine {
	var out []BoardLine
	if !w.Approved.IsZero() {
		out = append(out, BoardLine{w.Approved, "good", fmt.Sprintf("wave %s is approved by %s", w.Name, cmp.Or(byWhom(w.Approvers, w.Auto), "nobody"))})
	}
	for _, s := range c.Record.Starts {
		if s.Cycle == c.ID && s.Wave == w.Name {
			out = append(out, BoardLine{s.Opens, "none", fmt.Sprintf("wave %s opens on %s of %s", w.Name, plural(w.Devices, "device"), plural(w.Tenants, "tenant"))})
		}
	}
	return out
}

func packageStory(c Cycle, p BoardPackage, x *index) []BoardLine {
	var out []BoardLine
	name := p.Name + " " + p.To
	for _, cell := range p.Waves {
		numbers := fmt.Sprintf("%d succeeded, %d failed, %d silent", cell.Counts.Succeeded, cell.Counts.Failed, cell.Counts.Silent)
		switch cell.Decision {
		case "pass":
			out = append(out, BoardLine{cell.At, "good", fmt.Sprintf("%s passes wave %s: %s", name, cell.Wave, numbers)})
		case "fail":
			out = append(out, BoardLine{cell.At, "bad", fmt.Sprintf("%s fails in wave %s and is halted: %s", name, cell.Wave, numbers)})
		case "inconclusive":
			out = append(out, BoardLine{cell.At, "look", fmt.Sprintf("%s in wave %s cannot be judged yet: %s", name, cell.Wave, numbers)})
		}
	}
	back := map[string][]fleet.Receipt{}
	for s, r := range x.back {
		if s.pkg == p.Package {
			back[r.Action] = append(back[r.Action], r)
		}
	}
	for action, words := range map[string]string{"withdraw": "is withdrawn where it had not started", "rollback": "is taken back"} {
		list := back[action]
		if len(list) == 0 {
			continue
		}
		tenants := map[fleet.TenantID]bool{}
		last := list[0].At
		for _, r := range list {
			tenants[r.Tenant] = true
			if r.At.After(last) {
				last = r.At
			}
		}
		out = append(out, BoardLine{last, "look", fmt.Sprintf("%s %s, on %s", name, words, plural(len(tenants), "tenant"))})
	}
	return out
}

// otherMerges are merges that packmill itself proposed about the cycle:
// revocations of its entries, and its end.
func otherMerges(c Cycle) []BoardLine {
	var out []BoardLine
	for _, m := range c.Record.Merges {
		for id, e := range c.Repo.Cycles[c.ID].Entries {
			if _, revoked := c.Repo.Revoked(id, e); revoked && m.Title == fmt.Sprintf("Revoke %s %s", id, e.Release) {
				out = append(out, BoardLine{m.At, "bad", fmt.Sprintf("the revocation of %s %s is merged, approved by %s", id, e.Release, cmp.Or(byWhom(m.Approvers, m.Auto != ""), "nobody"))})
			}
		}
		for _, r := range m.Rejects {
			if r.Cycle == c.ID {
				out = append(out, BoardLine{m.At, "look", rejection(r)})
			}
		}
		if m.Approves == string(c.ID)+"/close" {
			out = append(out, BoardLine{m.At, "good", "the cycle is closed, approved by " + cmp.Or(strings.Join(m.Approvers, ", "), "nobody")})
		}
	}
	return out
}

// rejection is a merged "no" in words.
func rejection(r fleet.Rejection) string {
	if r.Tenant != "" {
		return fmt.Sprintf("%s refuses the cycle: %s", r.Tenant, r.Because)
	}
	return fmt.Sprintf("wave %s is rejected: %s", r.Gate, r.Because)
}

// byWhom are approvers in words, "" for none.
func byWhom(approvers []string, auto bool) string {
	if auto && len(approvers) == 0 {
		return "no human: packmill, after a signed verdict"
	}
	return some(approvers, 5)
}

// recovered tells of runs that ended early: what they left half done was found
// and finished by the next one.
func recovered(c Cycle) []BoardLine {
	var out []BoardLine
	for _, w := range c.Waves {
		var line BoardLine
		n := 0
		for _, r := range c.Record.Receipts {
			if r.Cycle == c.ID && r.Wave == w.Name && r.Recovered {
				if n++; n == 1 || r.At.Before(line.At) {
					line.At = r.At
				}
			}
		}
		if n > 0 {
			line.Mark, line.Text = "look", fmt.Sprintf("a run had ended early in wave %s: %s it left open are looked at and finished", w.Name, plural(n, "effect"))
			out = append(out, line)
		}
	}
	return out
}
