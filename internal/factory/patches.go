package factory

import (
	"context"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/fleet"
)

// A PatchCatalog is a Console that knows what Windows Update has.
type PatchCatalog interface {
	// Updates are the quality updates that were released since an instant, newest
	// first.
	Updates(ctx context.Context, since time.Time) ([]updates.Update, error)
	// Issues are the known issues that are open, or were resolved since then.
	Issues(ctx context.Context, since time.Time) ([]updates.Issue, error)
	// Versions are the versions of Windows that devices can be taken to, newest
	// first.
	Versions(ctx context.Context) ([]updates.Version, error)
}

// Patches is what Windows Update has for a tenant's devices, and what Microsoft
// says of it: which patches fix what, and which of them the catalog of packages
// holds.
type Patches struct {
	Tenant   fleet.TenantID   `json:"tenant"`
	Since    time.Time        `json:"since"`
	Patches  []Patch          `json:"patches"`  // newest first
	Versions []WindowsVersion `json:"versions"` // newest first, whenever they were released
	Issues   []KnownIssue     `json:"issues"`   // of Windows, open or resolved since
}

// A WindowsVersion is a version of Windows that devices can be taken to.
type WindowsVersion struct {
	Name     string            `json:"name"` // "Windows 11, version 24H2": what patch: feature says
	Released time.Time         `json:"released"`
	Until    *time.Time        `json:"until,omitempty"` // it can be deployed, where an end is known
	Build    string            `json:"build"`           // as Windows Update tells it, "" when it does not
	Packages []fleet.PackageID `json:"packages"`        // whose version it is, in the repository
}

// A Patch is one quality update for Windows.
type Patch struct {
	Name           string            `json:"name"`
	Released       time.Time         `json:"released"`
	Classification string            `json:"classification"` // security, nonSecurity; others may come
	Cadence        string            `json:"cadence"`        // monthly, outOfBand; others may come
	Severity       string            `json:"severity"`       // the worst of what it fixes, "" when none is told
	Score          float64           `json:"score"`          // the highest CVSS base score, 0 when none is told
	Exploited      []string          `json:"exploited"`      // CVEs that Microsoft knows to be exploited
	Expeditable    bool              `json:"expeditable"`
	Builds         []PatchBuild      `json:"builds"`
	Packages       []fleet.PackageID `json:"packages"` // whose patch it is, in the repository
}

// A PatchBuild is what a patch brings one version of Windows to.
type PatchBuild struct {
	Windows string `json:"windows"` // "Windows 11 24H2"
	Build   string `json:"build"`   // "26100.7171"
	KB      string `json:"kb"`
}

// A KnownIssue is what Microsoft's release health tells of a version of Windows.
type KnownIssue struct {
	Windows  string     `json:"windows"`
	Title    string     `json:"title"`
	Status   string     `json:"status"`
	Since    time.Time  `json:"since"`
	Resolved *time.Time `json:"resolved,omitempty"`
	KB       string     `json:"kb"`      // of the patch that brought it
	FixedBy  string     `json:"fixedBy"` // of the patch that resolved it
	URL      string     `json:"url"`
}

// PatchesOf asks a tenant's service what patches there are.
func (f *Factory) PatchesOf(ctx context.Context, repo *fleet.Repository, id fleet.TenantID, since time.Time) (Patches, error) {
	out := Patches{Tenant: id, Since: since}
	tenant, ok := repo.Tenants[id]
	if !ok {
		return out, fleet.Errorf(fleet.Invalid, "factory.patches", string(id), "there is no such tenant")
	}
	console, err := f.Consoles(ctx, tenant)
	if err != nil {
		return out, err
	}
	catalog, ok := console.(PatchCatalog)
	if !ok {
		return out, fleet.Errorf(fleet.Invalid, "factory.patches", string(id), "the tenant's console knows no patches")
	}
	list, err := catalog.Updates(ctx, since)
	if err != nil {
		return out, err
	}
	for _, u := range list {
		out.Patches = append(out.Patches, patchOf(repo, u))
	}
	versions, err := catalog.Versions(ctx)
	if err != nil {
		return out, err
	}
	for _, v := range versions {
		out.Versions = append(out.Versions, versionOf(repo, v))
	}
	issues, err := catalog.Issues(ctx, since)
	for _, i := range issues {
		known := KnownIssue{Windows: i.Product, Title: i.Title, Status: i.Status, Since: i.Since, KB: i.KB, FixedBy: i.FixedBy, URL: i.URL}
		if !i.Resolved.IsZero() {
			known.Resolved = &i.Resolved
		}
		out.Issues = append(out.Issues, known)
	}
	return out, err
}

func versionOf(repo *fleet.Repository, v updates.Version) WindowsVersion {
	out := WindowsVersion{Name: v.Name, Released: v.Released, Build: v.Build}
	if !v.DeployUntil.IsZero() {
		out.Until = &v.DeployUntil
	}
	for _, id := range repo.PackageIDs() {
		if p := repo.Packages[id].Patch; p != nil && p.Feature != "" && strings.EqualFold(p.Feature, v.Name) {
			out.Packages = append(out.Packages, id)
		}
	}
	return out
}

func patchOf(repo *fleet.Repository, u updates.Update) Patch {
	p := Patch{
		Name: u.Name, Released: u.Released, Classification: u.Classification, Cadence: u.Cadence, Severity: u.Severity, Score: u.Score,
		Exploited: u.Exploited, Expeditable: u.Expeditable,
	}
	articles := map[string]bool{}
	for _, b := range u.Builds {
		p.Builds = append(p.Builds, PatchBuild{Windows: strings.TrimSpace(b.Product + " " + b.Version), Build: b.Build, KB: b.KB})
		articles[b.KB] = b.KB != ""
	}
	for _, id := range repo.PackageIDs() {
		if patch := repo.Packages[id].Patch; patch != nil && articles[patch.KB] {
			p.Packages = append(p.Packages, id)
		}
	}
	return p
}
