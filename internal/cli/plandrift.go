package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/drift"
	"github.com/packmill/packmill/internal/view"
)

// A driftFlags is what plan --drift was asked for.
type driftFlags struct {
	on, exitCode  bool
	tenant, adopt string
}

// drift reads what tenants hold, prints what differs and what can be done about
// it, and with --adopt writes the tenant's values into the work tree.
func (a *app) drift(ctx context.Context, f format, o driftFlags) error {
	mill, _, err := a.factory(ctx)
	if err != nil {
		return err
	}
	facts, err := mill.Observe(ctx)
	if err != nil {
		return err
	}
	r, err := mill.Drift(ctx, facts, fleet.TenantID(o.tenant))
	if err != nil {
		return err
	}
	tables := view.DriftTables(r)
	if err := a.write(f, result{name: "drift", value: r, table: tables[0], also: tables[1:]}); err != nil {
		return err
	}
	if o.adopt != "" {
		return a.adoptDrift(r, fleet.PackageID(o.adopt))
	}
	for _, what := range ways(r) {
		fmt.Fprintln(a.stderr, "packmill:", what)
	}
	switch {
	case len(r.Unread) > 0:
		return errTold{exitInternal}
	case o.exitCode && r.Differs():
		return errTold{exitDifferences}
	}
	return nil
}

// ways are what people may do about each package that a tenant moved.
func ways(r drift.Report) []string {
	var out []string
	for _, o := range r.Objects {
		if o.State != drift.Drift && o.State != drift.Conflict {
			continue
		}
		line := fmt.Sprintf("%s on %s: ", o.Package, o.Tenant)
		if o.Adopt != nil && !onlyAssigned(o) {
			line += fmt.Sprintf("adopt it (packmill plan --drift --tenant %s --adopt %s), or ", o.Tenant, o.Package)
		}
		switch {
		case onlyAssigned(o):
			line += "put the assignments back, or let the next cycle take them as they are: packmill brings it no further in this one"
		case o.Setting == "":
			line += "restore it: the next release writes the " + o.Kind + "'s properties again"
		default:
			line += fmt.Sprintf("restore it: add restore: %q to %s/tenant.cue, with a reason and when it expires; the next release writes over it", o.Package, o.Tenant.Dir())
		}
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}

// onlyAssigned reports whether nothing of an object was changed but whom it is
// for, which no file says and no release restores.
func onlyAssigned(o drift.Object) bool {
	moved := drift.Moved(o.Changes)
	properties := o.Setting == "" && o.Note != "" // of an app or an update
	return len(moved) > 0 && !properties && !slices.ContainsFunc(moved, func(c drift.Change) bool { return !strings.HasPrefix(c.Path, "assignments/") })
}

// adoptDrift writes files that say what the tenant has of a package. What two
// tenants have differently, or both slots of one, is nobody's to choose but a
// person's.
func (a *app) adoptDrift(r drift.Report, id fleet.PackageID) error {
	files := map[string][]byte{}
	for _, o := range r.Objects {
		if o.Package != id || o.State != drift.Drift && o.State != drift.Conflict || onlyAssigned(o) {
			continue
		}
		if o.Adopt == nil {
			return &fleet.Error{Op: "cli.adopt", Object: string(id), Kind: fleet.Refused, Err: fmt.Errorf("no file of the package says what %s of setting %q is", o.Kind, o.Setting),
				Hint: "change package.cue by hand, or restore it"}
		}
		for name, data := range o.Adopt {
			if have, twice := files[name]; twice && string(have) != string(data) {
				return &fleet.Error{Op: "cli.adopt", Object: name, Kind: fleet.Refused, Err: errors.New("tenants or slots differ in it"), Hint: "name one with --tenant"}
			}
			files[name] = data
		}
	}
	if len(files) == 0 {
		return fleet.Errorf(fleet.Invalid, "cli.adopt", string(id), "no tenant has moved anything of it")
	}
	root, err := os.OpenRoot(a.repo)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err := root.MkdirAll(path.Dir(name), 0o755)
		if err == nil {
			err = root.WriteFile(name, files[name], 0o644)
		}
		if err != nil {
			return fleet.Errorf(fleet.Internal, "cli.adopt", name, "write the file: %w", err)
		}
		fmt.Fprintf(a.stderr, "packmill: %s says what the tenant has\n", name)
	}
	fmt.Fprintf(a.stderr, "packmill: commit it on a branch for review; merged, `packmill propose %s` proposes it as a release\n", id)
	return nil
}
