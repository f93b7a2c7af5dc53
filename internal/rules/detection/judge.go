// Package detection is the one engine that says whether a release is on a
// device: validate tries rules on it, test cells ask it before and after every
// step, and simulated devices answer by it.
//
// A rule is put to a device by whoever can reach the device; what comes back is
// an Observation. Judge compares observations with the release and does nothing
// else, so that a rule means the same in a chroot, in Wine and in a simulation.
// The meaning is that of the field's consoles: all rules must hold; versions
// compare number by number, missing ones being zero; what cannot be compared is
// not present, and is never taken for present.
package detection

import (
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

// An Observation is what a device answers to one rule: whether there is what
// the rule asks for, and the version or text it has. Value is "" where the rule
// asks for none, or where what was found tells none.
type Observation struct {
	Found bool
	Value string
}

// Judge reports whether a release is present, given what a device answered to
// each of an installer's rules, and says why. Rules that cannot be judged for
// this release are an error of kind Invalid: they would never detect anything.
func Judge(rules []fleet.Detect, release string, d fleet.Download, seen []Observation) (present bool, why string, err error) {
	if len(rules) == 0 || len(rules) != len(seen) {
		return false, "", fleet.Errorf(fleet.Invalid, "detection.judge", release, "%d rules with %d answers detect nothing", len(rules), len(seen))
	}
	for i, rule := range rules {
		want, scheme, compares := Wants(rule, release, d)
		name := Name(rule)
		switch {
		case !seen[i].Found:
			return false, name + " is not there", nil
		case !compares:
		case seen[i].Value == "":
			return false, name + " tells no version", nil
		default:
			ok, err := holds(rule.Operator, scheme, seen[i].Value, want)
			if err != nil {
				return false, "", fleet.Errorf(fleet.Invalid, "detection.judge", name, "%w", err)
			}
			if !ok {
				return false, fmt.Sprintf("%s is %s, the rule wants %s %s", name, seen[i].Value, operator(rule), want), nil
			}
		}
	}
	if len(rules) == 1 {
		return true, "its rule holds", nil
	}
	return true, fmt.Sprintf("its %d rules hold", len(rules)), nil
}

// Wants is what a rule compares what it finds with: the version that the release
// has where the rule looks, and the scheme it is ordered by. compares is false
// for rules that only ask whether something is there.
func Wants(rule fleet.Detect, release string, d fleet.Download) (want, scheme string, compares bool) {
	switch {
	case rule.MSIProduct:
		if d.MSI == nil || d.MSI.ProductVersion == "" {
			return "", "", false
		}
		return d.MSI.ProductVersion, version.Windows, true
	case rule.File != nil:
		return release, version.Windows, rule.File.Version
	case rule.Registry != nil:
		return release, version.Windows, rule.Registry.Value != ""
	case rule.Package != "" && d.Deb != nil:
		return d.Deb.Version, version.Deb, true
	case rule.Package != "", rule.Bundle != "":
		return release, version.Windows, true
	}
	return "", "", false // a script answers for itself
}

// holds compares a found version with the wanted one. Texts that the scheme
// cannot read are equal or not; they have no order.
func holds(op, scheme, found, want string) (bool, error) {
	w, err := version.Parse(scheme, want)
	if err != nil {
		if op == ">=" {
			return false, err
		}
		return found == want, nil
	}
	f, err := version.Parse(scheme, found)
	if err != nil {
		return false, nil // a device may say anything
	}
	if op == ">=" {
		return version.Compare(f, w) >= 0, nil
	}
	return version.Compare(f, w) == 0, nil
}

func operator(rule fleet.Detect) string {
	if rule.Operator == ">=" {
		return "at least"
	}
	return "exactly"
}

// Name is a rule in a few words.
func Name(rule fleet.Detect) string {
	switch {
	case rule.MSIProduct:
		return "the MSI product"
	case rule.File != nil:
		return "file " + rule.File.Path
	case rule.Registry != nil && rule.Registry.Value == "":
		return "registry key " + rule.Registry.Key
	case rule.Registry != nil:
		return "registry value " + rule.Registry.Key + `\` + rule.Registry.Value
	case rule.Bundle != "":
		return "bundle " + rule.Bundle
	case rule.Package != "":
		return "package " + rule.Package
	}
	return "what script " + rule.Script + " looks for"
}
