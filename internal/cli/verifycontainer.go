package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/view"
)

// verifyContainer judges a .intunewin by its format, and unpacks its setup
// folder into a new one unless that is "".
func verifyContainer(ctx context.Context, path, folder string) (result, error) {
	file, err := os.Open(path)
	if err != nil {
		return result{}, notThere(path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return result{}, err
	}
	if !info.Mode().IsRegular() {
		return result{}, fleet.Errorf(fleet.Invalid, "cli.verify", path, "is no file")
	}
	// Judged before a folder is made for it.
	c, err := factory.OpenContainer(ctx, file, info.Size(), nil)
	if err == nil && folder != "" {
		c, err = unpackContainer(ctx, file, info.Size(), folder)
	}
	var e *fleet.Error
	if errors.As(err, &e) && e.Object == "" {
		e.Object = path
	}
	if err != nil {
		return result{}, err
	}
	return containerResult(c, folder), nil
}

// unpackContainer unpacks a container into a folder that is made for it.
func unpackContainer(ctx context.Context, file *os.File, size int64, folder string) (c factory.Container, err error) {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return c, notThere(folder, err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return factory.OpenContainer(ctx, file, size, root)
}

func containerResult(c factory.Container, folder string) result {
	var text strings.Builder
	fmt.Fprintf(&text, "a whole container: %s\n  setup    %s\n  tool     %s\n  content  %d bytes, %s\n", view.Plain(c.Name), view.Plain(c.SetupFile), view.Plain(c.ToolVersion), c.PlainSize, c.PlainDigest)
	if c.MSI != "" {
		fmt.Fprintf(&text, "  msi      %s\n", view.Plain(c.MSI))
	}
	for _, f := range c.Files {
		fmt.Fprintf(&text, "  file     %s (%d bytes)\n", view.Plain(f.Name), f.Size)
	}
	if folder != "" {
		fmt.Fprintf(&text, "  folder   %s\n", folder)
	}
	fmt.Fprintln(&text, "  signer   not asked: the format says nothing of who made it")
	return result{name: "container", value: c, text: text.String()}
}
