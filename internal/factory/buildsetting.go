package factory

import (
	"context"
	"fmt"
	"os"
	"path"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/factory/filefacts"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/graphpolicy"
	"github.com/packmill/packmill/internal/format/intunewin"
	"github.com/packmill/packmill/internal/rules/setting"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// setting builds one setting of a configuration: a payload for its console, and
// where it is installed like a program the package that does it.
func (b *builder) setting(ctx context.Context, key string, s fleet.Setting) error {
	content, err := b.merged(key, s)
	if err != nil {
		return err
	}
	switch {
	case s.CatalogPolicy != "":
		return b.document(key, ".policy.json", store.MediaTypeCatalogPolicy, s.CatalogPolicy, content, graphpolicy.CatalogPolicy)
	case s.DeviceConfiguration != "":
		return b.document(key, ".configuration.json", store.MediaTypeDeviceConfig, s.DeviceConfiguration, content, graphpolicy.DeviceConfiguration)
	case s.CompliancePolicy != "":
		return b.document(key, ".compliance.json", store.MediaTypeCompliance, s.CompliancePolicy, content, graphpolicy.CompliancePolicy)
	case s.Profile != "":
		return b.document(key, ".mobileconfig", store.MediaTypeProfile, s.Profile, content, profile)
	case s.Platform() == "linux":
		return b.linuxSetting(key, s, content)
	case s.Scripts != nil:
		for _, name := range s.Payload() {
			if err := setting.Readable(name, content[name]); err != nil {
				return err
			}
		}
		return b.scripts(ctx, key, path.Base(s.Scripts.Remediate), path.Base(s.Scripts.Revert), setting.Pair{
			Detect: content[s.Scripts.Detect], Remediate: content[s.Scripts.Remediate], Revert: content[s.Scripts.Revert],
		})
	}
	pair, err := setting.Write(b.pkg.ID, key, s, content)
	if err != nil {
		return err
	}
	return b.scripts(ctx, key, setting.RemediateName, setting.RevertName, pair)
}

// merged reads what a setting is made of, and makes sure that it is what was
// merged.
func (b *builder) merged(key string, s fleet.Setting) (map[string][]byte, error) {
	content := map[string][]byte{}
	same := func(name string, sum fleet.Digest) error {
		merged, ok := b.release.Files[name]
		if !ok || sum != merged {
			e := fleet.Errorf(fleet.Refused, "factory.build", key, "release changed after merge: %s has digest %s, merged was %q", name, sum, merged)
			e.Hint = "build an older release from the commit that holds its files: --rev"
			return e
		}
		b.used(name, "", merged)
		return nil
	}
	for _, name := range s.Payload() {
		data, err := b.payload(name)
		if err != nil {
			return nil, err
		}
		if err := same(name, fleet.DigestOf(data)); err != nil {
			return nil, err
		}
		content[name] = data
	}
	if name, sum := s.Inline(key); name != "" {
		return content, same(name, sum)
	}
	return content, nil
}

// document builds a payload that is one file, after form has checked it.
func (b *builder) document(key, extension, mediaType, name string, content map[string][]byte, form func([]byte) ([]byte, error)) error {
	data, err := form(content[name])
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return b.builtBytes(key, b.fileName(key)+extension, mediaType, data)
}

// fileName is what files made from an installer or setting are called, but for
// their extension.
func (b *builder) fileName(key string) string {
	return clean(path.Base(string(b.pkg.ID)) + "-" + b.version + "-" + key)
}

// scripts builds a setting for Windows both ways: a container whose install
// remediates and whose uninstall reverts, and a remediation script of the
// console, which looks again and again.
func (b *builder) scripts(ctx context.Context, key, remediate, revert string, pair setting.Pair) error {
	wrapped, err := wrapper.Scripts(b.pkg.ID, b.version, remediate, revert)
	if err != nil {
		return err
	}
	p := intunewin.Package{Name: b.pkg.Name, SetupFile: wrapper.InstallScript, Entries: scriptEntries(wrapped)}
	p.Entries = append(p.Entries, intunewin.BytesEntry(remediate, pair.Remediate), intunewin.BytesEntry(revert, pair.Revert))
	dir, err := os.MkdirTemp(b.dir, "setting-")
	if err != nil {
		return err
	}
	if err := b.write(ctx, dir, key, p); err != nil {
		return err
	}
	text, err := healthScript(b.repo, b.pkg, key, pair)
	if err != nil {
		return err
	}
	return b.builtBytes(key, b.fileName(key)+".health-script.json", store.MediaTypeHealthScript, text)
}

// healthScript is what a console takes of a pair of scripts.
func healthScript(repo *fleet.Repository, pkg fleet.Package, key string, pair setting.Pair) ([]byte, error) {
	publisher := repo.Publishers[pkg.ID.Publisher()].Name
	if publisher == "" {
		publisher = pkg.ID.Publisher()
	}
	return graphpolicy.HealthScript{
		DisplayName: pkg.Name + " (" + key + ")", Description: pkg.Description, Publisher: publisher,
		Detection: pair.Detect, Remediation: pair.Remediate, RunAsAccount: "system",
	}.JSON()
}

// profile checks that a configuration profile says which one it is, out of its
// signer's message where it is inside one, and passes it on as it is. The values it
// holds are the console's and the device's to judge.
func profile(data []byte) ([]byte, error) {
	_, _, err := filefacts.ReadProfile(data)
	return data, err
}
