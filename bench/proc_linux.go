package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// threadTimes are the nanoseconds a thread ran and stood in line for a core.
type threadTimes struct{ cpu, queued int64 }

// readThreadTimes reads the calling thread's times; zero if the kernel does
// not keep them.
func readThreadTimes() threadTimes {
	text, err := os.ReadFile("/proc/thread-self/schedstat")
	if err != nil {
		return threadTimes{}
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return threadTimes{}
	}
	cpu, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	queued, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return threadTimes{cpu, queued}
}

// processCPU returns user plus system time of a process, all threads, those that ended
// included. It is its CPU-time clock, exact to nanoseconds: the times in /proc/PID/stat come
// in hundredths of a second, in which a server writes thousands of keys.
func processCPU(pid int) (time.Duration, error) {
	// The clock's number of a process, as clock_getcpuclockid(3) makes it: the scheduler's.
	const scheduler = 2
	var spent unix.Timespec
	if err := unix.ClockGettime(^int32(pid)<<3|scheduler, &spent); err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return time.Duration(spent.Nano()), nil
}

// processResident returns the resident bytes of a process. smaps_rollup is
// exact; VmRSS, which lags by some pages per thread, stands in for it.
func processResident(pid int) (int64, error) {
	if n, err := memoryField(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Rss:"); err == nil {
		return n, nil
	}
	return memoryField(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
}

// memoryField reads one of the lines in kilobytes that /proc has.
func memoryField(path, name string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read memory: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("read memory: %s has no %s", path, name)
}

// errFamily: a process of the family came or went while it was looked at.
var errFamily = errors.New("its processes changed")

// familyResident returns the resident bytes of a process and its children. They are
// proportional (Pss): a page that several of them still share counts once.
func familyResident(pid int) (sum int64, err error) {
	before := children(pid)
	for _, member := range append([]int{pid}, before...) {
		n, err := memoryField(fmt.Sprintf("/proc/%d/smaps_rollup", member), "Pss:")
		if err != nil && member != pid {
			return 0, errFamily
		}
		if err != nil {
			return 0, err
		}
		sum += n
	}
	// A child that came in between would have been counted with the parent alone, or twice.
	if !slices.Equal(before, children(pid)) {
		return 0, errFamily
	}
	return sum, nil
}

// children returns the processes that any thread of a process has started.
func children(pid int) (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// tick is the unit of CPU times in /proc; user space always sees 1/100 s.
const tick = 10 * time.Millisecond

// machineTimes are the machine's CPU times so far: spent in processes, and
// taken away by the hypervisor.
type machineTimes struct{ busy, stolen time.Duration }

func readMachineTimes() machineTimes {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTimes{}
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := bytes.Fields(line)
	at := func(i int) time.Duration {
		if i >= len(fields) {
			return 0
		}
		n, _ := strconv.ParseInt(string(fields[i]), 10, 64)
		return time.Duration(n) * tick
	}
	return machineTimes{busy: at(1) + at(2) + at(3), stolen: at(8)}
}
