//go:build !linux

package bench

import (
	"errors"
	"time"
)

// Without /proc a run still measures speed and latency; what needs the
// server's or the generator's own counters is left out of its result.

type threadTimes struct{ cpu, queued int64 }

func readThreadTimes() threadTimes { return threadTimes{} }

var (
	errNoProc = errors.New("process counters need Linux")
	errFamily = errNoProc
)

func processCPU(int) (time.Duration, error) { return 0, errNoProc }
func processResident(int) (int64, error)    { return 0, errNoProc }

func familyResident(int) (int64, error) { return 0, errNoProc }

type machineTimes struct{ busy, stolen time.Duration }

func readMachineTimes() machineTimes { return machineTimes{} }
