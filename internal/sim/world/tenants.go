package world

import (
	"fmt"
	"strconv"

	"github.com/packmill/packmill/internal/fleet"
)

// A partner of the operator.
type partner struct {
	id, name, language, contact, brand string
}

func partners() []partner {
	return []partner{
		{"alpine", "Alpine Systemhaus", "de", "updates@alpine.example", "Alpine Systemhaus"},
		{"atlantic", "Atlantic Managed IT", "en", "service@atlantic.example", "Atlantic Managed IT"},
		{"nordic", "Nordic IT", "fi", "paivitykset@nordic.example", "Nordic IT"},
	}
}

// A tenant is a customer, with how many devices it has.
type tenant struct {
	id      fleet.TenantID
	name    string
	zone    string
	role    string
	devices int
}

// tenants are the twelve tenants: the operator's own, one direct customer, and
// ten that partners serve. They have 600 devices together.
func tenants() []tenant {
	return []tenant{
		{"alpine/edel-pharma", "Edel Pharma", "Europe/Zurich", "customer", 40},
		{"alpine/isar-media", "Isar Media", "Europe/Berlin", "customer", 40},
		{"alpine/matterhorn-tools", "Matterhorn Tools", "Europe/Zurich", "customer", 40},
		{"atlantic/clifton-law", "Clifton Law", "Europe/London", "customer", 40},
		{"atlantic/quay-brewery", "Quay Brewery", "Europe/Dublin", "customer", 40},
		{"atlantic/tidal-energy", "Tidal Energy", "Europe/Lisbon", "customer", 40},
		{"direct/city-museum", "City Museum", "Europe/Helsinki", "customer", 40},
		{"direct/example-msp", "Example MSP itself", "Europe/Helsinki", "own", 160},
		{"nordic/aurora-foods", "Aurora Foods", "Europe/Helsinki", "customer", 36},
		{"nordic/birch-school", "Birch School", "Europe/Stockholm", "customer", 40},
		{"nordic/harbour-logistics", "Harbour Logistics", "Europe/Helsinki", "customer", 44},
		{"nordic/pine-clinic", "Pine Clinic", "Europe/Stockholm", "customer", 40},
	}
}

// directory is the Entra tenant id of a tenant, derived from its name.
func directory(t fleet.TenantID) string { return guid("directory", string(t)) }

// guid is an id in the form of a GUID, derived from parts.
func guid(parts ...string) string {
	h := fleet.DeriveID(parts...)
	return fmt.Sprintf("%s-%s-4%s-8%s-%s", h[0:8], h[8:12], h[13:16], h[17:20], h[20:32])
}

// chance is a number from 0 up to 1 that follows from the seed and the names.
func chance(seed int64, parts ...string) float64 {
	d := fleet.DeriveID(append([]string{strconv.FormatInt(seed, 10)}, parts...)...)
	n, err := strconv.ParseUint(d[:8], 16, 32)
	if err != nil {
		panic("world: an id that is not hex: " + d)
	}
	return float64(n) / (1 << 32)
}
