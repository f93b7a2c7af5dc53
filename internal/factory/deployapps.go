package factory

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/rules/setting"
)

// maxContentInfo is how much is read of what is said of encrypted content.
const maxContentInfo = 64 << 10

// apps describe a release to the console: one for each platform the artifact has
// something for, Windows first. What devices would not keep to the tenant's
// windows is left out.
func (w onTenant) apps(ctx context.Context, pkg fleet.Package, slot string, built fleet.Built) ([]fleet.App, error) {
	base, err := w.baseApp(pkg, slot, built)
	if err != nil {
		return nil, err
	}
	if pkg.ByWindowsUpdate() {
		base.Patch, base.Driver = pkg.Patch, pkg.Driver
		if pkg.Driver != nil {
			base.Blocked = w.blockedDrivers()
		}
		return []fleet.App{base}, nil
	}
	w.parts(&base, pkg, built)
	release := pkg.Releases[built.Version]
	var apps []fleet.App
	for _, platform := range []string{"windows", "macos"} {
		app := base
		for _, file := range built.Files {
			installer, ok := installerOf(pkg, file)
			if !ok || installer.Platform != platform || !rollout.KeptToWindows(w.tenant, installer) {
				continue
			}
			if err := alone(pkg, app, file); err != nil {
				return nil, err
			}
			if app.File.Name == "" || preferred(platform, installer.Arch) > preferred(platform, app.Installer.Arch) {
				app.File, app.Installer, app.Download = file, installer, release.Installers[file.Installer]
			}
		}
		if app.File.Name == "" {
			continue
		}
		if err := w.fillApp(ctx, pkg, &app, built); err != nil {
			return nil, err
		}
		apps = append(apps, app)
	}
	if len(apps) == 0 && len(base.Parts) > 0 {
		return []fleet.App{base}, nil // nothing is installed
	}
	if len(apps) == 0 {
		return nil, fleet.Errorf(fleet.Refused, "factory.publish", string(pkg.ID), "artifact %s holds nothing for Windows or macOS that this tenant takes", built.Artifact.Short())
	}
	return apps, nil
}

// baseApp is what holds for a release's apps on all platforms.
func (w onTenant) baseApp(pkg fleet.Package, slot string, built fleet.Built) (fleet.App, error) {
	app := fleet.App{
		Package: pkg.ID, Slot: slot, Name: pkg.Name, Publisher: w.facts.Repo.Publishers[pkg.ID.Publisher()].Name,
		Description: pkg.Description, Version: built.Version, Artifact: built.Artifact, Generation: w.intent.Generation,
		Categories: pkg.Categories, Requires: w.requires(pkg), Supersedes: pkg.Supersedes, Back: w.back,
	}
	if app.Description == "" {
		app.Description = pkg.Name
	}
	app.UpdateOnly = w.assignment().Intent == "updateOnly"
	if w.tenant.Intune != nil {
		app.ScopeTags = w.tenant.Intune.ScopeTags
	}
	if pkg.Icon != "" {
		icon, err := w.c.script(pkg.ID, pkg.Icon)
		if err != nil {
			return app, err
		}
		app.Icon = []byte(icon)
	}
	return app, w.keepWindows(&app)
}

// requires are the packages a package requires that are installed on Windows,
// where alone the console keeps their order.
func (w onTenant) requires(pkg fleet.Package) []fleet.PackageID {
	var out []fleet.PackageID
	for _, id := range pkg.Requires {
		if rollout.Serves(w.facts.Repo.Packages[id], "windows") {
			out = append(out, id)
		}
	}
	return out
}

// installerOf is how a built file is installed as a program; false for what is a
// payload of another kind, or says something of another file.
func installerOf(pkg fleet.Package, file fleet.BuiltFile) (fleet.Installer, bool) {
	if file.MediaType == store.MediaTypeContentInfo {
		return fleet.Installer{}, false
	}
	if installer, ok := pkg.Installers[file.Installer]; ok {
		return installer, true
	}
	s := pkg.Settings[file.Installer]
	if s.Platform() != "windows" || !takenAsApp(file) {
		return fleet.Installer{}, false
	}
	return settingInstaller(s), true
}

// alone refuses a second setting that is installed like a program: an app has one
// file.
func alone(pkg fleet.Package, app fleet.App, file fleet.BuiltFile) error {
	if _, setting := pkg.Settings[file.Installer]; !setting || app.File.Name == "" {
		return nil
	}
	e := fleet.Errorf(fleet.Refused, "factory.publish", string(pkg.ID), "settings %s and %s are both installed like a program", app.File.Installer, file.Installer)
	e.Hint = "a package has one of them: put the other into a package of its own"
	return e
}

// preferred ranks architectures for the one file that a slot has: x64 on Windows,
// which the most devices have; on macOS what runs on all, then what also runs
// under translation.
func preferred(platform, arch string) int {
	order := []string{"x64"}
	if platform == "macos" {
		order = []string{"arm64", "x64", "universal"}
	}
	return slices.Index(order, arch)
}

// fillApp adds the texts that an app's rules name, and how its file is encrypted.
func (w onTenant) fillApp(ctx context.Context, pkg fleet.Package, app *fleet.App, built fleet.Built) (err error) {
	if w.exact {
		app.Installer.Detect = exactly(app.Installer.Detect)
	}
	for _, d := range app.Installer.Detect {
		if d.Script == "" {
			continue
		}
		if app.DetectText, err = w.c.detectText(pkg, app.File.Installer, d.Script); err != nil {
			return err
		}
	}
	if n := app.Installer.Needs; n != nil && n.Script != "" {
		if app.NeedText, err = w.c.script(pkg.ID, n.Script); err != nil {
			return err
		}
	}
	if err := w.around(pkg.ID, app); err != nil {
		return err
	}
	if app.File.MediaType != store.MediaTypeContent {
		return nil
	}
	name := app.File.Name + infoSuffix
	i := slices.IndexFunc(built.Files, func(f fleet.BuiltFile) bool { return f.MediaType == store.MediaTypeContentInfo && f.Name == name })
	if i < 0 {
		return fleet.Errorf(fleet.Refused, "factory.publish", string(pkg.ID), "artifact %s does not say how %s is encrypted", built.Artifact.Short(), app.File.Name)
	}
	app.ContentInfo, err = w.c.small(ctx, built.Files[i])
	return err
}

// around adds the scripts that run before and after an installation on macOS.
func (w onTenant) around(id fleet.PackageID, app *fleet.App) error {
	if app.Installer.Scripts == nil {
		return nil
	}
	for _, s := range []struct {
		name string
		text *string
	}{{app.Installer.Scripts.Before, &app.BeforeText}, {app.Installer.Scripts.After, &app.AfterText}} {
		if s.name == "" {
			continue
		}
		script, err := w.c.script(id, s.name)
		if err == nil {
			err = setting.Runnable(s.name, []byte(script))
		}
		if err != nil {
			return err
		}
		*s.text = script
	}
	return nil
}

// small reads a small file of an artifact.
func (c *campaign) small(ctx context.Context, file fleet.BuiltFile) ([]byte, error) {
	r, err := c.Store.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	var data strings.Builder
	_, err = io.Copy(&data, io.LimitReader(r, maxContentInfo))
	return []byte(data.String()), errors.Join(err, r.Close())
}
