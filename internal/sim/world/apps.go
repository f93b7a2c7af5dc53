package world

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// An app is an application of the world: what its vendor published, and how
// many devices of a hundred each version breaks on.
type app struct {
	id       fleet.PackageID
	name     string
	vendor   string
	host     string // where the vendor's downloads and pages are
	file     string // name of the installer, {version} filled in
	feed     string // github or json
	scheme   string
	before   string  // version that the fleet has
	found    string  // version upstream tells in the demo's week
	change   string  // class of the release before
	broken   float64 // share of devices the found version fails on
	summary  string
	launch   string
	rollback string
}

// apps are the five applications of the world; the sixth package is the
// configuration below.
func apps() []app {
	return []app{
		{id: "fabrikam/vpn-client", name: "Fabrikam VPN Client", vendor: "Fabrikam", host: "downloads.fabrikam.example", file: "vpn-client-{version}-x64.exe", feed: "json", scheme: "windows", before: "5.1.2.0", found: "5.2.0.0", change: "minor", broken: 0.20, summary: "VPN client of the Fabrikam gateways", launch: "vpn-client.exe --version", rollback: "previous"},
		{id: "litware/editor", name: "Litware Editor", vendor: "Litware", host: "github.com", file: "editor-{version}-x64.exe", feed: "github", scheme: "semver", before: "8.7.1", found: "8.7.2", change: "patch", broken: 0.002, summary: "text editor", launch: "editor.exe --version", rollback: "previous"},
		{id: "northwind/browser", name: "Northwind Browser", vendor: "Northwind", host: "downloads.northwind.example", file: "browser-{version}-x64.exe", feed: "json", scheme: "windows", before: "131.0.2.0", found: "131.0.3.0", change: "patch", broken: 0.004, summary: "web browser", launch: "browser.exe --version", rollback: "previous"},
		{id: "tailspin/player", name: "Tailspin Player", vendor: "Tailspin", host: "github.com", file: "player-{version}-x64.exe", feed: "github", scheme: "semver", before: "3.0.21", found: "3.0.20", change: "patch", summary: "media player", launch: "player.exe --version", rollback: "previous"},
		{id: "wingtip/archiver", name: "Wingtip Archiver", vendor: "Wingtip", host: "github.com", file: "archiver-{version}-x64.exe", feed: "github", scheme: "windows", before: "24.8.0.0", found: "24.9.0.0", change: "minor", broken: 0.002, summary: "file archiver", launch: "archiver.exe", rollback: "previous"},
	}
}

// policyID is the configuration: a browser baseline that the operator wrote.
const policyID fleet.PackageID = "example-msp/browser-policy"

// The instants of the world: when the repository begins, and when vendors
// published what the demo's week finds.
var (
	began       = time.Date(2026, 11, 10, 8, 0, 0, 0, time.UTC)
	publishedAt = time.Date(2026, 11, 12, 9, 30, 0, 0, time.UTC)
)
