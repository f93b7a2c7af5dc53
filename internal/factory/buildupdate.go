package factory

import (
	"encoding/json"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/fleet"
)

// updateKey is the installer that the file of an approval is said to be of: a
// package that Windows Update delivers has none.
const updateKey = "update"

// An approvalDocument is what a release of such a package lets devices have: all
// there is to sign and to keep of it.
type approvalDocument struct {
	Schema  string          `json:"schema"`
	Package fleet.PackageID `json:"package"`
	Version string          `json:"version"`
	Patch   *fleet.OSPatch  `json:"patch,omitempty"`
	Driver  *fleet.Driver   `json:"driver,omitempty"`
}

// approval makes the artifact of a release that ships no bytes.
func (b *builder) approval() error {
	data, err := json.Marshal(approvalDocument{
		Schema: "https://github.com/packmill/packmill/windows-update/v1", Package: b.pkg.ID, Version: b.version, Patch: b.pkg.Patch, Driver: b.pkg.Driver,
	})
	if err != nil {
		return err
	}
	const name = "windows-update.json"
	b.inputs[name] = fleet.DigestOf(data)
	return b.builtBytes(updateKey, name, store.MediaTypeUpdate, data)
}

// noCell is the one test of such a release: none can be made here.
func noCell(built fleet.Built) fleet.Tested {
	return fleet.Tested{
		Package: built.Package, Version: built.Version, Artifact: built.Artifact, Cell: "windows-update", Installer: updateKey, Result: "skipped",
		Steps: notRun("Windows Update delivers it: no cell can install it, its first wave is its test"),
	}
}
