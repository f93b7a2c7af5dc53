package graph

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/fleet"
)

// A tenant is the state of one directory. Everything below mu is guarded by it.
type tenant struct {
	Tenant
	s       *Server
	devices []*device
	objects map[string]*device // by directory id
	users   map[string]string  // names, by directory id
	managed map[string]*device // by managed device id

	mu       sync.Mutex
	journal  *journal
	counter  int
	apps     map[string]*app
	gone     map[string]*app // that were deleted: devices have what these installed
	groups   map[string]*group
	scripts  map[string]*script
	entities map[string]map[string]*entity // by set and id
	requests int                           // seen since the server started
	calls    map[string]int                // by operation, since the server started
	recent   []sent                        // for the rate limit
	rules    map[string]deviceRule         // of assignment filters, by their text

	habits  habits       // what is left to go wrong by the world's pitfalls
	revoked atomic.Int64 // tokens with a lower serial number are no longer taken
}

type device struct {
	Device
	object, managed, entra string
	user                   string // directory id of its primary user, "" for none
	zone                   *time.Location
}

// An app is an app object with its contents, assignments and history.
type app struct {
	ID          string
	Created     time.Time
	Modified    time.Time
	Props       map[string]json.RawMessage // as the client wrote them
	Committed   string                     // content version in force
	State       string                     // notPublished, processing, published
	Reads       int                        // until State moves on
	Hidden      int                        // reads that do not find it yet
	Unlisted    int                        // listings that do not show it yet
	Versions    []*content
	Assignments []assignment
	Relations   []relation `json:",omitempty"`
	Categories  []string   `json:",omitempty"` // ids
	History     []epoch
}

// A content is a content version.
type content struct {
	ID    string
	Files []*file
}

// A file is a mobileAppContentFile and the blob behind it.
type file struct {
	ID            string
	Name          string
	Size          int64
	SizeEncrypted int64
	IsDependency  bool
	Created       time.Time
	State         string
	Then          string // the state it goes to
	Reads         int    // until it does
	Expires       time.Time
	Signed        int      // how often an address was signed
	Blocks        []string // committed block list
	Lost          string   // what the commit found wrong
	Folder        folder   // what is in it, for Windows
	Payload       payload  // and for macOS
}

type assignment struct {
	ID   string
	Body map[string]json.RawMessage
}

// An epoch is what an app did to devices from an instant on.
type epoch struct {
	At          time.Time
	Live        bool // content is published
	Package     fleet.PackageID
	Slot        string
	Version     string
	Told        string `json:",omitempty"` // version that reports tell, where it is another
	Artifact    fleet.Digest
	Payload     payload
	Props       map[string]json.RawMessage
	Assignments []assignment
	Unable      string // why devices cannot run its command lines

	Supersedes map[string]string `json:",omitempty"` // ids of the apps that it supersedes: update, replace

	wants []assigned  // Assignments, read once
	rules []detection // rules of Props, read once
}

type group struct {
	ID      string
	Created time.Time
	Props   map[string]json.RawMessage
	Hidden  int
	Unseen  int          `json:",omitempty"` // listings that do not show it yet
	Log     []membership // in order of time
}

// A membership says that a device came into a group or left it.
type membership struct {
	At     time.Time
	Object string
	Out    bool
}

// members are the present ones, sorted.
func (g *group) members() []string {
	in := map[string]bool{}
	for _, m := range g.Log {
		in[m.Object] = !m.Out
	}
	var out []string
	for id, is := range in {
		if is {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// holds reports whether the object was a member at an instant.
func (g *group) holds(object string, at time.Time) bool {
	in := false
	for _, m := range g.Log {
		if m.Object == object && !m.At.After(at) {
			in = !m.Out
		}
	}
	return in
}

// text is a string property.
func text(props map[string]json.RawMessage, name string) string {
	var s string
	if json.Unmarshal(props[name], &s) != nil {
		return ""
	}
	return s
}

// record adds the present state to the history devices are computed from.
// Changes of one instant are one epoch: no device checks in between them.
func (a *app) record(now time.Time) {
	e := epoch{
		At: now, Live: a.Committed != "" || !a.kind().content, Version: text(a.Props, "displayVersion"), Props: a.Props, Assignments: slices.Clone(a.Assignments),
		Supersedes: a.superseding(),
	}
	if c, _ := a.find(a.Committed, ""); c != nil {
		for _, f := range c.Files {
			switch {
			case f.State != stateCommitted:
			case a.kind().os == "macOS":
				e.Payload, e.Unable = f.Payload, f.Payload.unable(a.kind().odata)
			default:
				e.Unable = f.Folder.unable(text(a.Props, "installCommandLine"))
			}
		}
	}
	// The package is known to the devices' world alone; a real one would know
	// the program by what it installs.
	if m, ok := intune.ParseMarker(text(a.Props, "notes")); ok {
		e.Package, e.Slot, e.Artifact = m.Package, m.Slot, m.Artifact
		if e.Version == "" { // of a kind that shows none
			e.Version, e.Told = m.Version, cmp.Or(text(a.Props, "primaryBundleVersion"), text(a.Props, "buildNumber"))
		}
	} else {
		e.Package = fleet.PackageID("unmarked/" + strings.ToLower(a.ID))
	}
	if n := len(a.History); n > 0 && a.History[n-1].At.Equal(now) {
		a.History[n-1] = e
		return
	}
	a.History = append(a.History, e)
}

// end is the last epoch of an app that is deleted: it does nothing to devices any
// more, and what it did to them stays.
func (a *app) end(now time.Time) {
	if n := len(a.History); n > 0 {
		last := a.History[n-1]
		a.History = append(a.History, epoch{At: now, Package: last.Package, Slot: last.Slot, Version: last.Version, Artifact: last.Artifact, Props: last.Props})
	}
}

// at is the epoch in force at an instant, nil before the first one.
func (a *app) at(t time.Time) *epoch {
	for i := len(a.History) - 1; i >= 0; i-- {
		if !a.History[i].At.After(t) {
			return &a.History[i]
		}
	}
	return nil
}

// find is the content version and file of the given ids.
func (a *app) find(version, fileID string) (*content, *file) {
	for _, c := range a.Versions {
		if c.ID != version {
			continue
		}
		for _, f := range c.Files {
			if f.ID == fileID {
				return c, f
			}
		}
		return c, nil
	}
	return nil, nil
}
