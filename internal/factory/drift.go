package factory

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/edge/intune/policy"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/graphpolicy"
	"github.com/packmill/packmill/internal/rules/drift"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/rules/setting"
)

// An ObjectReader is a Console that tells of all its objects: packmill's with
// what they hold, and other people's by name.
type ObjectReader interface {
	Objects(ctx context.Context) (ours, foreign []fleet.PartState, err error)
}

// Drift compares what tenants hold with main and with what was last applied, on
// one tenant or, for "", on all that are managed through a console. It changes
// nothing. A tenant that cannot be read is named in the report, and the others
// are read.
func (f *Factory) Drift(ctx context.Context, facts rollout.Facts, only fleet.TenantID) (drift.Report, error) {
	if f.Store == nil {
		return drift.Report{}, fleet.Errorf(fleet.Invalid, "factory.drift", "", "what was last applied is in an artifact store, and none is configured")
	}
	if _, ok := facts.Repo.Tenants[only]; only != "" && !ok {
		return drift.Report{}, fleet.Errorf(fleet.Invalid, "factory.drift", string(only), "there is no such tenant")
	}
	r := drift.Report{Foreign: map[fleet.TenantID]int{}, Unread: map[fleet.TenantID]string{}}
	for _, id := range facts.Repo.TenantIDs() {
		tenant := facts.Repo.Tenants[id]
		if tenant.Intune == nil || only != "" && only != id {
			continue
		}
		f.progress(len(r.Objects), len(r.Objects), "read "+string(id))
		err := f.tenantDrift(ctx, facts, tenant, &r)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if err != nil {
			r.Unread[id] = err.Error()
		}
	}
	return r, nil
}

func (f *Factory) tenantDrift(ctx context.Context, facts rollout.Facts, t fleet.Tenant, r *drift.Report) error {
	console, err := f.Consoles(ctx, t)
	if err != nil {
		return err
	}
	readers := []any{console}
	if c, ok := console.(Configurer); ok {
		readers = append(readers, c.Configurations())
	}
	var found []fleet.PartState
	for _, reader := range readers {
		objects, ok := reader.(ObjectReader)
		if !ok {
			continue
		}
		ours, foreign, err := objects.Objects(ctx)
		if err != nil {
			return err
		}
		found = append(found, ours...)
		r.Foreign[t.ID] += len(foreign)
		for _, other := range foreign {
			if slices.ContainsFunc(ours, func(p fleet.PartState) bool { return p.Name == other.Name }) {
				r.Objects = append(r.Objects, drift.Object{Tenant: t.ID, Kind: other.Kind, Name: other.Name, ID: other.ID, State: drift.Foreign, Note: "bears the name of one of packmill's, and is left alone"})
			}
		}
	}
	for _, p := range found {
		o, err := f.compared(ctx, facts.Repo, t, p)
		if err != nil {
			return err
		}
		r.Objects = append(r.Objects, o)
	}
	r.Objects = append(r.Objects, f.missing(ctx, facts.Repo, t, found)...)
	return nil
}

// compared is one object of packmill's with what is different of it.
func (f *Factory) compared(ctx context.Context, repo *fleet.Repository, t fleet.Tenant, p fleet.PartState) (drift.Object, error) {
	pkg := repo.Packages[p.Package]
	wanted, _, _ := pkg.Latest()
	o := drift.Object{
		Tenant: t.ID, Package: p.Package, Slot: p.Slot, Setting: p.Setting, Kind: p.Kind, Name: p.Name, ID: p.ID, State: drift.Same, Applied: p.Version, Wanted: wanted,
	}
	behind := wanted != "" && wanted != p.Version
	switch {
	case p.Kind == fleet.PartApp && p.Moved && behind:
		o.State, o.Note = drift.Conflict, "properties of the app were changed in the tenant"
	case p.Kind == fleet.PartApp && p.Moved:
		o.State, o.Note = drift.Drift, "properties of the app were changed in the tenant"
	case p.Kind == fleet.PartApp && behind:
		o.State = drift.Apply
	}
	if p.Kind == fleet.PartApp {
		return o, nil
	}
	have, err := drift.Parse(p.Content)
	if err != nil {
		return o, err
	}
	app, part := fleet.App{Package: p.Package, Name: pkg.Name, Description: pkg.Description}, fleet.Part{Setting: p.Setting, Kind: p.Kind}
	if app.Description == "" {
		app.Description = pkg.Name
	}
	var base, want map[string]any
	if payload, err := f.partBefore(ctx, p.Artifact, p.Setting, p.Kind); err != nil {
		o.Note = "what was last applied is not in the store any more: who moved cannot be told"
	} else if base, err = policy.Comparable(app, part, payload); err != nil {
		return o, err
	}
	payload, err := f.payloadOnMain(repo, pkg, p.Setting, p.Kind)
	switch {
	case err != nil:
		return o, err
	case payload == nil:
		want, o.Note = base, "main has no such setting any more"
	default:
		if want, err = policy.Comparable(app, part, payload); err != nil {
			return o, err
		}
	}
	o.Changes = drift.Compare(base, want, have)
	if o.State = drift.Worst(o.Changes); o.State == drift.Drift || o.State == drift.Conflict {
		o.Adopt = adopted(pkg, p, want, have)
	}
	return o, nil
}

// payloadOnMain is what a part would be built to from main, nil where main has
// no such setting.
func (f *Factory) payloadOnMain(repo *fleet.Repository, pkg fleet.Package, key, kind string) ([]byte, error) {
	s, ok := pkg.Settings[key]
	if !ok {
		return nil, nil
	}
	content := map[string][]byte{}
	for _, name := range s.Payload() {
		text, err := f.readFile(repo.Commit, pkg.ID, name)
		if err != nil {
			return nil, err
		}
		content[name] = []byte(text)
	}
	switch {
	case kind == fleet.PartCatalogPolicy && s.CatalogPolicy != "":
		return graphpolicy.CatalogPolicy(content[s.CatalogPolicy])
	case kind == fleet.PartDeviceConfiguration && s.DeviceConfiguration != "":
		return graphpolicy.DeviceConfiguration(content[s.DeviceConfiguration])
	case kind == fleet.PartCompliancePolicy && s.CompliancePolicy != "":
		return graphpolicy.CompliancePolicy(content[s.CompliancePolicy])
	case kind == fleet.PartProfile && s.Profile != "":
		return content[s.Profile], nil
	case kind == fleet.PartHealthScript && s.Scripts != nil && s.Platform() == "windows":
		return healthScript(repo, pkg, key, setting.Pair{Detect: content[s.Scripts.Detect], Remediate: content[s.Scripts.Remediate]})
	case kind == fleet.PartHealthScript && s.Platform() == "windows":
		pair, err := setting.Write(pkg.ID, key, s, content)
		if err != nil {
			return nil, err
		}
		return healthScript(repo, pkg, key, pair)
	}
	return nil, nil
}

// adopted are the files that would make main say what the tenant has. There are
// none for scripts that packmill writes.
func adopted(pkg fleet.Package, p fleet.PartState, want, have map[string]any) map[string][]byte {
	s := pkg.Settings[p.Setting]
	binary := func(name string) []byte {
		text, _ := have[name].(string)
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil
		}
		return data
	}
	dir := pkg.ID.Dir() + "/"
	switch {
	case p.Kind == fleet.PartProfile && s.Profile != "":
		return map[string][]byte{dir + s.Profile: binary("payload")}
	case p.Kind == fleet.PartHealthScript && s.Scripts != nil:
		return map[string][]byte{dir + s.Scripts.Detect: binary("detectionScriptContent"), dir + s.Scripts.Remediate: binary("remediationScriptContent")}
	}
	name := map[string]string{
		fleet.PartCatalogPolicy: s.CatalogPolicy, fleet.PartDeviceConfiguration: s.DeviceConfiguration, fleet.PartCompliancePolicy: s.CompliancePolicy,
	}[p.Kind]
	if name == "" {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(drift.Adopted(want, have)) != nil {
		return nil
	}
	return map[string][]byte{dir + name: b.Bytes()}
}

// missing are the settings that a slot's release has and the tenant has not: a
// person removed them. A slot of which nothing is left is one that packmill has
// emptied, or nobody can tell from it.
func (f *Factory) missing(ctx context.Context, repo *fleet.Repository, t fleet.Tenant, found []fleet.PartState) []drift.Object {
	type slot struct {
		pkg      fleet.PackageID
		name     string
		artifact fleet.Digest
	}
	have := map[slot][]fleet.PartState{}
	for _, p := range found {
		if p.Kind != fleet.PartApp && p.Artifact != "" {
			at := slot{p.Package, p.Slot, p.Artifact}
			have[at] = append(have[at], p)
		}
	}
	var out []drift.Object
	for _, at := range slices.SortedFunc(maps.Keys(have), func(a, b slot) int {
		return slices.Compare([]string{string(a.pkg), a.name, string(a.artifact)}, []string{string(b.pkg), b.name, string(b.artifact)})
	}) {
		parts := have[at]
		m, err := f.Store.Manifest(ctx, at.artifact)
		if err != nil || len(parts) >= parts[0].Parts {
			continue
		}
		wanted, _, _ := repo.Packages[at.pkg].Latest()
		for _, file := range m.Files {
			kind := partKind(file.MediaType)
			same := func(p fleet.PartState) bool { return p.Setting == file.Installer && p.Kind == kind }
			if kind != "" && !slices.ContainsFunc(parts, same) {
				out = append(out, drift.Object{
					Tenant: t.ID, Package: at.pkg, Slot: at.name, Setting: file.Installer, Kind: kind, State: drift.Missing, Applied: parts[0].Version, Wanted: wanted,
					Note: "removed in the tenant; the next release brings it again",
				})
			}
		}
	}
	return out
}
