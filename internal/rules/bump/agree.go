package bump

import (
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/version"
)

// agreement counts the sources that name the version that was found, its own
// feed among them; nil when the package has no other. One that failed, or whose
// version the scheme cannot read, does not agree.
func agreement(u fleet.Upstream, found version.Version, s Seen) *fleet.Agreement {
	if len(s.Others) == 0 {
		return nil
	}
	a := fleet.Agreement{Agree: 1, Of: 1 + len(s.Others), Need: u.Quorum,
		Sources: []fleet.Said{{Source: s.Source, Version: s.Version, Agrees: true}}}
	if a.Need <= 0 {
		a.Need = a.Of
	}
	for _, other := range s.Others {
		said := fleet.Said{Source: other.Feed, Version: other.Version, Failed: other.Failed}
		if said.Failed == "" {
			v, err := version.SchemeOf(u).Parse(other.Version)
			if err != nil {
				said.Failed = err.Error()
			} else if version.Compare(v, found) == 0 {
				said.Agrees = true
				a.Agree++
			}
		}
		a.Sources = append(a.Sources, said)
	}
	return &a
}

// disagreement says who says otherwise.
func disagreement(a fleet.Agreement, found string) string {
	var others []string
	for _, s := range a.Sources {
		switch {
		case s.Agrees:
		case s.Failed != "":
			others = append(others, s.Source+" gave no answer: "+s.Failed)
		default:
			others = append(others, s.Source+" says "+s.Version)
		}
	}
	return fmt.Sprintf("%d of %d sources say %s, %d must: %s", a.Agree, a.Of, found, a.Need, strings.Join(others, "; "))
}
