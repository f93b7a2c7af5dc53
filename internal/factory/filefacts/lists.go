package filefacts

import (
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// maxRows is how many rows of a list are held; the others are counted.
const maxRows = 2000

// list begins a list; rows are added by the function it gives. A list without
// rows is left out.
func (f *found) list(name string, columns ...string) (add func(cells ...string)) {
	at := -1
	return func(cells ...string) {
		if at < 0 {
			at = len(f.out.Lists)
			f.out.Lists = append(f.out.Lists, fleet.InspectedList{Name: name, Columns: columns})
		}
		l := &f.out.Lists[at]
		if len(l.Rows) == maxRows {
			l.More++
			return
		}
		l.Rows = append(l.Rows, cells)
	}
}

// wordsOfUpdater are parts of names that updaters of vendors have.
var wordsOfUpdater = []string{"updater", "autoupdate", "softwareupdate", "maintenanceservice", "updateservice", "sparkle.framework", "squirrel"}

// updater notes a part that looks like an updater by its name.
func (f *found) updater(what, name string) {
	const enough = 5
	folded := strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(name))
	if len(f.out.Updaters) < enough && (containsAny(folded, wordsOfUpdater) || strings.HasSuffix(folded, "update.exe")) {
		f.out.Updaters = append(f.out.Updaters, what+" "+name)
	}
}

func containsAny(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// yes is how a fact says that something is so.
func yes(is bool, word string) string {
	if is {
		return word
	}
	return ""
}
