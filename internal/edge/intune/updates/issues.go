package updates

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
)

// An Issue is a known issue of a version of Windows, as Microsoft's release
// health tells it.
type Issue struct {
	Product  string // "Windows 11, version 24H2"
	ID       string
	Title    string
	Status   string // confirmed, investigating, mitigated, resolved, …; others may come
	Since    time.Time
	Resolved time.Time // zero: it is not
	KB       string    // article of the update that brought it, "" when none is told
	FixedBy  string    // article of the update that resolved it
	Holds    []int64   // safeguard holds that keep devices from it
	URL      string
}

// Issues lists the known issues of all products that are not resolved, or were
// resolved since an instant; by product and id.
func (c *Client) Issues(ctx context.Context, since time.Time) ([]Issue, error) {
	type product struct {
		ID    string   `json:"id"`
		Name  string   `json:"name"`
		Names []string `json:"friendlyNames"`
	}
	key := Key{Part: "known issues"}
	products, err := msgraph.List[product](ctx, c.api, msgraph.Final, productsPath)
	if err != nil {
		return nil, c.fail("intune.catalog", key, err)
	}
	var out []Issue
	for _, p := range products {
		raws, err := msgraph.List[json.RawMessage](ctx, c.api, msgraph.Final, msgraph.Query(knownIssuesPath(p.ID),
			"$expand", "originatingKnowledgeBaseArticle,resolvingKnowledgeBaseArticle"))
		if err != nil {
			return nil, c.fail("intune.catalog", key, err)
		}
		name := p.Name
		if len(p.Names) > 0 {
			name = p.Names[0]
		}
		for _, raw := range raws {
			i, err := issue(name, raw)
			if err != nil {
				return nil, c.fail("intune.catalog", key, err)
			}
			if i.Resolved.IsZero() || !i.Resolved.Before(since) {
				out = append(out, i)
			}
		}
	}
	slices.SortFunc(out, func(a, b Issue) int { return cmp.Or(cmp.Compare(a.Product, b.Product), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

func issue(product string, raw json.RawMessage) (Issue, error) {
	var doc struct {
		ID       string     `json:"id"`
		Title    string     `json:"title"`
		Status   string     `json:"status"`
		Start    *time.Time `json:"startDateTime"`
		Resolved *time.Time `json:"resolvedDateTime"`
		Holds    []int64    `json:"safeguardHoldIds"`
		URL      string     `json:"webViewUrl"`
		From     *struct {
			ID string `json:"id"`
		} `json:"originatingKnowledgeBaseArticle"`
		By *struct {
			ID string `json:"id"`
		} `json:"resolvingKnowledgeBaseArticle"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return Issue{}, err
	}
	i := Issue{Product: product, ID: doc.ID, Title: doc.Title, Status: doc.Status, Since: when(doc.Start), Resolved: when(doc.Resolved), Holds: doc.Holds, URL: doc.URL}
	if doc.From != nil {
		i.KB = doc.From.ID
	}
	if doc.By != nil {
		i.FixedBy = doc.By.ID
	}
	return i, nil
}
