package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

func reserve(f *os.File, n int64) error {
	for {
		switch err := unix.Fallocate(int(f.Fd()), 0, 0, n); err {
		case nil:
			return nil
		case unix.EINTR:
		case unix.EOPNOTSUPP, unix.ENOSYS:
			// The file system cannot: then it is a long file with holes.
			return lengthen(f, n)
		default:
			return os.NewSyscallError("fallocate", err)
		}
	}
}

func syncData(f *os.File) error {
	for {
		switch err := unix.Fdatasync(int(f.Fd())); err {
		case nil:
			return nil
		case unix.EINTR:
		default:
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
