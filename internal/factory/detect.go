package factory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/bump"
)

// An Upstream asks vendors. One value serves one run: it asks for each address
// once.
type Upstream interface {
	// Find asks the package's feed for its newest version, or one before it that
	// is old enough; hosts are the publisher's, known is what else is known of a
	// version with these release notes.
	Find(ctx context.Context, p fleet.Package, hosts []string, known func(version, notes string) bump.Known) (upstream.Found, error)
	// Agree asks another feed of the package: the version if it lists it, else
	// its newest.
	Agree(ctx context.Context, p fleet.Package, feed fleet.Feed, version string) (string, error)
	// Fetch opens the bytes of a download and checks them while they are read.
	Fetch(ctx context.Context, d fleet.Download, hosts []string) (*upstream.Body, error)
	// Keep writes what was learned to disk, after the step succeeded.
	Keep() error
	// Summary is what was asked for so far.
	Summary() upstream.Summary

	Advisories
}

// A Look says what to detect, and from what.
type Look struct {
	Repo     *fleet.Repository
	Packages []fleet.PackageID // all when empty

	// Seen is what earlier looks saw of a package, for versions that come back
	// and for vendors that do not say when they published; nil knows nothing.
	Seen func(id fleet.PackageID) []bump.Sighting
	// Fixed is which exploited vulnerabilities a version fixes by what earlier looks
	// recorded, for a run in which nobody can say; nil knows nothing.
	Fixed func(id fleet.PackageID, version string) []string
	// Said are the commands that evidence has about a version; nil knows none.
	Said func(id fleet.PackageID, version string) []fleet.Command
	// Read reads a file of the same state as Repo, for configurations.
	Read func(path string) ([]byte, error)
	// Record is evidence, which commands are checked against and recorded in
	// when a run proposes; nil takes none.
	Record *fleet.Record
	// Devices are the known devices of each tenant, for the reach of proposals.
	Devices map[fleet.TenantID]int
	// Bytes downloads the newest release again and compares its digests, for
	// vendors that state none.
	Bytes bool
	// Recheck is how long after its publication a release is downloaded again at
	// each look and its digests compared, where the vendor states none: 0 is never.
	Recheck time.Duration
}

// RecheckFor is how long the week downloads a release again. Vendors who replace
// a file without a new version mostly do so within days.
const RecheckFor = 14 * 24 * time.Hour

// A Finding is a detection with what it takes to propose it.
type Finding struct {
	fleet.Detection
	Upstream upstream.Found
	Payload  map[string]fleet.Digest // a configuration's files as they are now
	Unheld   *fleet.Command          // the newest one that let the version pass a hold
}

// concurrentBytes is how many packages are downloaded again side by side.
const concurrentBytes = 8

// Detect looks at the upstreams of packages, all side by side: the client bounds
// what each host is asked at once, and who waits for one host must not keep
// others from theirs. It judges what each says. The findings are in the order of the packages' ids. A vendor that fails
// is a finding with a hold; an error is one of ours, or the end of ctx.
func (f *Factory) Detect(ctx context.Context, look Look) ([]Finding, error) {
	if f.Upstream == nil {
		return nil, fleet.Errorf(fleet.Invalid, "factory.detect", "", "detection needs an upstream client")
	}
	ids := slices.Clone(look.Packages)
	if len(ids) == 0 {
		ids = look.Repo.PackageIDs()
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids {
		if _, ok := look.Repo.Packages[id]; !ok {
			return nil, fleet.Errorf(fleet.Invalid, "factory.detect", string(id), "there is no such package")
		}
	}
	findings := make([]Finding, len(ids))
	failures := make([]error, len(ids))
	var wg sync.WaitGroup
	var progress sync.Mutex
	done := 0
	downloads := make(chan struct{}, concurrentBytes)
	for i, id := range ids {
		wg.Go(func() {
			findings[i], failures[i] = f.detect(ctx, look, look.Repo.Packages[id], downloads)
			progress.Lock()
			defer progress.Unlock()
			done++
			f.progress(done, len(ids), "detect "+string(id))
		})
	}
	wg.Wait()
	return findings, errors.Join(append(failures, ctx.Err())...)
}

func (f *Factory) progress(done, total int, what string) {
	if f.Progress != nil {
		f.Progress(done, total, what)
	}
}

// detect looks at one package. downloads has a place for each that may be
// downloaded.
func (f *Factory) detect(ctx context.Context, look Look, p fleet.Package, downloads chan struct{}) (Finding, error) {
	now := f.Clock.Now()
	if p.Kind == "configuration" {
		return detectPayload(look, p, now)
	}
	current, _, _ := p.Latest()
	if p.Upstream == nil {
		return Finding{Detection: fleet.Detection{Package: p.ID, Current: current, State: fleet.StateNone, Why: "no upstream: versions are handed in", At: now}}, nil
	}
	found, err := f.Upstream.Find(ctx, p, look.Repo.Publishers[p.ID.Publisher()].Hosts, func(version, notes string) bump.Known {
		if len(lifted(look, p.ID, version)) > 0 {
			return bump.Known{Lifted: true}
		}
		return bump.Known{Fixes: len(f.fixes(ctx, look, p, version, notes)) > 0}
	})
	seen := bump.Seen{Version: found.Version, Published: found.Published, Source: upstream.FeedName(p.Upstream.From), Bytes: stated(found)}
	if current != found.Version {
		seen.Fixes = f.fixes(ctx, look, p, found.Version, found.Notes)
	}
	if look.Seen != nil && found.Version != "" {
		seen.History = look.Seen(p.ID)
	}
	if err != nil {
		// The version may be known where its bytes are not: the asset is not
		// uploaded yet, for example. That matters for a new version only.
		if found.Version != "" {
			if d := judged(look, p, seen, found, now).Detection; d.State != fleet.StateNew && d.Hold != fleet.HoldTooYoung {
				return Finding{Detection: d, Upstream: found}, nil
			}
		}
		return held(ctx, Finding{Detection: fleet.Detection{Package: p.ID, Current: current, Found: found.Version, At: now}}, err)
	}
	for _, feed := range p.Upstream.Agree {
		said := bump.Said{Feed: upstream.FeedName(feed)}
		v, err := f.Upstream.Agree(ctx, p, feed, found.Version)
		if said.Version = v; err != nil {
			said.Failed = err.Error()
		}
		seen.Others = append(seen.Others, said)
	}
	finding := judged(look, p, seen, found, now)
	if (look.Bytes || recheck(look, p, found, now)) && finding.State != fleet.StateHeld {
		downloads <- struct{}{}
		err := f.compareBytes(ctx, look.Repo, p)
		<-downloads
		if err != nil {
			return held(ctx, finding, err)
		}
	}
	return finding, nil
}

// recheck reports whether the bytes of a package's newest release are to be looked
// at again: it is new enough, and the vendor does not state them.
func recheck(look Look, p fleet.Package, found upstream.Found, now time.Time) bool {
	v, latest, released := p.Latest()
	if !released || latest.Published == nil || !now.Before(latest.Published.Add(look.Recheck)) {
		return false
	}
	at := found.Released[v]
	if v == found.Version {
		at = found.Installers
	}
	return slices.ContainsFunc(p.InstallerKeys(), func(key string) bool { return at[key].Digest == "" })
}

// held turns a failure at a vendor into a finding; any other is returned.
func held(ctx context.Context, finding Finding, err error) (Finding, error) {
	if ctx.Err() != nil {
		return finding, ctx.Err()
	}
	var told *upstream.Hold
	var own *fleet.Error
	if !errors.As(err, &told) && errors.As(err, &own) {
		return finding, &fleet.Error{Op: own.Op, Object: string(finding.Package), Kind: own.Kind, Err: err, Hint: own.Hint}
	}
	hold, ok := upstream.HoldOf(err)
	if !ok {
		return finding, err
	}
	finding.State, finding.Hold, finding.Why = fleet.StateHeld, hold.Name, plainly(err)
	return finding, nil
}

// plainly leaves out of an error what only this machine knows: which resolver
// did not find a host.
func plainly(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return "there is no host " + dns.Name
	}
	return err.Error()
}

// stated is what the vendor states about bytes, by version and installer.
func stated(found upstream.Found) map[string]map[string]bump.Stated {
	out := map[string]map[string]bump.Stated{}
	add := func(v string, at map[string]upstream.Located) {
		out[v] = map[string]bump.Stated{}
		for key, l := range at {
			out[v][key] = bump.Stated{Digest: l.Digest, Size: l.Size}
		}
	}
	for v, at := range found.Released {
		add(v, at)
	}
	add(found.Version, found.Installers)
	return out
}

// compareBytes downloads the newest release again: the reader compares it with
// the digests in git.
func (f *Factory) compareBytes(ctx context.Context, repo *fleet.Repository, p fleet.Package) error {
	v, latest, ok := p.Latest()
	if !ok {
		return nil
	}
	for _, key := range p.InstallerKeys() {
		d, ok := latest.Installers[key]
		if !ok || d.URL == "" && d.PURL == "" {
			continue
		}
		body, err := f.Upstream.Fetch(ctx, d, repo.Publishers[p.ID.Publisher()].Hosts)
		if err == nil {
			_, err = io.Copy(io.Discard, body)
			err = errors.Join(err, body.Close())
		}
		if err != nil {
			return fmt.Errorf("release %s, installer %s: %w", v, key, err)
		}
	}
	return nil
}

// detectPayload compares a configuration's files with its newest release.
func detectPayload(look Look, p fleet.Package, now time.Time) (Finding, error) {
	current, _, _ := p.Latest()
	finding := Finding{
		Detection: fleet.Detection{Package: p.ID, Current: current, State: fleet.StateNone, Why: "its files were not read", At: now},
		Payload:   map[string]fleet.Digest{},
	}
	if look.Read == nil {
		return finding, nil
	}
	for _, name := range bump.Payload(p) {
		data, err := look.Read(path.Join(p.ID.Dir(), name))
		if err != nil {
			return finding, &fleet.Error{Op: "factory.detect", Object: string(p.ID), Kind: fleet.Invalid, Err: fmt.Errorf("read %s: %w", name, err)}
		}
		finding.Payload[name] = fleet.DigestOf(data)
	}
	for key, s := range p.Settings {
		if name, digest := s.Inline(key); name != "" {
			finding.Payload[name] = digest
		}
	}
	finding.Detection = bump.JudgePayload(p, finding.Payload, now)
	return finding, nil
}

// Seen looks up in recorded detections which versions of a package were seen as a
// feed's newest: which of several that it lists was taken is not the vendor's
// doing.
func Seen(detections []fleet.Detection) func(id fleet.PackageID) []bump.Sighting {
	seen := map[fleet.PackageID][]bump.Sighting{}
	for _, d := range detections {
		if v := cmp.Or(d.Newest, d.Found); v != "" {
			seen[d.Package] = append(seen[d.Package], bump.Sighting{Version: v, At: d.At})
		}
	}
	return func(id fleet.PackageID) []bump.Sighting { return seen[id] }
}
