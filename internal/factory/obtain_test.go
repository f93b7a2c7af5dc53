package factory_test

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/vendors"
)

// TestChecksumProposed has the vendor publish digests beside a feed that states none: the
// download must have the one of its name.
func TestChecksumProposed(t *testing.T) {
	right := vendors.Installer("Tool", "Acme", "1.1.0", 4000).Bytes()
	line := func(of []byte) string {
		return strings.TrimPrefix(string(fleet.DigestOf(of)), "sha256:") + "  tool-1.1.0.exe\n"
	}
	data := vendorData()
	for path, text := range map[string]string{"/right": line(right), "/wrong": line([]byte("others")), "/none": "# none\n"} {
		data.Pages = append(data.Pages, vendors.Page{Shown: shown(-5), Host: "downloads.example", Path: path, Content: vendors.Text(text)})
	}
	m := newMill(t, data, nil)
	for _, tt := range []struct{ path, hold string }{{"wrong", fleet.HoldChangedHash}, {"none", fleet.HoldUnparsable}, {"right", ""}} {
		look := m.run(t)
		look.Packages = []fleet.PackageID{"acme/json"}
		look.Repo.Packages["acme/json"].Installers["x64"].Source.Checksum = &fleet.Checksum{URL: "https://downloads.example/" + tt.path}
		list, err := m.Propose(t.Context(), look)
		if err != nil {
			t.Fatal(err)
		}
		if p := list[0]; p.Hold != tt.hold || (p.Pull.Number != 0) != (tt.hold == "") {
			t.Errorf("%s: %s %s %q", tt.path, p.State, p.Hold, p.Why)
		}
	}
}
