package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/rules/change"
)

func releaseSection(r change.Release) section {
	s := section{title: fmt.Sprintf("%s %s", r.Package, step(r.From, r.To))}
	if r.What != change.Added {
		s.title = fmt.Sprintf("%s %s %s after it was merged", r.Package, r.To, r.What)
		s.edits(0, r.Edits)
		return s
	}
	class := r.Class + " release"
	if len(r.Fixes) > 0 {
		class += ", fixes " + strings.Join(r.Fixes, ", ")
	}
	s.say(0, "%s", class)
	if r.Published != nil {
		s.say(0, "published by the vendor %s", utc(*r.Published))
	}
	for _, i := range r.Installers {
		installerLines(&s, i)
	}
	if len(r.Files) > 0 {
		s.say(0, "payload")
		for _, f := range r.Files {
			s.say(1, "%s %s", f.Field, fileWord(f))
		}
	}
	s.say(0, "reaches %s", reach(r.Reach))
	for _, k := range r.Reach.Kept {
		s.say(1, "not %s: %s", k.Tenant, k.Why)
	}
	for _, d := range r.Dates {
		s.say(0, "%s", dateWords(d))
	}
	s.say(0, "way back: %s", wayBack(r.Rollback, r.From))
	return s
}

func fileWord(e change.Edit) string {
	switch {
	case e.Old == "":
		return "added"
	case e.New == "":
		return "removed"
	default:
		return "changed"
	}
}

func installerLines(s *section, i change.Installer) {
	s.say(0, "installer %s: %s %s %s", i.Key, i.Platform, i.Arch, i.Type)
	s.quote(1, "source", i.Source)
	if i.Host != "" {
		s.say(1, "host %s", hostWords(i))
	}
	s.say(1, "size %s", sizeWords(i))
	s.quote(1, "digest", string(i.Digest))
	s.say(1, "signer %s", signerWords(i))
	if i.Read != "" {
		s.say(1, "the bytes say version %s", i.Read)
	}
}

func hostWords(i change.Installer) string {
	switch {
	case !i.HostKnown:
		return i.Host + ", which the publisher's file does not name"
	case i.PreviousHost != "" && i.PreviousHost != i.Host:
		return i.Host + ", before " + i.PreviousHost
	default:
		return i.Host
	}
}

func sizeWords(i change.Installer) string {
	growth, ok := i.Growth()
	if !ok {
		return sized(i.Size)
	}
	return fmt.Sprintf("%s %s %s (%s)", sized(i.PreviousSize), glyphArrow, sized(i.Size), signed(growth))
}

func dateWords(d change.Date) string {
	s := fmt.Sprintf("%s, wave %s opens %s", d.Cycle, d.Wave, instant(d.Opens))
	if d.LocalTime {
		s += ", local time of each tenant"
	}
	if d.Frozen != "" {
		s += " (frozen by " + d.Frozen + ")"
	}
	return s
}

func cycleSection(y change.Cycle) section {
	s := section{title: fmt.Sprintf("Cycle %s %s", y.ID, y.What)}
	if y.What == change.Added {
		s.title = fmt.Sprintf("Cycle %s opens", y.ID)
	}
	s.say(0, "cut-off %s, waves %s", instant(y.CutOff), strings.Join(y.Waves, ", "))
	for _, e := range y.Entries {
		class := e.Class
		if len(e.Fixes) > 0 {
			class += ", fixes " + strings.Join(e.Fixes, ", ")
		}
		s.say(0, "%s %s (%s); way back: %s", e.Package, step(e.From, e.To), class, wayBack(e.Rollback, e.From))
	}
	for _, gate := range inOrder(y.Waves, slices.Sorted(maps.Keys(y.Plans))) {
		p := y.Plans[gate]
		s.say(0, "plan of %s: %s, %s, %s, installed by %s", gate, plural(p.Summary.Packages, "package"),
			plural(p.Summary.Tenants, "tenant"), plural(p.Summary.Devices, "device"), utc(p.Summary.Deadline))
		s.quote(1, "digest", string(p.Digest))
	}
	s.edits(0, y.Edits)
	s.say(0, "reaches %s", reach(y.Reach))
	return s
}

// inOrder are the names in the order of waves, others after them.
func inOrder(waves, names []string) []string {
	var out []string
	for _, w := range waves {
		if slices.Contains(names, w) {
			out = append(out, w)
		}
	}
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func approvalSection(a change.Approval) section {
	v := a.Value
	s := section{title: fmt.Sprintf("Approval of %s of %s", v.Gate, v.Cycle)}
	if a.What != change.Added {
		s.title += " " + a.What
	}
	s.say(0, "decision: %s", v.Decision)
	if v.Because != "" {
		s.say(0, "because: %s", v.Because)
	}
	s.say(0, "%s, %s, %s, installed by %s", plural(v.Summary.Packages, "package"), plural(v.Summary.Tenants, "tenant"),
		plural(v.Summary.Devices, "device"), utc(v.Summary.Deadline))
	if v.Plan != "" {
		s.quote(0, "plan", string(v.Plan))
	}
	s.say(0, "valid until %s", utc(v.ValidUntil))
	s.edits(0, a.Edits)
	return s
}

func holdSection(h change.Hold) section {
	v := h.Value
	verb := "Hold of"
	switch {
	case v.Kind == "revocation" && h.What == change.Added:
		verb = "Revoke"
	case v.Kind == "revocation":
		verb = "Revocation of"
	case v.Kind == "safeguardHold":
		verb = "Safeguard hold of"
	}
	s := section{title: fmt.Sprintf("%s %s %s", verb, v.Package, v.Release)}
	if h.What != change.Added {
		s.title += " " + h.What
	}
	s.say(0, "reason: %s", v.Reason)
	if v.Artifact != "" {
		s.quote(0, "artifact", string(v.Artifact))
	}
	if v.RollbackTo != "" {
		s.say(0, "devices go back to %s", v.RollbackTo)
	}
	if v.Expires != nil {
		s.say(0, "ends %s", utc(*v.Expires))
	}
	s.edits(0, h.Edits)
	s.say(0, "the package is assigned on %s", reach(h.Reach))
	return s
}
