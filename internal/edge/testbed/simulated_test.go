package testbed

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

const allPassed = "absent:passed install:passed detect:passed launch:skipped uninstall:passed gone:passed upgrade:passed rollback:passed"

func TestSimulated(t *testing.T) {
	msi := func(version, code string) Candidate {
		return Candidate{Version: version, Download: fleet.Download{MSI: &fleet.MSIFacts{ProductCode: code, UpgradeCode: "{U}", ProductVersion: version + ".0"}}}
	}
	exe := func(version, file string) Candidate {
		return Candidate{Version: version, Download: fleet.Download{PE: &fleet.PEFacts{FileVersion: file}}}
	}
	deb := func(version, name string) Candidate {
		return Candidate{Version: version, Download: fleet.Download{Deb: &fleet.DebFacts{Package: name, Version: version + "-1"}}}
	}
	plain := func(version string) Candidate { return Candidate{Version: version} }
	file := fleet.Detect{Operator: "=", File: &fleet.FileRule{Path: `%ProgramFiles%\W\w.exe`, Version: true}}
	anyFile := fleet.Detect{Operator: "=", File: &fleet.FileRule{Path: `%ProgramFiles%\W\w.exe`}}
	value := fleet.Detect{Operator: "=", Registry: &fleet.RegistryRule{Key: `HKLM\W`, Value: "V", View: 64}}
	atLeast := value
	atLeast.Operator = ">="
	for name, c := range map[string]struct {
		rule           fleet.Detect
		previous, this Candidate
		want, detail   string
	}{
		"msi":       {fleet.Detect{Operator: "=", MSIProduct: true}, msi("1.0", "{A}"), msi("1.1", "{B}"), allPassed, ""},
		"file":      {file, exe("1.0", "1.0.0.0"), exe("1.1", "1.1.0.0"), allPassed, ""},
		"registry":  {value, plain("1.0"), plain("1.1"), allPassed, ""},
		"at least":  {atLeast, plain("1.0"), plain("1.1"), allPassed, ""},
		"deb":       {fleet.Detect{Operator: "=", Package: "w"}, deb("1.0", "w"), deb("1.1", "w"), allPassed, ""},
		"bundle":    {fleet.Detect{Operator: "=", Bundle: "org.example.w"}, plain("1.0"), plain("1.1"), allPassed, ""},
		"same code": {fleet.Detect{Operator: "=", MSIProduct: true}, msi("1.0", "{A}"), msi("1.1", "{A}"), allPassed, ""},
		"the file has another version than the release": {file, exe("1.0", "7.0"), exe("1.1", "7.1"),
			"absent:passed install:passed detect:failed launch:skipped uninstall:skipped gone:skipped upgrade:failed rollback:skipped", "is 7.1"},
		"the rule cannot tell releases apart": {anyFile, exe("1.0", "1.0"), exe("1.1", "1.1"),
			"absent:passed install:passed detect:passed launch:skipped uninstall:passed gone:passed upgrade:failed rollback:skipped", "1.1 is detected already"},
		"the rule names another package": {fleet.Detect{Package: "v"}, deb("1.0", "w"), deb("1.1", "w"),
			"absent:passed install:passed detect:failed launch:skipped uninstall:skipped gone:skipped upgrade:failed rollback:skipped", "package v is not there"},
		"the product code is not known": {fleet.Detect{MSIProduct: true}, plain("1.0"), plain("1.1"),
			"absent:passed install:failed detect:skipped launch:skipped uninstall:skipped gone:skipped upgrade:failed rollback:skipped", "product code"},
		"a newer release is there with an at-least rule": {atLeast, plain("1.2"), plain("1.1"),
			"absent:passed install:passed detect:passed launch:skipped uninstall:passed gone:passed upgrade:failed rollback:skipped", "1.1 is detected already"},
	} {
		in := fleet.Installer{Detect: []fleet.Detect{c.rule}}
		if c.this.Download.PE != nil {
			in.Type = "portable" // only there the file that was read is the one that devices have
		}
		spec := Spec{
			Package:   fleet.Package{ID: "example/w", Rollback: "previous", Installers: map[string]fleet.Installer{"x64": in}},
			Installer: "x64", This: c.this, Previous: &c.previous,
		}
		steps, err := Simulated{}.Run(t.Context(), spec)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := results(steps, strings.Fields(c.want)); !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%s\n got %v\nwant %v\n%+v", name, got, c.want, steps)
		}
		failed := slices.IndexFunc(steps, func(s fleet.TestStep) bool { return s.Result == "failed" })
		if failed >= 0 && !strings.Contains(steps[failed].Detail, c.detail) {
			t.Errorf("%s: %s says %q", name, steps[failed].Name, steps[failed].Detail)
		}
	}
}

// TestSimulatedConfiguration: a configuration's script finds its own release
// only, and one without a release before has nothing to upgrade from.
func TestSimulatedConfiguration(t *testing.T) {
	spec := Spec{
		Package: fleet.Package{ID: "example/policy", Kind: "configuration", Rollback: "uninstall", Settings: map[string]fleet.Setting{
			"lock": {Scripts: &fleet.SettingScripts{Detect: "files/detect.ps1", Remediate: "files/set.ps1", Revert: "files/revert.ps1"}}}},
		Installer: "lock", This: Candidate{Version: "2"}, Previous: &Candidate{Version: "1"},
	}
	steps, err := Simulated{}.Run(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:skipped", "uninstall:passed", "gone:passed", "upgrade:passed", "rollback:passed")
	spec.Previous = nil
	steps, err = Simulated{}.Run(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "absent:passed", "install:passed", "detect:passed", "launch:skipped", "uninstall:passed", "gone:passed", "upgrade:skipped", "rollback:skipped")
	spec.Installer = "no-such-setting"
	if _, err := (Simulated{}).Run(t.Context(), spec); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("an installer that is not there: %v", err)
	}
}

// A faulty endpoint fails in a way of the test's choice.
type faulty struct {
	imagined
	onInstall, onClose error
	closed             *int
}

func (f *faulty) install(ctx context.Context, it item) (string, error) {
	if f.onInstall != nil {
		return "", f.onInstall
	}
	return f.imagined.install(ctx, it)
}

func (f *faulty) close() error {
	*f.closed++
	return f.onClose
}

// TestLifecycleErrors: what goes wrong with a device is an error of the run and
// never a verdict on the package, and every device that was opened is closed.
func TestLifecycleErrors(t *testing.T) {
	broken := errors.New("the device broke")
	in := fleet.Installer{Detect: []fleet.Detect{{Registry: &fleet.RegistryRule{Key: `HKLM\W`, Value: "V"}}}}
	spec := Spec{Package: fleet.Package{ID: "example/w", Installers: map[string]fleet.Installer{"x64": in}}, Installer: "x64", This: Candidate{Version: "2"}, Previous: &Candidate{Version: "1"}}
	for name, c := range map[string]struct {
		devices []*faulty
		closed  int
	}{
		"first device":      {[]*faulty{{onInstall: broken}}, 1},
		"second device":     {[]*faulty{{}, {onInstall: broken}}, 2},
		"second not opened": {[]*faulty{{}}, 1},
		"does not close":    {[]*faulty{{onClose: broken}, {}}, 1},
	} {
		closed, opened := 0, 0
		_, err := lifecycle(t.Context(), spec, 1, func(context.Context, *transcript) (endpoint, error) {
			if opened == len(c.devices) {
				return nil, broken
			}
			d := c.devices[opened]
			d.imagined, d.closed = *newImagined(), &closed
			opened++
			return d, nil
		})
		if !errors.Is(err, broken) || closed != c.closed {
			t.Errorf("%s: %v, %d closed", name, err, closed)
		}
	}
}
