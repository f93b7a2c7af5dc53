package view

import "strings"

// The comments that Stopped puts around what it adds.
const (
	stopBegin = "<!-- packmill:stopped -->\n"
	stopEnd   = "\n<!-- /packmill:stopped -->\n\n"
)

// Stopped is a pull request's text with the word that it must not be merged in
// front, and why. What an earlier call put there goes.
func Stopped(body, hold, why string) string {
	if rest, found := strings.CutPrefix(body, stopBegin); found {
		if _, after, ended := strings.Cut(rest, stopEnd); ended {
			body = after
		}
	}
	return stopBegin + "> " + glyphStop + " **Do not merge: held as " + within(hold, 40, Neutral) + ".** " + within(why, rowBytes, Neutral) + stopEnd + body
}
