package fleet

// An Inspection is what the bytes of one file tell of themselves. Who offers the
// file, and whether that is its vendor, it does not say.
type Inspection struct {
	Name   string `json:"name"`             // of the file, without folders
	Size   int64  `json:"size"`             // bytes
	SHA256 Digest `json:"sha256,omitempty"` // "" where nobody asked for it
	Kind   string `json:"kind"`             // for people: "an MSI package"

	// Type is the installer type that packmill deploys such a file as: msi, exe,
	// msix, pkg, deb, rpm, portable, profile; "" for any other file.
	Type string `json:"type,omitempty"`
	// Maker is what made an exe, an InstallerKind: inno, nullsoft, burn, …; ""
	// when it is not known.
	Maker string `json:"maker,omitempty"`

	Product   string `json:"product,omitempty"`
	Publisher string `json:"publisher,omitempty"`
	Version   string `json:"version,omitempty"`
	Platform  string `json:"platform,omitempty"` // windows, macos, linux
	Arch      string `json:"arch,omitempty"`     // x64, arm64, x86, universal
	Language  string `json:"language,omitempty"` // BCP 47 tag
	Scope     string `json:"scope,omitempty"`    // machine, user, "" when the file does not decide it
	OS        string `json:"os,omitempty"`       // lowest version of the system
	DiskMB    int    `json:"diskMB,omitempty"`   // that it takes once installed

	Signer SignedBy `json:"signer"`
	// Trouble is why the signature does not hold, "" when it does or there is none.
	Trouble string `json:"trouble,omitempty"`
	// Verdict is what the signature of a Windows file is worth at the moment of the
	// inspection, without any root being asked (format/authenticode): selfSigned,
	// untrustedRoot (no root of anybody's was compared), expired, tampered, …; ""
	// for other files and without a signature.
	Verdict string `json:"verdict,omitempty"`

	// Silent are the arguments that every installer of its maker takes.
	Silent Arguments `json:"silent,omitzero"`
	// Identities name it on a device: what a detection rule looks for.
	MSI      *MSIFacts `json:"msi,omitempty"`
	Replaces bool      `json:"replaces,omitempty"` // an MSI that removes older versions of itself
	Restarts bool      `json:"restarts,omitempty"` // an MSI that asks for a restart by itself
	PE       *PEFacts  `json:"pe,omitempty"`
	Deb      *DebFacts `json:"deb,omitempty"`
	RPM      *RPMFacts `json:"rpm,omitempty"`
	Pkg      *PkgFacts `json:"pkg,omitempty"`
	Bundles  []string  `json:"bundles,omitempty"`  // macOS: ids of the application bundles
	Packages []string  `json:"packages,omitempty"` // ids of the packages: receipts, package names, an MSIX family's name
	// Updaters are files, services and sources in it that look like an updater of
	// the vendor's own.
	Updaters []string `json:"updaters,omitempty"`

	Facts []InspectedFact `json:"facts"`
	Lists []InspectedList `json:"lists"`
}

// An InspectedFact is one more thing that a file says of itself.
type InspectedFact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// An InspectedList is a table of a file's parts: its services, its scripts. Rows
// beyond those that are held are counted in More.
type InspectedList struct {
	Name    string     `json:"name"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
	More    int        `json:"more,omitempty"`
}
