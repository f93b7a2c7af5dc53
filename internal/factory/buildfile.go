package factory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	packageurl "github.com/package-url/packageurl-go"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
	"github.com/packmill/packmill/internal/format/msi"
	"github.com/packmill/packmill/internal/rules/wrapper"
)

// installer builds the file of one installer, or says why it is left out.
func (b *builder) installer(ctx context.Context, key string, in fleet.Installer) error {
	if in.Platform == "windows" && in.Type == "store" {
		return b.storeApp(key, in)
	}
	d, ok := b.release.Installers[key]
	switch {
	case !ok:
		b.skip(key, "the release does not ship it")
		return nil
	case in.Platform == "windows" && slices.Contains([]string{"msi", "exe", "portable"}, in.Type):
	case in.Platform == "linux" && (in.Type == "deb" || in.Type == "rpm"):
	case in.Platform == "linux" && in.Type == "portable", in.Platform == "macos" && (in.Type == "pkg" || in.Type == "dmg"):
	default:
		b.skip(key, fmt.Sprintf("type %s for %s is deployed by no console yet", in.Type, in.Platform))
		return nil
	}
	if d.Base != nil {
		return fleet.Errorf(fleet.Stalled, "factory.build", key, "a base with patches has to be put together by hand, and uploaded")
	}
	dir, err := os.MkdirTemp(b.dir, "installer-")
	if err != nil {
		return err
	}
	file, err := b.download(ctx, dir, key, in, d)
	if err != nil {
		return fmt.Errorf("installer %s: %w", key, err)
	}
	defer file.close()
	name, err := b.setupName(key, in, d)
	if err != nil {
		return err
	}
	switch {
	case in.Type == "deb":
		return b.built(key, b.free(key, name), store.MediaTypeDeb, file.Name())
	case in.Type == "rpm":
		return b.built(key, b.free(key, name), store.MediaTypeRPM, file.Name())
	case in.Type == "pkg", in.Type == "dmg":
		return b.encrypt(ctx, dir, key, b.free(key, name), file)
	case in.Platform == "linux":
		return b.program(dir, key, in, file)
	}
	return b.pack(ctx, dir, key, in, name, file)
}

// download fetches an installer, or its member, and makes sure that it is what
// was merged.
func (b *builder) download(ctx context.Context, dir, key string, in fleet.Installer, d fleet.Download) (saved, error) {
	body, err := b.open(ctx, d)
	if err != nil {
		return saved{}, asRefused(err)
	}
	file, err := save(dir, "download", func(w io.Writer) error {
		_, err := io.Copy(w, body)
		return errors.Join(err, body.Close())
	})
	if err != nil {
		return saved{}, asRefused(err)
	}
	if file.size != d.Size || file.digest != d.SHA256 {
		file.close()
		return saved{}, refusedBuild("release changed after merge: the download has %d bytes and digest %s, merged were %d and %s", file.size, file.digest, d.Size, d.SHA256)
	}
	b.used(key, sourceOf(d), d.SHA256)
	if d.Member != "" {
		archive := file
		defer archive.close()
		if file, err = extract(dir, archive, d.Member); err != nil {
			return saved{}, asRefused(err)
		}
		if file.digest != d.MemberSHA256 {
			file.close()
			return saved{}, refusedBuild("%s in the download has digest %s, merged was %s", d.Member, file.digest, d.MemberSHA256)
		}
		b.used(key+":"+d.Member, "", d.MemberSHA256)
	}
	if err := sameFacts(file, in, b.version, b.repo.Publishers[b.pkg.ID.Publisher()], d); err != nil {
		file.close()
		return saved{}, asRefused(err)
	}
	return file, nil
}

// open opens the bytes of a download: from its vendor, or from the store where
// somebody put them.
func (b *builder) open(ctx context.Context, d fleet.Download) (io.ReadCloser, error) {
	if d.Upload != "" {
		if d.Upload != d.SHA256 {
			return nil, refusedBuild("the release names the upload %s with digest %s", d.Upload, d.SHA256)
		}
		return b.f.Store.Open(ctx, fleet.BuiltFile{Digest: d.Upload, Size: d.Size})
	}
	if b.f.Upstream == nil {
		return nil, fleet.Errorf(fleet.Invalid, "factory.build", "", "downloading needs an upstream client")
	}
	return b.f.Upstream.Fetch(ctx, d, b.repo.Publishers[b.pkg.ID.Publisher()].Hosts)
}

func sourceOf(d fleet.Download) string {
	switch {
	case d.URL != "":
		return d.URL
	case d.PURL != "":
		return d.PURL
	default:
		return ""
	}
}

// asRefused turns what is a hold while a version is proposed into a refusal: it
// was merged, and is not what was merged. A vendor out of reach stays an outage.
func asRefused(err error) error {
	var own *fleet.Error
	var already *upstream.Hold
	if !errors.As(err, &already) && errors.As(err, &own) {
		return err
	}
	hold, ok := upstream.HoldOf(err)
	if !ok {
		return err
	}
	switch hold.Name {
	case fleet.HoldChangedHash:
		return refusedBuild("release changed after merge: %w", err)
	case fleet.HoldTruncated:
		return refusedBuild("truncated: %w", err)
	case fleet.HoldUnreachable, fleet.HoldRateLimited:
		e := fleet.Errorf(fleet.Internal, "factory.build", "", "the download failed: %w", err)
		e.Hint = "run it again when the source answers"
		return e
	default:
		return refusedBuild("%s: %w", hold.Name, err)
	}
}

// sameFacts reads the file again and compares with what was merged: a reader
// that has changed its mind must be noticed before devices do.
func sameFacts(file saved, in fleet.Installer, version string, publisher fleet.Publisher, merged fleet.Download) error {
	var now fleet.Download
	if err := inspect(&now, file, in, version, publisher, time.Time{}); err != nil {
		return err
	}
	differs := func(what string, now, merged any) error {
		return refusedBuild("%s reads as %+v, merged was %+v", what, now, merged)
	}
	switch {
	case merged.PE != nil && (now.PE == nil || *now.PE != *merged.PE):
		return differs("the version resource", now.PE, *merged.PE)
	case merged.MSI != nil && (now.MSI == nil || *now.MSI != *merged.MSI):
		return differs("the Property table", now.MSI, *merged.MSI)
	case merged.Deb != nil && (now.Deb == nil || *now.Deb != *merged.Deb):
		return differs("the control file", now.Deb, *merged.Deb)
	case merged.RPM != nil && (now.RPM == nil || *now.RPM != *merged.RPM):
		return differs("the package's header", now.RPM, *merged.RPM)
	case merged.Pkg != nil && (now.Pkg == nil || !now.Pkg.Equal(*merged.Pkg)):
		return differs("the package's description", now.Pkg, *merged.Pkg)
	case now.Signer.Since(merged.Signer) != fleet.SignerSame,
		merged.Signer.Timestamp != nil && (now.Signer.Timestamp == nil || !now.Signer.Timestamp.Equal(*merged.Signer.Timestamp)):
		return differs("the signer", now.Signer, merged.Signer)
	}
	return nil
}

// setupName is the file's name: the vendor's where it can be told and used.
func (b *builder) setupName(key string, in fleet.Installer, d fleet.Download) (string, error) {
	_, own, _ := strings.Cut(string(b.pkg.ID), "/")
	extension := map[string]string{"msi": ".msi", "exe": ".exe", "portable": ".exe", "deb": ".deb", "rpm": ".rpm", "pkg": ".pkg", "dmg": ".dmg"}[in.Type]
	name := ""
	switch {
	case d.Member != "":
		name = path.Base(d.Member)
	case d.Deb != nil:
		// As Debian's archive names it: the epoch is left out.
		_, version, epoch := strings.Cut(d.Deb.Version, ":")
		if !epoch {
			version = d.Deb.Version
		}
		return clean(fmt.Sprintf("%s_%s_%s.deb", d.Deb.Package, version, d.Deb.Architecture)), nil
	case d.URL != "":
		u, err := url.Parse(d.URL)
		if err != nil {
			return "", fleet.Errorf(fleet.Invalid, "factory.build", key, "malformed address: %w", err)
		}
		name = path.Base(u.Path)
	case d.PURL != "":
		if p, err := packageurl.FromString(d.PURL); err == nil {
			name = p.Name + "-" + p.Version + extension
		}
	}
	if name = clean(name); !strings.EqualFold(path.Ext(name), extension) || len(name) == len(extension) || len(name) > 100 {
		name = clean(own+"-"+b.version+"-"+key) + extension
	}
	return name, nil
}

// clean keeps of a name what is harmless in paths and command lines.
func clean(name string) string {
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._+-~", r) {
			return r
		}
		return '-'
	}, name), ".-")
}

// pack puts a Windows installer, the wrapper script and what it does for this
// installer into a .intunewin.
func (b *builder) pack(ctx context.Context, dir, key string, in fleet.Installer, name string, file saved) error {
	setup, err := entryOf(name, file)
	if err != nil {
		return err
	}
	p := intunewin.Package{Name: b.pkg.Name, SetupFile: name, Entries: []intunewin.Entry{setup}}
	switch in.Type {
	case "portable":
		folder := in.ProgramFiles
		if folder == "" {
			_, folder, _ = strings.Cut(string(b.pkg.ID), "/")
		}
		scripts, err := wrapper.Portable(b.pkg.ID, b.version, folder, name)
		if err != nil {
			return err
		}
		p.SetupFile = wrapper.InstallScript
		p.Entries = append(p.Entries, scriptEntries(scripts)...)
	case "msi":
		if p.MSI, err = msiInfo(file); err != nil {
			return err
		}
		for _, t := range in.Transforms {
			data, err := b.payload(t)
			if err != nil {
				return err
			}
			b.used(t, "", fleet.DigestOf(data))
			p.Entries = append(p.Entries, intunewin.BytesEntry(path.Base(t), data))
		}
	}
	if err := b.wrap(ctx, key, name, &p); err != nil {
		return err
	}
	return b.write(ctx, dir, key, p)
}

// wrap adds the script and its data to a setup folder.
func (b *builder) wrap(ctx context.Context, key, name string, p *intunewin.Package) error {
	setup, err := wrapper.Make(b.pkg, b.version, key, name)
	if err != nil {
		return err
	}
	data, err := setup.Encode()
	if err != nil {
		return err
	}
	script, err := b.signedScript(ctx, wrapper.Script())
	if err != nil {
		return err
	}
	added := []intunewin.Entry{intunewin.BytesEntry(wrapper.ScriptName, script), intunewin.BytesEntry(wrapper.SetupName, data)}
	for _, e := range p.Entries {
		if strings.EqualFold(e.Name, wrapper.ScriptName) || strings.EqualFold(e.Name, wrapper.SetupName) {
			return fleet.Errorf(fleet.Invalid, "factory.build", key, "the file %s has the name of one of packmill's own", e.Name)
		}
	}
	p.Entries = append(p.Entries, added...)
	return nil
}

func entryOf(name string, file saved) (intunewin.Entry, error) {
	s := intunewin.NewScanner()
	if _, err := io.Copy(s, io.NewSectionReader(file, 0, file.size)); err != nil {
		return intunewin.Entry{}, err
	}
	return s.Entry(name, func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(file, 0, file.size)), nil
	}), nil
}

func scriptEntries(scripts map[string][]byte) []intunewin.Entry {
	var out []intunewin.Entry
	for _, name := range slices.Sorted(maps.Keys(scripts)) {
		out = append(out, intunewin.BytesEntry(name, scripts[name]))
	}
	return out
}

// write writes the container and adds it to the artifact.
func (b *builder) write(ctx context.Context, dir, key string, p intunewin.Package) error {
	_, own, _ := strings.Cut(string(b.pkg.ID), "/")
	name := clean(own+"-"+b.version+"-"+key) + ".intunewin"
	out, err := os.Create(filepath.Join(dir, "out.intunewin"))
	if err != nil {
		return err
	}
	_, err = intunewin.Write(ctx, out, p)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	b.hold(name, p.Entries...)
	return b.built(key, name, store.MediaTypeIntunewin, out.Name())
}

// msiInfo says of an MSI what consoles show.
func msiInfo(file saved) (*intunewin.MSIInfo, error) {
	m, err := msi.Read(file, file.size)
	if err != nil {
		return nil, err
	}
	info := &intunewin.MSIInfo{
		ProductCode: m.Facts.ProductCode, ProductVersion: m.Facts.ProductVersion, PackageCode: m.PackageCode,
		Publisher: m.Publisher, UpgradeCode: m.Facts.UpgradeCode,
		RequiresReboot: strings.HasPrefix(strings.ToUpper(m.Properties["REBOOT"]), "F"),
	}
	switch m.Properties["ALLUSERS"] {
	case "1":
		info.ExecutionContext, info.IsMachineInstall = "System", true
	case "2":
		info.ExecutionContext, info.IsMachineInstall, info.IsUserInstall = "Any", true, true
	default:
		info.ExecutionContext, info.IsUserInstall = "User", true
	}
	return info, nil
}

// payload reads a file of the package at the commit that is built.
func (b *builder) payload(name string) ([]byte, error) {
	if b.f.Git == nil {
		return nil, fleet.Errorf(fleet.Invalid, "factory.build", name, "a package's own files are read from a commit")
	}
	text, err := b.f.readFile(b.repo.Commit, b.pkg.ID, name)
	return []byte(text), err
}
