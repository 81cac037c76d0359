package engine

import (
	"strconv"
	"sync/atomic"

	"hyperkv/internal/config"
	"hyperkv/resp"
	"hyperkv/shard"
)

// limits are the settings that every command or burst asks for, kept where a
// single atomic load finds them. CONFIG SET changes them.
type limits struct {
	maxMemory     *atomic.Int64
	bulkBytes     *atomic.Int64
	inputBytes    *atomic.Int64
	timeout       *atomic.Int64
	trusted       atomic.Pointer[resp.Limits]
	password      atomic.Pointer[string]
	output        atomic.Pointer[config.OutputLimits]
	slowlogLength *atomic.Int64
	backlogBytes  *atomic.Int64 // of replication
	// replicasMin replicas, with a lag of at most replicasLag seconds, must be
	// there for a write to be accepted.
	replicasMin, replicasLag *atomic.Int64
	// replicasGood is how many there are.
	replicasGood atomic.Int64
}

// replicasMissing says that writes are refused for want of replicas.
func (l *limits) replicasMissing() bool {
	min := l.replicasMin.Load()
	return min > 0 && l.replicasLag.Load() > 0 && l.replicasGood.Load() < min
}

// unauthenticated are the limits before a client has proved who it is, as Redis has them.
var unauthenticated = resp.UnauthLimits

// watch reads the settings and follows their changes.
func (l *limits) watch(e *Engine) {
	p := e.Params
	l.maxMemory = p.Int64("maxmemory")
	l.bulkBytes = p.Int64("proto-max-bulk-len")
	l.inputBytes = p.Int64("client-query-buffer-limit")
	l.timeout = p.Int64("timeout")
	l.slowlogLength = p.Int64("slowlog-max-len")
	l.backlogBytes = p.Int64("repl-backlog-size")
	l.replicasMin = p.Int64("min-replicas-to-write")
	l.replicasLag = p.Int64("min-replicas-max-lag")
	follow := func(name string, set func(value string) error) {
		if err := set(p.String(name)); err != nil {
			panic("engine: setting " + name + ": " + err.Error())
		}
		p.OnChange(name, set)
	}
	follow("proto-max-bulk-len", func(value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return err
		}
		trusted := resp.DefaultLimits
		trusted.BulkBytesMax = int(n)
		l.trusted.Store(&trusted)
		return nil
	})
	follow("requirepass", func(value string) error {
		l.password.Store(&value)
		return nil
	})
	follow("slowlog-log-slower-than", func(value string) error {
		micros, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return err
		}
		e.Shards.SlowNanos.Store(max(micros, -1) * 1000)
		return nil
	})
	for name, lazy := range map[string]*atomic.Bool{
		"lazyfree-lazy-expire": &e.Shards.LazyExpiry, "lazyfree-lazy-server-del": &e.Shards.LazyRemoval,
	} {
		follow(name, func(value string) error { lazy.Store(value == "yes"); return nil })
	}
	l.watchEncodings(e)
	follow("client-output-buffer-limit", func(value string) error {
		limits, err := config.ParseOutputLimits(value, config.OutputLimits{})
		if err == nil {
			l.output.Store(&limits)
		}
		return err
	})
}

// watchEncodings follows the sizes up to which collections are kept packed.
func (l *limits) watchEncodings(e *Engine) {
	p := e.Params
	f := func(name string, set func(o *shard.CollectionLimits, n int)) {
		apply := func(value string) error {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return err
			}
			o := e.Shards.Limits()
			set(&o, int(min(n, encodingMax)))
			e.Shards.SetLimits(o)
			return nil
		}
		if err := apply(strconv.FormatInt(int64(p.Int(name)), 10)); err != nil {
			panic("engine: setting " + name + ": " + err.Error())
		}
		p.OnChange(name, apply)
	}
	f("hash-max-listpack-entries", func(o *shard.CollectionLimits, n int) { o.HashListpackEntries = n })
	f("hash-max-listpack-value", func(o *shard.CollectionLimits, n int) { o.HashListpackValue = n })
	f("set-max-listpack-entries", func(o *shard.CollectionLimits, n int) { o.SetListpackEntries = n })
	f("set-max-listpack-value", func(o *shard.CollectionLimits, n int) { o.SetListpackValue = n })
	f("set-max-intset-entries", func(o *shard.CollectionLimits, n int) { o.SetIntsetEntries = n })
	f("zset-max-listpack-entries", func(o *shard.CollectionLimits, n int) { o.ZSetListpackEntries = n })
	f("zset-max-listpack-value", func(o *shard.CollectionLimits, n int) { o.ZSetListpackValue = n })
	f("list-max-listpack-size", func(o *shard.CollectionLimits, n int) { o.ListListpackSize = n })
	f("stream-node-max-bytes", func(o *shard.CollectionLimits, n int) { o.StreamNodeBytes = n })
	f("stream-node-max-entries", func(o *shard.CollectionLimits, n int) { o.StreamNodeEntries = n })
	f("hll-sparse-max-bytes", func(o *shard.CollectionLimits, n int) { o.HLLSparseBytes = n })
}

// encodingMax is the largest value of such a setting that makes a difference.
const encodingMax = 1 << 30
