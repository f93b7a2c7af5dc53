// Package mobileconfig reads configuration profiles of Apple's systems: what a
// .mobileconfig says it is, and which payloads it holds.
//
// A profile is a property list, in XML or binary, by itself or inside a CMS
// message of its signer; the package applesign opens the latter. Keys: Apple's
// "Configuration Profile Reference", TopLevel and CommonPayloadKeys. A profile is
// hostile: its depth and the number of its values are counted before a library
// decodes it, a binary one's with every object it refers to again.
package mobileconfig

import (
	"bytes"
	"fmt"
	"strings"

	"howett.net/plist"

	"github.com/packmill/packmill/internal/fleet"
)

// Caps on what a profile may make its reader do.
const (
	maxSize     = 8 << 20 // bytes
	maxDepth    = 64
	maxValues   = 200_000
	maxPayloads = 1000
)

// A File is a configuration profile.
type File struct {
	Identifier   string // PayloadIdentifier, by which a newer one replaces it
	UUID         string
	Type         string // always "Configuration"
	Version      int    // of the format: 1
	DisplayName  string
	Description  string
	Organization string
	Scope        string // "System" or "User"; "" where it does not say, which means User
	Removable    bool   // by the user
	Encrypted    bool   // the payloads can be read by one device only
	Payloads     []Payload
}

// A Payload is one setting, certificate or account inside.
type Payload struct {
	Type        string // "com.apple.wifi.managed"
	Identifier  string
	UUID        string
	Version     int
	DisplayName string
}

// payload are the keys of a payload that are read; profile those of the whole,
// which repeats them, since the library passes over embedded structures.
type payload struct {
	Type        string `plist:"PayloadType"`
	Identifier  string `plist:"PayloadIdentifier"`
	UUID        string `plist:"PayloadUUID"`
	Version     int    `plist:"PayloadVersion"`
	DisplayName string `plist:"PayloadDisplayName"`
}

type profile struct {
	Type         string    `plist:"PayloadType"`
	Identifier   string    `plist:"PayloadIdentifier"`
	UUID         string    `plist:"PayloadUUID"`
	Version      int       `plist:"PayloadVersion"`
	DisplayName  string    `plist:"PayloadDisplayName"`
	Description  string    `plist:"PayloadDescription"`
	Organization string    `plist:"PayloadOrganization"`
	Scope        string    `plist:"PayloadScope"`
	Fixed        bool      `plist:"PayloadRemovalDisallowed"`
	Content      []payload `plist:"PayloadContent"`
	Encrypted    []byte    `plist:"EncryptedPayloadContent"`
}

// Signed reports whether the bytes look like a profile inside a CMS message.
func Signed(data []byte) bool { return len(data) > 1 && data[0] == 0x30 && data[1] >= 0x80 }

// Read reads a profile. What is none, or lacks what every profile must have, is
// an error of kind Invalid.
func Read(data []byte) (f *File, err error) {
	defer func() {
		// The library indexes by numbers that the file states.
		if p := recover(); p != nil {
			f, err = nil, invalid("no profile: %v", p)
		}
	}()
	switch {
	case len(data) > maxSize:
		return nil, invalid("a profile of %d bytes", len(data))
	case Signed(data):
		e := invalid("offset 0: the profile is signed: it is inside a CMS message")
		e.Hint = "open the message first"
		return nil, e
	case bytes.HasPrefix(data, []byte("bplist00")):
		err = boundBinary(data)
	default:
		err = boundXML(data)
	}
	if err != nil {
		return nil, err
	}
	var p profile
	if _, err := plist.Unmarshal(data, &p); err != nil {
		return nil, invalid("no profile: %w", err)
	}
	return p.file()
}

func (p profile) file() (*File, error) {
	if p.Type != "Configuration" {
		return nil, invalid("no profile: PayloadType is %.40q, not Configuration", p.Type)
	}
	if p.Identifier == "" || p.UUID == "" {
		return nil, invalid("the profile has no PayloadIdentifier or no PayloadUUID")
	}
	if len(p.Content) > maxPayloads {
		return nil, invalid("the profile has %d payloads", len(p.Content))
	}
	f := &File{
		Identifier: printable(p.Identifier), UUID: printable(p.UUID), Type: p.Type, Version: p.Version, DisplayName: printable(p.DisplayName),
		Description: printable(p.Description), Organization: printable(p.Organization), Scope: printable(p.Scope),
		Removable: !p.Fixed, Encrypted: len(p.Encrypted) > 0,
	}
	for i, c := range p.Content {
		if c.Type == "" {
			return nil, invalid("payload %d of the profile has no PayloadType", i+1)
		}
		f.Payloads = append(f.Payloads, Payload{
			Type: printable(c.Type), Identifier: printable(c.Identifier), UUID: printable(c.UUID), Version: c.Version, DisplayName: printable(c.DisplayName),
		})
	}
	return f, nil
}

// printable drops control characters but for line ends, which descriptions have.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, s)
}

func invalid(format string, args ...any) *fleet.Error {
	return &fleet.Error{Op: "mobileconfig.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}
