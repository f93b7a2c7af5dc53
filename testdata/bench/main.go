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
	"os/exec"
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
	ctx := context.Background()
	f, err := fleets.Write(ctx, args[1], size)
	if err != nil {
		return err
	}
	// As a clone has it: in one pack.
	repack := exec.CommandContext(ctx, "git", "-C", args[1], "repack", "-adq")
	repack.Stderr = os.Stderr
	if err := repack.Run(); err != nil {
		return fmt.Errorf("git repack: %w", err)
	}
	fmt.Printf("packmill --repo %s --now %s cycle status\n", args[1], f.Now.Format(time.RFC3339))
	return nil
}
