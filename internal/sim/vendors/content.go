package vendors

import (
	"encoding/binary"
	"fmt"
)

// Content describes bytes. Equal descriptions give equal bytes.
type Content struct {
	Kind    string `json:"kind"`              // pe, msi, pkg, deb, text
	Name    string `json:"name,omitempty"`    // product, or Debian package
	Version string `json:"version,omitempty"` // as the bytes say it
	Company string `json:"company,omitempty"`
	Arch    string `json:"arch,omitempty"` // x64, arm64; deb: amd64, arm64, all
	Size    int    `json:"size,omitempty"` // pe: bytes are added up to this size
	Text    string `json:"text,omitempty"` // text: the bytes themselves
	// Files are what a deb installs: absolute path → text. Those below bin
	// folders are executable.
	Files map[string]string `json:"files,omitempty"`
}

// The kinds of content.
const (
	KindPE   = "pe"   // a Windows program that ends at once, with a version resource
	KindMSI  = "msi"  // a Windows Installer database that installs nothing
	KindPkg  = "pkg"  // a macOS package that says it installs an application
	KindDeb  = "deb"  // a Debian package
	KindText = "text" // JSON, a script, a page
)

// Bytes makes the content.
func (c Content) Bytes() []byte {
	switch c.Kind {
	case KindPE:
		return pad(c.program(), c.Size)
	case KindMSI:
		return c.installerDatabase()
	case KindPkg:
		return c.macPackage()
	case KindDeb:
		return c.debianPackage()
	default:
		return []byte(c.Text)
	}
}

// Installer is a synthetic installer for Windows on x64: a program that ends at
// once. size adds bytes up to that size.
func Installer(name, company, version string, size int) Content {
	return Content{Kind: KindPE, Name: name, Company: company, Version: version, Arch: "x64", Size: size}
}

// Text is content that is given as it is.
func Text(s string) Content { return Content{Kind: KindText, Text: s} }

// pad appends bytes from a counter, which compress badly enough to stand for
// code, up to size.
func pad(data []byte, size int) []byte {
	state := uint64(0x9e3779b97f4a7c15)
	for len(data)+8 <= size {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		data = binary.LittleEndian.AppendUint64(data, state)
	}
	return data
}

// altered are the bytes under the fault Changed: same size, one bit differs.
func altered(data []byte) []byte {
	out := append([]byte(nil), data...)
	if len(out) > 0 {
		out[len(out)-1] ^= 1
	}
	return out
}

// numbers is a dotted version as four numbers, what is no number counting as 0.
func numbers(version string) (n [4]uint16) {
	i := 0
	for _, c := range version {
		switch {
		case c == '.':
			if i++; i > 3 {
				return n
			}
		case c >= '0' && c <= '9':
			n[i] = n[i]*10 + uint16(c-'0')
		default:
			return n
		}
	}
	return n
}

func dotted(n [4]uint16) string { return fmt.Sprintf("%d.%d.%d.%d", n[0], n[1], n[2], n[3]) }
