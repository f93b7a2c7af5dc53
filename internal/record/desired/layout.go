package desired

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A role is what a file's place in the repository makes it.
type role string

// The roles. Everything that ends in .cue has one, or is refused.
const (
	roleNone      role = ""
	roleModule    role = "module"
	roleSchema    role = "schema"
	rolePublisher role = "publisher"
	rolePackage   role = "package"
	roleRelease   role = "release"
	rolePayload   role = "payload"
	roleMatrices  role = "matrices"
	roleSources   role = "advisory sources"
	roleWeek      role = "week"
	roleWaves     role = "waves"
	roleFreeze    role = "freeze"
	roleHold      role = "hold"
	roleCycle     role = "cycle"
	rolePlan      role = "plan"
	roleApproval  role = "approval"
	roleOperator  role = "operator"
	rolePartner   role = "partner"
	roleTenant    role = "tenant"
	roleGroup     role = "group"
	roleAnswer    role = "tenant approval"
)

// A place is a file with its role and the names its path gives it.
type place struct {
	File
	role role
	// keys are the names in the path: for a release the package id and the
	// version, for an approval the cycle and the gate, and so on.
	keys []string
}

var (
	idPart      = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	packagePart = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
	namePart    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

// shapes are the places a .cue file may stand: path patterns in which * is one
// part of the path, kept as a key.
var shapes = []struct {
	pattern string
	role    role
}{
	{"catalog/matrices.cue", roleMatrices},
	{"catalog/advisories/sources.cue", roleSources},
	{"catalog/*/publisher.cue", rolePublisher},
	{"catalog/*/*/package.cue", rolePackage},
	{"catalog/*/*/*.cue", roleRelease},
	{"schedules/week.cue", roleWeek},
	{"schedules/waves.cue", roleWaves},
	{"schedules/freezes/*.cue", roleFreeze},
	{"schedules/holds/*.cue", roleHold},
	{"schedules/cycles/*/cycle.cue", roleCycle},
	{"schedules/cycles/*/plan.cue", rolePlan},
	{"schedules/cycles/*/approvals/*.cue", roleApproval},
	{"tenants/operator.cue", roleOperator},
	{"tenants/*/partner.cue", rolePartner},
	{"tenants/*/*/tenant.cue", roleTenant},
	{"tenants/*/*/groups/*/group.cue", roleGroup},
	{"tenants/*/*/approvals/*.cue", roleAnswer},
}

// locate gives a file its role. Files that are no CUE are roleNone, payload
// below a package's files/ folder rolePayload.
func locate(f File) (place, error) {
	parts := strings.Split(f.Path, "/")
	if len(parts) > 4 && parts[0] == "catalog" && parts[3] == "files" {
		return place{f, rolePayload, []string{parts[1] + "/" + parts[2], path.Join(parts[3:]...)}}, nil
	}
	if path.Ext(f.Path) != ".cue" {
		return place{f, roleNone, nil}, nil
	}
	for _, part := range parts {
		if strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_") {
			return place{}, fmt.Errorf("CUE ignores names that begin with %q: rename it", part[:1])
		}
	}
	base := strings.TrimSuffix(parts[len(parts)-1], ".cue")
	if strings.HasSuffix(base, "_tool") || strings.HasSuffix(base, "_test") {
		return place{}, fmt.Errorf("files named *_tool.cue and *_test.cue can run commands and are refused")
	}
	for _, s := range shapes {
		if keys, ok := match(strings.Split(s.pattern, "/"), parts); ok {
			return place{f, s.role, fold(s.role, keys)}, checkKeys(s.role, keys)
		}
	}
	return place{}, fmt.Errorf("no CUE file belongs here")
}

func match(pattern, parts []string) (keys []string, ok bool) {
	if len(pattern) != len(parts) {
		return nil, false
	}
	for i, p := range pattern {
		switch {
		case p == "*":
			keys = append(keys, parts[i])
		case p == "*.cue":
			keys = append(keys, strings.TrimSuffix(parts[i], ".cue"))
		case p != parts[i]:
			return nil, false
		}
	}
	return keys, true
}

// fold joins the parts of a path that are one id.
func fold(r role, keys []string) []string {
	switch r {
	case roleRelease:
		return []string{keys[0] + "/" + keys[1], fleet.VersionOfFile(keys[2])}
	case rolePackage, roleTenant:
		return []string{keys[0] + "/" + keys[1]}
	case roleGroup:
		return []string{keys[0] + "/" + keys[1], keys[2]}
	case roleAnswer:
		return []string{keys[2], keys[0] + "/" + keys[1]}
	default:
		return keys
	}
}

func checkKeys(r role, keys []string) error {
	check := func(part string, pattern *regexp.Regexp, what string) error {
		if !pattern.MatchString(part) {
			return fmt.Errorf("%q cannot be the name of a %s: %s", part, what, pattern)
		}
		return nil
	}
	switch r {
	case rolePublisher:
		return check(keys[0], idPart, "publisher")
	case rolePackage, roleRelease:
		if err := check(keys[0], idPart, "publisher"); err != nil {
			return err
		}
		if err := check(keys[1], packagePart, "package"); err != nil {
			return err
		}
		if r == roleRelease && fleet.FileOfVersion(fleet.VersionOfFile(keys[2])) != keys[2]+".cue" {
			return fmt.Errorf("a release's file is named after its version: %s", fleet.FileOfVersion(fleet.VersionOfFile(keys[2])))
		}
	case rolePartner, roleTenant, roleGroup:
		for i, what := range []string{"partner", "tenant", "group"}[:len(keys)] {
			if err := check(keys[i], idPart, what); err != nil {
				return err
			}
		}
	case roleAnswer:
		if !fleet.CycleID(keys[2]).Valid() {
			return fmt.Errorf("%q is no cycle id such as 2026-W47 or 2026-W47-cve-01", keys[2])
		}
		return checkKeys(roleTenant, keys[:2])
	case roleCycle, rolePlan, roleApproval:
		if !fleet.CycleID(keys[0]).Valid() {
			return fmt.Errorf("%q is no cycle id such as 2026-W47 or 2026-W47-cve-01", keys[0])
		}
		if r == roleApproval {
			return check(keys[1], namePart, "gate")
		}
	case roleFreeze, roleHold:
		return check(keys[0], namePart, string(r))
	}
	return nil
}

// ReleasePath is where the release file of a version stands.
func ReleasePath(id fleet.PackageID, version string) string { return id.Release(version) }

// CyclePath is where a cycle's file stands.
func CyclePath(id fleet.CycleID) string { return fleet.CyclePath(id) }

// PlanPath is where the digests of a cycle's plans stand.
func PlanPath(id fleet.CycleID) string { return path.Join(id.Dir(), "plan.cue") }

// ApprovalPath is where the approval of a gate stands.
func ApprovalPath(id fleet.CycleID, gate string) string {
	return path.Join(id.Dir(), "approvals", gate+".cue")
}

// TenantApprovalPath is where a tenant's word on a cycle stands.
func TenantApprovalPath(t fleet.TenantID, id fleet.CycleID) string {
	return fleet.TenantApprovalFile(t, id)
}

// HoldPath is where a hold stands.
func HoldPath(id string) string { return path.Join("schedules/holds", id+".cue") }
