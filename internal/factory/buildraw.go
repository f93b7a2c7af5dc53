package factory

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/format/intunewin"
)

// Names of encrypted content: the vendor's file's name, and these behind it.
const (
	contentSuffix = ".intune"
	infoSuffix    = ".json" // behind contentSuffix
)

// encrypt makes of a macOS package what the console takes of one: its encrypted
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
