package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// A journal is a tenant's state as the sequence of its changes, one JSON line
// each: an object in its new form, nothing for one that is gone, or one change
// of a group's members. A line that was cut off by a crash never counted: its
// request was not answered.
type journal struct{ f *os.File }

type change struct {
	Kind    string      `json:"k"` // app, gone, group, member, script, entity
	ID      string      `json:"id"`
	Counter int         `json:"n"`
	App     *app        `json:"app,omitempty"`
	Group   *group      `json:"group,omitempty"`
	Script  *script     `json:"script,omitempty"`
	Member  *membership `json:"member,omitempty"`
	Entity  *entity     `json:"entity,omitempty"`
	Set     string      `json:"set,omitempty"` // of an entity
}

// openJournal reads the changes in a file and leaves it open for more.
func openJournal(path string) (*journal, []change, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	var changes []change
	for i, line := range bytes.Split(whole, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var c change
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		changes = append(changes, c)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, nil, err
	}
	err = f.Truncate(int64(len(whole)))
	if err == nil {
		_, err = f.Seek(int64(len(whole)), 0)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return &journal{f}, changes, nil
}

// add writes a change in one call, so that a killed process leaves it whole or
// not at all.
func (j *journal) add(c change) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = j.f.Write(append(line, '\n'))
	return err
}

// apply brings a change read from the journal into memory.
func (t *tenant) apply(c change) {
	t.counter = c.Counter
	switch c.Kind {
	case "app":
		if c.App == nil {
			delete(t.apps, c.ID)
		} else {
			t.apps[c.ID] = c.App
		}
	case "gone":
		delete(t.apps, c.ID)
		t.gone[c.ID] = c.App
	case "group":
		if c.Group == nil {
			delete(t.groups, c.ID)
			return
		}
		if old := t.groups[c.ID]; old != nil {
			c.Group.Log = old.Log
		}
		t.groups[c.ID] = c.Group
	case "script":
		if c.Script == nil {
			delete(t.scripts, c.ID)
		} else {
			t.scripts[c.ID] = c.Script
		}
	case "entity":
		if c.Entity == nil {
			delete(t.entities[c.Set], c.ID)
			return
		}
		t.keep(c.Set, c.Entity)
	case "member":
		if g := t.groups[c.ID]; g != nil && c.Member != nil {
			g.Log = append(g.Log, *c.Member)
		}
	}
}

func (t *tenant) saveApp(a *app) error {
	return t.journal.add(change{Kind: "app", ID: a.ID, Counter: t.counter, App: a})
}

func (t *tenant) saveScript(s *script) error {
	return t.journal.add(change{Kind: "script", ID: s.ID, Counter: t.counter, Script: s})
}

// saveGroup stores a group without its members' log, which is stored change by
// change.
func (t *tenant) saveGroup(g *group) error {
	bare := *g
	bare.Log = nil
	return t.journal.add(change{Kind: "group", ID: g.ID, Counter: t.counter, Group: &bare})
}

func (t *tenant) saveMember(g *group, m membership) error {
	g.Log = append(g.Log, m)
	return t.journal.add(change{Kind: "member", ID: g.ID, Counter: t.counter, Member: &m})
}
