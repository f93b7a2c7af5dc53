// Package house holds the tests that keep packmill's house in order; it has no
// code of its own.
//
// layers_test.go is the architecture: which room may import which, test imports
// included. habits_test.go holds what every file owes the house: a package
// comment, no init, no clock or terminal of its own. words_test.go keeps out
// what ties the text to one machine.
package house
