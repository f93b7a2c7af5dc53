package fleet

// Coverage is how much of the fleet a wave stands for in one attribute: a device
// is shown when some device of the wave has the same value. Devices whose value
// nobody knows are counted and never shown.
type Coverage struct {
	Attribute    string `json:"attribute"`
	Devices      int    `json:"devices"` // of the whole fleet, seen recently
	ShownDevices int    `json:"shownDevices"`
	Values       int    `json:"values"` // different ones in the whole fleet
	ShownValues  int    `json:"shownValues"`
}

// Percent is the share of devices that are shown, 0 for no devices.
func (c Coverage) Percent() float64 {
	if c.Devices == 0 {
		return 0
	}
	return 100 * float64(c.ShownDevices) / float64(c.Devices)
}
