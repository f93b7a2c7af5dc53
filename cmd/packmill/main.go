// Command packmill is a package mill for managed fleets: see internal/cli.
package main

import (
	"os"

	"github.com/packmill/packmill/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}
