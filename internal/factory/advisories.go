package factory

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/bump"
)

// Advisories are public sources of vulnerabilities, each at the address that the
// repository names. One value serves one run.
type Advisories interface {
	// KEV is CISA's catalog of known exploited vulnerabilities.
	KEV(ctx context.Context, address string) (fleet.KEV, error)
	// EPSS are the scores of vulnerabilities, as far as there are any.
	EPSS(ctx context.Context, address string, ids []string) (map[string]fleet.Likelihood, error)
}

// Fixed looks up in recorded detections which exploited vulnerabilities a version
// fixes by the newest look that judged it.
func Fixed(detections []fleet.Detection) func(id fleet.PackageID, version string) []string {
	type one struct {
		id      fleet.PackageID
		version string
	}
	newest := map[one]fleet.Detection{}
	for _, d := range detections {
		at := one{d.Package, d.Found}
		if have, ok := newest[at]; !ok || !d.At.Before(have.At) {
			newest[at] = d
		}
	}
	return func(id fleet.PackageID, version string) []string { return newest[one{id, version}].Fixes }
}

// fixes are the exploited vulnerabilities that a version with these notes fixes.
// Only who names a vulnerability of a package that declares its products waits
// for the catalog; without an answer nothing is known beyond what was recorded.
func (f *Factory) fixes(ctx context.Context, look Look, p fleet.Package, version, notes string) []string {
	source := look.Repo.Advisories.KEV
	if source == "" || !bump.Asks(p, notes) {
		return nil
	}
	kev, err := f.Upstream.KEV(ctx, source)
	if err == nil {
		return bump.Fixes(p, notes, &kev, nil)
	}
	if f.Log != nil {
		f.Log.Warn("whether a version fixes what is exploited is not known", "package", p.ID, "version", version, "error", err)
	}
	var earlier []string
	if look.Fixed != nil {
		earlier = look.Fixed(p.ID, version)
	}
	return bump.Fixes(p, notes, nil, earlier)
}

// foresee asks about all that new versions name while other work goes on, many
// in one question. The answers are the client's to keep; wait for it before the
// run ends.
func (f *Factory) foresee(ctx context.Context, look Look, findings []Finding) (wait func()) {
	var ids []string
	for _, finding := range findings {
		if finding.State == fleet.StateNew {
			ids = append(ids, bump.WeaknessIDs(finding.Fixes, finding.Upstream.Notes)...)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.answers(ctx, look, ids)
	}()
	return func() { <-done }
}

// answers are what the repository's sources say about vulnerabilities.
func (f *Factory) answers(ctx context.Context, look Look, ids []string) (said bump.Answers) {
	sources := look.Repo.Advisories
	if len(ids) == 0 {
		return said
	}
	if sources.KEV != "" {
		if kev, err := f.Upstream.KEV(ctx, sources.KEV); err == nil {
			said.KEV = &kev
		} else {
			said.Silent = append(said.Silent, bump.SourceKEV)
		}
	}
	if sources.EPSS != "" {
		scores, err := f.Upstream.EPSS(ctx, sources.EPSS, ids)
		if said.EPSS = scores; err != nil {
			said.Silent = append(said.Silent, bump.SourceEPSS)
		}
	}
	return said
}

// weaknesses are what is known of the vulnerabilities that a release is about;
// nil where the repository names nobody to ask.
func (f *Factory) weaknesses(ctx context.Context, look Look, p fleet.Package, release fleet.Release, notes string) *bump.Weaknesses {
	if look.Repo.Advisories == (fleet.AdvisorySources{}) {
		return nil
	}
	said := f.answers(ctx, look, bump.WeaknessIDs(release.Fixes, notes))
	w := bump.WeaknessesOf(p, release.Fixes, notes, said)
	return &w
}
