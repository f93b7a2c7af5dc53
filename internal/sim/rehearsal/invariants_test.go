package rehearsal

import (
	"errors"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An invariant is something that no rollout may ever break. Its check runs on
// the world as production has it, where it must hold, and on one world for each
// of its guards with that guard switched off, where the very same check must
// find what then breaks: else it would not find it in production either.
type invariant struct {
	number int
	name   string
	check  func(w *world) error
	guards []guard
}

// A guard is what keeps an invariant, and how a world loses it.
type guard struct {
	name string
	off  func(w *world)
}

// errTooLittle says that a check saw too little to say anything.
var errTooLittle = errors.New("the check looked at too little")

// enough is an error where a check saw fewer things than it should.
func enough(want, saw int, what string) error {
	if saw < want {
		return fmt.Errorf("%w: %d %s, not %d", errTooLittle, saw, what, want)
	}
	return nil
}

// invariants are all of them but number 25, in order: audits are of factory,
// which has that one, in the same form.
func invariants() []invariant {
	return slices.Concat(aboutIntents(), aboutStopping(), aboutFacts(), aboutGates(), aboutTime(), aboutReleases(), aboutRunners())
}

// holds proves one invariant, and that each of its guards is needed for it.
func holds(t *testing.T, number int) {
	t.Helper()
	for _, i := range invariants() {
		if i.number != number {
			continue
		}
		if err := i.check(newWorld(t)); err != nil {
			t.Errorf("invariant %d, %s: %v", number, i.name, err)
		}
		for _, g := range i.guards {
			w := newWorld(t)
			g.off(w)
			switch err := i.check(w); {
			case err == nil:
				t.Errorf("invariant %d, %s: the check sees nothing where %s", number, i.name, g.name)
			case errors.Is(err, errTooLittle):
				t.Errorf("invariant %d, %s: where %s: %v", number, i.name, g.name, err)
			default:
				t.Logf("where %s: %v", g.name, err)
			}
		}
		return
	}
	t.Fatalf("there is no invariant %d", number)
}

func TestInvariant01EveryChangeHasAnEarlierIntent(t *testing.T)       { holds(t, 1) }
func TestInvariant02EveryIntentIsCoveredByAMerge(t *testing.T)        { holds(t, 2) }
func TestInvariant03NextWaveOnlyAfterAPass(t *testing.T)              { holds(t, 3) }
func TestInvariant04OnlyReceiptsOfTheWaveCount(t *testing.T)          { holds(t, 4) }
func TestInvariant05NoIntentAfterAFail(t *testing.T)                  { holds(t, 5) }
func TestInvariant06AChunkAtMostAfterARevocation(t *testing.T)        { holds(t, 6) }
func TestInvariant07QuietMeansNobodyRunsTheRevoked(t *testing.T)      { holds(t, 7) }
func TestInvariant08NoChangeAfterAWayBack(t *testing.T)               { holds(t, 8) }
func TestInvariant09EvidenceOnlyAdds(t *testing.T)                    { holds(t, 9) }
func TestInvariant10DeriveIsDeterministicAndMonotone(t *testing.T)    { holds(t, 10) }
func TestInvariant11EqualInputsGiveEqualPlans(t *testing.T)           { holds(t, 11) }
func TestInvariant12MembershipIsFrozenAndPartitions(t *testing.T)     { holds(t, 12) }
func TestInvariant13AnEmptyWaveNeverPasses(t *testing.T)              { holds(t, 13) }
func TestInvariant14MissingThresholdsFailClosed(t *testing.T)         { holds(t, 14) }
func TestInvariant15NothingOutsideWhatATenantAllows(t *testing.T)     { holds(t, 15) }
func TestInvariant16DeadlinesAreFeasibleOrTheCheckFails(t *testing.T) { holds(t, 16) }
func TestInvariant17AnotherPartyNeverLoosens(t *testing.T)            { holds(t, 17) }
func TestInvariant18TheRevokedNeverReturns(t *testing.T)              { holds(t, 18) }
func TestInvariant19ReleaseCounterNeverFalls(t *testing.T)            { holds(t, 19) }
func TestInvariant20OneOpenEntryPerSlot(t *testing.T)                 { holds(t, 20) }
func TestInvariant21NobodyStarves(t *testing.T)                       { holds(t, 21) }
func TestInvariant22KilledAnywhereEndsTheSame(t *testing.T)           { holds(t, 22) }
func TestInvariant23TwoRunnersEndTheSame(t *testing.T)                { holds(t, 23) }
func TestInvariant24LateRunnersStayInWindows(t *testing.T)            { holds(t, 24) }
func TestInvariant26ReplayIsWhatWasDerived(t *testing.T)              { holds(t, 26) }
func TestInvariant27NothingFiresAfterAHalt(t *testing.T)              { holds(t, 27) }

// TestInvariantsAreAll proves that the table has every number once with a guard
// to switch off, and that each has its test here or, for the audit, in factory.
func TestInvariantsAreAll(t *testing.T) {
	tests := map[string]int{}
	for _, dir := range []string{".", filepath.Join("..", "..", "factory")} {
		files, err := filepath.Glob(filepath.Join(dir, "invariant*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			file, err := goparser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "TestInvariant") {
					tests[f.Name.Name[:min(len(f.Name.Name), len("TestInvariant")+2)]]++
				}
			}
		}
	}
	all := invariants()
	for n := 1; n <= 27; n++ {
		if found := tests[fmt.Sprintf("TestInvariant%02d", n)]; found != 1 {
			t.Errorf("%d tests of invariant %d", found, n)
		}
		if n == 25 {
			continue
		}
		if len(all) == 0 || all[0].number != n || all[0].check == nil || len(all[0].guards) == 0 || all[0].name == "" {
			t.Fatalf("the table lacks invariant %d, or its guards", n)
		}
		all = all[1:]
	}
	if len(all) > 0 {
		t.Errorf("the table has more than all: %+v", all)
	}
}
