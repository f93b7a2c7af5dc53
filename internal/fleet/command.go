package fleet

import "time"

// The commands that people give about what was found upstream.
const (
	CommandIgnore = "ignore" // do not propose this version
	CommandUnhold = "unhold" // let this version pass one hold
	CommandRetry  = "retry"  // propose this version again, which was declined
)

// A Command is a person's word about one version of a package, as evidence
// keeps it.
type Command struct {
	What    string    `json:"what"`
	Package PackageID `json:"package"`
	Version string    `json:"version"`        // as it was found upstream
	Hold    string    `json:"hold,omitempty"` // the hold that an unhold lifts
	Why     string    `json:"why,omitempty"`  // what that hold said; another reason is not lifted
	Pull    int       `json:"pull,omitempty"` // the declined pull request that a retry is about
	By      string    `json:"by"`             // login at the forge; "" for a ticked box, which nobody signs
	Reason  string    `json:"reason"`
	Comment int64     `json:"comment"` // its id at the forge, 0 for a ticked box
	At      time.Time `json:"at"`      // when it was sent, or the box was seen
}
