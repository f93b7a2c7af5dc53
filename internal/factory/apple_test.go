package factory

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory/filefacts"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/sniff"
	"github.com/packmill/packmill/internal/format/xar"
	"github.com/packmill/packmill/internal/format/xar/xarbuild"
	"github.com/packmill/packmill/internal/testreq"
)

// wantHeld checks the hold that an inspection ended in.
func wantHeld(t *testing.T, what string, err error, name, words string) {
	t.Helper()
	var h *upstream.Hold
	if !errors.As(err, &h) || h.Name != name || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v, want the hold %s with %q", what, err, name, words)
	}
}

// savedOf is a download with these bytes.
func savedOf(t *testing.T, data []byte) saved {
	t.Helper()
	file, err := save(t.TempDir(), "download", func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(file.close)
	return file
}

// TestDiskImage checks that people are told what to do instead.
func TestDiskImage(t *testing.T) {
	image := savedOf(t, []byte("x\x01"+strings.Repeat("z", 5000)+"koly"+strings.Repeat("\x00", 508)))
	for _, kind := range []string{"pkg", "portable", "exe"} {
		var d fleet.Download
		wantHeld(t, kind, inspect(&d, image, fleet.Installer{Platform: "macos", Arch: "universal", Type: kind}, "1.0", fleet.Publisher{}, time.Time{}), fleet.HoldNotInstaller, "take the vendor's .pkg")
	}
	_, err := extract(t.TempDir(), image, "Tool.pkg")
	wantHeld(t, "as an archive", err, fleet.HoldNotInstaller, "hand it in as an upload")
}

// An appleCA is a root that is not Apple's, and a developer below it.
type appleCA struct {
	key   *rsa.PrivateKey
	chain [][]byte
}

func newAppleCA(t *testing.T) appleCA {
	t.Helper()
	certificate := func(name string, parent *x509.Certificate, key, signer *rsa.PrivateKey, ca bool) *x509.Certificate {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(len(name))), Subject: pkix.Name{CommonName: name}, IsCA: ca, BasicConstraintsValid: true,
			NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		}
		if parent == nil {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = key
	}
	root := certificate("Apple Root CA", nil, keys[0], keys[0], true) // in name alone
	leaf := certificate("Developer ID Installer: Acme", root, keys[1], keys[0], false)
	return appleCA{keys[1], [][]byte{leaf.Raw, root.Raw}}
}

const acmeInfo = `<pkg-info identifier="com.acme.tool.pkg" version="2.10"><bundle id="com.acme.tool" path="./Tool.app" CFBundleShortVersionString="2.10"/></pkg-info>`

func (ca appleCA) archive(sign bool) xarbuild.Archive {
	a := xarbuild.Archive{Hash: crypto.SHA256, Files: []xarbuild.File{
		{Path: "Distribution", Data: []byte(`<installer-gui-script><options hostArchitectures="x86_64"/><pkg-ref id="com.acme.tool.pkg">#Tool.pkg</pkg-ref></installer-gui-script>`)},
		{Path: "Tool.pkg/PackageInfo", Data: []byte(acmeInfo)},
		{Path: "Tool.pkg/Payload", Data: bytes.Repeat([]byte("070707"), 100), Plain: true},
	}}
	if sign {
		a.Certificates, a.SignSize = ca.chain, ca.key.Size()
		a.Sign = func(digest []byte) ([]byte, error) { return rsa.SignPKCS1v15(nil, ca.key, crypto.SHA256, digest) }
	}
	return a
}

func written(t *testing.T, a xarbuild.Archive) []byte {
	t.Helper()
	data, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestInspectPkg(t *testing.T) {
	ca := newAppleCA(t)
	in := fleet.Installer{Platform: "macos", Arch: "x64", Type: "pkg"}
	look := func(data []byte, in fleet.Installer) (fleet.Download, error) {
		var d fleet.Download
		err := inspect(&d, savedOf(t, data), in, "2.10", fleet.Publisher{}, time.Time{})
		return d, err
	}
	unsigned := written(t, ca.archive(false))
	want := fleet.PkgFacts{Identifier: "com.acme.tool.pkg", Version: "2.10", Bundles: []fleet.BundleFacts{{ID: "com.acme.tool", Version: "2.10"}}}
	for _, arch := range []string{"x64", "universal"} {
		in.Arch = arch
		d, err := look(unsigned, in)
		if err != nil || !d.Signer.Unsigned || d.Pkg == nil || !d.Pkg.Equal(want) {
			t.Errorf("unsigned for %s: %+v, %v", arch, d, err)
		}
	}
	signed := written(t, ca.archive(true))
	_, err := look(signed, in)
	wantHeld(t, "signed by a root that calls itself Apple's", err, fleet.HoldSigner, `"CN=Developer ID Installer: Acme" does not come from Apple: its chain ends in "CN=Apple Root CA"`)
	altered := bytes.Clone(signed)
	altered[len(altered)-1] ^= 1 // of the Payload
	_, err = look(altered, in)
	wantHeld(t, "signed, Payload altered", err, fleet.HoldSigner, "Payload")
	other := ca.archive(true)
	other.Sign = func([]byte) ([]byte, error) { return rsa.SignPKCS1v15(nil, ca.key, crypto.SHA256, make([]byte, 32)) }
	_, err = look(written(t, other), in)
	wantHeld(t, "signed, another table", err, fleet.HoldSigner, "not made with the key of")
	in.Arch = "arm64"
	_, err = look(unsigned, in)
	wantHeld(t, "another machine", err, fleet.HoldNotInstaller, "for x64, not arm64")
	_, err = look(unsigned[:len(unsigned)-9], in)
	wantHeld(t, "cut off", err, fleet.HoldNotInstaller, "offset")
	_, err = look([]byte("<!DOCTYPE html>"), in)
	wantHeld(t, "a page", err, fleet.HoldNotInstaller, "an HTML page")

	pkg, err := xar.Read(bytes.NewReader(signed), int64(len(signed)))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := filefacts.PackageSigner(pkg); err != nil || len(s.Chain) != 2 || !s.Complete || s.Apple() {
		t.Errorf("the signer is %+v, %v", s, err)
	}
}

// TestSamePkg checks that what a package says of itself is compared before it is
// built.
func TestSamePkg(t *testing.T) {
	in := fleet.Installer{Platform: "macos", Arch: "universal", Type: "pkg"}
	file := savedOf(t, written(t, appleCA{}.archive(false)))
	merged := fleet.Download{Signer: fleet.SignedBy{Unsigned: true}, Pkg: &fleet.PkgFacts{Identifier: "com.acme.tool.pkg", Version: "2.10", Bundles: []fleet.BundleFacts{{ID: "com.acme.tool", Version: "2.10"}}}}
	if err := sameFacts(file, in, "2.10", fleet.Publisher{}, merged); err != nil {
		t.Error(err)
	}
	merged.Pkg.Bundles[0].Version = "2.9"
	if err := sameFacts(file, in, "2.10", fleet.Publisher{}, merged); fleet.KindOf(err) != fleet.Refused || !strings.Contains(fmt.Sprint(err), "2.9") {
		t.Errorf("another version was merged: %v", err)
	}
}

// TestInspectMachO has a program that the Node.js Foundation signed.
func TestInspectMachO(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "format", "macho", "testdata", "term-size"))
	if err != nil {
		t.Fatal(err)
	}
	in := fleet.Installer{Platform: "macos", Arch: "x64", Type: "portable"}
	var d fleet.Download
	if err := inspect(&d, savedOf(t, data), in, "2.2.1", fleet.Publisher{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	const subject = "CN=Developer ID Application: Node.js Foundation (HX7739G8FX),OU=HX7739G8FX,O=Node.js Foundation,C=US,UID=HX7739G8FX"
	if d.Signer != (fleet.SignedBy{Subject: subject}) {
		t.Errorf("signer %+v", d.Signer)
	}
	by := func(kind, subject string) fleet.Publisher {
		return fleet.Publisher{Unsigned: "refused", Signers: map[string]fleet.ExpectedSigner{"node": {Kind: kind, Subject: subject}}}
	}
	if err := checkSigner(by("appleDeveloperId", subject), sniff.MachO, d.Signer); err != nil {
		t.Error(err)
	}
	wantHeld(t, "as another kind", checkSigner(by("authenticode", subject), sniff.MachO, d.Signer), fleet.HoldSigner, "authenticode")
	wantHeld(t, "as another", checkSigner(by("appleDeveloperId", "CN=Acme"), sniff.MachO, d.Signer), fleet.HoldSigner, "does not name")

	altered := bytes.Clone(data)
	altered[5000] ^= 1
	wantHeld(t, "altered", inspect(&d, savedOf(t, altered), in, "2.2.1", fleet.Publisher{}, time.Time{}), fleet.HoldSigner, "offset 4096: the page")
	in.Arch = "arm64"
	wantHeld(t, "another machine", inspect(&d, savedOf(t, data), in, "2.2.1", fleet.Publisher{}, time.Time{}), fleet.HoldNotInstaller, "for x64, not arm64")
}

// TestReadProfile reads a profile by itself, and one that openssl signed as
// profiles are.
func TestReadProfile(t *testing.T) {
	const profile = `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string>` +
		`<key>PayloadIdentifier</key><string>com.acme.wifi</string><key>PayloadUUID</key><string>U</string><key>PayloadVersion</key><integer>1</integer></dict></plist>`
	if f, s, err := filefacts.ReadProfile([]byte(profile)); err != nil || s != nil || f.Identifier != "com.acme.wifi" {
		t.Errorf("%+v, %+v, %v", f, s, err)
	}
	openssl := testreq.Program(t, "openssl")
	ca := newAppleCA(t)
	key, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"in": []byte(profile), "key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"leaf": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.chain[0]}), "root": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.chain[1]}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), openssl, "cms", "-sign", "-binary", "-nodetach", "-stream", "-in", "in", "-inkey", "key", "-signer", "leaf", "-certfile", "root", "-outform", "DER", "-out", "out")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	signed, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	f, s, err := filefacts.ReadProfile(signed)
	if err != nil || f.Identifier != "com.acme.wifi" || s == nil || s.Leaf().Subject != "CN=Developer ID Installer: Acme" || !s.Complete {
		t.Errorf("signed: %+v, %+v, %v", f, s, err)
	}
	altered := bytes.Replace(signed, []byte("com.acme.wifi"), []byte("com.evil.wifi"), 1)
	if f, _, err := filefacts.ReadProfile(altered); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("altered: %+v, %v", f, err)
	}
}
