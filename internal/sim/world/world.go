package world

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/forge"
	"github.com/packmill/packmill/internal/sim/graph"
	"github.com/packmill/packmill/internal/sim/vendors"
)

// Options say where a world is, and which one.
type Options struct {
	Dir      string
	Seed     int64
	Observer event.Observer
	Tenant   func(fleet.TenantID, *graph.Tenant) // changes a tenant from how the world has it; may be nil
}

// A World is all simulators over one folder, served on loopback.
type World struct {
	dir     string
	seed    int64
	mu      sync.Mutex
	now     time.Time
	forge   *forge.Server
	graph   *graph.Server
	vendors *vendors.Server
	servers []*http.Server
	urls    map[string]string // service → base address
}

// Open founds the world in a folder, or opens one that was founded there.
func Open(ctx context.Context, o Options) (*World, error) {
	w := &World{dir: o.Dir, seed: o.Seed, now: began, urls: map[string]string{}}
	for _, dir := range []string{"graph", "vendors", "forge", "keys", "mailbox"} {
		if err := os.MkdirAll(filepath.Join(o.Dir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	if err := w.writeKeys(); err != nil {
		return nil, err
	}
	var err error
	if w.vendors, err = vendors.New(vendors.Options{Dir: w.path("vendors"), Now: w.Now, Observe: o.Observer, Data: published()}); err != nil {
		return nil, err
	}
	if w.graph, err = graph.New(w.graphOptions(o)); err != nil {
		return nil, err
	}
	if w.forge, err = forge.New(w.forgeOptions(o)); err != nil {
		return nil, err
	}
	for name, handler := range map[string]http.Handler{"vendors": w.vendors, "graph": w.graph, "forge": w.forge} {
		if err := w.serve(ctx, name, handler); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *World) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

func (w *World) forgeOptions(o Options) forge.Options {
	return forge.Options{
		Dir: w.path("forge"), Owner: Owner, Name: Name, Now: w.Now, Observer: o.Observer, Settle: -1,
		Users: []forge.User{
			{Login: Bot, Token: Token(Bot), ID: 1001, Bot: true, Role: forge.Write},
			{Login: Ines, Name: "Ines Lind", Token: Token(Ines), ID: 2001, Role: forge.Admin},
			{Login: Oskar, Name: "Oskar Ek", Token: Token(Oskar), ID: 2002, Role: forge.Write},
		},
		Protected: forge.Protection{Reviews: 1, DismissStale: true, Checks: []string{"validate"}},
	}
}

func (w *World) graphOptions(o Options) graph.Options {
	options := graph.Options{
		Dir: w.path("graph"), Now: w.Now, Seed: o.Seed, Observer: o.Observer, Lag: 1, ListLag: 1, Luck: w.luck(), Named: programNamed, Updates: windowsUpdates(),
	}
	for _, t := range tenants() {
		tenant := graph.Tenant{Directory: directory(t.id), Devices: t.fleet(o.Seed)}
		if o.Tenant != nil {
			o.Tenant(t.id, &tenant)
		}
		options.Tenants = append(options.Tenants, tenant)
	}
	return options
}

// Decide is an administrator's word on all changes of a tenant that wait for a
// second person: approved, rejected or cancelled. It returns how many there were.
func (w *World) Decide(id fleet.TenantID, status, why string) (int, error) {
	return w.graph.Decide(directory(id), status, why)
}

// serve listens on a loopback port of the system's choice.
func (w *World) serve(ctx context.Context, name string, handler http.Handler) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on loopback: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second}
	w.servers = append(w.servers, server)
	w.urls[name] = "http://" + listener.Addr().String()
	go func() { _ = server.Serve(listener) }() // ends with Close
	return nil
}

// Close ends the servers. Everything stays on disk.
func (w *World) Close() error {
	var errs []error
	for _, s := range w.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.graph.Close())...)
}

// Lives are what the simulated devices have done until now.
func (w *World) Lives() graph.Lives { return w.graph.Lives(w.Now()) }

// Now is the virtual instant.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// SetTime moves the virtual clock.
func (w *World) SetTime(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = t.UTC()
}

// Portal changes the first object of a tenant's whose name begins so, in a
// collection of Graph's, as a person in the portal does.
func (w *World) Portal(id fleet.TenantID, collection, name string, props map[string]any) error {
	at := directory(id)
	found := w.graph.Named(at, collection, name)
	if len(found) == 0 {
		return fmt.Errorf("world: %s has no %s called %q", id, collection, name)
	}
	return w.graph.Edit(at, collection, found[0], props)
}

// GitDir is the operator's bare repository on disk.
func (w *World) GitDir() string { return w.forge.GitDir() }

// RemoteURL is the repository's address on the forge.
func (w *World) RemoteURL() string { return w.urls["forge"] + w.forge.GitPath() }

// Env is what a packmill process needs to work in this world as the given
// account: the variables a workflow would have.
func (w *World) Env(login string) map[string]string {
	return map[string]string{
		"GITHUB_REPOSITORY":       Owner + "/" + Name,
		"GITHUB_API_URL":          w.urls["forge"] + w.forge.APIPath(),
		"GITHUB_TOKEN":            Token(login),
		"GIT_AUTHOR_NAME":         Bot,
		"GIT_AUTHOR_EMAIL":        BotMail,
		"PACKMILL_MIRROR":         w.urls["vendors"],
		"PACKMILL_GITHUB_API":     w.urls["vendors"] + "/api.github.com",
		"PACKMILL_GRAPH":          w.urls["graph"],
		"PACKMILL_TOKEN_ENDPOINT": w.urls["graph"] + "/{tenant}/oauth2/v2.0/token",
		"AZURE_CLIENT_ID":         guid("client", Bot),
		"AZURE_CLIENT_SECRET":     "world-client-secret",
		"PACKMILL_KEY":            w.path("keys", "mill.key"),
		"PACKMILL_TENANT_KEYS":    w.path("keys", "tenants"),
		"PACKMILL_STORE":          w.path("store"),
		"PACKMILL_CACHE":          w.path("cache"),
		"PACKMILL_MAILBOX":        w.path("mailbox"),
	}
}

// Zone is the operator's zone, in which the story is told.
func Zone() *time.Location {
	zone, err := time.LoadLocation("Europe/Helsinki")
	if err != nil {
		return time.UTC
	}
	return zone
}

// writeKeys makes the world's keys from its seed: they protect nothing but
// this world, and equal seeds must give equal worlds.
func (w *World) writeKeys() error {
	private, _, err := w.signingKey()
	if err != nil {
		return err
	}
	if err := keep(w.path("keys", "mill.key"), private); err != nil {
		return err
	}
	for _, t := range tenants() {
		key, err := w.hashKey(t.id)
		if err != nil {
			return err
		}
		if err := keep(w.path("keys", "tenants", t.id.Slug()+".key"), fmt.Appendf(nil, "%x\n", key)); err != nil {
			return err
		}
	}
	return nil
}

// signingKey is the key that signs builds and evidence, as PEM.
func (w *World) signingKey() (private, public []byte, err error) {
	for i := range 16 { // a scalar out of range is as good as never drawn
		seed, err := hkdf.Key(sha256.New, fmt.Append(nil, w.seed), nil, fmt.Sprintf("signing %d", i), 32)
		if err != nil {
			return nil, nil, err
		}
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed)
		if err != nil {
			continue
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, nil, err
		}
		pub, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return nil, nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}), nil
	}
	return nil, nil, errors.New("world: no key from this seed")
}

// Files are the first commit of the operator's repository.
func (w *World) Files() (map[string][]byte, error) {
	_, public, err := w.signingKey()
	if err != nil {
		return nil, err
	}
	return Repository(string(public), func(id fleet.PackageID, version string) []byte {
		for _, a := range apps() {
			if a.id == id {
				return a.installer(version).Bytes()
			}
		}
		return nil
	}), nil
}

// keep writes a file that is not there yet, readable by its owner alone.
func keep(path string, data []byte) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}
