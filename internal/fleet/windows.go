package fleet

// A Driver is what a driver package applies to.
type Driver struct {
	HardwareIDs []string `json:"hardwareIds"`
	Class       string   `json:"class"`
	Signer      string   `json:"signer"`
}

// An OSPatch is what an operating-system patch carries: an article's update, or
// a version of Windows.
type OSPatch struct {
	KB          string            `json:"kb,omitempty"`
	Feature     string            `json:"feature,omitempty"` // "Windows 11, version 24H2"
	Expedite    *Expedite         `json:"expedite,omitempty"`
	Deploy      *Deploy           `json:"deploy,omitempty"` // of a version of Windows
	Builds      map[string]string `json:"builds"`           // OS release → build after the patch
	KnownIssues []string          `json:"knownIssues,omitempty"`
	Reboot      string            `json:"reboot"` // never, maybe, always
}

// Expedite says that devices take a patch at once, whatever their update rings
// defer.
type Expedite struct {
	RebootDays int `json:"rebootDays"` // until a restart is forced, 0 to 2
}

// A Deploy spreads a version of Windows over a wave's devices: so many at a time,
// or all within so many days.
type Deploy struct {
	DevicesPerOffer int      `json:"devicesPerOffer,omitempty"`
	EndAfterDays    int      `json:"endAfterDays,omitempty"`
	EveryDays       int      `json:"everyDays"` // between two offers
	PauseOn         *PauseOn `json:"pauseOn,omitempty"`
}

// PauseOn are what has Windows Update itself stop.
type PauseOn struct {
	Rollbacks int `json:"rollbacks"` // percent of the devices that went back
}

// ByWindowsUpdate reports whether Windows Update delivers the package: a patch of
// Windows, or a driver, that ships no bytes of its own. Its release is an
// approval, and no device gets a file.
func (p Package) ByWindowsUpdate() bool {
	if len(p.Installers) > 0 {
		return false
	}
	return p.Kind == "osPatch" && p.Patch != nil && p.Patch.KB+p.Patch.Feature != "" || p.Kind == "driver" && p.Driver != nil
}

// InParts reports whether Windows Update spreads the package over the devices of a
// wave, and watches how that goes.
func (p Package) InParts() bool {
	return p.ByWindowsUpdate() && p.Patch != nil && p.Patch.Deploy != nil
}
