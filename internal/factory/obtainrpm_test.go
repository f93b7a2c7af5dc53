package factory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/goreleaser/nfpm/v2"
	nrpm "github.com/goreleaser/nfpm/v2/rpm"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
)

func rpmDay() time.Time { return time.Date(2026, 11, 16, 8, 0, 0, 0, time.UTC) }

func rpmKey(t *testing.T, name string) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", "rpm@example.com", &packet.Config{Time: rpmDay, RSABits: 2048})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func rpmPublic(t *testing.T, e *openpgp.Entity) string {
	t.Helper()
	var b strings.Builder
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Serialize(w), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// rpmOf is a package of version 1:24.9.0-3 for an architecture, signed or not.
func rpmOf(t *testing.T, arch string, by *openpgp.Entity) []byte {
	t.Helper()
	info := &nfpm.Info{Name: "widget", Arch: arch, Version: "24.9.0", Release: "3", Epoch: "1", Platform: "linux", MTime: rpmDay(), Maintainer: "x", Description: "x"}
	info.RPM.BuildHost = "builder.example"
	if by != nil {
		info.RPM.Signature.SignFn = func(r io.Reader) ([]byte, error) {
			var b bytes.Buffer
			err := openpgp.DetachSign(&b, by, r, &packet.Config{Time: rpmDay})
			return b.Bytes(), err
		}
	}
	var b bytes.Buffer
	if err := nrpm.DefaultRPM.Package(nfpm.WithDefaults(info), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An RPM package is signed by somebody only if the key in the publisher's file
// says so, and unsigned only if it carries no signature at all.
func TestInspectRPM(t *testing.T) {
	key, other := rpmKey(t, "Example AS"), rpmKey(t, "Somebody")
	const subject = "Example AS <rpm@example.com>"
	signer := func(kind, subject, key string) fleet.Publisher {
		return fleet.Publisher{Signers: map[string]fleet.ExpectedSigner{"rpm": {Kind: kind, Subject: subject, Key: key}}}
	}
	knows := signer("gpg", subject, rpmPublic(t, key))
	signed := rpmOf(t, "amd64", key)
	altered := bytes.Clone(signed)
	altered[len(altered)-10] ^= 1
	broken := rpmOf(t, "amd64", nil)
	broken[len(broken)-10] ^= 1
	print := fmt.Sprintf("%x", key.PrimaryKey.Fingerprint)
	for name, c := range map[string]struct {
		data      []byte
		version   string
		publisher fleet.Publisher
		hold      string
		signer    fleet.SignedBy
	}{
		"signed":              {signed, "24.9.0", knows, "", fleet.SignedBy{Subject: subject}},
		"by fingerprint":      {signed, "1:24.9.0-3", signer("gpg", print, rpmPublic(t, key)), "", fleet.SignedBy{Subject: print}},
		"unsigned":            {rpmOf(t, "amd64", nil), "24.9.0-3", knows, "", fleet.SignedBy{Unsigned: true}},
		"for any":             {rpmOf(t, "all", nil), "24.9.0", knows, "", fleet.SignedBy{Unsigned: true}},
		"no key":              {signed, "24.9.0", signer("gpg", subject, ""), fleet.HoldSigner, fleet.SignedBy{}},
		"no signer":           {signed, "24.9.0", fleet.Publisher{Unsigned: "accepted"}, fleet.HoldSigner, fleet.SignedBy{}},
		"key of another kind": {signed, "24.9.0", signer("authenticode", subject, rpmPublic(t, key)), fleet.HoldSigner, fleet.SignedBy{}},
		"by another":          {rpmOf(t, "amd64", other), "24.9.0", knows, fleet.HoldSigner, fleet.SignedBy{}},
		"subject of another":  {signed, "24.9.0", signer("gpg", "Acme", rpmPublic(t, key)), fleet.HoldSigner, fleet.SignedBy{}},
		"altered":             {altered, "24.9.0", knows, fleet.HoldSigner, fleet.SignedBy{}},
		"broken":              {broken, "24.9.0", knows, fleet.HoldNotInstaller, fleet.SignedBy{Unsigned: true}},
		"other version":       {signed, "24.9.1", knows, fleet.HoldDisagree, fleet.SignedBy{Unsigned: true}},
		"other epoch":         {signed, "2:24.9.0", knows, fleet.HoldDisagree, fleet.SignedBy{Unsigned: true}},
		"other architecture":  {rpmOf(t, "arm64", key), "24.9.0", knows, fleet.HoldNotInstaller, fleet.SignedBy{Unsigned: true}},
		"cut off":             {signed[:200], "24.9.0", knows, fleet.HoldNotInstaller, fleet.SignedBy{Unsigned: true}},
	} {
		path := filepath.Join(t.TempDir(), "a.rpm")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var d fleet.Download
		err = inspect(&d, saved{File: file, size: int64(len(c.data))}, fleet.Installer{Type: "rpm", Arch: "x64"}, c.version, c.publisher, time.Time{})
		var hold *upstream.Hold
		if c.hold == "" && err != nil || c.hold != "" && (!errors.As(err, &hold) || hold.Name != c.hold) || d.Signer != c.signer {
			t.Errorf("%s: signer %+v, %v; want %q and %+v", name, d.Signer, err, c.hold, c.signer)
		}
		if c.hold == "" && *d.RPM != (fleet.RPMFacts{Name: "widget", Version: "24.9.0", Release: "3", Arch: d.RPM.Arch, Epoch: 1}) {
			t.Errorf("%s: %+v", name, *d.RPM)
		}
	}
}
