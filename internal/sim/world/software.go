package world

import (
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

// programNamed is what Windows lists a package's program as; a configuration is
// in no list.
func programNamed(id fleet.PackageID) graph.Software {
	for _, a := range apps() {
		if a.id == id {
			return graph.Software{Name: fmt.Sprintf("%s %s (x64)", a.name, a.before), Publisher: a.vendor}
		}
	}
	return graph.Software{}
}

// software is what a device has beside the catalog's packages: programs that some
// tenants use and that nobody packages yet, and what comes with Windows.
func (t tenant) software(seed int64, device string) []graph.Software {
	out := []graph.Software{{Name: "Microsoft.WindowsCalculator", Publisher: "Microsoft Corporation", Version: "11.2411.1.0"}}
	for _, p := range []struct {
		graph.Software
		tenants, devices float64 // share of tenants that use it, and of their devices
	}{
		{graph.Software{Name: "Adatum PDF Reader (64-bit)", Publisher: "Adatum Corporation", Version: "24.5.1"}, 0.9, 0.8},
		{graph.Software{Name: "Coho Remote Support", Publisher: "Coho Vineyard", Version: "15.60"}, 0.6, 0.3},
		{graph.Software{Name: "Proseware Label Printer 7.2", Publisher: "Proseware, Inc.", Version: "7.2"}, 0.3, 0.2},
	} {
		if chance(seed, "uses", p.Name, string(t.id)) < p.tenants && chance(seed, "has", p.Name, device) < p.devices {
			out = append(out, p.Software)
		}
	}
	return out
}
