package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/world"
)

func newSimCmd(a *app) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "sim --dir DIR",
		Short: "Serve the world of a demo again, to try commands on it",
		Long: `sim serves the simulators of a folder that demo made: the forge, Microsoft Graph,
the vendors. It prints the environment in which packmill works there and stays
until it is interrupted. The virtual clock stands at --now, or where the demo
ended.`,
		Example: `  packmill demo --dir week
  packmill sim --dir "$PWD/week" > week.env &
  sleep 2; . ./week.env; packmill cycle status -C week/work`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder of the demo")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if dir == "" {
			return usageErrorf("sim needs --dir, the folder of a demo")
		}
		return a.serveWorld(cmd.Context(), dir)
	}
	return cmd
}

// serveWorld serves until ctx ends. Being interrupted is how it is meant to
// end.
func (a *app) serveWorld(ctx context.Context, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "demo.json")); errors.Is(err, fs.ErrNotExist) {
		return &fleet.Error{Op: "cli.sim", Object: dir, Kind: fleet.Invalid, Err: errors.New("no demo was run in this folder"), Hint: "packmill demo --dir " + dir}
	}
	d := &demo{a: a, dir: dir}
	if err := d.load(); err != nil {
		return err
	}
	w, err := world.Open(ctx, world.Options{Dir: dir, Seed: d.journal.Seed})
	if err != nil {
		return err
	}
	defer w.Close()
	d.world = w
	now, err := a.simulatedNow(d)
	if err != nil {
		return err
	}
	w.SetTime(now)
	repo, err := gitrepo.Open(d.work())
	if err != nil {
		return err
	}
	if err := repo.SetRemote(w.RemoteURL()); err != nil {
		return err
	}
	env := w.Env(world.Bot)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(a.stdout, "export %s='%s'\n", name, strings.ReplaceAll(env[name], "'", `'\''`))
	}
	fmt.Fprintf(a.stderr, "packmill: the world stands at %s; use --now %s with commands on %s. Ctrl-C ends it.\n", now.Format(time.RFC3339), now.Format(time.RFC3339), d.work())
	<-ctx.Done()
	return nil
}

// simulatedNow is --now, or the instant of the demo's newest line.
func (a *app) simulatedNow(d *demo) (time.Time, error) {
	if a.now != "" {
		clock, err := a.clock()
		if err != nil {
			return time.Time{}, err
		}
		return clock.Now(), nil
	}
	now := d.world.Now()
	for _, e := range d.journal.Events {
		if e.At.After(now) {
			now = e.At
		}
	}
	return now, nil
}
