package filefacts

import (
	"cmp"
	"io"
	"strconv"

	"github.com/packmill/packmill/internal/format/archive"
	"github.com/packmill/packmill/internal/format/msix"
	"github.com/packmill/packmill/internal/format/sip"
)

// readZip reads a zip archive, and the packages that are one.
func readZip(f *found, r io.ReaderAt, size int64) error {
	list, err := archive.List(r, size, archive.Limits{})
	if err != nil {
		return err
	}
	for _, e := range list.Entries {
		if e.Name == "AppxManifest.xml" || e.Name == "AppxMetadata/AppxBundleManifest.xml" {
			return readMSIX(f, r, size)
		}
	}
	f.listed(list)
	return nil
}

func readArchive(f *found, r io.ReaderAt, size int64) error {
	list, err := archive.List(r, size, archive.Limits{})
	if err != nil {
		return err
	}
	f.listed(list)
	return nil
}

// listed shows what an archive holds, and first what should be looked at before
// it is unpacked.
func (f *found) listed(l *archive.Listing) {
	f.fact("archive", l.Format)
	f.fact("unpacked", strconv.FormatInt(l.Total, 10)+" bytes")
	add := f.list("Look at", "entry", "why")
	for _, x := range l.Findings {
		add(x.Entry, x.Why)
	}
	add = f.list("Files", "path", "size", "leads to")
	for _, e := range l.Entries {
		add(e.Name, strconv.FormatInt(e.Size, 10), e.Link)
	}
}

func readMSIX(f *found, r io.ReaderAt, size int64) error {
	pkg, err := msix.Read(r, size)
	if err != nil {
		return err
	}
	out := f.out
	out.Kind, out.Type, out.Platform = "an MSIX package", "msix", "windows"
	out.Product, out.Publisher, out.Version = cmp.Or(resolved(pkg.DisplayName), pkg.Name), resolved(pkg.PublisherDisplay), pkg.Version
	out.Arch = map[string]string{"x64": "x64", "x86": "x86", "arm64": "arm64"}[pkg.Arch]
	out.Packages = []string{pkg.Name}
	f.fact("family", pkg.Family())
	f.fact("full name", pkg.FullName())
	f.fact("publisher's subject", pkg.Publisher)
	f.fact("bundle", yes(pkg.Bundle, "yes"))
	f.fact("description", resolved(pkg.Description))
	app, err := sip.ReadApp(r, size)
	if err != nil {
		return err
	}
	f.signed(app.Signature, app.Digest)
	add := f.list("Systems", "family", "lowest", "tested up to")
	for _, t := range pkg.Targets {
		add(t.Family, t.Min, t.MaxTested)
		if out.OS == "" && (t.Family == "Windows.Desktop" || t.Family == "Windows.Universal") {
			out.OS = t.Min
		}
	}
	add = f.list("Applications", "id", "program", "shown as")
	for _, a := range pkg.Applications {
		add(a.ID, a.Executable, resolved(a.DisplayName))
	}
	add = f.list("Capabilities", "capability")
	for _, c := range pkg.Capabilities {
		add(c)
	}
	add = f.list("Packages", "member", "kind", "processor", "version")
	for _, p := range pkg.Packages {
		add(p.Member, p.Type, p.Arch, p.Version)
	}
	return nil
}

// resolved is a text of a manifest, "" for the name of one in a resource file.
func resolved(text string) string {
	const resource = "ms-resource:"
	if len(text) >= len(resource) && text[:len(resource)] == resource {
		return ""
	}
	return text
}
