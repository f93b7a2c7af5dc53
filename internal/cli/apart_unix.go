//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// apart keeps a terminal's Ctrl-C from the child: the parent alone decides when
// it ends.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
