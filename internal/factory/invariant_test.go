package factory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// A query tells which gates were refused.
type query func(w *refusalWorld) []fleet.AuditRefusal

// TestInvariant25RefusalsAreFound is the invariant that every rejected decision
// is found by the audit, whatever became of its file; the others are in
// sim/rehearsal. The same check runs on queries that lack a guard, and must fail.
func TestInvariant25RefusalsAreFound(t *testing.T) {
	audit := func(w *refusalWorld) []fleet.AuditRefusal { return w.audited().Refusals }
	if err := refusalsFound(t, audit); err != nil {
		t.Error(err)
	}
	for name, without := range map[string]query{
		"only what stands on main is looked at": func(w *refusalWorld) []fleet.AuditRefusal {
			return slices.DeleteFunc(audit(w), func(r fleet.AuditRefusal) bool { return r.Since.How != "" })
		},
		"only recorded merges are looked at": func(w *refusalWorld) []fleet.AuditRefusal {
			return slices.DeleteFunc(audit(w), func(r fleet.AuditRefusal) bool { return r.PR == 0 })
		},
		"only gates are looked at, and no tenants": func(w *refusalWorld) []fleet.AuditRefusal {
			return slices.DeleteFunc(audit(w), func(r fleet.AuditRefusal) bool { return r.Tenant != "" })
		},
	} {
		if err := refusalsFound(t, without); err == nil {
			t.Errorf("the check sees nothing where %s", name)
		} else {
			t.Logf("where %s: %v", name, err)
		}
	}
}

// refusalsFound merges and pushes refusals and what ends them in many orders,
// and asks for each that was ever made.
func refusalsFound(t *testing.T, ask query) error {
	t.Helper()
	everyone := strings.Replace(dogfoodApproval, "dogfood", "everyone", 1)
	for n, end := range []string{"", "approved", "rejected: for another reason", "removed"} {
		for file, login := range map[string]string{dogfoodApproval: "ines", everyone: "ines", aaltoApproval: "nora"} {
			for _, reviewed := range []bool{true, false} {
				w := newRefusalWorld(t)
				bring := func(text string) {
					if reviewed {
						w.merge(map[string]string{file: text}, nil, "ines", login)
					} else {
						w.push(map[string]string{file: text})
					}
				}
				because := fmt.Sprintf("reason %d", n)
				bring("rejected: " + because)
				switch end {
				case "":
				case "removed":
					bring("")
				default:
					bring(end)
				}
				w.recordAll()
				if !slices.ContainsFunc(ask(w), func(r fleet.AuditRefusal) bool { return r.Because == because }) {
					return fmt.Errorf("the refusal in %s (reviewed %v, since %q) is not found", file, reviewed, end)
				}
			}
		}
	}
	return nil
}
