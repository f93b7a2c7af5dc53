// Package notice renders what packmill tells partners and their customers: one
// message for each audience, in its language and under its name.
//
// The text is a file that anyone can edit: a first line "Subject: …", an empty
// line, the text, with fields of Announcement in double braces (text/template).
// A partner keeps its own beside partner.cue; those in folder texts are used
// where it has none. The HTML of a mail is made from the text, so nobody writes
// it and nothing can be smuggled into it.
//
// A template comes from a repository that many may change. It can print fields
// and walk lists, and that is all: no loop over a number, no template that
// calls itself, no output beyond a mail's size.
package notice
