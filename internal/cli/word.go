package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
)

// wordReport is a person's word as JSON.
type wordReport struct {
	fleet.Word

	Recorded bool `json:"recorded"` // false: not done for lack of --yes, or said before
}

// wordFlags are what the commands that record a word have in common.
type wordFlags struct {
	wave, reason, by string
	format           *format
}

func (a *app) wordFlags(cmd *cobra.Command, w *wordFlags) {
	w.format = formatFlag(cmd, formatText, formatJSON)
	a.yesFlag(cmd)
	cmd.Flags().StringVar(&w.wave, "wave", "", "the wave it is about")
	cmd.Flags().StringVar(&w.by, "by", "", "login of the person who says it (in GitHub Actions: who started the run)")
}

func newCycleObjectCmd(a *app) *cobra.Command {
	var w wordFlags
	var withdraw bool
	cmd := &cobra.Command{
		Use:   "object CYCLE PACKAGE --wave WAVE --reason TEXT",
		Short: "Object to a release in a wave, or take that back",
		Long: `object records in evidence that a person objects to a release in a wave. The wave
does not pass the release while the objection is open, whatever its devices
report. The person who objected takes it back with --withdraw; or people merge the
next approval in the knowledge of it.`,
		Args: cobra.ExactArgs(2),
	}
	a.wordFlags(cmd, &w)
	cmd.Flags().StringVar(&w.reason, "reason", "", "why, for the people who decide")
	cmd.Flags().BoolVar(&withdraw, "withdraw", false, "take an objection back")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind := fleet.Objection
		if withdraw {
			kind = fleet.Withdrawn
		}
		return a.say(cmd, args, kind, w)
	}
	return cmd
}

func newCycleSignoffCmd(a *app) *cobra.Command {
	var w wordFlags
	cmd := &cobra.Command{
		Use:   "signoff CYCLE PACKAGE --wave WAVE",
		Short: "Sign a release off in a wave",
		Long: `signoff records in evidence that an approver has looked at a release in a wave and
lets it go on. A gate that asks for sign-offs does not pass a release before it has
as many, from different persons.`,
		Args: cobra.ExactArgs(2),
	}
	a.wordFlags(cmd, &w)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.say(cmd, args, fleet.SignOff, w) }
	return cmd
}

// say records a word, or tells what it would record.
func (a *app) say(cmd *cobra.Command, args []string, kind string, w wordFlags) error {
	if w.wave == "" {
		return usageErrorf("--wave WAVE names the wave it is about")
	}
	by, err := a.speaker(w.by)
	if err != nil {
		return err
	}
	mill, _, err := a.factory(cmd.Context())
	if err != nil {
		return err
	}
	facts, err := mill.Observe(cmd.Context())
	if err != nil {
		return err
	}
	word := fleet.Word{
		Cycle: fleet.CycleID(args[0]), Wave: w.wave, Package: fleet.PackageID(args[1]), Kind: kind, By: by, Reason: w.reason, At: mill.Clock.Now(),
	}
	stands, err := mill.CheckWord(facts, word)
	if err != nil {
		return err
	}
	p := wordReport{Word: word}
	said := map[string]string{fleet.Objection: "objects to", fleet.Withdrawn: "objects no longer to", fleet.SignOff: "signs off"}[kind]
	text := fmt.Sprintf("%s %s %s in wave %s of %s", by, said, word.Package, word.Wave, word.Cycle)
	switch {
	case stands:
		text += ": said before"
	case !a.yes:
		text = "would record: " + text + "; --yes does it"
	default:
		if err := mill.Say(cmd.Context(), facts, word); err != nil {
			return err
		}
		p.Recorded = true
	}
	return a.write(*w.format, result{name: "word", value: p, text: text + "\n"})
}

// speaker is whose word it is: in a run that a person started on GitHub, that
// person's and nobody else's.
func (a *app) speaker(by string) (string, error) {
	actor := a.getenv("GITHUB_ACTOR")
	switch {
	case actor == "" && by == "":
		return "", usageErrorf("--by LOGIN names the person who says it")
	case actor != "" && by != "" && !strings.EqualFold(actor, by):
		return "", &fleet.Error{Op: "cli.word", Object: by, Kind: fleet.Refused, Err: errors.New("this run was started by " + actor), Hint: "who says it starts the run"}
	case actor != "":
		return actor, nil
	}
	return by, nil
}
