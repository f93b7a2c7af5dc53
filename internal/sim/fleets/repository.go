package fleets

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
)

// versions are the releases a package may have: what the fleet had before, and
// the new one.
const (
	before = "1.0"
	newest = "2.0"
)

// weekOf is the week, from 0, in which a package has its new release, -1 for
// none: the catalog's first part changes in the first week, its next part in
// the second.
func (s Size) weekOf(i int) int {
	if week := i / s.changed(); week < 2 {
		return week
	}
	return -1
}

func (s Size) releases(i int) map[string]fleet.Release {
	out := map[string]fleet.Release{before: release(s.pkg(i), 1)}
	if s.weekOf(i) >= 0 {
		out[newest] = release(s.pkg(i), 2)
	}
	return out
}

// The properties in which one tenant differs from another.

func (s Size) nameOf(i int) string { return fmt.Sprintf("Tenant %d", i) }

func (s Size) zoneOf(i int) string {
	return pick([]string{"Europe/Helsinki", "Europe/Stockholm", "America/New_York", "Asia/Tokyo"}, i)
}

func (s Size) roleOf(i int) string {
	if i == 0 {
		return "own"
	}
	return "customer"
}

func (s Size) directoryOf(i int) string { return guid("directory", s.tenant(i)) }

// hasNights reports whether a tenant has a window for installations.
func (s Size) hasNights(i int) bool { return i%3 == 1 }

// pattern is a fleet so small that CUE evaluates it at once: it has one of
// everything that a larger one has more of.
func (s Size) pattern() Size { return Size{s.Name, 4, 3, 4} }

// repository is what the files of a fleet say. CUE is no part of what is
// measured in memory, so the files of a pattern are evaluated, and what they say
// is taken as often as it is needed.
func (s Size) repository(ctx context.Context, files map[string][]byte) (*fleet.Repository, error) {
	p := s.pattern()
	r, err := desired.Load(ctx, desired.MapTree(p.files("")), desired.Options{Evaluator: desired.InProcess{}})
	if err != nil {
		return nil, err
	}
	r.Commit, r.Blobs = hash(40, "commit", 0), map[string]string{}
	packages, tenants := r.Packages, r.Tenants
	r.Publishers, r.Packages, r.Partners, r.Tenants = map[string]fleet.Publisher{}, map[fleet.PackageID]fleet.Package{}, map[string]fleet.Partner{}, map[fleet.TenantID]fleet.Tenant{}
	for i := range s.Packages {
		id := s.pkg(i)
		like := packages[p.pkg(0)]
		like.ID, like.Name, like.Sources, like.Releases = id, id.Slug(), []string{sourceOf(id)}, s.releases(i)
		r.Packages[id] = like
		r.Publishers[path.Dir(string(id))] = fleet.Publisher{Name: path.Dir(string(id)), Hosts: []string{path.Dir(string(id)) + ".example"}, Unsigned: "accepted"}
	}
	for i := range s.Tenants {
		like := tenants[p.tenant(s.likeOf(i))]
		assigned := like.Packages[p.pkg(0)]
		like.ID, like.Name, like.Zone, like.Intune = s.tenant(i), s.nameOf(i), s.zoneOf(i), &fleet.Intune{Directory: s.directoryOf(i), Cloud: "global"}
		like.Packages = make(map[fleet.PackageID][]fleet.Assignment, s.Packages)
		for n := range s.Packages {
			like.Packages[s.pkg(n)] = assigned
		}
		r.Tenants[like.ID] = like
		name := like.ID.Partner()
		r.Partners[name] = fleet.Partner{
			Name: name, Contacts: []string{"it@" + name + ".example"}, Language: "en",
			Channels: map[string]fleet.Channel{"customers": {Kind: "mail", To: "updates@" + name + ".example", Visibility: "shared"}},
		}
	}
	for name, data := range files {
		if !strings.HasPrefix(name, "cue.mod/") {
			r.Blobs[name] = blobID(data)
		}
	}
	return r, nil
}

// likeOf is the tenant of the pattern that a tenant is like.
func (s Size) likeOf(i int) int {
	switch {
	case i == 0:
		return 0
	case s.hasNights(i):
		return 1
	default:
		return 2
	}
}

// blobID is the id git gives a file's content.
func blobID(data []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(data))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}
