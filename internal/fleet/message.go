package fleet

// A Message is a rendered announcement: ready to send, in one language, for
// one audience. Channels deliver it as it is.
type Message struct {
	ID      string // Message-ID without angle brackets; derived, so that a second run has the same
	From    string // display name of the sender, "" for the channel's own
	To      []string
	Subject string
	Text    string
	HTML    string
	Lang    string // BCP 47 tag, for Content-Language
}
