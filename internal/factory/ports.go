package factory

import (
	"context"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
)

// A Ledger is observed state: evidence branches that only grow.
type Ledger interface {
	// Append writes rows as one signed batch into a folder of a branch.
	Append(ctx context.Context, branch, dir string, rows any) error
	// AppendAll writes several batches and sends them together.
	AppendAll(ctx context.Context, batches []evidence.Batch) error
	// AppendNext writes as AppendAll does, or fails with evidence.ErrOvertaken
	// when another writer came after what was read.
	AppendNext(ctx context.Context, batches []evidence.Batch) error
	// Checkpoint notes on control how far every shard has come.
	Checkpoint(ctx context.Context) error
	// Read gives everything; ReadAt everything up to the given chain heads.
	Read(ctx context.Context) (*fleet.Record, error)
	ReadAt(ctx context.Context, heads map[string]string) (*fleet.Record, error)
}

// A Forge is where pull requests live.
type Forge interface {
	// EnsurePull makes the open pull request of spec.Branch be as spec says,
	// opening it if there is none. It writes nothing when nothing differs.
	EnsurePull(ctx context.Context, spec fleet.PullSpec) (pull fleet.Pull, changed bool, err error)
	// Pulls lists pull requests: "open", "closed" (merged ones included) or "all".
	Pulls(ctx context.Context, state string) ([]fleet.Pull, error)
	// Pull reads one pull request whole; lists do not tell who merged.
	Pull(ctx context.Context, number int) (fleet.Pull, error)
	// Reviews lists the reviews of a pull request, oldest first.
	Reviews(ctx context.Context, number int) ([]fleet.Review, error)
	// EnsureIssue makes packmill's own issue with that marker say title and body,
	// opening it if there is none; one that people closed stays as it is. It
	// writes nothing when nothing differs.
	EnsureIssue(ctx context.Context, marker, title, body string) (issue fleet.Issue, changed bool, err error)
	// Comments lists the comments of an issue or a pull request, oldest first.
	Comments(ctx context.Context, number int) ([]fleet.Comment, error)
	// Comment makes packmill's own comment with that marker say body, writing it
	// if there is none.
	Comment(ctx context.Context, number int, marker, body string) error
	// Issue finds packmill's own issue with that marker.
	Issue(ctx context.Context, marker string) (fleet.Issue, bool, error)
	// RequestReviewers asks accounts, and teams of the owner's organization, to
	// review a pull request. Invalid: one is no collaborator, nobody was asked.
	RequestReviewers(ctx context.Context, number int, logins, teams []string) error
	// Checks lists the checks and statuses of a commit.
	Checks(ctx context.Context, commit string) ([]fleet.Check, error)
	// Required are the checks that a branch's rules ask for before a merge.
	Required(ctx context.Context, branch string) ([]string, error)
	// Merge merges the pull request by a merge commit if its head is still head.
	Merge(ctx context.Context, number int, head string) (commit string, err error)
	// Close closes a pull request without merging it, after a comment
	// (Markdown) that says why. One that is not open is left alone.
	Close(ctx context.Context, number int, why string) error
}
