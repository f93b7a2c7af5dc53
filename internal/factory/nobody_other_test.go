//go:build !unix

package factory_test

import "syscall"

const nobody = 65534

// asNobody is nil: this system has no such user.
func asNobody() *syscall.SysProcAttr { return nil }
