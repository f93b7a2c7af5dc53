package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/sim/rehearsal"
	"github.com/packmill/packmill/internal/sim/world"
)

// stepNames are the names of the demo's steps, in order.
func stepNames() []string {
	var out []string
	for _, s := range demoSteps() {
		out = append(out, s.name)
	}
	return out
}

// model is how the demo's week goes on: what its devices draw from, when
// packmill runs, who merges what, and where the runner is killed.
func (d *demo) model() rehearsal.Model {
	m := world.Model(d.journal.Seed)
	people := map[string]int{} // branch → index
	for _, s := range demoSteps() {
		moment := rehearsal.Moment{At: s.at, Step: s.name}
		switch i, known := people[s.branch]; {
		case s.mill:
			m.Runs.At = append(m.Runs.At, moment)
			if s.name == killStep && d.journal.KillAt != neverKill {
				m.Kills = append(m.Kills, d.journal.KillAt.rehearsed(s.name))
			}
		case s.branch != "" && known:
			m.People[i].At = append(m.People[i].At, moment)
		case s.branch != "":
			people[s.branch] = len(m.People)
			m.People = append(m.People, rehearsal.Person{Branch: s.branch, Login: world.Oskar, Approves: oskar, Merges: ines, At: []rehearsal.Moment{moment}})
		}
	}
	return m
}

// keepModel puts the model where simulate finds it: with the clone, and not in
// its history. A guess is no desired state.
func (d *demo) keepModel() error {
	repo, err := gitrepo.Open(d.work())
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := writeDocument(&b, "rehearsal", d.model()); err != nil {
		return err
	}
	file := modelFile(repo)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// modelFile is where a clone keeps the model that it is rehearsed against.
func modelFile(repo *gitrepo.Repo) string {
	return filepath.Join(repo.Dir(), "packmill", "rehearsal.json")
}

// pause says how a week goes on that was stopped on purpose.
func (d *demo) pause() {
	w := d.a.stdout
	fmt.Fprintf(w, "\nThe week stops before %s.\n\n", d.until)
	for _, line := range [][2]string{
		{d.program() + " simulate 2026-W47 -C " + d.work(), "what will happen, on a virtual clock"},
		{d.program() + " demo --dir " + d.dir, "the rest of the week"},
	} {
		fmt.Fprintf(w, "  %s\n      %s\n", line[0], line[1])
	}
}
