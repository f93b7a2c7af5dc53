package fleet

import "time"

// An Issue is an issue of the forge.
type Issue struct {
	Number int
	Title  string
	Body   string // Markdown, without the marker it is found by
	Open   bool
}

// A Comment is what somebody wrote below an issue or a pull request.
type Comment struct {
	ID     int64
	Author string
	Bot    bool // Author is an app
	Own    bool // Author is the account packmill works as
	// Edited says that the text is not what its author sent: on a forge, others
	// who may write can change it and its author's name stays.
	Edited bool
	Body   string
	At     time.Time // when it was sent
}
