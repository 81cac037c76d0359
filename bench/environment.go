package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Environment describes the machine of a run. It names hardware and versions,
// never the host or a path.
type Environment struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	OS     string `json:"os"`
}

// ReadEnvironment looks at this machine.
func ReadEnvironment() Environment {
	e := Environment{CPU: "unknown", Cores: runtime.NumCPU(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	if v := procField("/proc/cpuinfo", "model name"); v != "" {
		e.CPU = v
	}
	if v := procField("/proc/meminfo", "MemTotal"); v != "" {
		var kib float64
		if _, err := fmt.Sscanf(v, "%f kB", &kib); err == nil {
			e.Memory = fmt.Sprintf("%.1f GiB", kib/(1<<20))
		}
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		e.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}
	return e
}

// Line is the hardware in one line.
func (e Environment) Line() string {
	parts := []string{e.CPU, fmt.Sprintf("%d cores", e.Cores)}
	if e.Memory != "" {
		parts = append(parts, e.Memory)
	}
	if e.Kernel != "" {
		parts = append(parts, e.Kernel)
	}
	return strings.Join(append(parts, e.Go), ", ")
}

// procField returns the first "name : value" of a /proc file.
func procField(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
