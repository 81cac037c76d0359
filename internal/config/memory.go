package config

import (
	"math"
	"sync"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// TotalMemory is the memory this process may use: the limit of its cgroup, or
// else what the machine has.
var TotalMemory = sync.OnceValues(func() (int64, error) {
	total, err := memlimit.FromSystem()
	if limit, cgroupErr := memlimit.FromCgroup(); cgroupErr == nil && limit > 0 && (err != nil || limit < total) {
		total, err = limit, nil
	}
	return int64(min(total, math.MaxInt64)), err
})
