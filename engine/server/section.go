package server

import (
	"strconv"

	"hyperkv/engine"
	"hyperkv/shard"
)

// gathered keeps what several sections of one report want to know.
type gathered struct {
	stats   *shard.Stats
	runtime *runtimeStats
	usage   *engine.ClientUsage
}

func newReport(e *engine.Engine) *report { return &report{e: e} }

func (r *report) statistics() *shard.Stats {
	if r.gather.stats == nil {
		stats := r.e.Stats()
		r.gather.stats = &stats
	}
	return r.gather.stats
}

func (r *report) runtime() *runtimeStats {
	if r.gather.runtime == nil {
		r.gather.runtime = readRuntime()
	}
	return r.gather.runtime
}

func (r *report) clientUsage() *engine.ClientUsage {
	if r.gather.usage == nil {
		usage := r.e.ClientUsage()
		r.gather.usage = &usage
	}
	return r.gather.usage
}

// text writes a line. Values come from file names and the like, so what could
// end the line does not.
func (r *report) text(name, value string) {
	r.WriteString(name)
	r.WriteByte(':')
	for i := range len(value) {
		if c := value[i]; c < ' ' {
			r.WriteByte(' ')
		} else {
			r.WriteByte(c)
		}
	}
	r.WriteString("\r\n")
}

func (r *report) int(name string, n int64) { r.text(name, strconv.FormatInt(n, 10)) }

func (r *report) uint(name string, n uint64) { r.text(name, strconv.FormatUint(n, 10)) }

func (r *report) float(name string, f float64, decimals int) {
	r.text(name, strconv.FormatFloat(f, 'f', decimals, 64))
}

func (r *report) percent(name string, part, whole int64) {
	r.text(name, strconv.FormatFloat(100*ratio(part, whole), 'f', 2, 64)+"%")
}

// bytes writes a size twice, the second time for people.
func (r *report) bytes(name string, n int64) {
	r.int(name, n)
	r.text(name+"_human", humanBytes(n))
}

// zeros writes lines of counters that have nothing to count here.
func (r *report) zeros(names ...string) {
	for _, name := range names {
		r.text(name, "0")
	}
}

func (r *report) bool(name string, yes bool) {
	if yes {
		r.text(name, "1")
	} else {
		r.text(name, "0")
	}
}

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// humanBytes is a size as Redis shortens it.
func humanBytes(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + "B"
	}
	units := "KMGTP"
	f := float64(n) / 1024
	for f >= 1024 && len(units) > 1 {
		f /= 1024
		units = units[1:]
	}
	return strconv.FormatFloat(f, 'f', 2, 64) + units[:1]
}
