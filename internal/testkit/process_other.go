//go:build !linux

package testkit

import (
	"os"
	"syscall"
)

// dieWithParent has no counterpart here: a killed test leaves its server behind.
func dieWithParent() *syscall.SysProcAttr { return nil }

// ownedByUs trusts the permissions, which the caller has looked at.
func ownedByUs(os.FileInfo) bool { return true }
