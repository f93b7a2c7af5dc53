package graph_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/wrapper"
	"github.com/packmill/packmill/internal/sim/graph"
)

// TestWrapped publishes wrapped content for a tenant with windows: devices run
// what packmill.json says, and fail where that is not in the content.
func TestWrapped(t *testing.T) {
	for name, c := range map[string]struct {
		file string // that packmill.json installs
		want string
	}{
		"whole": {"7zip.msi", "installed 24.09"}, "without the installer": {"7-zip.msi", "failed 24.09"},
	} {
		w := newWorld(t, func(o *graph.Options) { o.Tenants = []graph.Tenant{{Directory: nordic, Devices: devices(20)}} })
		app, _ := release(t, fleet.Stable, "24.09", 5000)
		app.Windows = []fleet.Window{{On: []string{"Mon"}, From: "22:00", Until: "04:00", For: []string{"install"}}}
		setup, err := wrapper.Make(fleet.Package{
			ID: pkg, Installers: map[string]fleet.Installer{"x64": app.Installer},
			Releases: map[string]fleet.Release{"24.09": {Installers: map[string]fleet.Download{"x64": app.Download}}},
		}, "24.09", "x64", c.file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := setup.Encode()
		if err != nil {
			t.Fatal(err)
		}
		content := container(t, map[string][]byte{"7zip.msi": []byte("msi"), wrapper.ScriptName: wrapper.Script(), wrapper.SetupName: data})
		app.File.Digest, app.File.Size = fleet.DigestOf(content), int64(len(content))
		client := w.client(nordic)
		state, err := client.Publish(t.Context(), app, opener(content))
		if err != nil {
			t.Fatal(err)
		}
		line, _ := w.get("/beta/deviceAppManagement/mobileApps/" + state.ID)["installCommandLine"].(string)
		if !strings.HasSuffix(line, "-Mode Install -Window Mon@22:00-04:00") {
			t.Errorf("%s: command line %q", name, line)
		}
		assign(t, client, fleet.Stable, fleet.Target{Intent: "required", Group: "all devices"})
		w.clock.Set(w.clock.Now().Add(2 * time.Hour))
		if got, want := states(t, client, fleet.Stable), map[string]int{c.want: 20}; !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
