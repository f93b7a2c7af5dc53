package factory

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
)

// Names of encrypted content: the vendor's file's name, and these behind it.
const (
	contentSuffix = ".intune"
	infoSuffix    = ".json" // behind contentSuffix
)

// encrypt makes of a macOS package or disk image what the console takes of one: its encrypted
// bytes, and beside them how they are encrypted.
func (b *builder) encrypt(ctx context.Context, dir, key, name string, file saved) error {
	entry, err := entryOf(name, file)
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(dir, "out"+contentSuffix))
	if err != nil {
		return err
	}
	info, err := intunewin.WriteContent(ctx, out, entry, nil)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	text, err := info.JSON()
	if err != nil {
		return err
	}
	b.hold(name+contentSuffix, entry)
	if err := b.built(key, name+contentSuffix, store.MediaTypeContent, out.Name()); err != nil {
		return err
	}
	return b.builtBytes(key, name+contentSuffix+infoSuffix, store.MediaTypeContentInfo, text)
}

// storeApp writes down which app of the store a release is: there are no bytes to
// bring, but what was approved must have a digest.
func (b *builder) storeApp(key string, in fleet.Installer) error {
	i := slices.IndexFunc(in.Detect, func(d fleet.Detect) bool { return d.Package != "" })
	if i < 0 {
		return fleet.Errorf(fleet.Invalid, "factory.build", key, "an app of the store is named by a detection rule with its package")
	}
	text, err := json.Marshal(map[string]string{"packageIdentifier": in.Detect[i].Package, "release": b.version, "runAs": in.RunAs})
	if err != nil {
		return err
	}
	_, own, _ := strings.Cut(string(b.pkg.ID), "/")
	return b.builtBytes(key, clean(own+"-"+b.version+"-"+key)+".store.json", store.MediaTypeStoreApp, append(text, '\n'))
}

// builtBytes adds a finished small file.
func (b *builder) builtBytes(key, name, mediaType string, data []byte) error {
	file, err := os.CreateTemp(b.dir, "small-")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return b.built(key, name, mediaType, file.Name())
}
