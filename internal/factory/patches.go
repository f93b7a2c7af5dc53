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
}

// Patches is what Windows Update has for a tenant's devices, and what Microsoft
// says of it: which patches fix what, and which of them the catalog of packages
// holds.
type Patches struct {
	Tenant  fleet.TenantID `json:"tenant"`
	Since   time.Time      `json:"since"`
	Patches []Patch        `json:"patches"` // newest first
	Issues  []KnownIssue   `json:"issues"`  // of Windows, open or resolved since
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
