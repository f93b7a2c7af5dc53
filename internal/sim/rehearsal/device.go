package rehearsal

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A Device is what chance knows of a device of a tenant: 64 bits that follow
// from the seed, the tenant and the device's keyed hash, as evidence names it.
type Device uint64

// Device is the device of a tenant with the given keyed hash.
func (m *Model) Device(t fleet.TenantID, hash string) Device {
	return Device(m.number("device", string(t), hash))
}

// number is 64 bits that follow from the seed and some names.
func (m *Model) number(names ...string) uint64 {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", m.Seed)
	for _, n := range names {
		fmt.Fprintf(h, "%d:%s", len(n), n)
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// mixed are the bits of a device and of something that happens to it: the
// finalizer of SplitMix64 (Steele, Lea, Flood 2014), whose every output bit
// depends on every input bit. A rehearsal asks it millions of times.
func mixed(d Device, what uint64) uint64 {
	x := uint64(d) ^ bits.RotateLeft64(what, 32) ^ what
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// share is a number in [0, 1) from bits.
func share(x uint64) float64 { return float64(x>>11) / (1 << 53) }

// Fails reports whether a release breaks on a device: it does so each time.
func (m *Model) Fails(d Device, id fleet.PackageID, version string) bool {
	return m.lot("fail", id, version, m.failing(id, version)).drawn(d)
}

// failing is the share of devices that a release breaks on.
func (m *Model) failing(id fleet.PackageID, version string) float64 {
	if rate, ok := m.Failing.Releases[string(id)+"@"+version]; ok {
		return rate
	}
	return m.Failing.Others
}

// Defers reports whether a device's user puts a release off to its deadline.
func (m *Model) Defers(d Device, id fleet.PackageID, version string) bool {
	return m.lot("defer", id, version, m.Deferring).drawn(d)
}

// A lot is something that happens to a share of devices because of a release.
type lot struct {
	bits  uint64
	share float64
}

func (m *Model) lot(what string, id fleet.PackageID, version string, share float64) lot {
	if share <= 0 {
		return lot{}
	}
	return lot{m.number(what, string(id), version), share}
}

func (l lot) drawn(d Device) bool { return l.share > 0 && share(mixed(d, l.bits)) < l.share }

// Off reports whether a device is switched off in the ISO week of an instant.
func (m *Model) Off(d Device, at time.Time) bool {
	if m.Silent <= 0 {
		return false
	}
	year, week := at.UTC().ISOWeek()
	return share(mixed(d, uint64(year)*64+uint64(week))) < m.Silent
}

// phaseOf tells apart when in the hour a device checks in from its other luck.
const phaseOf = 0x7068617365 // "phase"

// Phase is when in the interval between two check-ins a device checks in, to
// the second.
func (m *Model) Phase(d Device) time.Duration {
	n := uint64(m.CheckIn.Std() / time.Second)
	if n == 0 {
		return 0
	}
	return time.Duration(mixed(d, phaseOf)%n) * time.Second
}

// maxWeeks is how far check-ins are looked for: a device that is off longer is
// gone.
const maxWeeks = 12

// NextCheckIn is a device's first check-in at or after an instant.
func (m *Model) NextCheckIn(d Device, from time.Time) (time.Time, bool) {
	at, step, phase := from.UTC(), m.CheckIn.Std(), m.Phase(d)
	for range maxWeeks {
		// Check-ins count from the zero instant of Unix time.
		k := (time.Duration(at.UnixNano()) - phase + step - 1) / step
		c := time.Unix(0, int64(k*step+phase)).UTC()
		if !m.Off(d, c) {
			return c, true
		}
		at = weekAfter(c)
	}
	return time.Time{}, false
}

// weekAfter is the Monday 00:00 UTC after an instant.
func weekAfter(at time.Time) time.Time {
	day := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
	ahead := (8 - int(day.Weekday())) % 7
	if ahead == 0 {
		ahead = 7
	}
	return day.AddDate(0, 0, ahead)
}
