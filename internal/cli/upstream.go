package cli

import (
	"context"
	"os"
	"os/exec"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
)

// upstream is the client of this run, reaching vendors as this machine's own
// package clients do.
func (a *app) upstream(ctx context.Context, clock fleet.Clock) (*upstream.Client, error) {
	machine := upstream.Machine{Getenv: a.getenv, Root: os.DirFS("/"), Run: runOutside}
	config := machine.Config(ctx)
	config.Clock = clock
	config.UserAgent = "packmill/" + buildVersion()
	var err error
	if config.CacheDir, err = a.cacheDir("upstream"); err != nil {
		return nil, err
	}
	return upstream.New(config), nil
}

// runOutside runs a program outside of the repository, whose configuration
// files come with pull requests.
func runOutside(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = os.TempDir()
	return cmd.Output()
}

// wireUpstream gives the factory the vendors.
func (a *app) wireUpstream(f *factory.Factory) error {
	client, err := a.upstream(context.Background(), f.Clock)
	if err != nil {
		return err
	}
	f.Upstream = client
	return nil
}
