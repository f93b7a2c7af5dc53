package graph_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
	"github.com/packmill/packmill/internal/transport"
)

// BenchmarkDemoWeek rolls six packages out to twelve tenants of fifty devices,
// candidate and then stable, and reads every report: the load of the demo. It
// tells what one publication costs.
func BenchmarkDemoWeek(b *testing.B) {
	const tenants, packages = 12, 6
	for b.Loop() {
		clock := fleet.NewManualClock(monday)
		o := graph.Options{Dir: b.TempDir(), Now: clock.Now, Seed: 1, Lag: 1, Silence: 0.02}
		for i := range tenants {
			o.Tenants = append(o.Tenants, graph.Tenant{Directory: fmt.Sprintf("7f6e1c52-0000-4000-8000-0000000000%02d", i), Devices: devices(50)})
		}
		server, err := graph.New(o)
		if err != nil {
			b.Fatal(err)
		}
		srv := httptest.NewServer(server)
		for _, t := range o.Tenants {
			c := dial(b, msgraph.Options{
				BaseURL: srv.URL, Directory: t.Directory, Token: msgraph.Static(server.Token(t.Directory)), Clock: fleet.NewManualClock(monday),
				Transport: transport.New(transport.Options{Clock: clock, AllowLoopback: true}),
			})
			rollTenant(b, intune.New(c, intune.Options{}), packages)
		}
		srv.Close()
		if err := server.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N*tenants*packages*2), "ms/publication")
}

func rollTenant(b *testing.B, c *intune.Client, packages int) {
	b.Helper()
	ctx := context.Background()
	group := must[string](b)(c.Group(ctx, "everyone", ids(must[[]fleet.Device](b)(c.Inventory(ctx)))))
	for i := range packages {
		for _, slot := range []string{fleet.Candidate, fleet.Stable} {
			app, content := release(b, slot, fmt.Sprintf("24.%02d", i), 5000)
			app.Package = fleet.PackageID(fmt.Sprintf("demo/package-%d", i))
			if _, err := c.Publish(ctx, app, content); err != nil {
				b.Fatal(err)
			}
			if err := c.Assign(ctx, app.Package, slot, []fleet.Target{{Intent: "required", Group: group}}); err != nil {
				b.Fatal(err)
			}
			if _, err := c.Statuses(ctx, app.Package, slot); err != nil {
				b.Fatal(err)
			}
		}
	}
}
