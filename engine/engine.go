package engine

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/internal/config"
	"hyperkv/resp"
	"hyperkv/shard"
)

// Version is the version of HyperKV. A release sets it when it is linked.
var Version = "0.1.0-dev"

// RedisVersion is the level of Redis whose commands HyperKV answers, which is
// what clients look for.
const RedisVersion = "7.4.0"

// Options says how an Engine is built.
type Options struct {
	Config   *config.Config
	Params   *config.Params // nil: made from Config
	Families []Family
	Log      *slog.Logger // nil: discard
	Clock    clock.Clock  // nil: the machine's
	Seed     uint64       // 0: random
	// Effects, when set, receives every change; see shard.EffectSink.
	Effects shard.EffectSink
}

// An Engine is a server without its sockets. Safe for concurrent use.
type Engine struct {
	Params *config.Params
	Table  *Table
	Shards *shard.Set
	Log    *slog.Logger

	config  *config.Config
	started time.Time
	runID   string

	clients  registry
	pause    pause
	Slowlog  Slowlog
	Monitors monitors
	limits   limits
	sampler  sampler

	// closed is to whom the server is closed at present.
	closed closed
	// loading is how far a dataset is that is being loaded.
	loading loading
	// replication copies the dataset; nil where nothing can.
	replication atomic.Pointer[Replication]

	// writesRefused is why no command may change anything, nil as a rule.
	writesRefused atomic.Pointer[resp.Error]
	// durability is what keeps the data beyond the process; nil when nothing does.
	durability atomic.Pointer[Durability]

	// Cutting is held by whoever takes a snapshot.
	Cutting sync.Mutex

	// foreignOnly sends all work to the shards' keepers (shard_inline: no).
	foreignOnly bool

	// states is what families keep, by their names. Immutable once built.
	states map[string]any

	mu    sync.Mutex
	loops []*Loop
	// retired counts what loops that are gone had counted. Guarded by mu.
	retired       *shard.CommandCounter
	retiredErrors errorCounts
	// forgotten is what loops, present and gone, had counted at the last
	// ResetStats, by command; nil before. Guarded by mu.
	forgotten []shard.CommandStats

	// SaveDecided says that SHUTDOWN has decided whether there is a snapshot at the end, and
	// has taken it; without that, the settings decide.
	SaveDecided atomic.Bool
	// StopsNow says that SHUTDOWN NOW was said: replicas are not waited for.
	StopsNow     atomic.Bool
	shutdown     chan struct{}
	shutdownOnce sync.Once
	stopped      chan struct{}
	Totals       Totals
}

// Totals are counters over the whole server. Safe for concurrent use.
type Totals struct {
	ConnectionsReceived, ConnectionsRejected atomic.Uint64
	bytesIn, bytesOut                        atomic.Uint64 // of loops that are gone
	EvictedClients, OutputLimitClosed        atomic.Uint64
	InputLimitClosed                         atomic.Uint64
	AuthFailures                             atomic.Uint64
	PeakBytes                                atomic.Int64
	MaxInput, MaxOutput                      atomic.Int64
}

// New builds an engine and starts its shards. Close it when done.
func New(o Options) (*Engine, error) {
	table, err := NewTable(o.Families...)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		Params:   o.Params,
		Table:    table,
		Log:      o.Log,
		config:   o.Config,
		started:  time.Now(),
		shutdown: make(chan struct{}),
		stopped:  make(chan struct{}),
		retired:  shard.NewCommandCounter(len(table.all)),
	}
	if e.Params == nil {
		e.Params = config.NewParams(o.Config)
	}
	if e.Log == nil {
		e.Log = slog.New(slog.DiscardHandler)
	}
	var id [20]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	e.runID = hex.EncodeToString(id[:])
	seed := o.Seed
	if seed == 0 {
		seed = binary.LittleEndian.Uint64(id[:])
	}
	e.Shards = shard.NewSet(shard.Options{
		Shards:    ShardCount(o.Config),
		Databases: int(e.Params.Int("databases")),
		Commands:  len(table.all),
		Seed:      seed,
		Clock:     o.Clock,
		Inline:    e.Params.Bool("shard-inline"),

		ExpiryInterval: o.Config.TTLCheckInterval,
		ExpiryBatch:    o.Config.MaxKeysPerTTLCheck,

		Hooks: shard.Hooks{Effects: o.Effects, Slow: e.slow},
	})
	e.foreignOnly = !e.Params.Bool("shard-inline")
	e.limits.watch(e)
	e.clients.init()
	e.states = make(map[string]any)
	for i := range o.Families {
		if attach := o.Families[i].Attach; attach != nil {
			e.states[o.Families[i].Name] = attach(e)
		}
	}
	go e.upkeep()
	return e, nil
}

// ShardCount is how many shards, and event loops, a configuration asks for.
func ShardCount(c *config.Config) int {
	if c.WorkerThreads > 0 {
		return c.WorkerThreads
	}
	return runtime.GOMAXPROCS(0)
}

// Close stops the engine and gives its memory back. All loops must be gone.
func (e *Engine) Close() {
	e.RequestShutdown()
	<-e.stopped
	e.Shards.Close()
}

// RequestShutdown asks whoever runs the server to stop it (SHUTDOWN). It returns
// at once.
func (e *Engine) RequestShutdown() { e.shutdownOnce.Do(func() { close(e.shutdown) }) }

// ShutdownRequested is closed once somebody has asked for the server to stop.
func (e *Engine) ShutdownRequested() <-chan struct{} { return e.shutdown }

// State is what the Attach of a family returned.
func (e *Engine) State(family string) any { return e.states[family] }

// Config is what the server was started with.
func (e *Engine) Config() *config.Config { return e.config }

// Started is when the engine was built.
func (e *Engine) Started() time.Time { return e.started }

// RunID identifies this run of the server, 40 hexadecimal digits.
func (e *Engine) RunID() string { return e.runID }

// NowMillis is the engine's wall time in milliseconds since the epoch.
func (e *Engine) NowMillis() int64 { return e.Shards.Now() }

// upkeepEvery is the period of what the engine samples about itself.
const upkeepEvery = 100 * time.Millisecond

// upkeep samples rates and peaks until the engine is closed.
func (e *Engine) upkeep() {
	defer close(e.stopped)
	ticker := time.NewTicker(upkeepEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			e.sampler.sample(e, now)
			if bytes := e.Shards.Bytes(); bytes > e.Totals.PeakBytes.Load() {
				e.Totals.PeakBytes.Store(bytes)
			}
		case <-e.shutdown:
			return
		}
	}
}

// CommandStats adds up what all shards and loops have counted for a command.
func (e *Engine) CommandStats(id int) (sum shard.CommandStats) {
	for _, s := range e.Shards.Shards {
		s.CommandCounter().Read(id, &sum)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readLoops(id, &sum)
	if e.forgotten != nil {
		sum.Subtract(&e.forgotten[id])
	}
	return sum
}

// readLoops adds up what loops have ever counted for a command. e.mu is held.
func (e *Engine) readLoops(id int, sum *shard.CommandStats) {
	for _, l := range e.loops {
		l.counter.Read(id, sum)
	}
	e.retired.Read(id, sum)
}

// Calls is how many commands have run.
func (e *Engine) Calls() (n uint64) {
	for _, s := range e.Shards.Shards {
		n += s.CommandCounter().Calls()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.loops {
		n += l.counter.Calls()
	}
	for i := range e.forgotten {
		n -= e.forgotten[i].Calls
	}
	return n + e.retired.Calls()
}

// Traffic is how many bytes have come from clients and gone to them.
func (e *Engine) Traffic() (in, out uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.loops {
		in += l.bytesIn.Load()
		out += l.bytesOut.Load()
	}
	return in + e.Totals.bytesIn.Load(), out + e.Totals.bytesOut.Load()
}

// Stats adds up what all shards have counted, and the errors of the loops.
func (e *Engine) Stats() (sum shard.Stats) {
	for _, s := range e.Shards.Shards {
		s.Stats(&sum)
	}
	if sum.Errors == nil {
		sum.Errors = make(map[string]uint64)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.loops {
		l.errors.add(sum.Errors)
	}
	e.retiredErrors.add(sum.Errors)
	return sum
}

// ResetStats forgets what was counted (CONFIG RESETSTAT). c must hold all shards.
func (e *Engine) ResetStats(c *shard.Call) {
	for _, s := range c.Shards() {
		s.ResetStats()
	}
	// The counters of the loops are theirs alone, so they go on.
	e.mu.Lock()
	e.forgotten = make([]shard.CommandStats, len(e.Table.all))
	for id := range e.forgotten {
		e.readLoops(id, &e.forgotten[id])
	}
	for _, l := range e.loops {
		l.errors.reset()
		l.bytesIn.Store(0)
		l.bytesOut.Store(0)
	}
	e.retiredErrors.reset()
	e.mu.Unlock()
	t := &e.Totals
	for _, counter := range []*atomic.Uint64{&t.ConnectionsReceived, &t.ConnectionsRejected, &t.bytesIn, &t.bytesOut,
		&t.EvictedClients, &t.OutputLimitClosed, &t.InputLimitClosed, &t.AuthFailures} {
		counter.Store(0)
	}
	t.PeakBytes.Store(e.Shards.Bytes())
	e.sampler.reset()
	if r := e.Replication(); r != nil {
		r.ResetStats()
	}
}
