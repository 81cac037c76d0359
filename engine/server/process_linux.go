package server

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

const multiplexer = "epoll"

// residentBytes is how much memory of the machine the process occupies.
func residentBytes() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(data)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// cpuSeconds is the CPU time of the process so far.
func cpuSeconds() (user, system float64) {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0, 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(use.Utime), seconds(use.Stime)
}

// systemMemory is the memory of the machine.
func systemMemory() int64 {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(uint64(info.Totalram) * uint64(info.Unit))
}

// systemName names the operating system as uname does.
func systemName() string {
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return genericSystemName()
	}
	return zeroEnded(u.Sysname[:]) + " " + zeroEnded(u.Release[:]) + " " + zeroEnded(u.Machine[:])
}

// zeroEnded is a text of C; its bytes are signed on some processors.
func zeroEnded[B int8 | uint8](field []B) string {
	b := make([]byte, 0, len(field))
	for _, c := range field {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}
