package fleet

import "time"

// A Stop is a sequential probability ratio test (Wald, 1945) that stops a wave
// early: it decides between two failure rates, and may be looked at after
// every report.
type Stop struct {
	Good  float64  `json:"good"`  // failure rate in percent of a release that may go on
	Bad   float64  `json:"bad"`   // failure rate in percent of one that must not
	Alpha float64  `json:"alpha"` // risk of stopping the good one
	Beta  float64  `json:"beta"`  // risk of letting the bad one go on
	Every Duration `json:"every"` // how often the wave is looked at for it
}

// The signals packmill itself reads from devices. Others are a package's own
// health probes, by name.
const (
	SignalInstall  = "install"  // the installer's exit and the detection after it
	SignalServices = "services" // the package's services run
	SignalCrash    = "crash"    // its programs did not crash since the installation
	SignalBoot     = "boot"     // the device did not go down unexpectedly since then
)

// BuiltInSignals are the signals that every package has, sorted.
func BuiltInSignals() []string {
	return []string{SignalBoot, SignalCrash, SignalInstall, SignalServices}
}

// A SignalCount is devices by what one signal said of them.
type SignalCount struct {
	OK     int `json:"ok"`
	Failed int `json:"failed"`
	Silent int `json:"silent"`
}

// A Control is what the devices of waves that have not opened did in the same
// days: the baseline a wave is compared with.
type Control struct {
	N      int `json:"n"`
	Failed int `json:"failed"`
	Silent int `json:"silent"` // of N, not heard of since the wave began
}

// The kinds of a Word.
const (
	Objection = "objection" // keeps a release from passing
	Withdrawn = "withdrawn" // takes the person's objection back
	SignOff   = "signoff"   // counts towards a gate's sign-offs
)

// A Word is what a person said of a release in a wave.
type Word struct {
	Cycle   CycleID   `json:"cycle"`
	Wave    string    `json:"wave"`
	Package PackageID `json:"package"`
	Kind    string    `json:"kind"`
	By      string    `json:"by"` // login
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}
