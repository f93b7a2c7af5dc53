package factory

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/fleet"
)

// A Configurer is a Console whose tenant takes configurations by other means
// than an installation.
type Configurer interface {
	// Configurations is the console for packages of configurations.
	Configurations() Console
}

// partKind is what a console makes of a built file, "" where it is installed
// like a program.
func partKind(mediaType string) string {
	return map[string]string{
		store.MediaTypeCatalogPolicy: fleet.PartCatalogPolicy, store.MediaTypeDeviceConfig: fleet.PartDeviceConfiguration,
		store.MediaTypeCompliance: fleet.PartCompliancePolicy, store.MediaTypeProfile: fleet.PartProfile, store.MediaTypeHealthScript: fleet.PartHealthScript,
	}[mediaType]
}

// looks is how often a device looks after a setting whose scripts packmill
// writes.
const looks = fleet.Duration(8 * time.Hour)

// parts puts the settings of an artifact that a console sets into an app.
func (w onTenant) parts(app *fleet.App, pkg fleet.Package, built fleet.Built) {
	for _, file := range built.Files {
		kind := partKind(file.MediaType)
		if kind == "" {
			continue
		}
		every := looks
		if s := pkg.Settings[file.Installer].Scripts; s != nil && s.Every > 0 {
			every = s.Every
		}
		if kind != fleet.PartHealthScript {
			every = 0
		}
		app.Parts = append(app.Parts, fleet.Part{
			Setting: file.Installer, Kind: kind, File: file, Every: every,
			Open: func() (io.ReadCloser, error) { return w.c.Store.Open(context.Background(), file) },
		})
	}
	app.Before = w.c.partBefore
	app.Restore = restores(w.tenant, pkg.ID, w.c.Clock.Now())
}

// restores reports whether main says that what people in a tenant changed of a
// package is undone.
func restores(t fleet.Tenant, id fleet.PackageID, now time.Time) bool {
	r, ok := t.Restore[id]
	return ok && now.Before(r.Expires)
}

// partBefore is the content of a part in an artifact of the store.
func (f *Factory) partBefore(ctx context.Context, artifact fleet.Digest, setting, kind string) ([]byte, error) {
	m, err := f.Store.Manifest(ctx, artifact)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(m.Files, func(b fleet.BuiltFile) bool { return b.Installer == setting && partKind(b.MediaType) == kind })
	if i < 0 {
		return nil, fleet.Errorf(fleet.Refused, "factory.drift", setting, "artifact %s has no such setting", artifact.Short())
	}
	r, err := f.Store.Open(ctx, m.Files[i])
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
