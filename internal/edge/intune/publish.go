package intune

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
)

// Publish makes the slot hold the app's content, and returns its state. The
// object of the installer's kind is written; those of other platforms stay as
// they are. What an earlier run left unfinished is finished, or removed where it
// leads nowhere; when nothing differs nothing is written. An app.Generation below the slot's own is refused: somebody else has
// moved the slot since the caller looked. A Generation of 0 is not compared.
//
// An upload takes long. The object is looked at again before each attempt to change
// it: nothing is once somebody else has brought the slot further, has taken
// packmill's line off it, or the context lets nothing be written any more
// (fleet.While). Content that is on its way then is still brought, and lies ready
// for whoever goes on.
//
// Kinds: Invalid when the app cannot be expressed, Refused when the content is
// not the artifact's, the slot has moved on or the app is not packmill's any more,
// Waiting when the service takes longer than it should or somebody keeps changing
// the app, Stalled when it rejects the content again and again, or people have
// changed the app's properties and app.Restore does not say that this is undone.
func (c *Client) Publish(ctx context.Context, app fleet.App, source fleet.Content) (fleet.AppState, error) {
	k := slotKey{app.Package, app.Slot}
	if err := checkSlot("intune.publish", k); err != nil {
		return fleet.AppState{}, err
	}
	kind, err := kindFor(app)
	if err != nil {
		return fleet.AppState{}, err
	}
	opened, err := c.open(app, kind, source)
	if err != nil {
		return fleet.AppState{}, c.api.Fail("intune.publish", k.String(), err)
	}
	defer opened.close()
	want, err := properties(app, kind, opened)
	if err != nil {
		return fleet.AppState{}, err
	}
	if want.common().RoleScopeTagIDs, err = c.scopeTags(ctx, app); err != nil {
		return fleet.AppState{}, c.api.Fail("intune.publish", k.String(), err)
	}
	want = c.adapted(want)
	p := &publication{c: c, key: k, kind: kind, app: app, content: opened, want: want, spec: specID(want)}
	wait := time.Second
	for try := 1; ; try++ {
		state, err := p.run(ctx)
		if err == nil || try == msgraph.Tries || !msgraph.Passing(ctx, err) {
			return state, c.api.Fail("intune.publish", k.String(), err)
		}
		c.api.Log().InfoContext(ctx, "publication goes on after an error", "tenant", c.api.Directory(), "slot", k.String(), "error", err)
		if err := c.api.Clock().Sleep(ctx, wait); err != nil {
			return state, err
		}
		wait *= 2
		p.again = true
	}
}

// A publication is one call of Publish.
type publication struct {
	c       *Client
	key     slotKey
	kind    kind
	app     fleet.App
	content *content
	want    appBody
	spec    string // identifies want
	again   bool   // an earlier try may have made what the cache does not know
}

// run goes through the steps once, skipping those already done.
func (p *publication) run(ctx context.Context) (fleet.AppState, error) {
	f, err := p.ensure(ctx)
	if err != nil {
		return fleet.AppState{}, err
	}
	if err := p.current(ctx, f); err != nil {
		return fleet.AppState{}, err
	}
	moved, err := p.moved(ctx, f)
	if err != nil {
		return fleet.AppState{}, err
	}
	done := f.marker
	done.Version, done.Artifact, done.File = p.app.Version, p.app.Artifact, p.app.File.Digest
	done.Generation, done.Spec, done.Pending = p.app.Generation, p.spec, ""
	categories, err := p.c.categoryIDs(ctx, p.app.Categories)
	if err != nil {
		return fleet.AppState{}, err
	}
	// Named before they are made, so that a crash leaves nothing nobody owns.
	if done.Categories, err = p.c.ownCategories(ctx, f, categories); err != nil {
		return fleet.AppState{}, err
	}
	done.Requires = slices.Compact(slices.Sorted(slices.Values(slices.Concat(done.Requires, p.requires()))))
	done.Supersedes = together(done.Supersedes, p.supersedes(f))
	committed := f.app.CommittedContentVersion
	if p.kind.uploads() && (committed == "" || f.marker.File != p.app.File.Digest) {
		if committed, err = p.upload(ctx, f); err != nil {
			return fleet.AppState{}, err
		}
	}
	if committed != f.app.CommittedContentVersion || f.marker.line() != done.line() || moved {
		if err := p.c.api.LearnGuard(ctx); err != nil {
			return fleet.AppState{}, err
		}
	}
	if committed != f.app.CommittedContentVersion || p.differs(f.marker, done) || moved {
		body, err := p.change(ctx, f, committed, done)
		if err != nil {
			return fleet.AppState{}, err
		}
		if err := p.c.api.Call(p.standing(ctx, f), msgraph.Fresh, http.MethodPatch, appPath(f.app.ID), body, nil); err != nil {
			return fleet.AppState{}, err
		}
	}
	if f, err = p.published(ctx, f.app.ID, committed); err != nil {
		return fleet.AppState{}, err
	}
	if err := p.c.categorize(ctx, f, categories); err != nil {
		return fleet.AppState{}, err
	}
	if err := p.c.relate(ctx, p.key, f, p.requires(), p.supersedes(f)); err != nil {
		return fleet.AppState{}, err
	}
	if err := p.c.giveWay(ctx, p.key); err != nil {
		return fleet.AppState{}, err
	}
	return p.settled(ctx, f)
}

// requires are the packages that the app depends on: only Win32 apps can.
func (p *publication) requires() []fleet.PackageID {
	if p.kind != kindWin32 {
		return nil
	}
	return p.app.Requires
}

// supersedes are the packages whose apps give way to the slot's, as it is found:
// only Win32 apps can.
func (p *publication) supersedes(f *found) map[fleet.PackageID]string {
	if p.kind != kindWin32 {
		return nil
	}
	return lasting(p.app, f.marker)
}

// body is the app's properties with notes.
func (p *publication) body(notes string) appBody {
	body := p.want
	common := body.common()
	common.Notes, common.CommittedContentVersion = &notes, ""
	return body
}

// settled is the slot after the publication, without what earlier ones left
// half made.
func (p *publication) settled(ctx context.Context, f *found) (fleet.AppState, error) {
	lead, err := p.c.findBeside(ctx, p.key, f)
	if err != nil {
		return fleet.AppState{}, err
	}
	swept, err := p.c.sweep(ctx, p.key, lead)
	if err != nil {
		return fleet.AppState{}, err
	}
	if swept {
		if lead, err = p.c.find(ctx, p.key); err != nil {
			return fleet.AppState{}, err
		}
	}
	if lead == nil { // somebody took the marker off
		return fleet.AppState{}, errNoApp
	}
	return p.c.state(ctx, lead)
}

// maxGenerations is how far back a change is looked for that was held for an
// approval.
const maxGenerations = 50

// differs reports whether a slot's marker says something else than it should.
// Where the tenant's own people must approve every change, a new generation alone
// is none: each run would ask them for another.
func (p *publication) differs(is, want Marker) bool {
	if p.c.api.Guarded() && is.Generation > 0 {
		want.Generation = is.Generation
	}
	return is.line() != want.line()
}

// change is the PATCH that makes content, rules and marker current. An approval
// is for exactly one body: what an earlier run asked people of the tenant for is
// asked for again as that run wrote it, with its generation.
func (p *publication) change(ctx context.Context, f *found, committed string, done Marker) (appBody, error) {
	body := func(m Marker) appBody {
		out := p.body(withMarker(text(f.app.Notes), m))
		out.common().CommittedContentVersion = committed
		return asKept(out)
	}
	if p.c.api.Guarded() {
		last := max(f.marker.Generation, done.Generation-maxGenerations)
		for m := done; m.Generation > last; m.Generation-- {
			asked, err := p.c.api.Requested(ctx, http.MethodPatch, appPath(f.app.ID), body(m))
			if err != nil {
				return nil, err
			}
			if asked {
				return body(m), nil
			}
		}
	}
	return body(done), nil
}

// ensure finds the slot's app object or creates it, marked and without content.
func (p *publication) ensure(ctx context.Context) (*found, error) {
	f, err := p.c.findKind(ctx, p.key, p.kind)
	if err != nil || f != nil {
		return f, err
	}
	// What an answer that was lost made, the cache does not know.
	if p.again {
		if err := p.c.api.Clock().Sleep(ctx, listWait); err != nil {
			return nil, err
		}
		if _, err := p.c.lookup(ctx, p.key, true); err != nil {
			return nil, err
		}
		if f, err := p.c.findKind(ctx, p.key, p.kind); err != nil || f != nil {
			return f, err
		}
	}
	if err := p.current(ctx, nil); err != nil {
		return nil, err
	}
	if err := p.c.api.LearnGuard(ctx); err != nil {
		return nil, err
	}
	m := Marker{Package: p.key.pkg, Slot: p.key.slot, Pending: p.app.File.Digest} // which names the app with the next write
	body := p.body(withMarker("", m))
	begun := p.c.api.Clock().Now()
	var made mobileApp
	if err := p.c.api.Call(ctx, msgraph.Final, http.MethodPost, appsPath, body, &made); err != nil {
		return nil, err
	}
	if made.ID == "" {
		return nil, errors.New("the service created an app without telling its id")
	}
	p.c.remember(p.key, p.kind, made.ID)
	p.c.mu.Lock()
	p.c.unassigned[made.ID] = begun
	p.c.mu.Unlock()
	notes := withMarker("", m)
	made.Notes, m.ID = &notes, made.ID
	return &found{app: made, kind: p.kind, marker: m, made: true}, nil
}

// upload brings the content into a content version and commits it there, and
// returns the version's id.
func (p *publication) upload(ctx context.Context, f *found) (string, error) {
	if f.made { // nothing can lie in it
		version, err := p.newVersion(ctx, f.app.ID)
		if err != nil {
			return "", err
		}
		return version, p.bring(ctx, f.app.ID, version, nil)
	}
	version, err := p.version(ctx, f.app)
	if err != nil {
		return "", err
	}
	files, err := msgraph.List[contentFile](ctx, p.c.api, msgraph.Fresh, filesPath(p.kind, f.app.ID, version))
	if err != nil {
		return "", err
	}
	if f.marker.Pending != p.app.File.Digest {
		// What lies here is of a release that was given up. It goes before the
		// marker says that what lies here is ours.
		for _, file := range files {
			if err := p.discard(ctx, f.app.ID, version, file); err != nil {
				return "", err
			}
		}
		files = nil
		m := f.marker
		m.Pending = p.app.File.Digest
		if err := p.c.putMarker(p.standing(ctx, f), f, m); err != nil {
			return "", err
		}
	}
	return version, p.bring(ctx, f.app.ID, version, files)
}

// version is the content version to upload into: the newest one if it was never
// made current, else a new one. While nothing was ever committed the service
// refuses a second version.
func (p *publication) version(ctx context.Context, app mobileApp) (string, error) {
	versions, err := msgraph.List[mobileAppContent](ctx, p.c.api, msgraph.Fresh, contentsPath(p.kind, app.ID))
	if err != nil {
		return "", err
	}
	number := func(v mobileAppContent) int { n, _ := strconv.Atoi(v.ID); return n }
	if len(versions) > 0 {
		newest := slices.MaxFunc(versions, func(a, b mobileAppContent) int { return number(a) - number(b) })
		current, _ := strconv.Atoi(app.CommittedContentVersion)
		if app.CommittedContentVersion == "" || number(newest) > current {
			return newest.ID, nil
		}
	}
	return p.newVersion(ctx, app.ID)
}

func (p *publication) newVersion(ctx context.Context, app string) (string, error) {
	var made mobileAppContent
	if err := p.c.api.Call(ctx, msgraph.Fresh, http.MethodPost, contentsPath(p.kind, app), struct{}{}, &made); err != nil {
		return "", err
	}
	if made.ID == "" {
		return "", errors.New("the service created a content version without telling its id")
	}
	return made.ID, nil
}

// discard removes a content file that must not become part of a release.
func (p *publication) discard(ctx context.Context, app, version string, file contentFile) error {
	return p.c.api.Call(ctx, msgraph.Final, http.MethodDelete, filePath(p.kind, app, version, file.ID), nil, nil)
}

// writeMarker changes nothing of the app but its marker, while its notes are what was
// read.
func (c *Client) writeMarker(ctx context.Context, f *found, m Marker) error {
	m.ID = f.app.ID
	return c.putMarker(c.noted(ctx, f, withMarker(text(f.app.Notes), m)), f, m)
}

// putMarker is writeMarker for a context that looks at the app itself.
func (c *Client) putMarker(ctx context.Context, f *found, m Marker) error {
	m.ID = f.app.ID
	notes := withMarker(text(f.app.Notes), m)
	if err := c.putNotes(ctx, f, notes); err != nil {
		return err
	}
	f.app.Notes, f.marker = &notes, m
	return nil
}

// published waits until the service has taken the content over.
func (p *publication) published(ctx context.Context, id, version string) (*found, error) {
	f := &found{kind: p.kind}
	err := p.c.api.Poll(ctx, "published", func() (done bool, err error) {
		f.app, err = p.c.read(ctx, id)
		return f.app.PublishingState == "published" && f.app.CommittedContentVersion == version, err
	})
	if err != nil {
		return nil, err
	}
	var ok bool
	if f.marker, ok = ParseMarker(text(f.app.Notes)); !ok {
		return nil, &fleet.Error{Op: "intune.publish", Object: p.key.String(), Kind: fleet.Stalled,
			Err: errors.New("the app lost packmill's marker while it was published"), Hint: "somebody edits the app's notes: restore the line that starts with \"packmill:\""}
	}
	apps, err := p.c.lookup(ctx, p.key, false)
	f.spare = apps[p.kind].spare
	return f, err
}
