package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/world"
	"github.com/packmill/packmill/internal/view"
)

// demoSummary is what demo --format json prints.
type demoSummary struct {
	Repository string       `json:"repository"` // the bare repository
	Seed       int64        `json:"seed"`
	Cycle      string       `json:"cycle"`
	Packages   demoPackages `json:"packages"`
	Tenants    int          `json:"tenants"`
	Devices    int          `json:"devices"`
	Events     []view.Event `json:"events"`
}

type demoPackages struct {
	Released []string `json:"released"`
	Halted   []string `json:"halted"`
	Held     []string `json:"held"`
}

func newDemoCmd(a *app) *cobra.Command {
	var dir, killAt, until string
	var seed int64
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole week on an embedded world, offline, in seconds",
		Long: `demo runs one week of an invented operator: twelve tenants, 600 devices, six
packages. Vendors, the forge, Microsoft Graph and the mailbox are simulators on
loopback; every step is a packmill process of its own, as a workflow would run
it. The repositories stay on disk to look into.

A demo that was interrupted, or stopped with --until, goes on where it stopped
when it is given the same --dir again. Before the wave "dogfood", packmill
simulate tells from the clone in the folder "work" what will happen.`,
		Args: cobra.NoArgs,
	}
	format := formatFlag(cmd, formatText, formatJSON)
	cmd.Flags().StringVar(&dir, "dir", "", "where to put the world (default a new temporary folder)")
	cmd.Flags().Int64Var(&seed, "seed", 1, "vary which devices fail and stay silent")
	cmd.Flags().StringVar(&killAt, "kill-at", string(afterCall), "where the runner is killed once: "+strings.Join(killPoints(), ", ")+", or never")
	cmd.Flags().StringVar(&until, "until", "", "stop before a step: "+strings.Join(stepNames(), ", "))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if until != "" && !slices.Contains(stepNames(), until) {
			return usageErrorf("--until %q is not one of %s", until, strings.Join(stepNames(), ", "))
		}
		d, err := a.newDemo(cmd.Context(), dir, seed, killPoint(killAt))
		if err != nil {
			return err
		}
		defer d.close()
		if err := d.sameWeek(cmd.Flags().Changed, seed, killPoint(killAt)); err != nil {
			return err
		}
		d.quiet, d.until = *format == formatJSON, until
		started := time.Now()
		d.heading()
		if err := d.run(cmd.Context()); err != nil {
			if cmd.Context().Err() != nil {
				fmt.Fprintf(a.stderr, "packmill: to go on: %s demo --dir %s\n", d.program(), d.dir)
			}
			return err
		}
		summary, err := d.summary(cmd.Context())
		if err != nil {
			return err
		}
		if *format == formatJSON {
			return a.write(*format, result{name: "demo", value: summary})
		}
		if until != "" {
			d.pause()
			return nil
		}
		d.ending(summary, time.Since(started))
		return nil
	}
	return cmd
}

// A demo is one week on the embedded world.
type demo struct {
	a       *app
	dir     string
	exe     string
	world   *world.World
	quiet   bool
	until   string         // step before which run ends, "" for none
	watch   event.Observer // told of everything too; tests die here
	journal demoJournal

	mu     sync.Mutex  // guards what follows: simulators call observe from many goroutines
	armed  *os.Process // the child that is to be killed, nil for none
	passed int         // how often it has passed the point
	killed bool
}

// A demoJournal is what a later run needs to go on: kept in demo.json,
// rewritten after every step.
type demoJournal struct {
	Seed   int64        `json:"seed"`
	KillAt killPoint    `json:"killAt"`
	Killed bool         `json:"killed"` // the planned kill has happened
	Done   []string     `json:"done"`
	Events []view.Event `json:"events"`
}

func (a *app) newDemo(ctx context.Context, dir string, seed int64, kill killPoint) (*demo, error) {
	if kill != neverKill && !slices.Contains(killPoints(), string(kill)) {
		return nil, usageErrorf("--kill-at %q is not one of %s or never", kill, strings.Join(killPoints(), ", "))
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "packmill-demo-"); err != nil {
			return nil, err
		}
	}
	d := &demo{a: a, dir: dir, exe: exe, journal: demoJournal{Seed: seed, KillAt: kill}}
	if err := d.load(); err != nil {
		return nil, err
	}
	if d.world, err = world.Open(ctx, world.Options{Dir: dir, Seed: d.journal.Seed, Observer: d.observe}); err != nil {
		return nil, err
	}
	if len(d.journal.Done) > 0 {
		_, err = d.clone(ctx) // the forge has another port now
	}
	return d, err
}

func (d *demo) close() { d.world.Close() }

// sameWeek refuses flags that ask for another week than the one in the folder.
func (d *demo) sameWeek(changed func(flag string) bool, seed int64, kill killPoint) error {
	if (!changed("seed") || seed == d.journal.Seed) && (!changed("kill-at") || kill == d.journal.KillAt) {
		return nil
	}
	return &fleet.Error{Op: "demo", Object: d.dir, Kind: fleet.Invalid, Hint: "name another folder with --dir",
		Err: fmt.Errorf("the week in this folder was begun with --seed %d --kill-at %s", d.journal.Seed, d.journal.KillAt)}
}

// heading says where the world is and what the times mean.
func (d *demo) heading() {
	if !d.quiet {
		fmt.Fprintf(d.a.stdout, "The world is in %s. Times are the operator's (Europe/Helsinki), from Tue 17 to Tue 24 November 2026.\n\n", d.dir)
	}
}

func (d *demo) journalFile() string { return filepath.Join(d.dir, "demo.json") }

// load reads the journal of an earlier run in the same folder. A folder with
// anything else in it is left alone.
func (d *demo) load() error {
	data, err := os.ReadFile(d.journalFile())
	if errors.Is(err, os.ErrNotExist) {
		if list, err := os.ReadDir(d.dir); err == nil && len(list) > 0 {
			return &fleet.Error{Op: "demo", Object: d.dir, Kind: fleet.Invalid, Err: errors.New("the folder is not empty and holds no demo"), Hint: "name another folder with --dir"}
		}
		if err := os.MkdirAll(d.dir, 0o755); err != nil {
			return err
		}
		return d.save()
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &d.journal); err != nil {
		return &fleet.Error{Op: "demo", Object: d.journalFile(), Kind: fleet.Invalid, Err: err, Hint: "name another folder with --dir"}
	}
	return nil
}

// save replaces the journal in one step.
func (d *demo) save() error {
	data, err := json.MarshalIndent(d.journal, "", "\t")
	if err != nil {
		return err
	}
	temp := d.journalFile() + ".new"
	if err := os.WriteFile(temp, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, d.journalFile())
}

// run goes through the steps that are not done yet.
func (d *demo) run(ctx context.Context) error {
	if len(d.journal.Done) > 0 {
		for _, e := range d.journal.Events {
			d.print(e)
		}
		if err := d.keepModel(); err != nil {
			return err
		}
	}
	for _, s := range demoSteps() {
		if s.name == d.until {
			return nil
		}
		d.world.SetTime(s.at)
		if slices.Contains(d.journal.Done, s.name) {
			continue
		}
		if err := s.do(d, ctx, s); err != nil {
			return fmt.Errorf("demo step %s: %w", s.name, err)
		}
		d.journal.Done = append(d.journal.Done, s.name)
		if err := d.save(); err != nil {
			return err
		}
	}
	return nil
}

// tell adds a line to the story.
func (d *demo) tell(s demoStep, format string, args ...any) {
	d.add(view.Event{At: s.at, Step: s.name, Text: fmt.Sprintf(format, args...)})
}

func (d *demo) add(e view.Event) {
	d.journal.Events = append(d.journal.Events, e)
	d.print(e)
}

func (d *demo) print(e view.Event) {
	if d.quiet {
		return
	}
	zone := world.Zone()
	fmt.Fprintf(d.a.stdout, "%s  %s\n", e.At.In(zone).Format("Mon 02 15:04"), e.Text)
}
