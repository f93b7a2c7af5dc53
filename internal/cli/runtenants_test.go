package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// TestTenantsFailed: any tenant that failed is exit code 1, whatever its error is
// of, unless all that is left is for a person, 4, or for time, 0.
func TestTenantsFailed(t *testing.T) {
	failed := []factory.TenantResult{{Tenant: "a/b", Done: 1}, {Tenant: "a/c", Failed: 1, Why: "out of order"}}
	of := func(kinds ...fleet.Kind) error {
		var errs []error
		for _, k := range kinds {
			errs = append(errs, fleet.Errorf(k, "test", "a/c", "out of order"))
		}
		return errors.Join(errs...)
	}
	for _, c := range []struct {
		name    string
		tenants []factory.TenantResult
		err     error
		want    int
	}{
		{"nothing", failed[:1], nil, exitDone},
		{"a fault", failed, of(fleet.Internal), exitInternal},
		{"a refusal", failed, of(fleet.Refused), exitInternal},
		{"what cannot be expressed", failed, of(fleet.Invalid), exitInternal},
		{"a person's", failed, of(fleet.Stalled), exitStalled},
		{"a person's beside a fault", failed, of(fleet.Stalled, fleet.Refused), exitInternal},
		{"waiting", []factory.TenantResult{{Tenant: "a/c", Waiting: 1}}, of(fleet.Waiting), exitDone},
		{"a refusal that is no tenant's", failed[:1], of(fleet.Refused), exitRefused},
	} {
		var told bytes.Buffer
		a := &app{stderr: &told, getenv: func(string) string { return "" }}
		if got := a.report(tenantsFailed(c.tenants, c.err)); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
		if n := strings.Count(told.String(), "error: "); c.err != nil && n != strings.Count(c.err.Error(), "out of order") {
			t.Errorf("%s: told %q", c.name, told.String())
		}
	}
}

// TestTenantTable has a line for all, and one for each tenant with trouble.
func TestTenantTable(t *testing.T) {
	r := factory.RunResult{Done: []factory.Outcome{{Action: rollout.Action{Kind: rollout.Deploy, Tenant: "a/c"}, Err: "out of order"}}, Tenants: []factory.TenantResult{
		{Tenant: "a/b", Done: 3}, {Tenant: "a/c", Failed: 1, Skipped: 2, Why: "out of order"},
	}}
	var out bytes.Buffer
	a := &app{stdout: &out, getenv: func(string) string { return "" }}
	if err := a.write(formatTable, runResult(r, "nothing")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"all 2", "a/c", "out of order", "SKIPPED"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "a/b") {
		t.Errorf("a tenant that is done has a line:\n%s", out.String())
	}
	out.Reset()
	if err := a.write(formatJSON, runResult(r, "nothing")); err != nil {
		t.Fatal(err)
	}
	checkDocument(t, "run", out.String())
}
