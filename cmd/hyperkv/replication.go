package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"hyperkv/cluster/replication"
	"hyperkv/engine"
	"hyperkv/engine/durable"
	"hyperkv/engine/snapshot"
	"hyperkv/internal/config"
	"hyperkv/resp"
	"hyperkv/shard"
)

// replicating connects the engine with its replication.
//
//	shard ─► record ─► feed                 under the shard's turn
//	link of the primary ─► Apply ─► shard
//	session of a replica ─► Serve ─► feed
type replicating struct {
	node   *replication.Node
	engine *engine.Engine
	data   *durable.Data
	config *config.Config
	log    *slog.Logger

	// call is that of whoever holds all turns at present.
	call *shard.Call

	// What the primary does is done by the goroutine of its link.
	applier *engine.Applier
	changes []engine.Change

	// replica and stale are what the node has said last.
	replica, stale atomic.Bool
}

// startReplication makes the engine a primary without replicas. port is where clients
// connect.
func startReplication(e *engine.Engine, d *durable.Data, cfg *config.Config, log *slog.Logger) *replicating {
	r := &replicating{engine: e, data: d, config: cfg, log: log, applier: e.NewApplier()}
	p := e.Params
	r.node = replication.New(replication.Options{
		Host: host{r}, Settings: p, Log: log, History: e.RunID(),
		Folder: func() string {
			if dir := p.String("dir"); isFolder(dir) {
				return dir
			}
			return os.TempDir() // nothing is kept, so the folder need not be there
		},
		Port: func() int { return int(p.Int("port")) },
	})
	e.SetReplication(r)
	d.Mark(func() any {
		if now, ok := r.node.Standing(); ok {
			return now
		}
		return nil
	})
	p.OnChange("repl-backlog-size", func(value string) error {
		bytes, err := strconv.ParseInt(value, 10, 64)
		if err == nil {
			r.node.Feed().SetBacklog(bytes)
		}
		return err
	})
	p.OnChange("replica-read-only", func(value string) error {
		e.CloseToWrites(r.replica.Load() && value == "yes")
		return nil
	})
	p.OnChange("replica-serve-stale-data", func(value string) error {
		e.CloseStale(r.stale.Load() && value == "no")
		return nil
	})
	return r
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// primary is what the settings name as such.
func (r *replicating) primary() (address string, port int, ok bool) {
	words := strings.Fields(r.engine.Params.String("replicaof"))
	if len(words) != 2 {
		return "", 0, false
	}
	port, err := strconv.Atoi(words[1])
	return words[0], port, err == nil
}

// begin follows the primary that the settings name, if they name one.
func (r *replicating) begin() {
	if address, port, ok := r.primary(); ok {
		r.node.Follow(address, port, func() {})
	}
}

func (r *replicating) close() { r.node.Close() }

// effects implements shard.EffectSink.
func (r *replicating) effects(_ []*shard.Shard, effects []shard.Effect) {
	r.node.Feed().Record(len(effects), func(i int) (int, [][]byte) { return effects[i].Database, effects[i].Args })
}

// host is the engine as replication sees it.
type host struct{ r *replicating }

// Exclusive implements replication.Host.
func (h host) Exclusive(f func()) {
	h.r.engine.Shards.NewExclusive().Run(false, func(c *shard.Call) { h.r.with(c, f) })
}

// with calls f while c has all shards.
func (r *replicating) with(c *shard.Call, f func()) {
	r.call = c
	f()
	r.call = nil
}

// Record implements replication.Host.
func (h host) Record(on bool) {
	var feed shard.EffectSink
	if on {
		feed = h.r.effects
	}
	h.r.data.Feed(h.r.call, feed)
}

// Undivided implements replication.Host.
func (h host) Undivided(on bool) { h.r.engine.Shards.SetUndivided(on) }

// pieces is a snapshot.Sink.
type pieces func(p []byte) error

func (p pieces) Write(_ int, b snapshot.Block) error { return p(b.Bytes) }

// Snapshot implements replication.Host.
func (h host) Snapshot(ctx context.Context, native bool, atCut func(), write func(piece []byte) error) error {
	_, err := snapshot.Take(ctx, h.r.engine, snapshot.Options{Native: native, AtCut: func(c *shard.Call) {
		h.r.with(c, atCut)
	}}, pieces(write))
	return err
}

// Load implements replication.Host.
func (h host) Load(ctx context.Context, file io.Reader, bytes int64) error {
	r := h.r
	r.engine.BeginLoading(bytes)
	defer r.engine.EndLoading()
	return r.data.Replace(ctx, func() error { return r.replaceDataset(ctx, file) })
}

// Apply implements replication.Host.
func (h host) Apply(unit []replication.Effect, settled func()) error {
	r := h.r
	r.changes = r.changes[:0]
	for _, effect := range unit {
		r.changes = append(r.changes, engine.Change(effect))
	}
	err := r.applier.Apply(r.changes, settled)
	clear(r.changes)
	if errors.Is(err, engine.ErrNotApplied) {
		r.log.Debug("not for a replica", "err", err)
		return nil
	}
	return err
}

// Commit implements replication.Host.
func (h host) Commit() {
	h.r.data.Commit(false) // what is to be done about an error is done there
}

// Kept implements replication.Host.
func (h host) Kept() (logged, synced bool) {
	return h.r.data.Kept()
}

// Sync implements replication.Host.
func (h host) Sync() bool {
	return h.r.data.Sync()
}

// SetPrimary implements replication.Host.
func (h host) SetPrimary(address string, port int) {
	primary := ""
	if address != "" {
		primary = address + " " + strconv.Itoa(port)
	}
	h.r.engine.Params.Note("replicaof", primary)
}

// SetReplica implements replication.Host.
func (h host) SetReplica(on bool) {
	r := h.r
	if r.replica.Swap(on) == on {
		return
	}
	r.engine.CloseToWrites(on && r.engine.Params.Bool("replica-read-only"))
	if on {
		r.engine.Shards.ExpiryHeld.Add(1)
		r.engine.ReleaseBlocked()
	} else {
		r.engine.Shards.ExpiryHeld.Add(-1)
	}
}

// SetStale implements replication.Host.
func (h host) SetStale(on bool) {
	h.r.stale.Store(on)
	h.r.engine.CloseStale(on && !h.r.engine.Params.Bool("replica-serve-stale-data"))
}

// SetGoodReplicas implements replication.Host.
func (h host) SetGoodReplicas(n int) { h.r.engine.SetGoodReplicas(n) }

// Pause implements replication.Host.
func (h host) Pause(on bool) { h.r.engine.PinPause(on) }

// Linked implements replication.Host.
func (h host) Linked(remote, local string, end func()) (over func()) {
	return h.r.engine.OpenPrimary(engine.ConnInfo{RemoteAddr: remote, LocalAddr: local, FD: -1}, end)
}

// Follow implements engine.Replication.
func (r *replicating) Follow(address string, port int, over func()) {
	r.node.Follow(address, port, over)
}

// Lead implements engine.Replication.
func (r *replicating) Lead(over func()) {
	r.node.Lead(over)
}

// Serve implements engine.Replication.
func (r *replicating) Serve(s *engine.Session, w engine.ReplicaWishes) (engine.Replica, error) {
	replica, err := r.node.Serve(s, replication.Wishes{
		Host: w.Host, Port: w.Port, EOF: w.EOF, PSYNC2: w.PSYNC2, Native: w.Native,
		SnapshotOnly: w.SnapshotOnly, WithoutKeys: w.WithoutKeys,
		Continue: w.Continue, Named: w.Named, History: w.History, Position: w.Position,
	})
	if err != nil {
		return nil, resp.Error(err.Error())
	}
	return replica, nil
}

// Failover implements engine.Replication.
func (r *replicating) Failover(o engine.FailoverOptions) error {
	return answer(r.node.Failover(replication.FailoverOptions(o)))
}

// AbortFailover implements engine.Replication.
func (r *replicating) AbortFailover() error { return answer(r.node.AbortFailover()) }

// Promote implements engine.Replication.
func (r *replicating) Promote(history string, over func()) error {
	return answer(r.node.Promote(history, over))
}

// answer makes an error one that a client may read.
func answer(err error) error {
	if err == nil {
		return nil
	}
	return resp.Error(err.Error())
}

// Acknowledge implements engine.Replication.
func (r *replicating) Acknowledge() { r.node.Acknowledge() }

// Changed implements engine.Replication.
func (r *replicating) Changed() int64 { return r.node.Changed() }

// Reached implements engine.Replication.
func (r *replicating) Reached(position int64) (applied, durable int) {
	return r.node.Reached(position)
}

// Await implements engine.Replication.
func (r *replicating) Await(look func()) (forget func()) { return r.node.Await(look) }

// ResetStats implements engine.Replication.
func (r *replicating) ResetStats() { r.node.ResetStats() }

// NewHistory implements engine.Replication.
func (r *replicating) NewHistory() { r.node.NewHistory() }

// State implements engine.Replication.
func (r *replicating) State() engine.ReplicationState {
	s := r.node.State()
	state := engine.ReplicationState{
		Replica: s.Host != "", Host: s.Host, Port: s.Port, Link: s.Link, LastHeard: s.LastHeard, DownSince: s.DownSince,
		LinkPosition: s.LinkPosition, SyncTotal: s.SyncTotal, SyncRead: s.SyncRead, Failover: s.Failover,
		History: s.History, OldHistory: s.OldHistory, Position: s.Position, OldPosition: s.OldPosition,
		Backlog: s.Backlog, BacklogFirst: s.BacklogFirst, BacklogLength: s.BacklogLength,
		FullSyncs: s.FullSyncs, PartialSyncs: s.PartialSyncs, RefusedPartial: s.RefusedPartial,
		BytesIn: s.BytesIn, BytesOut: s.BytesOut, BufferBytes: s.BufferBytes, LeftOut: s.LeftOut,
	}
	for _, replica := range s.Replicas {
		state.Replicas = append(state.Replicas, engine.ReplicaState(replica))
	}
	return state
}

var (
	_ engine.Replication   = (*replicating)(nil)
	_ replication.Host     = host{}
	_ replication.Settings = (*config.Params)(nil)
	_ replication.Link     = (*engine.Session)(nil)
	_ engine.Replica       = (*replication.Replica)(nil)
)
