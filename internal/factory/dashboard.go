package factory

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/bump"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/view"
)

// dashboardMarker is what packmill finds its issue of all packages by.
const dashboardMarker = "packages"

// beginDashboard opens the issue where there is none yet: before the first pull
// requests, whose numbers then follow each other, as a rehearsal expects.
func (f *Factory) beginDashboard(ctx context.Context, look Look, list []Proposed) error {
	_, found, err := f.Forge.Issue(ctx, dashboardMarker)
	if kind := fleet.KindOf(err); found || err != nil && (kind == fleet.Refused || kind == fleet.Invalid) {
		return nil // what is refused is told at the end of the run
	}
	if err != nil {
		return err
	}
	return f.dashboard(ctx, look, list)
}

// dashboard makes the issue that lists all packages say what a run found, if it
// looked at all of them. It writes nothing when nothing differs. A forge without
// issues, or a token that may not write them, is no reason to fail a run whose
// work is done.
func (f *Factory) dashboard(ctx context.Context, look Look, list []Proposed) error {
	if len(look.Packages) > 0 {
		return nil
	}
	next, err := calendar.After(look.Repo.Week, calendar.Detect, f.Clock.Now())
	if err != nil {
		next = time.Time{} // the week says no such step
	}
	rows := make([]view.Watched, len(list))
	for i, p := range list {
		rows[i] = view.Watched{Detection: p.Detection, Pull: p.Pull.Number, Note: p.standing, Next: next, Declined: p.declined, Revoked: revokedBy(look.Repo, p.Package, p.Current)}
		if p.State == fleet.StateHeld && p.Hold == fleet.HoldTooYoung {
			if ready, ok := bump.Ready(look.Repo.Packages[p.Package], p.Detection.Found, p.Upstream.Published, len(p.Detection.Fixes) > 0); ok {
				rows[i].Next = ready
			}
		}
	}
	_, _, err = f.Forge.EnsureIssue(ctx, dashboardMarker, view.DashboardTitle, view.Dashboard(rows))
	if kind := fleet.KindOf(err); err != nil && (kind == fleet.Refused || kind == fleet.Invalid) {
		f.Log.Warn("the issue of all packages is not up to date", "error", err)
		return nil
	}
	return err
}

// revokedBy is the file that takes a release back, "" when none does.
func revokedBy(repo *fleet.Repository, id fleet.PackageID, release string) string {
	for _, name := range slices.Sorted(maps.Keys(repo.Holds)) {
		if h := repo.Holds[name]; h.Kind == "revocation" && h.Package == id && h.Release == release {
			return "schedules/holds/" + name + ".cue"
		}
	}
	return ""
}
