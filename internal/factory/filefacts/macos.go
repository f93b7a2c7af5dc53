package filefacts

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/applesign"
	"github.com/packmill/packmill/internal/format/macho"
	"github.com/packmill/packmill/internal/format/xar"
)

func readPkg(f *found, r io.ReaderAt, size int64) error {
	pkg, err := xar.Read(r, size)
	if err != nil {
		return err
	}
	out := f.out
	out.Type, out.Platform, out.Scope = "pkg", "macos", "machine"
	facts := pkg.Facts()
	out.Pkg, out.Version, out.Arch = &facts, pkg.Version(), "universal"
	if machines := pkg.Machines(); len(machines) == 1 {
		out.Arch = machines[0]
	}
	main, _ := pkg.Main()
	out.Packages = []string{facts.Identifier}
	for _, app := range pkg.Apps() {
		out.Bundles = append(out.Bundles, app.ID)
		out.Product = cmp.Or(out.Product, strings.TrimSuffix(app.Path[strings.LastIndexByte(app.Path, '/')+1:], ".app"))
	}
	f.distribution(pkg.Distribution)
	if kib, err := strconv.ParseInt(main.InstallKBytes, 10, 40); err == nil && kib > 0 {
		out.DiskMB = int((kib + 1023) / 1024)
	}
	signer, err := PackageSigner(pkg)
	f.signedByApple(signer, err)
	add := f.list("Packages", "identifier", "version", "goes to", "scripts")
	for _, p := range pkg.Packages {
		add(p.Identifier, p.Version, p.InstallLocation, strings.TrimSpace(yes(p.Preinstall, "preinstall ")+yes(p.Postinstall, "postinstall")))
	}
	add = f.list("Bundles", "id", "version", "build", "path")
	for _, p := range pkg.Packages {
		for _, b := range p.Bundles {
			add(b.ID, b.ShortVersion, b.Version, b.Path)
			f.updater("the bundle", b.Path)
		}
	}
	add = f.list("Members", "path", "size")
	for _, m := range pkg.Members {
		add(m.Path, strconv.FormatInt(m.Size, 10))
	}
	return nil
}

// distribution takes in what a product says of itself as a whole.
func (f *found) distribution(d *xar.Distribution) {
	if d == nil {
		return
	}
	f.out.Product = cmp.Or(d.Title, f.out.Product)
	f.fact("product", d.ProductID)
	f.fact("product version", d.ProductVersion)
	f.fact("runs on", strings.Join(d.HostArchitectures, ", "))
	for _, o := range d.OSVersions {
		f.out.OS = cmp.Or(f.out.OS, o.Min)
	}
	f.fact("checks the volume by", d.VolumeCheck)
	f.fact("checks the machine by", d.InstallationCheck)
}

func readMachO(f *found, r io.ReaderAt, size int64) error {
	img, err := macho.Read(r, size)
	if err != nil {
		return err
	}
	out := f.out
	out.Platform, out.Arch = "macos", "universal"
	if len(img.Machines) == 1 {
		out.Arch = img.Machines[0]
	}
	f.fact("machines", strings.Join(slices.Sorted(slices.Values(img.Machines)), ", "))
	for _, p := range img.Parts {
		if s := p.Signature; s != nil && s.CMS != nil {
			f.fact("identifier", s.Identifier)
			f.fact("team", s.TeamID)
			break
		}
	}
	signer, err := ProgramSigner(img)
	f.signedByApple(signer, err)
	return nil
}

// signedByApple names the signer of a macOS file. A certificate that does not come
// from Apple can name anybody.
func (f *found) signedByApple(s *applesign.Signer, err error) {
	switch {
	case err != nil:
		f.out.Signer, f.out.Trouble = fleet.SignedBy{}, err.Error()
	case s == nil:
	default:
		f.out.Signer = fleet.SignedBy{Subject: s.Leaf().Subject}
		f.fact("certificate", s.Leaf().Thumbprint)
		if !s.Apple() {
			f.out.Trouble = "the certificate does not come from Apple, and can name anybody"
		}
	}
}

// maxProfile is more than any configuration profile has.
const maxProfile = 4 << 20

// readProfile reads a configuration profile. Another document is none, and no
// fault.
func readProfile(f *found, r io.ReaderAt, size int64) error {
	if size > maxProfile {
		return nil
	}
	data := make([]byte, size)
	if _, err := r.ReadAt(data, 0); err != nil && err != io.EOF {
		return err
	}
	p, signer, err := ReadProfile(data)
	if err != nil {
		return nil
	}
	out := f.out
	out.Kind, out.Type, out.Platform, out.Arch = "a configuration profile", "profile", "macos", "universal"
	out.Product, out.Publisher, out.Version = cmp.Or(p.DisplayName, p.Identifier), p.Organization, strconv.Itoa(p.Version)
	out.Scope = map[string]string{"System": "machine"}[p.Scope]
	out.Scope = cmp.Or(out.Scope, "user")
	out.Packages = []string{p.Identifier}
	f.fact("uuid", p.UUID)
	f.fact("description", p.Description)
	f.signedByApple(signer, nil)
	add := f.list("Payloads", "type", "identifier", "shown as")
	for _, x := range p.Payloads {
		add(x.Type, x.Identifier, x.DisplayName)
	}
	return nil
}
