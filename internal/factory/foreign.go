package factory

import (
	"context"
	"encoding/hex"
	"io"
	"os"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/intunewin"
)

// maxUnpacked is the most bytes a setup folder may unpack to: the largest app
// the service takes.
const maxUnpacked = 30 << 30

// A Container is what a .intunewin says of itself, and what was found in it.
type Container struct {
	Name        string            `json:"name"`
	SetupFile   string            `json:"setupFile"` // below the setup folder
	ToolVersion string            `json:"toolVersion"`
	PlainSize   int64             `json:"plainSize"` // bytes of the zip that is encrypted
	PlainDigest fleet.Digest      `json:"plainDigest"`
	MSI         string            `json:"msi"` // product code of an MSI, "" of others
	Files       []ContainerMember `json:"files"`
}

// A ContainerMember is one file of a setup folder.
type ContainerMember struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // as the folder's directory states it
}

// OpenContainer reads a .intunewin that anybody made, and proves that it is
// whole: layout, MAC, padding, digest, names, setup file. It proves nothing of
// who made it. With a folder it unpacks the setup folder there, each file
// compared with its checksum; what is there already is not written over.
func OpenContainer(ctx context.Context, r io.ReaderAt, size int64, unpack *os.Root) (Container, error) {
	f, err := intunewin.Read(r, size)
	if err != nil {
		return Container{}, err
	}
	c := Container{
		Name: f.Name, SetupFile: f.SetupFile, ToolVersion: f.ToolVersion, PlainSize: f.UnencryptedSize,
		PlainDigest: fleet.Digest("sha256:" + hex.EncodeToString(f.Encryption.FileDigest)),
	}
	if f.MSI != nil {
		c.MSI = f.MSI.ProductCode
	}
	var total uint64
	for _, e := range f.Inner().File {
		if e.Mode().IsDir() {
			continue
		}
		if total += e.UncompressedSize64; e.UncompressedSize64 > maxUnpacked || total > maxUnpacked {
			return c, fleet.Errorf(fleet.Refused, "factory.container", e.Name, "the setup folder unpacks to more than %d bytes", int64(maxUnpacked))
		}
		c.Files = append(c.Files, ContainerMember{e.Name, int64(e.UncompressedSize64)})
	}
	if unpack == nil {
		return c, nil
	}
	return c, unpackInner(ctx, f, unpack)
}
