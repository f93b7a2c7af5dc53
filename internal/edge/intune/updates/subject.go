package updates

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
)

// subject is what a slot is to be about: its marker, and the profile through which
// nothing gets that packmill did not let through. What it names is looked up in
// Intune's catalog of Windows Update first.
func (c *Client) subject(ctx context.Context, key Key, app fleet.App) (Marker, Spec, error) {
	m := Marker{Key: key, Release: app.Version, Artifact: app.Artifact, Generation: app.Generation}
	name := "packmill " + key.String()
	if app.Driver != nil {
		m.Driver = &DriverName{Class: app.Driver.Class, Version: app.Version, Manufacturer: app.Publisher}
		return m, Drivers{Name: name}, nil
	}
	if app.Patch.Feature != "" {
		version, err := c.feature(ctx, app)
		if err == nil && app.Patch.Deploy != nil && app.Slot == fleet.Candidate {
			m.Gradual = &Gradual{Deploy: *app.Patch.Deploy}
			m.Updates, err = c.entry(ctx, app, version)
		}
		return m, Feature{Name: name, Version: version}, err
	}
	found, err := c.patch(ctx, app)
	if err != nil {
		return m, nil, err
	}
	m.Updates = []string{found.ID}
	if app.Patch.Expedite == nil {
		return m, Quality{Name: name}, nil
	}
	if found.Classification != security || !found.Expeditable {
		return m, nil, &fleet.Error{Op: "intune.publish", Object: string(app.Package), Kind: fleet.Refused,
			Err:  fmt.Errorf("%s cannot be expedited: the catalog says %q of what it fixes, and of whether it may be expedited %t", app.Patch.KB, found.Classification, found.Expeditable),
			Hint: "take expedite out of the package's patch: its waves approve it then"}
	}
	return m, Expedite{Name: name, Release: when(found.Released), RebootDays: app.Patch.Expedite.RebootDays}, nil
}

// entry is the deployment service's own entry of a version.
func (c *Client) entry(ctx context.Context, app fleet.App, version string) ([]string, error) {
	all, err := c.versions(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if strings.EqualFold(v.Name, version) {
			return []string{v.ID}, nil
		}
	}
	return nil, &fleet.Error{Op: "intune.publish", Object: string(app.Package), Kind: fleet.Waiting,
		Err:  fmt.Errorf("%w: the deployment service has no %q in this tenant", fleet.ErrNotYet, version),
		Hint: "it lists what can be deployed now; without patch: deploy the package goes out through a profile"}
}

// security is the class of updates that fix vulnerabilities.
const security = "security"

// patch finds an OS patch in the catalog, the newest of several revisions.
func (c *Client) patch(ctx context.Context, app fleet.App) (item, error) {
	items, err := c.items(ctx, app.Patch.KB)
	if err != nil {
		return item{}, err
	}
	if len(items) == 0 {
		return item{}, &fleet.Error{Op: "intune.publish", Object: string(app.Package), Kind: fleet.Waiting,
			Err:  fmt.Errorf("%w: the catalog of Windows Update has no %s in this tenant", fleet.ErrNotYet, app.Patch.KB),
			Hint: "it lists what can be deployed now: a newer update has replaced an older one, or it has not appeared yet"}
	}
	known := items[0].builds(app.Patch.KB)
	for _, os := range slices.Sorted(maps.Keys(app.Patch.Builds)) {
		if build := app.Patch.Builds[os]; !slices.Contains(known, build) {
			return item{}, &fleet.Error{Op: "intune.publish", Object: string(app.Package), Kind: fleet.Refused,
				Err:  fmt.Errorf("%s brings devices to %s; the package says %s for %s", app.Patch.KB, strings.Join(known, ", "), build, os),
				Hint: "correct patch: builds in the package; devices are judged by them"}
		}
	}
	return items[0], nil
}

// A featureItem is a version of Windows in Intune's catalog.
type featureItem struct {
	ODataType string `json:"@odata.type"`
	Version   string `json:"version"`
}

const odataFeature = "#microsoft.graph.windowsFeatureUpdateCatalogItem"

// feature is a version of Windows as the catalog spells it: a profile that spells
// it otherwise offers nothing.
func (c *Client) feature(ctx context.Context, app fleet.App) (string, error) {
	all, err := msgraph.List[featureItem](ctx, c.api, msgraph.Final, msgraph.Query(itemsPath, "$filter", "isof('microsoft.graph.windowsFeatureUpdateCatalogItem')"))
	if err != nil {
		return "", err
	}
	var known []string
	for _, i := range all {
		if i.ODataType != "" && i.ODataType != odataFeature {
			continue
		}
		if strings.EqualFold(i.Version, app.Patch.Feature) {
			return i.Version, nil
		}
		known = append(known, i.Version)
	}
	slices.Sort(known)
	return "", &fleet.Error{Op: "intune.publish", Object: string(app.Package), Kind: fleet.Waiting,
		Err:  fmt.Errorf("%w: the catalog of Windows Update has no %q in this tenant; it has %s", fleet.ErrNotYet, app.Patch.Feature, strings.Join(slices.Compact(known), "; ")),
		Hint: "it lists what can be deployed now: correct patch: feature in the package, or wait until the version appears"}
}
