package desired

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/packmill/packmill/internal/fleet"
)

// Options say how to load.
type Options struct {
	// Evaluator evaluates schedules and tenants: a ChildEvaluator for anything
	// that somebody else may have written.
	Evaluator Evaluator
	// Now judges exceptions: one that has expired, or lives longer than the
	// operator allows, is an error. The zero time leaves that out.
	Now time.Time
	// Prove, when set, also proves what schedules and policies promise (package
	// proof) of a repository that has no other findings. It is told, with kind
	// Waiting, what breaks nothing that was declared and should still be known;
	// broken promises are findings. Nothing is proven at the zero time.
	Prove func(warning *fleet.Error)
	// Workers evaluate the catalog side by side; 2 when zero.
	Workers int
}

// MaxFiles is how many files catalog/, schedules/, tenants/ and cue.mod/ may
// have together.
const MaxFiles = 200_000

// A loader carries one Load.
type loader struct {
	tree     Tree
	options  Options
	places   []place
	parts    []catalogPart
	repo     *fleet.Repository
	findings fleet.Errors
	// policyDone is false when schedules and tenants could not be evaluated at
	// all; nothing is then said about names in them.
	policyDone bool
	faulty     map[string]bool // files of the policy lane that have findings
	exceptions []exception
	maxDays    int // the operator's maxExceptionDays, -1 when it is not known
}

// Load reads, evaluates and checks everything a tree says. The error is
// fleet.Errors with every finding, in file order; the repository is nil then.
func Load(ctx context.Context, tree Tree, options Options) (*fleet.Repository, error) {
	if options.Workers <= 0 {
		options.Workers = 2
	}
	l := &loader{tree: tree, options: options, repo: &fleet.Repository{
		Commit: tree.Commit(), Publishers: map[string]fleet.Publisher{}, Packages: map[fleet.PackageID]fleet.Package{},
		Matrices: map[string]fleet.Environment{}, Blobs: map[string]string{},
	}}
	if err := l.list(); err != nil {
		return nil, err
	}
	l.module()
	policy := make(chan error, 1)
	go func() { policy <- l.policy(ctx) }()
	parts, err := evaluate(ctx, tree, units(l.places), options.Workers)
	if err := errors.Join(err, <-policy); err != nil {
		return nil, err
	}
	l.parts = parts
	l.mergeCatalog()
	l.check()
	if len(l.findings) > 0 {
		return nil, sortFindings(l.findings)
	}
	return l.repo, nil
}

// say adds a finding.
func (l *loader) say(pos fleet.Pos, object, format string, args ...any) {
	l.findings = append(l.findings, invalid(pos, object, format, args...))
}

// list finds the files that matter, gives them their roles, and refuses what
// cannot be one: links, submodules, CUE where none belongs, too much.
func (l *loader) list() error {
	total := 0
	for _, prefix := range []string{"cue.mod", "catalog", "schedules", "tenants"} {
		files, err := l.tree.Files(prefix)
		if err != nil {
			return &fleet.Error{Op: "desired.load", Object: prefix, Kind: fleet.Internal, Err: err}
		}
		if total += len(files); total > MaxFiles {
			return fleet.Errors{invalid(fleet.Pos{File: prefix}, "", "more than %d files", MaxFiles)}
		}
		for _, f := range files {
			if !utf8.ValidString(f.Path) || strings.ContainsFunc(f.Path, unicode.IsControl) {
				l.say(fleet.Pos{File: strconv.QuoteToASCII(f.Path)}, "", "a file's name must be printable text")
				continue
			}
			if text, ok := refusedMode[f.Mode]; ok {
				l.say(fleet.Pos{File: f.Path}, "", "%s", text)
				continue
			}
			if prefix == "cue.mod" {
				l.places = append(l.places, place{File: f, role: roleModule})
				continue
			}
			p, err := locate(f)
			if err != nil {
				l.say(fleet.Pos{File: f.Path}, "", "%v", err)
				continue
			}
			if p.role != roleNone && p.Size > MaxPayload {
				l.say(fleet.Pos{File: f.Path}, "", "file has %d bytes; the largest that belongs in git has %d", p.Size, MaxPayload)
				continue
			}
			if p.role != roleNone {
				l.places = append(l.places, p)
				l.repo.Blobs[p.Path] = p.Blob
			}
		}
	}
	return nil
}

var refusedMode = map[Mode]string{
	Symlink:   "is a symbolic link; it could lead out of the repository, so none is read",
	Submodule: "is a submodule; what it holds is not part of this commit",
	Other:     "is no regular file",
}

// policy evaluates schedules and tenants. It runs beside the catalog lane and
// touches only what that does not.
func (l *loader) policy(ctx context.Context) error {
	var files []childFile
	total := 0
	for _, p := range l.places {
		if _, ok := speaksFor[p.role]; !ok {
			continue
		}
		if p.Size > MaxPolicyFile {
			l.say(fleet.Pos{File: p.Path}, "", "file has %d bytes; a file below schedules/ or tenants/ may have %d", p.Size, MaxPolicyFile)
			continue
		}
		data, err := l.tree.Read(p.Path)
		if err != nil {
			return &fleet.Error{Op: "desired.load", Pos: fleet.Pos{File: p.Path}, Kind: fleet.Internal, Err: err}
		}
		total += len(data)
		files = append(files, childFile{p.Path, data})
	}
	if len(files) > MaxPolicyFiles || total > MaxPolicyTotal {
		l.say(fleet.Pos{File: "schedules"}, "", "schedules/ and tenants/ hold %d files of %d bytes; %d files of %d bytes are the limit", len(files), total, MaxPolicyFiles, MaxPolicyTotal)
		return nil
	}
	if len(files) == 0 {
		l.policyDone = true
		return nil
	}
	if l.options.Evaluator == nil {
		return fleet.Errorf(fleet.Internal, "desired.load", "", "no evaluator was given for schedules and tenants")
	}
	result, err := l.options.Evaluator.evaluate(ctx, files)
	if errors.Is(err, errLimit) {
		var e *fleet.Error
		errors.As(err, &e)
		l.findings = append(l.findings, e)
		return nil
	}
	if err != nil {
		return err
	}
	l.faulty = map[string]bool{}
	for _, f := range result.Findings {
		l.say(f.Pos, f.Object, "%s", f.Text)
		l.faulty[f.Pos.File] = true
	}
	l.policyDone = true
	l.exceptions, l.maxDays = result.Exceptions, result.MaxDays
	r := result.Repository
	l.repo.Week, l.repo.Waves, l.repo.Freezes, l.repo.Holds = r.Week, r.Waves, r.Freezes, r.Holds
	l.repo.Cycles, l.repo.Plans, l.repo.Approvals = r.Cycles, r.Plans, r.Approvals
	l.repo.TenantApprovals = r.TenantApprovals
	l.repo.Operator, l.repo.Partners, l.repo.Tenants = r.Operator, r.Partners, r.Tenants
	return nil
}

// mergeCatalog puts what the catalog lane gave into the repository.
func (l *loader) mergeCatalog() {
	for _, p := range l.parts {
		l.findings = append(l.findings, p.findings...)
		switch {
		case p.publisher != nil:
			l.repo.Publishers[p.unit.id] = *p.publisher
		case p.pkg != nil:
			l.repo.Packages[fleet.PackageID(p.unit.id)] = *p.pkg
		case p.matrices != nil:
			l.repo.Matrices = p.matrices
		case p.sources != nil:
			l.repo.Advisories = *p.sources
		}
	}
}
