package vendors

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// epoch is the time of every file in an archive.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A member is one file of a tar archive.
type member struct {
	name string
	data []byte
	mode int64
}

// tarball is a gzipped tar archive of the members and their folders.
func tarball(members []member, folders []string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	// Writes into memory of headers that are well-formed do not fail.
	for _, f := range folders {
		_ = t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: f, Mode: 0o755, ModTime: epoch, Format: tar.FormatUSTAR})
	}
	for _, m := range members {
		_ = t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: m.name, Mode: m.mode, Size: int64(len(m.data)), ModTime: epoch, Format: tar.FormatUSTAR})
		_, _ = t.Write(m.data)
	}
	_ = t.Close()
	_ = z.Close()
	return b.Bytes()
}

// debianPackage is a binary package, deb(5).
func (c Content) debianPackage() []byte {
	var files []member
	var sums strings.Builder
	folders := map[string]bool{"./": true}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(c.Files)) {
		data := []byte(c.Files[name])
		mode := int64(0o644)
		if strings.HasSuffix(path.Dir(name), "bin") {
			mode = 0o755
		}
		files = append(files, member{"." + name, data, mode})
		fmt.Fprintf(&sums, "%x  %s\n", md5.Sum(data), strings.TrimPrefix(name, "/"))
		size += len(data)
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			folders["."+dir+"/"] = true
		}
	}
	control := c.control() + fmt.Sprintf("Installed-Size: %d\n", (size+1023)/1024)
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	ar := func(name string, data []byte) {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, epoch.Unix(), 0, 0, "100644", len(data))
		b.Write(data)
		if len(data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	ar("debian-binary", []byte("2.0\n"))
	ar("control.tar.gz", tarball([]member{{"./control", []byte(control), 0o644}, {"./md5sums", []byte(sums.String()), 0o644}}, []string{"./"}))
	ar("data.tar.gz", tarball(files, slices.Sorted(maps.Keys(folders))))
	return b.Bytes()
}

// control is the part of the control file that the index repeats.
func (c Content) control() string {
	maintainer := c.Company
	if maintainer == "" {
		maintainer = "Simulated Vendors"
	}
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: %s <packages@vendor.example>\nDescription: %s (simulated)\n",
		c.Name, c.Version, c.Arch, maintainer, c.Name)
}
