package fleet

import "time"

// A PullSpec is the pull request that should exist for a branch.
type PullSpec struct {
	Branch string // head branch, in the same repository
	Base   string // "main"
	Title  string
	Body   string // Markdown; its last paragraph holds the trailers
	Labels []string
}

// A Pull is a pull request as the forge tells it.
type Pull struct {
	Number   int
	Title    string
	Body     string
	State    string // open, merged, closed
	Base     string // branch it is to be merged into
	Branch   string
	Head     string // commit id of the branch
	Commit   string // merge commit, "" unless merged
	Author   string
	MergedBy string
	ByBot    bool // MergedBy is an app
	Labels   []string
	Asked    []string // accounts and teams asked for a review that they have not given
	MergedAt time.Time
}
