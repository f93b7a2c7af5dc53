package msi

import (
	"errors"
	"io"

	"github.com/packmill/packmill/internal/fleet"
)

// Caps on what a file may make the reader hold.
const (
	maxDirectory = 16 << 20 // bytes read to find the streams
	maxPool      = 64 << 20 // bytes of a string pool stream
	maxSummary   = 1 << 20
	maxSignature = 4 << 20
)

// A File is a Windows Installer package. Its methods read what they are asked
// for when they are called; they are for one goroutine at a time.
type File struct {
	Facts       fleet.MSIFacts
	ProductName string
	Publisher   string            // property Manufacturer
	Arch        string            // x64, arm64, x86, "" when the template names none of them
	PackageCode string            // of this very file
	Properties  map[string]string // the Property table
	Summary     Summary
	Signature   []byte // PKCS #7 SignedData, nil when unsigned

	container *container
	texts     *pool
	described *schema // nil until a table is asked for
}

// Read reads an MSI. What is none, or lacks a product code, is an error of kind
// Invalid.
func Read(r io.ReaderAt, size int64) (*File, error) {
	c, err := openContainer(r, size)
	if err != nil {
		return nil, err
	}
	f := &File{container: c}
	if err := f.readTexts(); err != nil {
		return nil, err
	}
	if err := f.readProperties(); err != nil {
		return nil, err
	}
	if err := f.readSummary(); err != nil {
		return nil, err
	}
	f.Signature, err = c.readAll(signatureStream, maxSignature)
	if err != nil && !errors.Is(err, errNoStream) {
		return nil, err
	}
	return f, nil
}

func (f *File) readTexts() error {
	lengths, err := f.container.readAll(tableStream("_StringPool"), maxPool)
	if err != nil {
		return invalid("no MSI: %w", err)
	}
	data, err := f.container.readAll(tableStream("_StringData"), maxPool)
	if err != nil {
		return invalid("no MSI: %w", err)
	}
	f.texts, err = newPool(lengths, data)
	return err
}

// schema is the description of the tables, read once.
func (f *File) schema() (*schema, error) {
	if f.described == nil {
		s, err := f.readSchema()
		if err != nil {
			return nil, err
		}
		f.described = s
	}
	return f.described, nil
}

// CodePage is the Windows code page of the database's texts; 0 is "neutral",
// 65001 UTF-8.
func (f *File) CodePage() int { return int(f.texts.codePage) }

// readProperties reads the Property table.
func (f *File) readProperties() error {
	f.Properties = map[string]string{}
	err := f.view("Property", []string{"Property", "Value"}, func(r Row, c []int) error {
		name := r.Text(c[0])
		if _, twice := f.Properties[name]; twice {
			return r.fail(c[0], "property %q is there twice", name)
		}
		f.Properties[name] = r.Text(c[1])
		return nil
	})
	if err != nil {
		return err
	}
	f.Facts = fleet.MSIFacts{
		ProductCode:    f.Properties["ProductCode"],
		UpgradeCode:    f.Properties["UpgradeCode"],
		ProductVersion: f.Properties["ProductVersion"],
	}
	f.ProductName, f.Publisher = f.Properties["ProductName"], f.Properties["Manufacturer"]
	if f.Facts.ProductCode == "" {
		return invalid("the Property table has no ProductCode: this is no installer of a product")
	}
	return nil
}

// A Scope says for whom an MSI installs, by its property ALLUSERS. A command
// line can override it.
type Scope struct {
	Machine bool // it can install for all users
	User    bool // it can install for the user alone
	// Default is "machine" or "user", or "" where ALLUSERS holds something the
	// installer does not document. An installation as SYSTEM or by an
	// administrator is meant: ALLUSERS=2 falls back to the user for others.
	Default string
	// NoElevation says that the author promises an installation without
	// administrator rights (bit 3 of the summary's word count).
	NoElevation bool
}

// Scope reads ALLUSERS and MSIINSTALLPERUSER as the Windows Installer reference
// does on the pages of these properties and "Single Package Authoring".
func (f *File) Scope() Scope {
	s := Scope{NoElevation: f.Summary.NoElevation}
	switch f.Properties["ALLUSERS"] {
	case "":
		s.User, s.Default = true, "user"
	case "1":
		s.Machine, s.Default = true, "machine"
	case "2":
		s.Machine, s.User, s.Default = true, true, "machine"
		if f.Properties["MSIINSTALLPERUSER"] == "1" {
			s.Default = "user"
		}
	}
	return s
}
