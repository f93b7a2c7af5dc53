package view

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"path"
	"time"
)

//go:embed pages
var pageFiles embed.FS

// Pages are the static pages of a cycle: path → content. index.html is the
// board; packages/ holds a page for each release; the tables stand beside them
// as CSV, and cycle.json is the Board itself. They load nothing, run nothing, and
// open from a folder or a zip.
func Pages(c Cycle) (map[string][]byte, error) {
	p, err := newPages(c)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	if out["index.html"], err = p.render("index.html", p.indexData()); err != nil {
		return nil, err
	}
	if out["cycle.json"], err = BoardJSON(p.board); err != nil {
		return nil, err
	}
	for i, e := range c.Entries {
		data, table := p.packageData(i)
		name := pagePath(e.Package)
		if out[name], err = p.render("package.html", data); err != nil {
			return nil, err
		}
		if err := csvInto(out, path.Join(path.Dir(name), data.CSV), table); err != nil {
			return nil, err
		}
	}
	for name, t := range map[string]Table{
		"cycle.csv": cycleCSV(p.board), "waves.csv": WavesTable(p.board), "tenants.csv": tenantsCSV(p.board), "story.csv": storyCSV(p.board),
		"silent.csv": silentCSV(p.board), "uncatalogued.csv": uncataloguedCSV(p.board),
	} {
		if err := csvInto(out, name, t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func csvInto(out map[string][]byte, name string, t Table) error {
	var b bytes.Buffer
	if err := t.CSV(&b); err != nil {
		return err
	}
	out[name] = b.Bytes()
	return nil
}

// pages is the work in progress: what every page shares.
type pages struct {
	cycle     Cycle
	board     Board
	index     *index
	zone      *time.Location
	templates *template.Template
	style     template.CSS
	hash      string // of style, as a Content-Security-Policy names it
}

func newPages(c Cycle) (*pages, error) {
	p := &pages{cycle: c, board: BoardOf(c), index: indexOf(c), zone: c.Zone}
	if p.zone == nil {
		p.zone = time.UTC
	}
	css, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		return nil, err
	}
	p.style, p.hash = template.CSS(css), hashOf(css)
	p.templates, err = template.ParseFS(pageFiles, "pages/*.html")
	return p, err
}

func hashOf(css []byte) string {
	sum := sha256.Sum256(css)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (p *pages) render(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, name, data); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// A frame is what every page has around its content.
type frame struct {
	Title     string
	StyleHash string
	Style     template.CSS
	Board     Board
	Commit    string
	Data      string
	Oldest    string
	ZoneName  string
}

func (p *pages) frame(title string) frame {
	return frame{
		Title: title, StyleHash: p.hash, Style: p.style, Board: p.board, Commit: p.board.Main,
		Data: p.when(p.board.Data), Oldest: p.when(p.board.Oldest), ZoneName: p.zone.String(),
	}
}

// when is an instant as a page prints it, in the zone its footer names.
func (p *pages) when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(p.zone).Format("Mon 2 Jan 2006 15:04")
}

// shortWhen is an instant within the year of the cycle.
func (p *pages) shortWhen(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(p.zone).Format("Mon 2 Jan 15:04")
}

// A markedState is a state on a page: glyph, word and tone. The tone is never alone.
type markedState struct {
	Mark string
	Word string
	Tone string // good, bad, look, none
}

func stateOf(word string) markedState {
	s := markedState{phaseMark(word), word, toneOf(word)}
	if word == PhaseBaking || word == StateRunning {
		s.Word = "under way"
	}
	return s
}

func toneOf(word string) string {
	switch word {
	case PhasePassed, StateReleased:
		return "good"
	case PhaseFailed, StateHalted, StateRevoked:
		return "bad"
	case PhaseInconclusive, StateHeld:
		return "look"
	default:
		return "none"
	}
}
