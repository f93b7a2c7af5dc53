package rollout

import (
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// The ways back, as packages declare them.
const (
	BackPrevious  = "previous"
	BackUninstall = "uninstall"
	BackNone      = "forwardOnly"
)

// A WayBack is how one tenant goes back from a release.
type WayBack struct {
	Mode string      // previous, uninstall, forwardOnly
	To   fleet.Entry // for previous
	Why  string      // why there is no way, where Mode is previous and To is empty
}

// WayBackOf is how a tenant goes back from an entry that is revoked. What a
// package had first cannot be replaced by anything older: it is removed, but not
// where the tenant handed over its own app and the package does not say that
// removal is the way: devices had the program from that, and keep what they have.
// Otherwise the target is the release that this tenant had last and that passed
// there; where evidence knows none, what the revocation names, or the release
// before: what the fleet had when the repository began. A release that was
// itself revoked never comes back.
func WayBackOf(repo *fleet.Repository, rec *fleet.Record, t fleet.TenantID, id fleet.PackageID, e fleet.Entry) WayBack {
	pkg := repo.Packages[id]
	before := older(pkg, e.Release)
	switch {
	case pkg.Rollback == BackNone:
		return WayBack{Mode: BackNone}
	case pkg.Rollback != BackUninstall && len(before) == 0 && handedOver(rec, t, id):
		return WayBack{Mode: BackNone}
	case pkg.Rollback == BackUninstall || len(before) == 0:
		return WayBack{Mode: BackUninstall}
	}
	limit := pkg.Releases[before[0]].Counter
	if h, ok := Revocation(repo, rec, id, e); ok && h.RollbackTo != "" {
		limit = pkg.Releases[h.RollbackTo].Counter
	}
	had := passedOn(repo, rec, t, id)
	var fallback fleet.Entry
	for _, v := range before {
		if pkg.Releases[v].Counter > limit {
			continue
		}
		built := BuiltOf(rec, id, v)
		if built == nil {
			continue
		}
		entry := fleet.Entry{Release: v, Artifact: built.Artifact}
		if _, revoked := Revocation(repo, rec, id, entry); revoked || failedOnce(rec, entry.Artifact) {
			continue
		}
		if had[entry.Artifact] {
			return WayBack{Mode: BackPrevious, To: entry}
		}
		if fallback.Release == "" {
			fallback = entry
		}
	}
	if fallback.Release == "" {
		return WayBack{Mode: BackPrevious, Why: "no release before " + e.Release + " is built and good"}
	}
	return WayBack{Mode: BackPrevious, To: fallback}
}

// older are the releases before a version, newest first.
func older(pkg fleet.Package, version string) []string {
	var out []string
	for _, v := range slices.Backward(pkg.Versions()) {
		if pkg.Releases[v].Counter < pkg.Releases[version].Counter {
			out = append(out, v)
		}
	}
	return out
}

// passedOn are the artifacts of a package that a tenant took and that passed
// the wave it took them in, or were released to all its devices.
func passedOn(repo *fleet.Repository, rec *fleet.Record, t fleet.TenantID, id fleet.PackageID) map[fleet.Digest]bool {
	out := map[fleet.Digest]bool{}
	for i := range rec.Receipts {
		r := &rec.Receipts[i]
		if r.Tenant != t || r.Package != id || r.Outcome != "done" {
			continue
		}
		out[r.Artifact] = out[r.Artifact] || r.Action == "promote" || r.Action == "assign" && slices.ContainsFunc(rec.Verdicts, func(v fleet.Verdict) bool {
			return v.Cycle == r.Cycle && v.Wave == r.Wave && v.Package == id && v.Artifact == r.Artifact && v.Decision == "pass" && !v.At.Before(r.At)
		})
	}
	return out
}

// Offered reports whether a wave offers a release in place of requiring it: a
// package that tenants did not have before is there to be chosen first, and is
// required in the cycle's last wave. Consoles offer to people alone: where a tenant
// takes a package for its devices it is required in every wave, or nobody would
// get it before the last.
func Offered(repo *fleet.Repository, t fleet.Tenant, c fleet.Cycle, wave string, id fleet.PackageID, release string) bool {
	return firstTime(repo, c, wave, id, release) && ForUsers(t, id)
}

func firstTime(repo *fleet.Repository, c fleet.Cycle, wave string, id fleet.PackageID, release string) bool {
	last := len(c.Waves) == 0 || c.Waves[len(c.Waves)-1] == wave
	return !last && repo.Packages[id].Releases[release].Change == "new"
}
