package cli

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/bump"
	"github.com/packmill/packmill/internal/view"
)

// detected is the JSON form of detect.
type detected struct {
	At       time.Time    `json:"at"`
	Packages []detectedAs `json:"packages"`
	New      int          `json:"new"`
	Held     int          `json:"held"`
}

// detectedAs is one package's finding.
type detectedAs struct {
	Package   fleet.PackageID `json:"package"`
	Released  string          `json:"released"` // newest release, "" when there is none
	Found     string          `json:"found"`    // version upstream, "" when none was readable
	Published string          `json:"published,omitempty"`
	State     string          `json:"state"` // none, equal, new, watch, held
	Hold      string          `json:"hold,omitempty"`
	Why       string          `json:"why,omitempty"`
	// Fixes are the CVE ids that the version's notes name and CISA lists as
	// exploited of the package's products.
	Fixes []string `json:"fixes,omitempty"`
	// Agreement is who named which version, when the package has several sources.
	Agreement *fleet.Agreement `json:"agreement,omitempty"`
}

func newDetectCmd(a *app) *cobra.Command {
	var dry, deep bool
	cmd := &cobra.Command{
		Use:   "detect [PACKAGE...]",
		Short: "Ask upstreams for new versions",
		Long: `detect asks the upstream of each package for its newest version, compares it with
the newest release in the repository, and lists what it found: equal, new, or
held with the reason. It proposes nothing; packmill propose does.

A source that cannot be reached, that goes backwards, or whose answer is no
version is a hold in the list and no failure. Where npm, apt, Go and Python
packages come from is what this machine's own clients are set up with. What was
asked for is told at the end, beside the result (standard error).`,
		Example: `  packmill detect
  packmill detect igor-pavlov/7-zip --format json`,
		ValidArgsFunction: a.completePackages,
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "write nothing, not even the cache of answers")
	cmd.Flags().BoolVar(&deep, "bytes", false, "download the newest releases again and compare their digests")
	f := formatFlag(cmd, formatTable, formatJSON, formatCSV)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		mill, look, done, err := a.look(ctx, args)
		if err != nil {
			return err
		}
		defer done()
		look.Bytes = deep
		findings, err := mill.Detect(ctx, look)
		if err != nil {
			return err
		}
		if !dry {
			if err := mill.Upstream.Keep(); err != nil {
				return err
			}
		}
		if err := a.write(*f, detectResult(mill.Clock.Now(), findings)); err != nil {
			return err
		}
		fmt.Fprintln(a.stderr, "packmill:", spent(mill.Upstream.Summary()))
		return nil
	}
	return cmd
}

// look is what detection needs of the repository: the work tree, or main of a
// bare repository. The tree stays open until done.
func (a *app) look(ctx context.Context, args []string) (*factory.Factory, factory.Look, func(), error) {
	clock, err := a.clock()
	if err != nil {
		return nil, factory.Look{}, nil, err
	}
	repo, err := a.loadTree(ctx, "")
	if err != nil {
		return nil, factory.Look{}, nil, err
	}
	client, err := a.upstream(ctx, clock)
	if err != nil {
		return nil, factory.Look{}, nil, err
	}
	tree, done, err := a.openTree(ctx, "")
	if err != nil {
		return nil, factory.Look{}, nil, err
	}
	look := factory.Look{Repo: repo, Read: tree.Read}
	a.earlier(ctx, &look)
	for _, arg := range args {
		look.Packages = append(look.Packages, fleet.PackageID(arg))
	}
	return &factory.Factory{Clock: clock, Log: a.log(), Progress: a.progress(), Upstream: client}, look, done, nil
}

// earlier has a look ask the repository's evidence what earlier ones saw, and what
// people said of it. Without evidence nothing was seen or said before.
func (a *app) earlier(ctx context.Context, look *factory.Look) {
	read := sync.OnceValue(func() *fleet.Record {
		_, ledger, err := a.offline(ctx)
		if err == nil {
			var rec *fleet.Record
			if rec, err = ledger.Read(ctx); err == nil {
				return rec
			}
		}
		a.log().Debug("no evidence of earlier looks", "error", err)
		return &fleet.Record{}
	})
	seen := sync.OnceValue(func() func(fleet.PackageID) []bump.Sighting { return factory.Seen(read().Detections) })
	look.Seen = func(id fleet.PackageID) []bump.Sighting { return seen()(id) }
	look.Fixed = func(id fleet.PackageID, version string) []string {
		return factory.Fixed(read().Detections)(id, version)
	}
	look.Said = func(id fleet.PackageID, version string) []fleet.Command {
		return factory.Said(read().Commands)(id, version)
	}
}

// completePackages completes ids of packages.
func (a *app) completePackages(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	repo, err := a.loadTree(cmd.Context(), "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, id := range repo.PackageIDs() {
		out = append(out, string(id))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func detectResult(now time.Time, findings []factory.Finding) result {
	v := detected{At: now}
	t := view.Table{Columns: view.Cols("package", "released", "found", "state", "why"), Empty: "no packages"}
	for _, d := range findings {
		as := detectedAs{Package: d.Package, Released: d.Current, Found: d.Detection.Found, State: d.State, Hold: d.Hold, Why: d.Why, Fixes: d.Fixes, Agreement: d.Agreement}
		if at := d.Upstream.Published; !at.IsZero() {
			as.Published = at.Format(time.RFC3339)
		}
		v.Packages = append(v.Packages, as)
		switch d.State {
		case fleet.StateNew:
			v.New++
		case fleet.StateHeld:
			v.Held++
		}
		t.Add(string(d.Package), d.Current, d.Detection.Found, stateWords(d.Detection), whyWords(d.Detection))
	}
	return result{name: "detect", value: v, table: t}
}

// spent says what a run has asked for.
func spent(s upstream.Summary) string {
	text := fmt.Sprintf("requests: %d, not modified: %d, KiB received: %d", s.Requests, s.NotModified, (s.Bytes+1023)/1024)
	if s.GitHubLimit > 0 {
		text += fmt.Sprintf(", GitHub quota left: %d of %d", s.GitHubLeft, s.GitHubLimit)
	}
	return text
}

// whyWords are why something is held, or what a version fixes.
func whyWords(d fleet.Detection) string {
	if d.Why == "" && len(d.Fixes) > 0 {
		return "fixes what is known to be exploited: " + strings.Join(d.Fixes, " ")
	}
	return d.Why
}

// stateWords is the state, with the hold's name where there is one.
func stateWords(d fleet.Detection) string {
	if d.State == fleet.StateHeld {
		return fmt.Sprintf("held: %s", d.Hold)
	}
	return d.State
}
