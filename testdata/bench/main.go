// Command bench writes a fleet of a given size as a git repository, for looking
// at and for measuring:
//
//	go run ./testdata/bench M /tmp/fleet-m.git
//
// and says with which --now nothing is due there.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/packmill/packmill/internal/sim/fleets"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: go run ./testdata/bench S|M|L FOLDER")
	}
	size, err := fleets.SizeOf(args[0])
	if err != nil {
		return err
	}
	f, err := fleets.Write(context.Background(), args[1], size)
	if err != nil {
		return err
	}
	fmt.Printf("packmill --repo %s --now %s cycle status\n", args[1], f.Now.Format(time.RFC3339))
	return nil
}
