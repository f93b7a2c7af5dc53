package desired

import (
	"context"
	"errors"

	"github.com/packmill/packmill/internal/fleet"
)

// A Part names what LoadPart reads.
type Part struct {
	Catalog []string // folders and files below catalog/; what is not there is left out
	// Policy is a repository whose schedules and tenants are the same as the
	// tree's: they are taken from it and not evaluated again. Nil evaluates
	// them.
	Policy *fleet.Repository
}

// LoadPart reads a part of the catalog, and schedules and tenants whole, so
// that two commits can be compared without reading what they share. Every value
// is checked against the schema; names and rules that need the rest of the
// repository are not: that is what Load is for. The error is as Load's.
func LoadPart(ctx context.Context, tree Tree, part Part, options Options) (*fleet.Repository, error) {
	if options.Workers <= 0 {
		options.Workers = 2
	}
	l := &loader{tree: tree, options: options, repo: &fleet.Repository{
		Commit: tree.Commit(), Publishers: map[string]fleet.Publisher{}, Packages: map[fleet.PackageID]fleet.Package{},
		Matrices: map[string]fleet.Environment{}, Blobs: map[string]string{},
	}}
	prefixes := part.Catalog
	if part.Policy == nil {
		prefixes = append([]string{"schedules", "tenants"}, prefixes...)
	}
	for _, prefix := range prefixes {
		files, err := tree.Files(prefix)
		if err != nil {
			return nil, &fleet.Error{Op: "desired.load", Object: prefix, Kind: fleet.Internal, Err: err}
		}
		l.take(files)
	}
	policy := make(chan error, 1)
	if part.Policy == nil {
		go func() { policy <- l.policy(ctx) }()
	} else {
		l.borrow(part.Policy)
		policy <- nil
	}
	parts, err := evaluate(ctx, tree, units(l.places), options.Workers)
	if err := errors.Join(err, <-policy); err != nil {
		return nil, err
	}
	l.parts = parts
	l.mergeCatalog()
	if len(l.findings) > 0 {
		return nil, sortFindings(l.findings)
	}
	return l.repo, nil
}

// take gives files their roles; what cannot be one is a finding.
func (l *loader) take(files []File) {
	for _, f := range files {
		if text, ok := refusedMode[f.Mode]; ok {
			l.say(fleet.Pos{File: f.Path}, "", "%s", text)
			continue
		}
		p, err := locate(f)
		if err != nil {
			l.say(fleet.Pos{File: f.Path}, "", "%v", err)
			continue
		}
		if p.role != roleNone && p.Size <= MaxPayload {
			l.places = append(l.places, p)
			l.repo.Blobs[p.Path] = p.Blob
		}
	}
}

// borrow takes schedules and tenants from a repository in which they are the
// same.
func (l *loader) borrow(r *fleet.Repository) {
	l.repo.Week, l.repo.Waves, l.repo.Freezes, l.repo.Holds = r.Week, r.Waves, r.Freezes, r.Holds
	l.repo.Cycles, l.repo.Plans, l.repo.Approvals = r.Cycles, r.Plans, r.Approvals
	l.repo.TenantApprovals = r.TenantApprovals
	l.repo.Operator, l.repo.Partners, l.repo.Tenants = r.Operator, r.Partners, r.Tenants
}
