package factory

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
)

// checkStored reads a stored file to its end, and what is encrypted also from
// the inside. all are the artifact's files.
func (f *Factory) checkStored(ctx context.Context, file fleet.BuiltFile, all []fleet.BuiltFile) error {
	local, err := f.Store.Local(ctx, file, "")
	if err != nil {
		return err
	}
	defer func() { _ = local.Close() }() // it was only read
	switch file.MediaType {
	case store.MediaTypeIntunewin:
		_, err = intunewin.Read(local, local.Size)
	case store.MediaTypeContent:
		err = f.checkContent(ctx, local, file, all)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file.Name, err)
	}
	return nil
}

// checkContent checks encrypted content with the description beside it.
func (f *Factory) checkContent(ctx context.Context, local *store.Local, file fleet.BuiltFile, all []fleet.BuiltFile) error {
	i := slices.IndexFunc(all, func(b fleet.BuiltFile) bool {
		return b.Name == file.Name+infoSuffix && b.Installer == file.Installer && b.MediaType == store.MediaTypeContentInfo
	})
	if i < 0 {
		return fleet.Errorf(fleet.Refused, "factory.verify", file.Name, "the artifact does not say how it is encrypted")
	}
	text, err := f.small(ctx, all[i])
	if err != nil {
		return err
	}
	info, err := intunewin.ParseContentInfo(text)
	if err != nil {
		return err
	}
	_, err = intunewin.ReadContent(local, local.Size, info)
	return err
}

// maxSmall is how much is read of a file that is held in memory.
const maxSmall = 8 << 20

// small reads a small stored file.
func (f *Factory) small(ctx context.Context, file fleet.BuiltFile) ([]byte, error) {
	if file.Size > maxSmall {
		return nil, fleet.Errorf(fleet.Refused, "factory.verify", file.Name, "has %d bytes, more than %d", file.Size, maxSmall)
	}
	r, err := f.Store.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
