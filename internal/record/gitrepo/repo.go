// Package gitrepo is git's plumbing as packmill needs it: objects, refs and
// the remote of one repository, without a work tree.
//
// A work tree is slow (status and add read every file) and dangerous: what a
// pull request brings would be written to disk before anyone looked at it, and
// a checkout leaves a token in .git/config. So files are read from blobs of a
// commit, commits are made by building trees by hand, and branches move by
// compare-and-swap under a lock that git itself respects.
//
// Names in trees are hostile input: a tree with an entry such as "..", ".GIT"
// or two names that are one on another system's disk is refused as a whole,
// when read and when written.
//
// The remote is "origin". A repository without one works the same, only that
// nothing leaves the machine.
package gitrepo

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/packmill/packmill/internal/fleet"
)

// remoteName is the only remote packmill looks at.
const remoteName = "origin"

// mainBranch is the branch that holds desired state.
const mainBranch = "main"

// openPacks is how many pack files stay open between reads: opening one for
// each object takes longer than reading it.
const openPacks = 16

// A Repo is one repository. It is safe for concurrent use.
type Repo struct {
	git   *git.Repository
	store *store
	dir   string // the git directory that holds objects and branches
	bare  bool
	auth  Auth
}

// Auth is the credential for the remote: HTTP basic. GitHub takes any user
// name with a token. The zero value sends none.
type Auth struct {
	User  string // "x-access-token" when empty
	Token string
}

// LogValue keeps the token out of logs.
func (a Auth) LogValue() slog.Value { return slog.StringValue(a.String()) }

// String keeps the token out of texts.
func (a Auth) String() string {
	if a.Token == "" {
		return "none"
	}
	return "token (hidden)"
}

// GoString keeps the token out of texts made with %#v.
func (a Auth) GoString() string { return a.String() }

func (a Auth) method() transport.AuthMethod {
	if a.Token == "" {
		return nil
	}
	user := a.User
	if user == "" {
		user = "x-access-token"
	}
	return &githttp.BasicAuth{Username: user, Password: a.Token}
}

// Open opens the repository at path: a bare one, a work tree, or a folder
// below a work tree.
func Open(path string) (*Repo, error) {
	r, err := git.PlainOpenWithOptions(path, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		// Only now look into parents: a bare repository may lie in a work tree.
		r, err = git.PlainOpenWithOptions(path, &git.PlainOpenOptions{EnableDotGitCommonDir: true, DetectDotGit: true})
	}
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, &fleet.Error{Op: "gitrepo.open", Object: path, Kind: fleet.Invalid, Err: errors.New("is no git repository"),
			Hint: "name one with --repo, or make one: packmill init " + path}
	}
	if err != nil {
		return nil, &fleet.Error{Op: "gitrepo.open", Object: path, Kind: fleet.Invalid, Err: err}
	}
	return wrap(path, r)
}

// wrap puts the locked store under an opened repository.
func wrap(path string, plain *git.Repository) (*Repo, error) {
	files, ok := plain.Storer.(*filesystem.Storage)
	if !ok {
		return nil, fleet.Errorf(fleet.Internal, "gitrepo.open", path, "storage %T is not a folder", plain.Storer)
	}
	cfg, err := plain.Config()
	if err != nil {
		return nil, &fleet.Error{Op: "gitrepo.open", Object: path, Kind: fleet.Invalid, Err: err, Hint: "look at the repository's config file"}
	}
	if format := cfg.Raw.Section("extensions").Option("objectformat"); format != "" && !strings.EqualFold(format, "sha1") {
		return nil, fleet.Errorf(fleet.Invalid, "gitrepo.open", path, "object format %q is not supported, only sha1", format)
	}
	dir, err := commonDir(files.Filesystem().Root())
	if err != nil {
		return nil, &fleet.Error{Op: "gitrepo.open", Object: path, Kind: fleet.Invalid, Err: err}
	}
	fsys := files.Filesystem()
	st := &store{Storage: filesystem.NewStorageWithOptions(fsys, cache.NewObjectLRUDefault(), filesystem.Options{MaxOpenDescriptors: openPacks})}
	bare := true
	r := &Repo{store: st, dir: dir}
	if tree, err := plain.Worktree(); err == nil {
		bare = false
		r.git, err = git.Open(st, tree.Filesystem)
		if err != nil {
			return nil, &fleet.Error{Op: "gitrepo.open", Object: path, Kind: fleet.Invalid, Err: err}
		}
	} else if r.git, err = git.Open(st, nil); err != nil {
		return nil, &fleet.Error{Op: "gitrepo.open", Object: path, Kind: fleet.Invalid, Err: err}
	}
	r.bare = bare
	return r, nil
}

// commonDir is where branches and objects live: the git directory itself, or
// for a linked work tree the one its commondir file names.
func commonDir(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "commondir"))
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return "", err
	}
	common := strings.TrimSpace(string(text))
	if filepath.IsAbs(common) {
		return common, nil
	}
	return filepath.Join(dir, common), nil
}

// Init makes an empty repository whose branch will be main.
func Init(path string, bare bool) (*Repo, error) {
	r, err := git.PlainInitWithOptions(path, &git.PlainInitOptions{
		InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName(mainBranch)},
		Bare:        bare,
	})
	if errors.Is(err, git.ErrRepositoryAlreadyExists) {
		return nil, &fleet.Error{Op: "gitrepo.init", Object: path, Kind: fleet.Invalid, Err: errors.New("there is a git repository already")}
	}
	if err != nil {
		return nil, &fleet.Error{Op: "gitrepo.init", Object: path, Kind: fleet.Internal, Err: err}
	}
	return wrap(path, r)
}

// Clone makes a bare clone of url at path: main as a branch, every branch of
// the remote under refs/remotes/origin. An empty remote gives an empty clone.
// Credentials in url are refused: they would be written to the config file.
func Clone(ctx context.Context, url, path string, auth Auth) (*Repo, error) {
	if hasUserInfo(url) {
		return nil, &fleet.Error{Op: "gitrepo.clone", Object: scrubURL(url), Kind: fleet.Invalid,
			Err: errors.New("the address holds credentials"), Hint: "take them out of the address and give the token by the environment"}
	}
	plain, err := git.PlainCloneContext(ctx, path, true, &git.CloneOptions{
		URL: url, Auth: auth.method(), RemoteName: remoteName, Tags: git.NoTags,
	})
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return cloneEmpty(url, path, auth)
	}
	if err != nil {
		return nil, remoteError("gitrepo.clone", scrubURL(url), auth, err)
	}
	r, err := wrap(path, plain)
	if err != nil {
		return nil, err
	}
	return r.WithAuth(auth), nil
}

func cloneEmpty(url, path string, auth Auth) (*Repo, error) {
	r, err := Init(path, true)
	if err != nil {
		return nil, err
	}
	if err := r.SetRemote(url); err != nil {
		return nil, err
	}
	return r.WithAuth(auth), nil
}

// Close closes the pack files that stayed open. A repository that is not closed
// loses nothing.
func (r *Repo) Close() error {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return r.store.Close()
}

// WithAuth is the same repository with a credential for its remote.
func (r *Repo) WithAuth(auth Auth) *Repo {
	with := *r
	with.auth = auth
	return &with
}

// SetRemote names the remote by address, in place of the one it had.
func (r *Repo) SetRemote(url string) error {
	if hasUserInfo(url) {
		return &fleet.Error{Op: "gitrepo.remote", Object: scrubURL(url), Kind: fleet.Invalid, Err: errors.New("the address holds credentials")}
	}
	cfg, err := r.git.Config()
	if err != nil {
		return &fleet.Error{Op: "gitrepo.remote", Object: url, Kind: fleet.Internal, Err: err}
	}
	cfg.Remotes[remoteName] = &config.RemoteConfig{Name: remoteName, URLs: []string{url}, Fetch: []config.RefSpec{fetchAll}}
	if err := r.git.SetConfig(cfg); err != nil {
		return &fleet.Error{Op: "gitrepo.remote", Object: url, Kind: fleet.Internal, Err: err}
	}
	return nil
}

// HasRemote reports whether there is a remote.
func (r *Repo) HasRemote() bool { return r.remoteURL() != "" }

// remoteURL is the remote's address, "" when there is none.
func (r *Repo) remoteURL() string {
	remote, err := r.git.Remote(remoteName)
	if err != nil || len(remote.Config().URLs) == 0 {
		return ""
	}
	return remote.Config().URLs[0]
}

// Bare reports whether the repository has no work tree.
func (r *Repo) Bare() bool { return r.bare }

// Dir is the git directory that holds objects and branches.
func (r *Repo) Dir() string { return r.dir }

// WorkTree is the folder of the work tree, "" for a bare repository.
func (r *Repo) WorkTree() string {
	tree, err := r.git.Worktree()
	if err != nil {
		return ""
	}
	return tree.Filesystem.Root()
}

// CheckOut writes the files of the checked-out branch to the work tree, and
// the index with them. Files that differ are overwritten: it is for a
// repository that was just made.
func (r *Repo) CheckOut() error {
	tree, err := r.git.Worktree()
	if err != nil {
		return &fleet.Error{Op: "gitrepo.checkout", Object: r.dir, Kind: fleet.Invalid, Err: err}
	}
	head, err := r.git.Head()
	if err != nil {
		return &fleet.Error{Op: "gitrepo.checkout", Object: r.dir, Kind: fleet.Invalid, Err: err}
	}
	if _, err := r.Tree(head.Hash().String()); err != nil {
		return err
	}
	if err := tree.Reset(&git.ResetOptions{Commit: head.Hash(), Mode: git.HardReset}); err != nil {
		return &fleet.Error{Op: "gitrepo.checkout", Object: r.dir, Kind: fleet.Internal, Err: err}
	}
	return nil
}
