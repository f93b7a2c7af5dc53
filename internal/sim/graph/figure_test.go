package graph_test

import (
	"fmt"
	"os"
	"testing"
)

// figuresEnv names a file that the figures of this package's tests are added to:
// that a test passed does not say how much it tried.
const figuresEnv = "PACKMILL_FIGURES"

// figure tells how much was tried, and keeps it where figures are collected.
func figure(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	fmt.Println(text)
	name := os.Getenv(figuresEnv)
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(f, text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func tellFigure(t *testing.T, format string, args ...any) {
	t.Helper()
	if err := figure(format, args...); err != nil {
		t.Error(err)
	}
}
