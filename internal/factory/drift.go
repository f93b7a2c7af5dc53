package factory

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"sync"

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

// An UpdateLister is a Console that tells the same of what Windows Update is told
// through.
type UpdateLister interface {
	UpdateObjects(ctx context.Context) (ours, foreign []fleet.PartState, err error)
}

// Drift compares what tenants hold with main and with what was last applied, on
// one tenant or, for "", on all that are managed through a console. It changes
// nothing. Tenants are read side by side, as many as Parallel says, and told in
// the order of their ids. One that cannot be read is named in the report.
func (f *Factory) Drift(ctx context.Context, facts rollout.Facts, only fleet.TenantID) (drift.Report, error) {
	if f.Store == nil {
		return drift.Report{}, fleet.Errorf(fleet.Invalid, "factory.drift", "", "what was last applied is in an artifact store, and none is configured")
	}
	if _, ok := facts.Repo.Tenants[only]; only != "" && !ok {
		return drift.Report{}, fleet.Errorf(fleet.Invalid, "factory.drift", string(only), "there is no such tenant")
	}
	var tenants []fleet.Tenant
	for _, id := range facts.Repo.TenantIDs() {
		if t := facts.Repo.Tenants[id]; t.Intune != nil && (only == "" || only == id) {
			tenants = append(tenants, t)
		}
	}
	r := drift.Report{Foreign: map[fleet.TenantID]int{}, Unread: map[fleet.TenantID]string{}}
	readings := f.readObjects(ctx, tenants)
	history := rollout.HistoryOf(facts.Record)
	for i, t := range tenants {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		err := readings[i].err
		if err == nil {
			err = f.tenantDrift(ctx, facts, history, t, readings[i], &r)
		}
		if err != nil {
			r.Unread[t.ID] = err.Error()
		}
	}
	return r, ctx.Err()
}

// A reading is what one tenant's console told of its objects.
type reading struct {
	ours, foreign []fleet.PartState
	err           error
}

// readObjects reads tenants side by side: a slow one holds one place, and delays
// none that another place is free for.
func (f *Factory) readObjects(ctx context.Context, tenants []fleet.Tenant) []reading {
	out := make([]reading, len(tenants))
	var group sync.WaitGroup
	turn := make(chan struct{}, max(f.Parallel, 1))
	for i, t := range tenants {
		turn <- struct{}{}
		f.progress(i, len(tenants), "read "+string(t.ID))
		group.Go(func() {
			defer func() { <-turn }()
			out[i] = f.readTenant(ctx, t)
		})
	}
	group.Wait()
	f.progress(len(tenants), len(tenants), "tenants read")
	return out
}

func (f *Factory) readTenant(ctx context.Context, t fleet.Tenant) (r reading) {
	console, err := f.Consoles(ctx, t)
	if err != nil {
		return reading{err: err}
	}
	var readers []func(context.Context) (ours, foreign []fleet.PartState, err error)
	if o, ok := console.(ObjectReader); ok {
		readers = append(readers, o.Objects)
	}
	if c, ok := console.(Configurer); ok {
		if o, ok := c.Configurations().(ObjectReader); ok {
			readers = append(readers, o.Objects)
		}
	}
	if u, ok := console.(UpdateLister); ok {
		readers = append(readers, u.UpdateObjects)
	}
	for _, read := range readers {
		ours, foreign, err := read(ctx)
		if err != nil {
			return reading{err: err}
		}
		r.ours, r.foreign = append(r.ours, ours...), append(r.foreign, foreign...)
	}
	return r
}

func (f *Factory) tenantDrift(ctx context.Context, facts rollout.Facts, h *rollout.History, t fleet.Tenant, found reading, r *drift.Report) error {
	var objects []drift.Object
	for _, other := range found.foreign {
		if slices.ContainsFunc(found.ours, func(p fleet.PartState) bool { return p.Name == other.Name }) {
			objects = append(objects, drift.Object{Tenant: t.ID, Kind: other.Kind, Name: other.Name, ID: other.ID, State: drift.Foreign, Note: "bears the name of one of packmill's, and is left alone"})
		}
	}
	for _, p := range found.ours {
		o, err := f.compared(ctx, facts.Repo, t, p)
		if err != nil {
			return err
		}
		if text, known := h.LastLeft(rollout.Slot{Tenant: t.ID, Package: p.Package})[p.Slot]; known {
			moved := drift.Assigned(rollout.SlotLeft(text), p)
			if o.Changes = append(o.Changes, moved...); len(moved) > 0 && (o.State == drift.Same || o.State == drift.Apply) {
				o.State = drift.Drift
			}
		}
		objects = append(objects, o)
	}
	objects = append(objects, f.missing(ctx, facts.Repo, t, found.ours)...)
	objects = append(objects, gone(facts, h, t, found.ours)...)
	r.Objects = append(r.Objects, objects...)
	r.Foreign[t.ID] = len(found.foreign)
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
	if p.Kind == fleet.PartApp || p.Kind == fleet.PartUpdate {
		switch {
		case p.Moved && behind:
			o.State = drift.Conflict
		case p.Moved:
			o.State = drift.Drift
		case behind:
			o.State = drift.Apply
		}
		if p.Moved {
			o.Note = "properties of the " + p.Kind + " were changed in the tenant"
		}
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
// person removed them. Of a slot of which nothing is left gone tells.
func (f *Factory) missing(ctx context.Context, repo *fleet.Repository, t fleet.Tenant, found []fleet.PartState) []drift.Object {
	type slot struct {
		pkg      fleet.PackageID
		name     string
		artifact fleet.Digest
	}
	have := map[slot][]fleet.PartState{}
	for _, p := range found {
		if p.Kind != fleet.PartApp && p.Kind != fleet.PartUpdate && p.Artifact != "" {
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
