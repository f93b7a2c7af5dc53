// Package factory is the week as functions: Detect, Propose, Build, Test, Open,
// Apply, Advance, Revoke, Notify, Report and Audit. One struct holds the edges
// they work through.
//
// Nothing here decides: decisions are pure functions of package rules. Nothing
// here prints: results are values, progress goes to a callback.
package factory

import (
	"context"
	"log/slog"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// A Factory holds the edges. Functions use only the fields they need; a nil
// edge that a function needs is an error of kind Invalid that names the
// setting.
type Factory struct {
	Clock    fleet.Clock
	Log      *slog.Logger
	Progress func(done, total int, what string) // may be nil
	Author   fleet.Identity                     // of packmill's own commits
	Runner   string                             // this run among others; the same when it is tried again

	Git     *gitrepo.Repo
	Desired func(ctx context.Context, rev string) (*fleet.Repository, error) // reads and checks a commit
	Ledger  Ledger
	Forge   Forge

	Upstream Upstream            // of this run
	Store    *store.Store        // of artifacts
	Attester Attester            // of builds and tests
	Code     *signing.CodeSigner // of packmill's own scripts on Windows, nil signs none
	Cells    map[string]Cell     // of this machine, by kind: chroot, wine, simulated
	Version  string              // of packmill itself, which provenance names

	Signer   fleet.Signer
	Consoles func(ctx context.Context, t fleet.Tenant) (Console, error)
	// Look looks at a tenant without changing anything there.
	Look func(ctx context.Context, t fleet.Tenant) fleet.Readiness
	// Parallel is how many tenants are served side by side, 1 if it is 0.
	// Consoles, HashKey and the store must then bear concurrent use, and what
	// instants receipts carry depends on which tenant is faster: leave it
	// where runs must give the same bytes.
	Parallel int

	Outbox  map[string]Channel
	HashKey func(t fleet.TenantID) ([]byte, error) // keys device ids are hashed with, outside git

	toll *toll // of the run under way, nil outside of one
}

// A Console is the device management of one tenant. Every method may be called
// again after a crash and then finds what it made.
type Console interface {
	// Inventory lists the managed devices.
	Inventory(ctx context.Context) ([]fleet.Device, error)
	// Observe reads what a package's slot holds.
	Observe(ctx context.Context, id fleet.PackageID, slot string) (fleet.AppState, error)
	// Publish makes the slot hold the app's content, and returns its state.
	Publish(ctx context.Context, app fleet.App, content fleet.Content) (fleet.AppState, error)
	// Group makes the static device group of a wave hold exactly these
	// devices, and returns its id.
	Group(ctx context.Context, wave string, devices []string) (string, error)
	// Assign replaces packmill's part of the slot's assignment set.
	Assign(ctx context.Context, id fleet.PackageID, slot string, targets []fleet.Target) error
	// Statuses reads what devices reported for the slot's app.
	Statuses(ctx context.Context, id fleet.PackageID, slot string) ([]fleet.DeviceStatus, error)

	Prober
}

// A Prober has devices look after themselves.
type Prober interface {
	// Probe makes a probe run on the devices of a group, beside those of groups
	// it was added to before.
	Probe(ctx context.Context, p fleet.DeviceProbe) error
	// Unprobe removes all probes of a package.
	Unprobe(ctx context.Context, id fleet.PackageID) error
	// Health reads what the probes of a package last found on each device.
	Health(ctx context.Context, id fleet.PackageID) ([]fleet.DeviceHealth, error)
}

// A Channel delivers one rendered message. A message id that was delivered
// before may be delivered again; it is then the reader's mail program that
// drops it.
type Channel interface {
	Deliver(ctx context.Context, m fleet.Message) error
}
