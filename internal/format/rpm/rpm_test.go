package rpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/goreleaser/nfpm/v2"
	nfiles "github.com/goreleaser/nfpm/v2/files"
	nrpm "github.com/goreleaser/nfpm/v2/rpm"

	"github.com/packmill/packmill/internal/fleet"
)

// day is when everything here was made.
func day() time.Time { return time.Date(2026, 11, 16, 8, 0, 0, 0, time.UTC) }

// A fixture varies the package that build makes.
type fixture struct {
	epoch, arch, compression string
	sign                     *openpgp.Entity
	change                   func(*nfpm.Info)
}

func build(t testing.TB, x fixture) []byte {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "widget")
	script := filepath.Join(dir, "post.sh")
	for _, name := range []string{program, script} {
		if err := os.WriteFile(name, []byte("#!/bin/sh\necho widget\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	info := &nfpm.Info{
		Name: "widget", Arch: x.arch, Version: "24.9.0", Release: "3", Epoch: x.epoch, Platform: "linux", MTime: day(),
		Maintainer: "Example AS <dev@example.com>", Description: "Turns things\nSlowly, and with care.", Vendor: "Example AS",
		License: "Apache-2.0", Homepage: "https://example.com/widget",
		Overridables: nfpm.Overridables{
			Depends: []string{"bash >= 4.0", "libwidget"}, Conflicts: []string{"gadget < 2"}, Provides: []string{"turner = 1.5"}, Replaces: []string{"oldwidget"},
			RPM: nfpm.RPM{Compression: x.compression, BuildHost: "builder.example", Packager: "Example AS"},
			Contents: nfiles.Contents{
				{Source: program, Destination: "/usr/bin/widget", FileInfo: &nfiles.ContentFileInfo{Mode: 0o755, MTime: day()}},
				{Source: program, Destination: "/etc/widget.conf", Type: "config", FileInfo: &nfiles.ContentFileInfo{Mode: 0o640, MTime: day()}},
				{Source: "/usr/bin/widget", Destination: "/usr/bin/w", Type: "symlink"},
				{Destination: "/var/lib/widget", Type: "dir", FileInfo: &nfiles.ContentFileInfo{Mode: 0o700, MTime: day()}},
			},
			Scripts: nfpm.Scripts{PostInstall: script, PreRemove: script},
		},
	}
	if x.change != nil {
		x.change(info)
	}
	if x.sign != nil {
		info.RPM.Signature.SignFn = func(r io.Reader) ([]byte, error) {
			var b bytes.Buffer
			err := openpgp.DetachSign(&b, x.sign, r, &packet.Config{Time: day})
			return b.Bytes(), err
		}
	}
	info = nfpm.WithDefaults(info)
	if err := nfpm.PrepareForPackager(info, "rpm"); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := nrpm.DefaultRPM.Package(info, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func newKey(t testing.TB, name string, algorithm packet.PublicKeyAlgorithm) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", "rpm@example.com", &packet.Config{Time: day, Algorithm: algorithm, RSABits: 2048})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func armored(t testing.TB, keys ...*openpgp.Entity) string {
	t.Helper()
	var b strings.Builder
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range keys {
		if err := e.Serialize(w); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func parse(data []byte) (*File, error) { return Read(bytes.NewReader(data), int64(len(data))) }

func TestRead(t *testing.T) {
	f, err := parse(build(t, fixture{epoch: "2", arch: "amd64"}))
	if err != nil {
		t.Fatal(err)
	}
	if want := (fleet.RPMFacts{Name: "widget", Version: "24.9.0", Release: "3", Arch: "x86_64", Epoch: 2}); f.Facts != want {
		t.Errorf("%+v", f.Facts)
	}
	if f.Summary != "Turns things" || f.Description != "Turns things\nSlowly, and with care." || f.Vendor != "Example AS" || f.License != "Apache-2.0" || f.Source || len(f.Signatures) != 0 {
		t.Errorf("%+v", f)
	}
	if !slices.Contains(f.Requires, Relation{"bash", ">=", "4.0"}) || !slices.Contains(f.Conflicts, Relation{"gadget", "<", "2"}) || !slices.Contains(f.Provides, Relation{"turner", "=", "1.5"}) {
		t.Errorf("%+v, %+v, %+v", f.Requires, f.Conflicts, f.Provides)
	}
	if len(f.Scripts) != 2 || f.Scripts[0].Name != "%post" || f.Scripts[1].Name != "%preun" || !strings.Contains(f.Scripts[0].Text, "echo widget") {
		t.Errorf("%+v", f.Scripts)
	}
	for _, e := range f.Files {
		if e.Path == "/usr/bin/w" && e.Link != "/usr/bin/widget" || e.Path == "/etc/widget.conf" && (!e.Config || e.Mode != 0o100640) {
			t.Errorf("%+v", e)
		}
	}
	if err := f.CheckPayload(); err != nil {
		t.Error(err)
	}
}

func TestVerify(t *testing.T) {
	rsa, other := newKey(t, "Example AS", packet.PubKeyAlgoRSA), newKey(t, "Somebody", packet.PubKeyAlgoRSA)
	for name, key := range map[string]*openpgp.Entity{"RSA": rsa, "EdDSA": newKey(t, "Example AS", packet.PubKeyAlgoEdDSA)} {
		f, err := parse(build(t, fixture{arch: "amd64", sign: key}))
		if err != nil {
			t.Fatal(err)
		}
		if id := fmt.Sprintf("%016X", key.PrimaryKey.KeyId); len(f.Signatures) == 0 || f.Signatures[0].KeyID != id || f.Signatures[0].Algorithm != name || f.Signatures[0].Hash != "SHA-256" || !f.Signatures[0].HeaderOnly {
			t.Errorf("%s: %+v, want of %s", name, f.Signatures, id)
		}
		by, err := f.Verify(armored(t, other, key))
		print := fmt.Sprintf("%X", key.PrimaryKey.Fingerprint)
		if err != nil || by.Fingerprint != print || !by.Is("Example AS <rpm@example.com>") || !by.Is(strings.ToLower(print)) || by.Is("Example AS") || by.Is("") {
			t.Errorf("%s: %+v, %v", name, by, err)
		}
		if _, err := f.Verify(armored(t, other)); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("%s: by another key: %v", name, err)
		}
	}
}

// What must not count as signed, whatever it carries.
func TestVerifyRefuses(t *testing.T) {
	key := newKey(t, "Example AS", packet.PubKeyAlgoRSA)
	public := armored(t, key)
	good := build(t, fixture{arch: "amd64", sign: key})
	f, err := parse(good)
	if err != nil {
		t.Fatal(err)
	}
	at := func(tag uint32) int { // of a signature's first byte in the file
		return int(f.signature.end) - len(f.signature.data) + int(f.signature.index[tag].offset)
	}
	change := func(places ...int) []byte {
		bad := bytes.Clone(good)
		for _, p := range places {
			bad[p] ^= 1
		}
		return bad
	}
	// An altered header is found by its digests already, so they go.
	altered := change(bytes.LastIndex(good, []byte("Apache-2.0")))
	for i := range f.signature.index {
		if i == sigSHA1 || i == sigSHA256 {
			p := leadSize + 16
			for binary.BigEndian.Uint32(altered[p:]) != i {
				p += 16
			}
			binary.BigEndian.PutUint32(altered[p:], i+5000)
		}
	}
	for name, data := range map[string][]byte{
		"unsigned":          build(t, fixture{arch: "amd64"}),
		"payload altered":   change(len(good) - 10),
		"payload longer":    append(bytes.Clone(good), 'x'),
		"payload cut":       good[:len(good)-1],
		"header altered":    altered,
		"signature altered": change(at(sigRSA)+100, at(sigPGP)+100),
		"no signature":      change(at(sigRSA), at(sigPGP)),
	} {
		f, err := parse(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if by, err := f.Verify(public); err == nil || !errors.Is(err, ErrUnknownKey) && fleet.KindOf(err) != fleet.Refused {
			t.Errorf("%s: %+v, %v", name, by, err)
		}
	}
	if by, err := f.Verify("no key"); err == nil {
		t.Errorf("%+v", by)
	}
}

func TestReadRefuses(t *testing.T) {
	good := build(t, fixture{arch: "amd64"})
	f, err := parse(good)
	if err != nil {
		t.Fatal(err)
	}
	main := int(f.header.at)
	patch := func(at int, b ...byte) []byte {
		bad := bytes.Clone(good)
		copy(bad[at:], b)
		// The digests of the header are of no use to these cases.
		for p := leadSize + 16; p < leadSize+16+16*len(f.signature.index); p += 16 {
			if tag := binary.BigEndian.Uint32(bad[p:]); tag == sigSHA1 || tag == sigSHA256 {
				binary.BigEndian.PutUint32(bad[p:], tag+5000)
			}
		}
		return bad
	}
	entry := func(tag uint32) int { // of the main header's index
		for p := main + 16; ; p += 16 {
			if binary.BigEndian.Uint32(good[p:]) == tag {
				return p
			}
		}
	}
	name := main + 16 + 16*len(f.header.index) + int(f.header.index[tagName].offset)
	dirs := main + 16 + 16*len(f.header.index) + int(f.header.index[tagDirNames].offset)
	if _, err := parse(patch(0)); err != nil {
		t.Fatalf("the package the cases vary is not read: %v", err)
	}
	for what, data := range map[string][]byte{
		"empty":            nil,
		"HTML":             []byte("<!DOCTYPE html>" + strings.Repeat(" ", 200)),
		"lead only":        good[:leadSize],
		"format 5":         patch(4, 5),
		"header cut":       good[:main+40],
		"no signatures":    patch(leadSize, 0),
		"no main header":   patch(main, 0),
		"many entries":     patch(main+8, 0xff, 0xff, 0xff, 0xff),
		"no entries":       patch(main+8, 0, 0, 0, 0),
		"much data":        patch(main+12, 0xff, 0xff, 0xff, 0xff),
		"tag outside":      patch(entry(tagName)+8, 0x7f, 0, 0, 0),
		"count outside":    patch(entry(tagFileSizes)+12, 0x7f, 0, 0, 0),
		"fewer files":      patch(entry(tagFileSizes)+12, 0, 0, 0, 1),
		"more names":       patch(entry(tagRequireName)+12, 0, 0, 0, 99),
		"tag twice":        patch(entry(tagRelease), good[entry(tagName):entry(tagName)+4]...),
		"name is a number": patch(entry(tagName)+4, 0, 0, 0, typeInt32),
		"no name":          patch(name, 0),
		"name with path":   patch(name, '/'),
		"path upwards":     patch(dirs, []byte("/../")...),
		"other digest":     func() []byte { b := bytes.Clone(good); b[name] = 'x'; return b }(),
	} {
		if f, err := parse(data); err == nil || fleet.KindOf(err) != fleet.Invalid {
			t.Errorf("%s: read %v, %v", what, f != nil, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	key := newKey(f, "Example AS", packet.PubKeyAlgoEdDSA)
	public := armored(f, key)
	f.Add(build(f, fixture{arch: "amd64", sign: key}))
	f.Add(build(f, fixture{arch: "all", epoch: "1", compression: "xz"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse(data)
		if err != nil {
			return
		}
		if file.Facts.Name == "" || strings.ContainsAny(file.Facts.Version+file.Summary+file.Vendor, "\n\x00\x1b") {
			t.Fatalf("accepted %+v", file.Facts)
		}
		for _, e := range file.Files {
			if strings.Contains(e.Path+"/", "/../") {
				t.Fatalf("accepted %q", e.Path)
			}
		}
		if by, err := file.Verify(public); err == nil && by.Fingerprint == "" {
			t.Fatal("verified by nobody")
		}
	})
}
