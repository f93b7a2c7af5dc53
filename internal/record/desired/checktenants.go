package desired

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

const operatorFile = "tenants/operator.cue"

// directPartner is the folder of customers without a partner; the operator
// itself is theirs.
const directPartner = "direct"

// tenants checks operator, partners, tenants and groups.
func (x *checks) tenants() {
	if !x.policyDone {
		return
	}
	x.operator()
	for _, p := range x.places {
		if p.role == roleGroup && x.repo.Tenants[fleet.TenantID(p.keys[0])].Groups[p.keys[1]].Name == "" {
			x.unread[fleet.TenantID(p.keys[0]).Dir()] = true
		}
	}
	for _, p := range x.places {
		switch p.role {
		case rolePartner:
			x.partner(p)
		case roleTenant:
			x.tenant(p)
		case roleGroup:
			if x.files[path.Dir(path.Dir(path.Dir(p.Path)))+"/tenant.cue"].Path == "" {
				x.say(fleet.Pos{File: p.Path}, "", "there is no tenant.cue above this group")
			}
		}
	}
	x.answers()
	for _, e := range x.loader.exceptions {
		x.exception(e)
	}
	if x.repo.Operator.Name != "" {
		x.direct()
	}
}

// direct makes the operator the partner of direct customers that have none.
func (x *checks) direct() {
	for _, id := range x.repo.TenantIDs() {
		if _, ok := x.repo.Partners[directPartner]; !ok && id.Partner() == directPartner {
			x.repo.Partners[directPartner] = fleet.Partner{Name: x.repo.Operator.Name, Language: "en"}
		}
	}
}

func (x *checks) operator() {
	for _, role := range slices.Sorted(maps.Keys(x.repo.Operator.Approvers)) {
		x.persons(operatorFile, k("operator", "approvers", role), x.repo.Operator.Approvers[role])
	}
	x.proposalGroups()
	trust := x.repo.Operator.Trust
	if x.readable(operatorFile) {
		x.quorum(trust.Approvals, "approvals")
		x.exposure(trust.Exposure)
	}
	for _, name := range slices.Sorted(maps.Keys(trust.Keys)) {
		key := trust.Keys[name]
		at := k("operator", "trust", "keys", name)
		if !publicKey(key.PEM) {
			x.fault(operatorFile, append(at, "pem"), "is no PEM public key (SubjectPublicKeyInfo)")
		}
		x.period(operatorFile, at, key.From, key.Until)
	}
}

// proposalGroups reports a group of proposals whose branches would be those of a
// package: bump/group/<name>/… both.
func (x *checks) proposalGroups() {
	if p := x.repo.Operator.Proposals; p != nil {
		for _, name := range slices.Sorted(maps.Keys(p.Groups)) {
			if _, taken := x.repo.Packages[fleet.PackageID("group/"+name)]; taken {
				x.fault(operatorFile, k("operator", "proposals", "groups", name), "has the branches of the package group/%s; give the group another name", name)
			}
		}
	}
}

// quorum reports more approvals than there are persons to give them: nothing
// could be merged any more, not even what mends it.
// at is where below trust it is asked.
func (x *checks) quorum(need int, at ...string) {
	persons, when := map[string]bool{}, ""
	for _, list := range x.repo.Operator.Approvers {
		for _, p := range list {
			if x.options.Now.IsZero() || p.InForce(x.options.Now) {
				persons[strings.ToLower(p.Login)] = true
			}
		}
	}
	if !x.options.Now.IsZero() {
		when = " on " + x.options.Now.UTC().Format(time.DateOnly)
	}
	if need > len(persons) {
		x.fault(operatorFile, append(k("operator", "trust"), at...), "asks for %d to approve a merge; in force%s are %d", need, when, len(persons))
	}
}

func (x *checks) persons(file string, keys []string, list []fleet.Person) {
	for i, p := range list {
		x.period(file, append(slices.Clone(keys), index(i)), p.From, p.Until)
	}
}

func (x *checks) period(file string, keys []string, from, until string) {
	if until != "" && !day(from).Before(day(until)) {
		x.fault(file, append(slices.Clone(keys), "until"), "is not after from")
	}
}

func (x *checks) partner(p place) {
	partner := x.repo.Partners[p.keys[0]]
	x.persons(p.Path, k("partner", "approvers"), partner.Approvers)
}

func (x *checks) tenant(p place) {
	id := fleet.TenantID(p.keys[0])
	t, ok := x.repo.Tenants[id]
	if !ok {
		return
	}
	if t.ID != id {
		x.fault(p.Path, k("tenant", "id"), "is %q; the folder says %q", t.ID, id)
	}
	if t.Name == "" {
		t.Name = string(id)
	}
	if id.Partner() != directPartner && x.files["tenants/"+id.Partner()+"/partner.cue"].Path == "" {
		x.say(x.at(p.Path, "tenant"), "", "its partner has no tenants/%s/partner.cue", id.Partner())
	}
	x.zone(p.Path, k("tenant", "zone"), t.Zone)
	x.persons(p.Path, k("tenant", "approvers"), t.Approvers)
	x.holidays(p.Path, k("tenant", "holidays"), t.Holidays)
	for _, name := range slices.Sorted(maps.Keys(t.Windows)) {
		if w := t.Windows[name]; w.From == w.Until {
			x.fault(p.Path, k("tenant", "windows", name, "until"), "the window has no length")
		}
	}
	x.restorations(p.Path, t)
	for _, pkg := range slices.Sorted(maps.Keys(t.Packages)) {
		keys := k("tenant", "packages", string(pkg))
		if !x.packages[string(pkg)] {
			x.fault(p.Path, keys, "there is no package %q%s", pkg, suggest(string(pkg), slices.Collect(maps.Keys(x.packages))))
		}
		for i, a := range t.Packages[pkg] {
			x.audience(p.Path, append(slices.Clone(keys), index(i)), t, a)
		}
		x.assignments(p.Path, keys, t, pkg)
	}
	x.adoptions(p.Path, t)
	x.leavings(p.Path, t)
	x.acknowledged(p.Path, t)
	x.repo.Tenants[id] = t
}

// exception checks what an exception names and how long it lives.
func (x *checks) exception(e exception) {
	if name := e.Keys[2]; slices.Contains([]string{"pins", "optOuts", "restore"}, e.Keys[1]) && !x.packages[name] {
		x.fault(e.File, e.Keys, "there is no package %q%s", name, suggest(name, slices.Collect(maps.Keys(x.packages))))
	}
	x.glob(e.File, append(slices.Clone(e.Keys), "version"), e.Pattern)
	now := x.options.Now
	if now.IsZero() {
		return
	}
	keys := append(slices.Clone(e.Keys), "expires")
	limit := now.Add(time.Duration(x.maxDays) * 24 * time.Hour)
	switch {
	case !now.Before(e.Expires):
		x.fault(e.File, keys, "has expired on %s: take the exception out", e.Expires.UTC().Format(time.DateOnly))
	case x.maxDays >= 0 && e.Expires.After(limit):
		x.fault(e.File, keys, "lies more than the operator's %d days ahead: %s at the latest", x.maxDays, limit.UTC().Format(time.DateOnly))
	}
}

// publicKey reports whether text is one PEM block with a public key.
func publicKey(text string) bool {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return false
	}
	_, err := x509.ParsePKIXPublicKey(block.Bytes)
	return err == nil
}
