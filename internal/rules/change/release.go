package change

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// releases tells the releases of one package that came, and refuses any change
// to one that was there.
func (c *comparison) releases(id fleet.PackageID, p fleet.Package, was, is map[string]fleet.Release) {
	for _, version := range both(was, is) {
		what := differs(was, is, version)
		if what == "" {
			continue
		}
		file := id.Release(version)
		if what != Added {
			c.brokenRelease(id, p, version, what, was[version], is[version], file)
			continue
		}
		r := c.release(id, p, version, is[version])
		c.checkRelease(r, c.head.Publishers[id.Publisher()], file)
		if newest := highest(was); is[version].Counter <= newest {
			c.find(Refused, object(id, version), file, "its counter is not above that of every merged release", "the counter says the order: take the next free number")
		}
		c.out.Releases = append(c.out.Releases, r)
	}
}

func highest(releases map[string]fleet.Release) int {
	top := 0
	for _, r := range releases {
		top = max(top, r.Counter)
	}
	return top
}

func object(id fleet.PackageID, version string) string { return string(id) + "@" + version }

// brokenRelease refuses a release that was changed or removed after its merge.
func (c *comparison) brokenRelease(id fleet.PackageID, p fleet.Package, version, what string, was, is fleet.Release, file string) {
	r := Release{What: what, Package: id, Name: p.Name, Kind: p.Kind, To: version, Counter: was.Counter, Class: was.Change, Rollback: p.Rollback}
	r.Reach = c.assigned(id)
	if what == Removed {
		if _, still := c.head.Packages[id]; still {
			c.find(Refused, object(id, version), file, "a merged release is removed; releases are immutable", "restore the file; to take the release back, add a revocation under schedules/holds")
		}
		c.out.Releases = append(c.out.Releases, r)
		return
	}
	r.Edits = edits(was, is)
	fields := make([]string, len(r.Edits))
	for i, e := range r.Edits {
		fields[i] = e.Field
	}
	c.find(Refused, object(id, version), file, "a merged release is immutable, and this changes "+strings.Join(fields, ", "),
		"restore the file and add a new release, or revoke this one")
	c.out.Releases = append(c.out.Releases, r)
}

// release is a new release beside the one with the next lower counter.
func (c *comparison) release(id fleet.PackageID, p fleet.Package, version string, r fleet.Release) Release {
	out := Release{
		What: Added, Package: id, Name: p.Name, Kind: p.Kind, To: version, Counter: r.Counter, Class: r.Change,
		Published: r.Published, Fixes: r.Fixes, Rollback: p.Rollback, Matrix: p.Tests.Matrix,
		Reach: c.takers(id, version), Dates: c.datesOf(r),
	}
	c.due(&out)
	from, before, _ := p.Before(version)
	out.From = from
	publisher := c.head.Publishers[id.Publisher()]
	for _, key := range both(r.Installers, nil) {
		out.Installers = append(out.Installers, installer(key, p.Installers[key], publisher, r.Installers[key], before.Installers[key]))
	}
	for _, name := range both(before.Files, r.Files) {
		if before.Files[name] != r.Files[name] {
			out.Files = append(out.Files, Edit{Field: name, Old: string(before.Files[name]), New: string(r.Files[name])})
		}
	}
	return out
}

// due works out by when policy wants a security release on the last device.
func (c *comparison) due(r *Release) {
	if r.Class != "security" {
		return
	}
	for _, id := range r.Reach.Tenants {
		if h := c.head.Tenants[id].Policy.CriticalWithinHours; h > 0 && (r.WithinHours == 0 || h < r.WithinHours) {
			r.WithinHours = h
		}
	}
	if r.WithinHours > 0 && r.Published != nil {
		at := r.Published.Add(time.Duration(r.WithinHours * float64(time.Hour))).UTC()
		r.Due = &at
	}
}

func installer(key string, i fleet.Installer, publisher fleet.Publisher, now, before fleet.Download) Installer {
	out := Installer{
		Key: key, Platform: i.Platform, Arch: i.Arch, Type: i.Type,
		Source: sourceOf(now), Host: hostOf(now.URL), PreviousHost: hostOf(before.URL),
		Digest: now.SHA256, Size: now.Size, PreviousSize: before.Size,
		Signer: now.Signer.Subject, PreviousSigner: before.Signer.Subject, Read: versionRead(now),
		Issuer: now.Signer.Issuer, PreviousIssuer: before.Signer.Issuer,
	}
	out.HostKnown = now.URL == "" || slices.ContainsFunc(publisher.Hosts, func(h string) bool { return strings.EqualFold(h, out.Host) })
	out.SignerState = signerState(publisher, now, before)
	return out
}

// signerState compares code signatures. A signature that is expected by the
// publisher's file does not count as changed on a first release.
func signerState(publisher fleet.Publisher, now, before fleet.Download) string {
	if now.Signer.Subject == "" && before.Signer.Subject == "" {
		return SignerUnsigned
	}
	switch now.Signer.Since(before.Signer) {
	case fleet.SignerLost:
		return SignerLost
	case fleet.SignerSame, fleet.SignerRenewed: // certificates run out
		return SignerSame
	case fleet.SignerReissued:
		return SignerReissued
	case fleet.SignerChanged:
		return SignerChanged
	}
	for _, s := range publisher.Signers {
		if s.Subject == now.Signer.Subject {
			return SignerExpected
		}
	}
	return SignerFirst
}

// checkRelease points out what only a person can decide about new bytes.
func (c *comparison) checkRelease(r Release, publisher fleet.Publisher, file string) {
	about := object(r.Package, r.To)
	for _, i := range r.Installers {
		switch i.SignerState {
		case SignerLost:
			c.find(Decide, about, file, i.Key+": unsigned, where the release before was signed by "+i.PreviousSigner, "ask the publisher before approving")
		case SignerChanged:
			c.find(Decide, about, file, i.Key+": signed by "+i.Signer+", no longer by "+i.PreviousSigner, "compare the certificates")
		case SignerReissued:
			c.find(Decide, about, file, i.Key+": the certificate of "+i.Signer+" is issued by "+i.Issuer+", no longer by "+i.PreviousIssuer, "anybody can make a certificate with that name: check the issuer")
		case SignerFirst:
			c.find(Decide, about, file, i.Key+": signed by "+i.Signer+", whom "+publisherFile(r.Package)+" does not name", "name the signer there if it is the publisher's")
		case SignerUnsigned:
			if publisher.Unsigned == "refused" {
				c.find(Refused, about, file, i.Key+": unsigned, which "+publisherFile(r.Package)+" refuses", "")
			}
		}
		if !i.HostKnown {
			c.find(Refused, about, file, i.Key+": comes from "+i.Host+", a host that "+publisherFile(r.Package)+" does not name", "name the host there in a pull request of its own if it is the publisher's")
		}
		if growth, ok := i.Growth(); ok && (growth > 20 || growth < -20) {
			c.find(Decide, about, file, i.Key+": its size changed by more than 20 %", "look for what was added or left out")
		}
	}
}

func publisherFile(id fleet.PackageID) string { return "catalog/" + id.Publisher() + "/publisher.cue" }

func sourceOf(d fleet.Download) string {
	switch {
	case d.URL != "":
		return d.URL
	case d.PURL != "":
		return d.PURL
	case d.Upload != "":
		return "upload " + string(d.Upload)
	default:
		return ""
	}
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// versionRead is the version the bytes themselves told.
func versionRead(d fleet.Download) string {
	switch {
	case d.MSI != nil && d.MSI.ProductVersion != "":
		return d.MSI.ProductVersion
	case d.PE != nil && d.PE.ProductVersion != "":
		return d.PE.ProductVersion
	case d.PE != nil:
		return d.PE.FileVersion
	case d.Deb != nil:
		return d.Deb.Version
	case d.RPM != nil:
		return d.RPM.Version
	case d.Pkg != nil && len(d.Pkg.Bundles) == 1 && d.Pkg.Bundles[0].Version != "":
		return d.Pkg.Bundles[0].Version
	case d.Pkg != nil:
		return d.Pkg.Version
	default:
		return ""
	}
}

// Risk is how carefully to look at a release, with the reason: what a reviewer
// reads first and a merge records.
func (r Release) Risk() (level, why string) {
	for _, i := range r.Installers {
		switch i.SignerState {
		case SignerLost:
			return "high", "an installer is no longer signed"
		case SignerChanged:
			return "high", "an installer has another signer than before"
		case SignerFirst:
			return "high", "an installer is signed by an unknown signer"
		}
		if !i.HostKnown {
			return "high", "an installer comes from an unknown host"
		}
	}
	switch {
	case slices.ContainsFunc(r.Installers, func(i Installer) bool { return i.SignerState == SignerReissued }):
		return "medium", "an installer's certificate has another issuer than before"
	case r.Class == "major":
		return "medium", "major version"
	case r.From == "":
		return "medium", "first release"
	case r.Rollback == "forwardOnly":
		return "medium", "no way back but the next release"
	default:
		return "low", r.Class + " release of a known package"
	}
}
