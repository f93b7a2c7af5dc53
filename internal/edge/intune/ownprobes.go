package intune

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/assign"
	"github.com/packmill/packmill/internal/edge/intune/marker"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// A foundProbe is a script of packmill's as it was listed.
type foundProbe struct {
	ProbeMarker

	id          string
	description string
	created     time.Time
}

// nameless reports whether the marker is from before markers named their scripts.
func (f foundProbe) nameless() bool { return f.ID == "" && !f.Half }

// ownProbes are packmill's scripts of a package, of all packages for "": those
// that are named first, of the others the oldest. They are listed anew each time:
// there are few, and another run may have made one.
//
// A copy that people made of one names another. Where the line names nothing, being
// from before they did, packmill's is the one that runs on a group of packmill's:
// each did from the call on that made it.
func (c *Client) ownProbes(ctx context.Context, id fleet.PackageID) ([]foundProbe, error) {
	scripts, err := msgraph.List[healthScript](ctx, c.api, msgraph.Final, msgraph.Query(scriptsPath, "$select", "id,description,createdDateTime"))
	if err != nil {
		return nil, err
	}
	var all []foundProbe
	for _, s := range scripts {
		m, ok := ParseProbeMarker(s.Description)
		if ok && (id == "" || m.Package == id) && (m.ID == "" || strings.EqualFold(m.ID, s.ID)) {
			all = append(all, foundProbe{m, s.ID, s.Description, when(s.CreatedDateTime)})
		}
	}
	slices.SortFunc(all, func(a, b foundProbe) int {
		return cmp.Or(cmp.Compare(rank(a.Half), rank(b.Half)), a.created.Compare(b.created), cmp.Compare(a.id, b.id))
	})
	type seat struct {
		pkg  fleet.PackageID
		name string
	}
	var out []foundProbe
	known := map[seat]bool{}
	for _, p := range all {
		at := seat{p.Package, p.Probe}
		if p.nameless() {
			if known[at] {
				continue
			}
			if runs, err := c.runsForUs(ctx, p.id); err != nil || !runs {
				if err != nil {
					return nil, err
				}
				continue
			}
			known[at] = true
		}
		out = append(out, p)
	}
	return out, nil
}

// runsForUs reports whether a script runs on a group of packmill's.
func (c *Client) runsForUs(ctx context.Context, id string) (bool, error) {
	present, err := c.settledScript(ctx, id)
	if transport.StatusOf(err) == http.StatusNotFound {
		return false, nil // gone since it was listed
	}
	if err != nil {
		return false, err
	}
	ours, _, err := assign.Split(ctx, c.ownGroup, nil, present)
	return len(ours) > 0, err
}

// dropProbe deletes a script, unless people run it on groups of theirs: then it is
// given to them.
func (c *Client) dropProbe(ctx context.Context, p foundProbe) error {
	present, err := c.settledScript(ctx, p.id)
	if transport.StatusOf(err) == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	ours, foreign, err := assign.Split(ctx, c.ownGroup, nil, present)
	if err != nil {
		return err
	}
	if len(foreign) == 0 {
		return c.deleteScript(ctx, p.id)
	}
	c.api.Log().WarnContext(ctx, "people of the tenant run a probe of packmill's: it is left to them",
		"tenant", c.api.Directory(), "package", string(p.Package), "probe", p.Probe, "script", p.id)
	if len(ours) > 0 {
		if err := c.assignScript(ctx, p.id, foreign); err != nil {
			return err
		}
	}
	return c.describe(ctx, p.id, marker.Without(p.description))
}
