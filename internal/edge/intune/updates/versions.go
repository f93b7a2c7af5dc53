package updates

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
)

// A Version is a version of Windows that devices can be taken to, as the
// deployment service's catalog tells it (featureUpdateCatalogEntry).
type Version struct {
	ID          string // of the catalog entry
	Name        string // "Windows 11, version 24H2"
	Released    time.Time
	DeployUntil time.Time // zero: no end is known
	Build       string    // as the service tells it, "" when it does not
}

const odataVersion = "#" + namespace + "featureUpdateCatalogEntry"

// Versions lists the versions of Windows of the catalog, newest first, those of one
// instant by id. Deployments name them by these ids, and profiles by their names.
func (c *Client) Versions(ctx context.Context) ([]Version, error) {
	out, err := c.versions(ctx)
	return out, c.fail("intune.catalog", Key{Part: "catalog"}, err)
}

func (c *Client) versions(ctx context.Context) ([]Version, error) {
	type entry struct {
		ODataType string     `json:"@odata.type"`
		ID        string     `json:"id"`
		Name      string     `json:"displayName"`
		Version   string     `json:"version"`
		Build     string     `json:"buildNumber"`
		Released  *time.Time `json:"releaseDateTime"`
		Until     *time.Time `json:"deployableUntilDateTime"`
	}
	all, err := msgraph.List[entry](ctx, c.api, msgraph.Final, msgraph.Query(entriesPath, "$filter", "isof('"+namespace+"featureUpdateCatalogEntry')"))
	if err != nil {
		return nil, err
	}
	var out []Version
	for _, e := range all {
		if e.ODataType != odataVersion {
			continue
		}
		name := e.Version
		if !strings.Contains(name, "version") { // older answers have "24H2" alone there
			name = e.Name
		}
		out = append(out, Version{ID: e.ID, Name: name, Released: when(e.Released), DeployUntil: when(e.Until), Build: e.Build})
	}
	slices.SortFunc(out, func(a, b Version) int { return cmp.Or(b.Released.Compare(a.Released), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}
