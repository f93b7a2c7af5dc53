package forge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A state is what the forge knows beside git's own refs and objects. It is
// written as a whole after each change.
type state struct {
	LastID   int64       `json:"lastID"` // of anything
	Created  time.Time   `json:"created"`
	Pulls    []*pull     `json:"pulls"` // number n at index n-1; issues that are none stand among them
	Labels   []*label    `json:"labels"`
	Statuses []*status   `json:"statuses"`
	Runs     []*checkRun `json:"runs"`
	Pending  *pending    `json:"pending,omitempty"`
}

// A pending merge was decided but may not have reached the ref.
type pending struct {
	Number int       `json:"number"`
	Base   string    `json:"base"` // where the branch stood
	Commit string    `json:"commit"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

type pull struct {
	ID       int64      `json:"id"`
	Number   int        `json:"number"`
	Title    string     `json:"title"`
	Body     string     `json:"body"`
	Author   string     `json:"author"`
	Base     string     `json:"base"`    // branch
	BaseSHA  string     `json:"baseSHA"` // where it stood
	Branch   string     `json:"branch"`
	Head     string     `json:"head"`
	Open     bool       `json:"open"`
	Created  time.Time  `json:"created"`
	Updated  time.Time  `json:"updated"`
	Closed   time.Time  `json:"closed,omitzero"`
	Merged   time.Time  `json:"merged,omitzero"`
	MergedBy string     `json:"mergedBy,omitempty"`
	Commit   string     `json:"commit,omitempty"`
	Labels   []string   `json:"labels,omitempty"`
	Reviews  []*review  `json:"reviews,omitempty"`
	Comments []*comment `json:"comments,omitempty"`
	// Reviewers were asked and have not reviewed yet.
	Reviewers []string `json:"reviewers,omitempty"`
	// Issue says that this is an issue and no pull request: it has no branch.
	Issue bool `json:"issue,omitempty"`
	// Mergeability is known for base and head once Settle reads were made.
	Asked int    `json:"asked"`
	About string `json:"about,omitempty"`
}

type review struct {
	ID     int64     `json:"id"`
	Author string    `json:"author"`
	State  string    `json:"state"`
	Body   string    `json:"body"`
	Commit string    `json:"commit"`
	At     time.Time `json:"at,omitzero"`
}

type comment struct {
	ID      int64     `json:"id"`
	Author  string    `json:"author"`
	Body    string    `json:"body"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

type label struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

type status struct {
	ID          int64     `json:"id"`
	SHA         string    `json:"sha"`
	State       string    `json:"state"`
	Context     string    `json:"context"`
	Description *string   `json:"description"`
	TargetURL   *string   `json:"targetURL"`
	Creator     string    `json:"creator"`
	At          time.Time `json:"at"`
}

type checkRun struct {
	ID         int64     `json:"id"`
	SHA        string    `json:"sha"`
	Name       string    `json:"name"`
	Status     string    `json:"status"`
	Conclusion *string   `json:"conclusion"`
	Title      *string   `json:"title"`
	Summary    *string   `json:"summary"`
	Text       *string   `json:"text"`
	ExternalID *string   `json:"externalID"`
	DetailsURL *string   `json:"detailsURL"`
	Creator    string    `json:"creator"`
	Started    time.Time `json:"started"`
	Completed  time.Time `json:"completed,omitzero"`
}

// nextID gives out an id. Ids depend on the order of events alone.
func (s *state) nextID() int64 { s.LastID++; return s.LastID }

// pull is the pull request of that number, nil when there is none.
func (s *state) pull(number int) *pull {
	if number < 1 || number > len(s.Pulls) {
		return nil
	}
	return s.Pulls[number-1]
}

// ensureLabel makes a label known to the repository, as GitHub does when one is
// put on an issue.
func (s *state) ensureLabel(name string) *label {
	for _, l := range s.Labels {
		if l.Name == name {
			return l
		}
	}
	l := &label{ID: s.nextID(), Name: name}
	s.Labels = append(s.Labels, l)
	return l
}

func (s *Server) statePath() string { return filepath.Join(s.o.Dir, "forge.json") }
func (s *Server) ratesPath() string { return filepath.Join(s.o.Dir, "rates.json") }

// load reads the state, or begins one.
func (s *Server) load() error {
	s.state = &state{Created: s.now()}
	if err := readJSON(s.statePath(), s.state); err != nil {
		return err
	}
	for i, p := range s.state.Pulls {
		if p.Number != i+1 {
			return fmt.Errorf("%s: pull request %d stands at place %d", s.statePath(), p.Number, i+1)
		}
	}
	return readJSON(s.ratesPath(), &s.rates)
}

// save writes the state. Callers hold the lock.
func (s *Server) save() error { return writeJSON(s.statePath(), s.state) }

// readJSON leaves v as it is when there is no file.
func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON replaces the file as a whole: a kill leaves the old or the new one.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// now is the virtual instant, to the second as GitHub tells times.
func (s *Server) now() time.Time { return s.o.Now().UTC().Truncate(time.Second) }

// user is the account of that login; one that was taken away since is a ghost,
// as on GitHub.
func (s *Server) user(login string) User {
	i := slices.IndexFunc(s.o.Users, func(u User) bool { return u.Login == login })
	if i < 0 {
		return User{Login: "ghost", ID: 10137, Role: Read}
	}
	return s.o.Users[i]
}
