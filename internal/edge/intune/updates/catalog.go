package updates

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
)

// An item is a quality update in Intune's own catalog, by the id that its
// policies approve (windowsQualityUpdateCatalogItem).
type item struct {
	ODataType      string     `json:"@odata.type"`
	ID             string     `json:"id"`
	Name           string     `json:"displayName"`
	KB             string     `json:"kbArticleId"`
	Released       *time.Time `json:"releaseDateTime"`
	Classification string     `json:"classification"` // security, nonSecurity; others may come
	Expeditable    bool       `json:"isExpeditable"`
	Revisions      []struct {
		KB *struct {
			ID string `json:"articleId"`
		} `json:"knowledgeBaseArticle"`
		Build *struct {
			Build    int `json:"buildNumber"`
			Revision int `json:"updateBuildRevision"`
		} `json:"osBuild"`
	} `json:"productRevisions"`
}

const odataItem = "#microsoft.graph.windowsQualityUpdateCatalogItem"

// builds are the builds the item brings devices to, "26100.4061", sorted. kb
// leaves out those of other articles, "" none: one item has an article for each
// version of Windows.
func (i item) builds(kb string) []string {
	var out []string
	for _, r := range i.Revisions {
		if r.Build != nil && (kb == "" || r.KB == nil || sameKB(r.KB.ID, kb)) {
			out = append(out, fmt.Sprintf("%d.%d", r.Build.Build, r.Build.Revision))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// has reports whether an article is about the item.
func (i item) has(kb string) bool {
	if sameKB(i.KB, kb) {
		return true
	}
	for _, r := range i.Revisions {
		if r.KB != nil && sameKB(r.KB.ID, kb) {
			return true
		}
	}
	return false
}

// sameKB compares two articles: the services write them with and without "KB".
func sameKB(a, b string) bool {
	digits := func(s string) string { return strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(s)), "KB") }
	return digits(a) != "" && digits(a) == digits(b)
}

// items are the quality updates of Intune's catalog that an article is about,
// newest first.
func (c *Client) items(ctx context.Context, kb string) ([]item, error) {
	all, err := msgraph.List[item](ctx, c.api, msgraph.Final, msgraph.Query(itemsPath, "$filter", "isof('microsoft.graph.windowsQualityUpdateCatalogItem')"))
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(i item) bool { return i.ODataType != "" && i.ODataType != odataItem || !i.has(kb) })
	slices.SortFunc(all, func(a, b item) int {
		return cmp.Or(when(b.Released).Compare(when(a.Released)), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

func when(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// An Update is a quality update as the deployment service's catalog tells it,
// with what its vendor says of the vulnerabilities that it fixes.
type Update struct {
	ID             string // of the catalog entry
	Name           string // "2026.11 B Security Updates for Windows 11"
	Short          string // "2026.11 B"
	Released       time.Time
	DeployUntil    time.Time // zero: no end is known
	Classification string    // security, nonSecurity, all; others may come
	Cadence        string    // monthly, outOfBand; others may come
	Expeditable    bool
	Severity       string   // the worst: critical, important, moderate; "" when none is told
	Score          float64  // the highest CVSS base score, 0 when none is told
	Exploited      []string // CVEs known to be exploited, sorted
	Builds         []Build
}

// A Build is what an update brings one version of Windows to.
type Build struct {
	Product  string // "Windows 11"
	Version  string // "24H2"
	Build    string // "26100.4061"
	KB       string // "KB5058411", "" when none is told
	Hotpatch bool
}

type entry struct {
	ODataType      string     `json:"@odata.type"`
	ID             string     `json:"id"`
	Name           string     `json:"displayName"`
	Short          string     `json:"shortName"`
	Released       *time.Time `json:"releaseDateTime"`
	Until          *time.Time `json:"deployableUntilDateTime"`
	Classification string     `json:"qualityUpdateClassification"`
	Cadence        string     `json:"qualityUpdateCadence"`
	Expeditable    bool       `json:"isExpeditable"`
	Severity       *struct {
		Worst     string  `json:"maxSeverity"`
		Score     float64 `json:"maxBaseScore"`
		Exploited []struct {
			Number string `json:"number"`
		} `json:"exploitedCves"`
	} `json:"cveSeverityInformation"`
	Revisions []revision `json:"productRevisions"`
}

type revision struct {
	ID       string `json:"id"`
	Product  string `json:"product"`
	Version  string `json:"version"`
	Hotpatch bool   `json:"isHotpatchUpdate"`
	Build    *struct {
		Build    int `json:"buildNumber"`
		Revision int `json:"updateBuildRevision"`
	} `json:"osBuild"`
	KB *struct {
		ID string `json:"id"`
	} `json:"knowledgeBaseArticle"`
}

const odataEntry = "#" + namespace + "qualityUpdateCatalogEntry"

// Updates lists the quality updates that were released since an instant, newest
// first, those of one instant by id.
func (c *Client) Updates(ctx context.Context, since time.Time) ([]Update, error) {
	all, err := msgraph.List[entry](ctx, c.api, msgraph.Final, msgraph.Query(entriesPath,
		"$filter", "isof('"+namespace+"qualityUpdateCatalogEntry')",
		"$expand", namespace+"qualityUpdateCatalogEntry/productRevisions($expand=knowledgeBaseArticle)"))
	if err != nil {
		return nil, c.fail("intune.catalog", Key{Part: "catalog"}, err)
	}
	var out []Update
	for _, e := range all {
		if e.ODataType != odataEntry || when(e.Released).Before(since) {
			continue
		}
		out = append(out, e.update())
	}
	slices.SortFunc(out, func(a, b Update) int { return cmp.Or(b.Released.Compare(a.Released), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

func (e entry) update() Update {
	u := Update{
		ID: e.ID, Name: e.Name, Short: e.Short, Released: when(e.Released), DeployUntil: when(e.Until),
		Classification: e.Classification, Cadence: e.Cadence, Expeditable: e.Expeditable,
	}
	if s := e.Severity; s != nil {
		u.Severity, u.Score = s.Worst, s.Score
		for _, x := range s.Exploited {
			u.Exploited = append(u.Exploited, x.Number)
		}
		slices.Sort(u.Exploited)
	}
	for _, r := range e.Revisions {
		b := Build{Product: r.Product, Version: r.Version, Hotpatch: r.Hotpatch}
		if r.Build != nil {
			b.Build = fmt.Sprintf("%d.%d", r.Build.Build, r.Build.Revision)
		}
		if r.KB != nil && r.KB.ID != "" {
			b.KB = "KB" + strings.TrimPrefix(strings.ToUpper(r.KB.ID), "KB")
		}
		u.Builds = append(u.Builds, b)
	}
	slices.SortFunc(u.Builds, func(a, b Build) int {
		return cmp.Or(cmp.Compare(a.Product, b.Product), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Build, b.Build))
	})
	return u
}
