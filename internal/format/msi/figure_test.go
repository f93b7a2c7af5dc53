package msi

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/testreq"
)

// countingReader counts what is read of a file.
type countingReader struct {
	io.ReaderAt
	bytes int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.bytes += int64(n)
	return n, err
}

// BenchmarkFigureInspectMSI reads all facts of an MSI of more than 200 MB: 2,000
// files of which one is 200 MiB that do not compress, in an embedded cabinet.
// The cabinet is passed over, so that what is read grows with the tables alone.
func BenchmarkFigureInspectMSI(b *testing.B) {
	path := hugeMSI(b)
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() < 200e6 {
		b.Fatalf("%d bytes, %v", info.Size(), err)
	}
	counted := &countingReader{ReaderAt: file}
	for b.Loop() {
		if n := inspect(b, counted, info.Size()); n != 2_000 {
			b.Fatalf("%d files", n)
		}
	}
	took := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(took, "s")
	b.ReportMetric(0.3, "bound-s")
	b.ReportMetric(float64(counted.bytes)/float64(b.N)/(1<<20), "MiB-read")
	b.ReportMetric(1, "bound-MiB-read")
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB-file")
}

// inspect asks for all that the typed views know, and returns how many files
// the MSI installs.
func inspect(b *testing.B, r io.ReaderAt, size int64) int {
	f, err := Read(r, size)
	if err != nil {
		b.Fatal(err)
	}
	files, err := f.Files()
	for _, view := range []func() error{
		func() error { _, err := f.Components(); return err },
		func() error { _, err := f.Services(); return err },
		func() error { _, err := f.RegistryValues(); return err },
		func() error { _, err := f.Shortcuts(); return err },
		func() error { _, err := f.Upgrades(); return err },
		func() error { _, err := f.LaunchConditions(); return err },
		func() error { _, err := f.CustomActions(); return err },
		func() error { _, err := f.Features(); return err },
		func() error { _, err := f.Cabinets(); return err },
	} {
		if err == nil {
			err = view()
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	_, _, _ = f.Scope(), f.Streams(), f.Storages()
	return len(files)
}

func hugeMSI(b *testing.B) string {
	b.Helper()
	wixl := testreq.Program(b, "wixl")
	dir := b.TempDir()
	var files, refs strings.Builder
	for i := range 1_999 {
		fmt.Fprintf(&files, `<Component Id="C%d" Guid="*"><File Id="F%d" Name="file %d.txt" Source="small" KeyPath="yes"/></Component>`, i, i, i)
		fmt.Fprintf(&refs, `<ComponentRef Id="C%d"/>`, i)
	}
	source := `<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi"><Product Id="*" Name="Huge" Language="1033" Version="1.0.0" Manufacturer="Example AS" UpgradeCode="` + upgradeCode + `">
<Package InstallerVersion="200" Compressed="yes" Manufacturer="Example AS"/><Media Id="1" Cabinet="app.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFilesFolder"><Directory Id="INSTALLDIR" Name="Huge">
<Component Id="C" Guid="*"><File Id="F" Name="huge.bin" Source="huge" KeyPath="yes"/></Component>` + files.String() + `</Directory></Directory></Directory>
<Feature Id="All" Level="1"><ComponentRef Id="C"/>` + refs.String() + `</Feature></Product></Wix>`
	huge, err := os.Create(filepath.Join(dir, "huge"))
	if err != nil {
		b.Fatal(err)
	}
	_, err = io.CopyN(huge, rand.NewChaCha8([32]byte{1}), 200<<20)
	if closed := huge.Close(); err != nil || closed != nil {
		b.Fatal(err, closed)
	}
	for name, text := range map[string]string{"in.wxs": source, "small": "hello\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.CommandContext(b.Context(), wixl, "-o", "huge.msi", "in.wxs")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("wixl: %v\n%s", err, out)
	}
	return filepath.Join(dir, "huge.msi")
}
