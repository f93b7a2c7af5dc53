package factory

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/bump"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// Draft is the release that a finding of state new would become: its installers
// downloaded, hashed and read. What is wrong with them is an *upstream.Hold.
func (f *Factory) Draft(ctx context.Context, repo *fleet.Repository, finding Finding) (_ *fleet.Release, err error) {
	got := newPool(repo, []Finding{finding})
	defer func() { err = errors.Join(err, got.remove()) }()
	return f.draft(ctx, repo, finding, got)
}

func (f *Factory) draft(ctx context.Context, repo *fleet.Repository, finding Finding, got *pool) (*fleet.Release, error) {
	p := repo.Packages[finding.Package]
	release := newRelease(p, finding)
	if p.Kind == "configuration" {
		release.Files = finding.Payload
		return &release, nil
	}
	var err error
	release.Installers, err = f.obtain(ctx, repo.Publishers[p.ID.Publisher()], p, finding.Upstream, got)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for key, d := range release.Installers {
		sizes[key] = d.Size
	}
	if why := bump.OutOfProportion(p, sizes); why != "" { // most vendors state no size before
		return nil, &upstream.Hold{Name: fleet.HoldSize, Err: errors.New(why)}
	}
	return &release, nil
}

// DraftOf drafts the release of a finding. What is wrong with the bytes makes
// the finding a held one; an error is one of ours.
func (f *Factory) DraftOf(ctx context.Context, repo *fleet.Repository, out *Proposed) error {
	release, err := f.Draft(ctx, repo, out.Finding)
	return out.drafted(ctx, release, err)
}

// drafted takes in what became of the draft.
func (p *Proposed) drafted(ctx context.Context, release *fleet.Release, err error) error {
	if err != nil {
		p.Finding, err = held(ctx, p.Finding, err)
		return err
	}
	p.Release = release
	return nil
}

// newRelease is a release without its bytes.
func newRelease(p fleet.Package, finding Finding) fleet.Release {
	_, latest, _ := p.Latest()
	r := fleet.Release{Counter: latest.Counter + 1, Change: bump.Class(p, finding.Found)}
	if len(finding.Fixes) > 0 {
		r.Change, r.Fixes = "security", finding.Fixes
	}
	if p.Upstream != nil {
		r.Epoch = p.Upstream.Epoch
	}
	if at := finding.Upstream.Published; !at.IsZero() {
		r.Published = &at
	}
	return r
}

// withRelease is the repository as it will be once the release is merged.
func withRelease(repo *fleet.Repository, id fleet.PackageID, version string, release fleet.Release) *fleet.Repository {
	head := *repo
	p := repo.Packages[id]
	p.Releases = maps.Clone(p.Releases)
	if p.Releases == nil {
		p.Releases = map[string]fleet.Release{}
	}
	p.Releases[version] = release
	head.Packages = maps.Clone(repo.Packages)
	head.Packages[id] = p
	return &head
}

// Devices counts the devices of each tenant by its newest inventory.
func Devices(rec *fleet.Record) map[fleet.TenantID]int {
	out := map[fleet.TenantID]int{}
	for id, devices := range rollout.LatestInventory(rec, time.Time{}) {
		out[id] = len(devices)
	}
	return out
}
