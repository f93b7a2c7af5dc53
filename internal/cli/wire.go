package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/packmill/packmill/internal/edge/forge"
	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/transport"
)

// botName and botMail are who commits when the environment does not say.
const (
	botName = "packmill"
	botMail = "packmill@localhost"
)

// parallelTenants is how many tenants are served side by side: the service's
// limits are each tenant's own, so that a run takes as long as its slowest
// tenant. Each has one connection at most and some 100 KiB, and a share of
// uploadMemory. A clock that --now holds still is moved by whoever backs off, so
// that then one comes after the other: the same run gives the same bytes.
const parallelTenants = 512

// uploadMemory bounds the blocks of content that all tenants' uploads hold.
const uploadMemory = 256 << 20

// factory wires the edges that the environment names to the repository of
// --repo. An edge that is not configured stays nil; the function that needs it
// says which setting is missing.
func (a *app) factory(ctx context.Context) (*factory.Factory, *evidence.Ledger, error) {
	clock, err := a.clock()
	if err != nil {
		return nil, nil, err
	}
	git, err := gitrepo.Open(a.repo)
	if err != nil {
		return nil, nil, err
	}
	if token := a.getenv("GITHUB_TOKEN"); token != "" {
		git = git.WithAuth(gitrepo.Auth{User: "x-access-token", Token: token})
	}
	load, err := a.desired(git)
	if err != nil {
		return nil, nil, err
	}
	author := fleet.Identity{Name: cmp.Or(a.getenv("GIT_AUTHOR_NAME"), botName), Email: cmp.Or(a.getenv("GIT_AUTHOR_EMAIL"), botMail)}
	f := &factory.Factory{Version: buildVersion(), Clock: clock, Log: a.log(), Progress: a.progress(), Author: author, Runner: a.runner(git), Git: git, Desired: load}
	if _, manual := clock.(*fleet.ManualClock); !manual {
		f.Parallel = parallelTenants
	}
	if err := git.Fetch(ctx); err != nil {
		return nil, nil, err
	}
	main, err := git.Main()
	if err != nil {
		return nil, nil, err
	}
	ledger, err := a.ledger(ctx, f, main)
	if err != nil {
		return nil, nil, err
	}
	return f, ledger, errors.Join(a.wireForge(f), a.wireUpstream(f), a.wireStore(f), a.wireCode(f), a.wireTenants(f), a.wireCells(f), a.wireOutbox(f))
}

// offline wires the clone and its evidence, and nothing outside of it.
func (a *app) offline(ctx context.Context) (*factory.Factory, *evidence.Ledger, error) {
	f, err := a.reader()
	if err != nil {
		return nil, nil, err
	}
	main, err := f.Git.Main()
	if err != nil {
		return nil, nil, err
	}
	ledger, err := a.ledger(ctx, f, main)
	return f, ledger, err
}

// looking wires the clone for questions that change nothing. Origin is asked
// first; where it cannot be reached, the answer goes by what the clone has, and
// says so. What origin says and the clone refuses, a rewritten branch or a token
// that is not accepted, stays an error.
func (a *app) looking(ctx context.Context) (*factory.Factory, *evidence.Ledger, error) {
	git, err := gitrepo.Open(a.repo)
	if err != nil {
		return nil, nil, err
	}
	if token := a.getenv("GITHUB_TOKEN"); token != "" {
		git = git.WithAuth(gitrepo.Auth{User: "x-access-token", Token: token})
	}
	if err := git.Fetch(ctx); err != nil {
		if kind := fleet.KindOf(err); ctx.Err() != nil || kind != fleet.Internal && kind != fleet.Waiting {
			return nil, nil, err
		}
		fmt.Fprintf(a.stderr, "packmill: origin cannot be asked, so this is what the clone has: %v\n", err)
	}
	return a.offline(ctx)
}

// reader wires the clone alone.
func (a *app) reader() (*factory.Factory, error) {
	clock, err := a.clock()
	if err != nil {
		return nil, err
	}
	git, err := gitrepo.Open(a.repo)
	if err != nil {
		return nil, err
	}
	load, err := a.desired(git)
	return &factory.Factory{Clock: clock, Log: a.log(), Progress: a.progress(), Git: git, Desired: load}, err
}

// desired reads and checks commits, each once.
func (a *app) desired(git *gitrepo.Repo) (func(context.Context, string) (*fleet.Repository, error), error) {
	evaluator, err := policyEvaluator()
	if err != nil {
		return nil, err
	}
	evaluator = desired.Remember(evaluator)
	var mu sync.Mutex
	known := map[string]*fleet.Repository{}
	return func(ctx context.Context, rev string) (*fleet.Repository, error) {
		tree, err := git.Tree(rev)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		if repo, ok := known[tree.Commit()]; ok {
			return repo, nil
		}
		// Exceptions are judged when they are merged: a commit that was right
		// then stays readable after its exceptions have expired.
		repo, err := desired.Load(ctx, tree.Desired(ctx), desired.Options{Evaluator: evaluator})
		if err == nil {
			known[tree.Commit()] = repo
		}
		return repo, err
	}, nil
}

// ledger opens the evidence of the repository: read with the keys that main
// trusts, written with PACKMILL_KEY if there is one. The head of main may bring
// a key that nobody reviewed; that widens nothing, since such a commit is at
// fault, also when it is recorded with the very key it brings, and from then on
// only halts go on.
func (a *app) ledger(ctx context.Context, f *factory.Factory, main string) (*evidence.Ledger, error) {
	repo, err := f.Desired(ctx, main)
	if err != nil {
		return nil, err
	}
	verifier, err := signing.NewVerifier(repo.Operator.Trust, "evidence")
	if err != nil {
		return nil, err
	}
	var signer fleet.Signer
	if path := a.getenv("PACKMILL_KEY"); path != "" {
		key, err := signing.Load(path, []byte(a.getenv("PACKMILL_KEY_PASSWORD")))
		if err != nil {
			return nil, err
		}
		signer, f.Signer, f.Attester = key, key, key
	}
	ledger := evidence.Open(f.Git, signer, verifier, f.Clock, f.Author)
	f.Ledger = ledger
	return ledger, nil
}

// wireForge takes the forge from the variables that GitHub Actions sets.
func (a *app) wireForge(f *factory.Factory) error {
	name := a.getenv("GITHUB_REPOSITORY")
	if name == "" {
		return nil
	}
	client, err := a.forge(f.Clock, name, a.getenv("GITHUB_TOKEN"))
	if err != nil {
		return err
	}
	f.Forge = client
	return nil
}

func (a *app) forge(clock fleet.Clock, repository, token string) (*forge.Client, error) {
	owner, name, ok := strings.Cut(repository, "/")
	if !ok {
		return nil, usageErrorf("GITHUB_REPOSITORY %q is not owner/name", repository)
	}
	return forge.New(forge.Options{
		BaseURL: cmp.Or(a.getenv("GITHUB_API_URL"), "https://api.github.com/"), Owner: owner, Name: name, Token: token, Login: a.getenv("PACKMILL_FORGE_LOGIN"),
		HTTP: transport.New(transport.Options{Clock: clock, AllowLoopback: true}), Clock: clock,
	})
}

// cacheDir is a folder of packmill's below the user's cache.
func (a *app) cacheDir(name string) (string, error) {
	if dir := a.getenv("PACKMILL_CACHE"); dir != "" {
		return filepath.Join(dir, name), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", &fleet.Error{Op: "cli.cache", Kind: fleet.Invalid, Err: err, Hint: "set PACKMILL_CACHE to a folder"}
	}
	return filepath.Join(dir, "packmill", name), nil
}
