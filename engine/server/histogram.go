package server

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
)

// LATENCY HISTOGRAM [command ...]
//
// A container stands for its subcommands; names that there are not are left out.
func latencyHistogram(c *engine.Context) error {
	var wanted []*engine.Command
	if len(c.Args) == 2 {
		wanted = byName(c.Engine.Table)
	} else {
		for _, name := range c.Args[2:] {
			command := c.Engine.Table.Find(string(name))
			if command == nil {
				continue
			}
			wanted = append(wanted, command)
			for i := range command.Subcommands {
				wanted = append(wanted, &command.Subcommands[i])
			}
		}
	}
	w := c.Reply
	at, n := w.Deferred(), 0
	for _, command := range wanted {
		if s := c.Engine.CommandStats(command.ID()); s.Calls > 0 {
			w.BulkString(command.FullName())
			writeHistogram(w, &s)
			n++
		}
	}
	w.SetMap(at, n)
	return nil
}

// Redis counts durations in classes that double, from 2^histogramBitsMin
// nanoseconds on, and names a class by its end as its histogram can tell it.
const (
	histogramBitsMin = 10
	histogramBits    = 7
)

// writeHistogram writes how many calls took up to so many microseconds, for the
// classes in which there were any.
func writeHistogram(w *resp.Writer, s *shard.CommandStats) {
	w.Map(2)
	w.BulkString("calls")
	w.Int(int64(s.Calls))
	w.BulkString("histogram_usec")
	at, n := w.Deferred(), 0
	var count, written uint64
	b := 0
	for power := histogramBitsMin; b < len(s.Latency); power++ {
		for b < len(s.Latency) && shard.LatencyBucketEnd(b) <= 1<<power {
			count += uint64(s.Latency[b])
			b++
		}
		if count > written {
			w.Int((1<<power + 1<<(power-histogramBits) - 1) / 1000)
			w.Int(int64(count))
			written = count
			n++
		}
	}
	w.SetMap(at, n)
}
