package graph_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// before has something happen in the tenant before the first request of a kind
// arrives, which is answered with a status unless that is 0.
func (w *world) before(is func(r *http.Request, body string) bool, status int, happens func()) {
	var once atomic.Bool
	next := w.http.Config.Handler
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if is(r, string(body)) && once.CompareAndSwap(false, true) {
			happens()
			if status != 0 {
				rw.WriteHeader(status)
				return
			}
		}
		next.ServeHTTP(rw, r)
	})
	w.t.Cleanup(func() {
		if !once.Load() {
			w.t.Error("nothing happened")
		}
	})
}

func uploads(r *http.Request, _ string) bool { return r.URL.Query().Get("comp") == "blocklist" }

func goesLive(r *http.Request, body string) bool {
	return r.Method == http.MethodPatch && strings.Contains(body, "committedContentVersion")
}

// TestPublicationOvertaken: while a promotion uploads, or is asked to send its last
// change again, a way back makes the slot hold the release before. The promotion
// leaves it at that.
func TestPublicationOvertaken(t *testing.T) {
	for name, c := range map[string]struct {
		at     func(*http.Request, string) bool
		status int
	}{
		"while it uploads":      {uploads, 0},
		"between two attempts":  {goesLive, http.StatusServiceUnavailable},
		"between two more":      {goesLive, http.StatusConflict},
		"before it is tried on": {goesLive, http.StatusGatewayTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			at := func(version string, generation int) error {
				app, content := release(t, fleet.Stable, version, 5000)
				app.Generation = generation
				_, err := w.client(nordic).Publish(t.Context(), app, content)
				return err
			}
			check(t, at("24.08", 1))
			w.before(c.at, c.status, func() {
				if err := at("24.08", 3); err != nil {
					t.Error(err)
				}
			})
			err := at("24.09", 2)
			if fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), "at generation 3, the caller knows 2") {
				t.Errorf("%v", err)
			}
			state := must[fleet.AppState](t)(w.client(nordic).Observe(t.Context(), pkg, fleet.Stable))
			if app := w.get(appsAt + "/" + state.ID); state.Version != "24.08" || state.Generation != 3 || app["displayVersion"] != "24.08" || app["committedContentVersion"] != "1" {
				t.Errorf("%+v, %v of content %v", state, app["displayVersion"], app["committedContentVersion"])
			}
		})
	}
}

// TestNotesChangeWhileUploading: what people write into an app's notes during an
// upload stays; and where they took packmill's line off, the app is left to them.
func TestNotesChangeWhileUploading(t *testing.T) {
	w := newWorld(t, nil)
	app := publish(t, w.client(nordic), fleet.Stable, "24.08").ID
	write := func(change func(notes string) string) func() {
		return func() {
			w.do(http.MethodPatch, appsAt+"/"+app, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": change(w.get(appsAt + "/" + app)["notes"].(string))})
		}
	}
	w.before(uploads, 0, write(func(notes string) string { return "ask Ines first\n" + notes }))
	publish(t, w.client(nordic), fleet.Stable, "24.09")
	if got := w.get(appsAt + "/" + app); got["displayVersion"] != "24.09" || !strings.HasPrefix(got["notes"].(string), "ask Ines first\npackmill: ") {
		t.Errorf("%v, notes %q", got["displayVersion"], got["notes"])
	}
	for name, at := range map[string]func(*http.Request, string) bool{"before what is uploaded is named": func(r *http.Request, body string) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/contentVersions")
	}, "during the upload": uploads} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			app := publish(t, w.client(nordic), fleet.Stable, "24.08").ID
			w.before(at, 0, func() {
				w.do(http.MethodPatch, appsAt+"/"+app, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "notes": "ours now"})
			})
			next, content := release(t, fleet.Stable, "24.09", 5000)
			if _, err := w.client(nordic).Publish(t.Context(), next, content); fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), "line off") {
				t.Errorf("%v", err)
			}
			if got := w.get(appsAt + "/" + app); got["notes"] != "ours now" || got["displayVersion"] != "24.08" {
				t.Errorf("%v, notes %q", got["displayVersion"], got["notes"])
			}
			state := must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), next, content))
			if state.ID == app || w.get(appsAt + "/" + app)["notes"] != "ours now" {
				t.Errorf("the next one wrote into %s again", app)
			}
		})
	}
}

// TestPublicationFenced: nothing becomes current once nothing may be written any
// more; what was uploaded until then lies ready for the next one.
func TestPublicationFenced(t *testing.T) {
	w := newWorld(t, nil)
	app := publish(t, w.client(nordic), fleet.Stable, "24.08").ID
	var over atomic.Bool
	ended := errors.New("the lease has ended")
	ctx := fleet.While(t.Context(), func() error {
		if over.Load() {
			return ended
		}
		return nil
	})
	w.before(uploads, 0, func() { over.Store(true) })
	next, content := release(t, fleet.Stable, "24.09", 5000)
	if _, err := w.client(nordic).Publish(ctx, next, content); !errors.Is(err, ended) {
		t.Errorf("%v", err)
	}
	if got := w.get(appsAt + "/" + app); got["displayVersion"] != "24.08" || got["committedContentVersion"] != "1" {
		t.Errorf("%v of content %v", got["displayVersion"], got["committedContentVersion"])
	}
	if n := w.changes(func() { publish(t, w.client(nordic), fleet.Stable, "24.09") }); n != 1 || w.count("commit") != 2 {
		t.Errorf("the next one made %d changes; %d contents were committed", n, w.count("commit"))
	}
}

// TestEditedAppIsNotOverwritten: what a person changed of packmill's app, before a
// publication or while it uploads, stops it before a property or the content of the
// app changes, until main says that it is undone.
func TestEditedAppIsNotOverwritten(t *testing.T) {
	for name, when := range map[string]func(w *world, edit func()){
		"before":               func(_ *world, edit func()) { edit() },
		"during the upload":    func(w *world, edit func()) { w.before(uploads, 0, edit) },
		"between two attempts": func(w *world, edit func()) { w.before(goesLive, http.StatusServiceUnavailable, edit) },
		"while one that was killed lies there": func(w *world, edit func()) {
			ctx, kill := context.WithCancel(w.t.Context())
			w.before(uploads, 0, kill)
			app, content := release(w.t, fleet.Stable, "24.10", 5000)
			if _, err := w.client(nordic).Publish(ctx, app, content); !errors.Is(err, context.Canceled) {
				w.t.Fatal(err)
			}
			edit()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			app := publish(t, w.client(nordic), fleet.Stable, "24.08").ID
			const theirs = "msiexec /i 7zip.msi /qb THEIRS=1"
			when(w, func() {
				w.do(http.MethodPatch, appsAt+"/"+app, map[string]any{"@odata.type": "#microsoft.graph.win32LobApp", "installCommandLine": theirs})
			})
			next, content := release(t, fleet.Stable, "24.09", 5000)
			if _, err := w.client(nordic).Publish(t.Context(), next, content); fleet.KindOf(err) != fleet.Stalled || !strings.Contains(err.Error(), "changed the app's properties") {
				t.Errorf("%v", err)
			}
			if got := w.get(appsAt + "/" + app); got["installCommandLine"] != theirs || got["displayVersion"] != "24.08" || got["committedContentVersion"] != "1" {
				t.Errorf("%v, %v of content %v", got["installCommandLine"], got["displayVersion"], got["committedContentVersion"])
			}
			next.Restore = true
			must[fleet.AppState](t)(w.client(nordic).Publish(t.Context(), next, content))
			if got := w.get(appsAt + "/" + app); got["installCommandLine"] == theirs || got["displayVersion"] != "24.09" {
				t.Errorf("restored: %v, %v", got["installCommandLine"], got["displayVersion"])
			}
			publish(t, w.client(nordic), fleet.Stable, "24.10")
		})
	}
}
