//go:build unix

package factory_test

import (
	"os"
	"syscall"
)

// nobody is the user and group of no rights.
const nobody = 65534

// asNobody makes a program run as nobody; nil when this process may not.
func asNobody() *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}
