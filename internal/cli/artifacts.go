package cli

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/transport"
)

// ociScheme marks a store that is a registry's repository: "oci://host/name".
const ociScheme = "oci://"

// wireStore gives the factory the artifact store that the environment or the
// operator on main names.
func (a *app) wireStore(f *factory.Factory) error {
	main, err := f.Git.Main()
	if err != nil {
		return err
	}
	repo, err := f.Desired(context.Background(), main)
	if err != nil {
		return err
	}
	f.Store, err = a.openStore("", repo.Operator.Store)
	return err
}

// storeFlagText is the help of --store.
const storeFlagText = "artifact store: a folder, or oci://HOST/REPOSITORY (default PACKMILL_STORE, the operator's registry, or a folder below the user's cache)"

// openStore opens the artifact store: what the flag says, else PACKMILL_STORE,
// else the operator's registry, else a folder outside of any repository. That
// folder is in the user's cache because what it holds can be built again, to
// the byte, from the releases in git.
func (a *app) openStore(flag string, operator *fleet.Store) (*store.Store, error) {
	at := cmp.Or(flag, a.getenv("PACKMILL_STORE"))
	if at == "" && operator != nil {
		at = ociScheme + operator.Registry
	}
	if reference, ok := strings.CutPrefix(at, ociScheme); ok {
		return a.openRegistry(reference)
	}
	if dir := a.getenv("PACKMILL_CACHE"); at == "" && dir != "" {
		at = filepath.Join(dir, "store")
	}
	if at == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, &fleet.Error{Op: "cli.store", Kind: fleet.Invalid, Err: err, Hint: "set PACKMILL_STORE to a folder"}
		}
		at = filepath.Join(dir, "packmill", "store")
	}
	s, err := store.OpenLayout(at)
	if err != nil {
		return nil, &fleet.Error{Op: "cli.store", Object: at, Kind: fleet.Invalid, Err: err, Hint: "set PACKMILL_STORE to a folder that can be written"}
	}
	return s, nil
}

// openRegistry logs in as the machine's container tools do.
func (a *app) openRegistry(reference string) (*store.Store, error) {
	clock, err := a.clock()
	if err != nil {
		return nil, err
	}
	logins, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "cli.store", reference, "the registry logins of this machine: %w", err)
	}
	lookUp := credentials.Credential(logins)
	client := transport.New(transport.Options{Clock: clock, UserAgent: "packmill/" + buildVersion(), AllowLoopback: true, AllowPrivate: true})
	return store.OpenRegistry(reference, client.HTTP(), func(ctx context.Context, registry string) (string, string, error) {
		c, err := lookUp(ctx, registry)
		return c.Username, c.Password, err
	})
}

// keyFlagText is the help of --key where it signs.
const keyFlagText = "private key file that signs (default PACKMILL_KEY); its password is read from PACKMILL_KEY_PASSWORD"

// loadKey loads the signing key that the flag or PACKMILL_KEY names.
func (a *app) loadKey(flag string) (*signing.Key, error) {
	path := a.keyPath(flag)
	if path == "" {
		return nil, &fleet.Error{Op: "cli.key", Kind: fleet.Invalid, Err: errors.New("no signing key is set"),
			Hint: "packmill keys generate ~/.config/packmill/mill.key, then set PACKMILL_KEY to it"}
	}
	return signing.Load(path, []byte(a.getenv("PACKMILL_KEY_PASSWORD")))
}

func (a *app) keyPath(flag string) string { return cmp.Or(flag, a.getenv("PACKMILL_KEY")) }

// loadMain loads desired state from a commit: the one rev names, or main.
func (a *app) loadMain(ctx context.Context, rev string) (*gitrepo.Repo, *fleet.Repository, error) {
	git, err := gitrepo.Open(a.repo)
	if err != nil {
		return nil, nil, err
	}
	if rev == "" {
		if rev, err = git.Main(); err != nil {
			return nil, nil, err
		}
	}
	repo, err := a.loadTree(ctx, rev)
	return git, repo, err
}
