// Command policychild is the policy lane's child process alone, for tests of
// package desired: a plain binary, as one built with the race detector cannot
// start under a limit of address space.
package main

import (
	"os"

	"github.com/packmill/packmill/internal/record/desired"
)

func main() { os.Exit(desired.PolicyChild(os.Stdin, os.Stdout)) }
