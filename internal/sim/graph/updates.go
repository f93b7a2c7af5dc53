package graph

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Updates are what Windows Update has for the devices of all tenants, and how it
// goes about it.
type Updates struct {
	Patches []Patch
	Drivers []DriverUpdate
	Issues  []KnownIssue
	// Lag is how long an approval, a pause or any other change takes to reach
	// devices; 8 h when 0.
	Lag time.Duration
	// Looks is how long the service takes to find out what drivers a profile's
	// devices could have; a day when 0.
	Looks time.Duration
	// Rollback is the share of devices that install a patch and go back.
	Rollback func(kb string) float64
}

// A Patch is a quality update, or a feature update where it has a version.
type Patch struct {
	KB          string // "KB5068861"
	Name        string
	Short       string // "2026.11 B"
	Released    time.Time
	Until       time.Time // deployable; zero without end
	Category    string    // security, nonSecurity
	Cadence     string    // monthly, outOfBand
	Severity    string    // critical, important, moderate, "" tells nothing
	Score       float64
	Exploited   []string
	Expeditable bool
	Builds      map[string]string // version of Windows ("24H2") → build ("26100.4061")
	Feature     string            // "Windows 11, version 24H2": it is a feature update
}

// A DriverUpdate is a driver that devices of some models could have.
type DriverUpdate struct {
	Name, Version, Class, Manufacturer string
	Released                           time.Time
	Models                             []string // of devices
}

// A KnownIssue is what Microsoft's release health tells of a version of Windows.
type KnownIssue struct {
	Product, ID, Title, Status string
	Since, Resolved            time.Time
	KB, FixedBy                string
}

func (u Updates) lag() time.Duration {
	if u.Lag == 0 {
		return 8 * time.Hour
	}
	return u.Lag
}

func (u Updates) looks() time.Duration {
	if u.Looks == 0 {
		return 24 * time.Hour
	}
	return u.Looks
}

// id is a patch in a catalog: Intune's own and the deployment service's call it
// by different ids.
func (t *tenant) patchID(catalog string, p Patch) string {
	return t.s.guid("catalog", catalog, p.KB, p.Feature, p.Released.String())
}

// published are the patches that a catalog lists now.
func (t *tenant) published() []Patch {
	now := t.s.o.Now()
	var out []Patch
	for _, p := range t.s.o.Updates.Patches {
		if !p.Released.After(now) {
			out = append(out, p)
		}
	}
	return out
}

// patch finds a published patch by its id in a catalog.
func (t *tenant) patch(catalog, id string) (Patch, bool) {
	for _, p := range t.published() {
		if t.patchID(catalog, p) == id {
			return p, true
		}
	}
	return Patch{}, false
}

// split is a build: 26100 and 4061 of "26100.4061", and of "10.0.26100.4061".
func split(build string) (family, revision int) {
	parts := strings.Split(strings.TrimPrefix(build, "10.0."), ".")
	family, _ = strconv.Atoi(parts[0])
	if len(parts) > 1 {
		revision, _ = strconv.Atoi(parts[1])
	}
	return family, revision
}

// versions are the versions of Windows that a patch is for, sorted.
func (p Patch) versions() []string {
	var out []string
	for v := range p.Builds {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// The catalogs.
const (
	intuneCatalog  = "intune"
	serviceCatalog = "service"
)

// catalogItem is a patch as Intune's own catalog tells it.
func (t *tenant) catalogItem(p Patch) map[string]any {
	out := map[string]any{
		"@odata.type": "#microsoft.graph.windowsQualityUpdateCatalogItem", "id": t.patchID(intuneCatalog, p), "displayName": p.Name, "releaseDateTime": stamp(p.Released),
		"kbArticleId": strings.TrimPrefix(p.KB, "KB"), "classification": p.Category, "qualityUpdateCadence": p.Cadence, "isExpeditable": p.Expeditable,
	}
	revisions := []map[string]any{}
	for _, v := range p.versions() {
		family, revision := split(p.Builds[v])
		revisions = append(revisions, map[string]any{
			"displayName": "Windows 11, version " + v, "productName": "Windows 11", "versionName": v, "releaseDateTime": stamp(p.Released),
			"osBuild":              map[string]any{"majorVersionNumber": 10, "minorVersionNumber": 0, "buildNumber": family, "updateBuildRevision": revision},
			"knowledgeBaseArticle": map[string]any{"articleId": strings.TrimPrefix(p.KB, "KB"), "articleUrl": "https://support.microsoft.com/help/" + strings.TrimPrefix(p.KB, "KB")},
		})
	}
	out["productRevisions"] = revisions
	return out
}

func listCatalogItems(r *request) (reply, error) {
	out := []map[string]any{}
	for _, p := range r.t.published() {
		item := r.t.catalogItem(p)
		if p.Feature != "" {
			item = map[string]any{
				"@odata.type": "#microsoft.graph.windowsFeatureUpdateCatalogItem", "id": r.t.patchID(intuneCatalog, p), "displayName": p.Name,
				"releaseDateTime": stamp(p.Released), "version": p.Feature,
			}
		}
		match, err := filter(r.URL.Query(), item)
		if err != nil {
			return reply{}, err
		}
		if match {
			out = append(out, item)
		}
	}
	return page(r, out, r.t.s.o.PageSize, 1000)
}

// entry is a patch as the deployment service's catalog tells it.
func (t *tenant) entry(p Patch, revisions bool) map[string]any {
	out := map[string]any{"id": t.patchID(serviceCatalog, p), "displayName": p.Name, "releaseDateTime": stamp(p.Released)}
	if !p.Until.IsZero() {
		out["deployableUntilDateTime"] = stamp(p.Until)
	}
	if p.Feature != "" {
		out["@odata.type"], out["version"] = "#microsoft.graph.windowsUpdates.featureUpdateCatalogEntry", p.Feature
		for _, build := range p.Builds {
			family, _ := split(build)
			out["buildNumber"] = strconv.Itoa(family)
		}
		return out
	}
	out["@odata.type"], out["shortName"], out["catalogName"] = "#microsoft.graph.windowsUpdates.qualityUpdateCatalogEntry", p.Short, p.Name
	out["isExpeditable"], out["qualityUpdateClassification"], out["qualityUpdateCadence"] = p.Expeditable, p.Category, p.Cadence
	if p.Severity != "" {
		exploited := []map[string]any{}
		for _, cve := range p.Exploited {
			exploited = append(exploited, map[string]any{"number": cve, "url": "https://msrc.microsoft.com/update-guide/vulnerability/" + cve})
		}
		out["cveSeverityInformation"] = map[string]any{"maxSeverity": p.Severity, "maxBaseScore": p.Score, "exploitedCves": exploited}
	}
	if revisions {
		list := []map[string]any{}
		for _, v := range p.versions() {
			family, revision := split(p.Builds[v])
			list = append(list, map[string]any{
				"id": "10.0." + p.Builds[v], "displayName": "Windows 11, version " + v + ", build " + p.Builds[v], "product": "Windows 11", "version": v,
				"isHotpatchUpdate": false, "releaseDateTime": stamp(p.Released),
				"osBuild":              map[string]any{"majorVersion": 10, "minorVersion": 0, "buildNumber": family, "updateBuildRevision": revision},
				"knowledgeBaseArticle": map[string]any{"id": p.KB, "url": "https://support.microsoft.com/help/" + strings.TrimPrefix(p.KB, "KB")},
			})
		}
		out["productRevisions"] = list
	}
	return out
}

func listEntries(r *request) (reply, error) {
	out := []map[string]any{}
	for _, p := range r.t.published() {
		e := r.t.entry(p, strings.Contains(r.URL.Query().Get("$expand"), "productRevisions"))
		match, err := filter(r.URL.Query(), e)
		if err != nil {
			return reply{}, err
		}
		if match {
			out = append(out, e)
		}
	}
	return page(r, out, r.t.s.o.PageSize, 1000)
}

func listProducts(r *request) (reply, error) {
	out := []map[string]any{}
	seen := map[string]bool{}
	for _, i := range r.t.s.o.Updates.Issues {
		if !seen[i.Product] {
			seen[i.Product] = true
			out = append(out, map[string]any{"id": r.t.s.guid("product", i.Product), "name": i.Product, "groupName": "Windows", "friendlyNames": []string{i.Product}})
		}
	}
	return page(r, out, r.t.s.o.PageSize, 1000)
}

func listIssues(r *request) (reply, error) {
	out := []map[string]any{}
	for _, i := range r.t.s.o.Updates.Issues {
		if r.t.s.guid("product", i.Product) != r.PathValue("id") {
			continue
		}
		issue := map[string]any{
			"id": i.ID, "title": i.Title, "status": i.Status, "startDateTime": stamp(i.Since), "lastUpdatedDateTime": stamp(i.Since), "safeguardHoldIds": []int{},
			"originatingKnowledgeBaseArticle": map[string]any{"id": i.KB},
		}
		if !i.Resolved.IsZero() {
			issue["resolvedDateTime"], issue["resolvingKnowledgeBaseArticle"] = stamp(i.Resolved), map[string]any{"id": i.FixedBy}
		}
		out = append(out, issue)
	}
	return page(r, out, r.t.s.o.PageSize, 1000)
}

// keepState writes what an area keeps of an entity.
func (e *entity) keepState(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("graph: state of %s: %w", e.ID, err)
	}
	e.State = data
	return nil
}
