package notify

import (
	"bytes"
	"context"
	"errors"
	"net/mail"
	"os"
	"path/filepath"

	"github.com/packmill/packmill/internal/fleet"
)

// A Mailbox keeps messages in a folder, one .eml file each, named after the
// Message-ID, that any mail program opens. A message that is delivered again
// is there once, as in a mailbox whose program drops what it has.
type Mailbox struct {
	dir     string
	address string
	clock   fleet.Clock
}

// NewMailbox keeps messages in dir, which is made, as sent from address.
func NewMailbox(dir, address string, clock fleet.Clock) (*Mailbox, error) {
	if a, err := mail.ParseAddress(address); err != nil || a.Address != address {
		return nil, fleet.Errorf(fleet.Invalid, "notify.mailbox", address, "the sender is no plain mail address")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, &fleet.Error{Op: "notify.mailbox", Object: dir, Kind: fleet.Invalid, Err: err}
	}
	return &Mailbox{dir: dir, address: address, clock: clock}, nil
}

// Deliver writes the message's file, whole or not at all.
func (b *Mailbox) Deliver(ctx context.Context, m fleet.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	msg, err := compose(m, b.address, b.clock.Now())
	if err != nil {
		return err
	}
	var data bytes.Buffer
	if _, err := msg.WriteTo(&data); err != nil {
		return &fleet.Error{Op: "notify.mailbox", Object: m.ID, Kind: fleet.Internal, Err: err}
	}
	if err := b.write(m.ID+".eml", data.Bytes()); err != nil {
		return &fleet.Error{Op: "notify.mailbox", Object: filepath.Join(b.dir, m.ID+".eml"), Kind: fleet.Internal, Err: err,
			Hint: "look at the folder's rights and the disk's free space"}
	}
	return nil
}

// write makes a file appear in one step, and survive a power cut.
func (b *Mailbox) write(name string, data []byte) error {
	f, err := os.CreateTemp(b.dir, ".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(b.dir, name))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
