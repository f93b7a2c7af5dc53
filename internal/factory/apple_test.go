package factory

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
)

// wantHeld checks the hold that an inspection ended in.
func wantHeld(t *testing.T, what string, err error, name, words string) {
	t.Helper()
	var h *upstream.Hold
	if !errors.As(err, &h) || h.Name != name || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v, want the hold %s with %q", what, err, name, words)
	}
}

// savedOf is a download with these bytes.
func savedOf(t *testing.T, data []byte) saved {
	t.Helper()
	file, err := save(t.TempDir(), "download", func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(file.close)
	return file
}

// TestDiskImage checks that people are told what to do instead.
func TestDiskImage(t *testing.T) {
	image := savedOf(t, []byte("x\x01"+strings.Repeat("z", 5000)+"koly"+strings.Repeat("\x00", 508)))
	for _, kind := range []string{"pkg", "portable", "exe"} {
		var d fleet.Download
		wantHeld(t, kind, inspect(&d, image, fleet.Installer{Platform: "macos", Arch: "universal", Type: kind}, "1.0"), fleet.HoldNotInstaller, "take the vendor's .pkg")
	}
	_, err := extract(t.TempDir(), image, "Tool.pkg")
	wantHeld(t, "as an archive", err, fleet.HoldNotInstaller, "hand it in as an upload")
}
