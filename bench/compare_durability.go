package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Durability is what keeping data costs, and how long it takes to have it back. Values
// are random bytes in all of it, so that no size owes anything to compression that real
// data would not have.
type Durability struct {
	// Log is the speed of writes that are logged; the servers take turns.
	Log []SpeedCase `json:"log"`
	// The rest is for so many keys, one server at a time.
	Keys      uint64           `json:"keys"`
	Snapshots []SnapshotFigure `json:"snapshots,omitempty"`
	Recovery  []RecoveryFigure `json:"recovery,omitempty"`
}

func (d *Durability) snapshot(server string) *SnapshotFigure {
	for i := range d.Snapshots {
		if d.Snapshots[i].Server == server {
			return &d.Snapshots[i]
		}
	}
	return nil
}

func (d *Durability) recovery(server string) *RecoveryFigure {
	for i := range d.Recovery {
		if d.Recovery[i].Server == server {
			return &d.Recovery[i]
		}
	}
	return nil
}

// logCase is a command under a policy of syncing the log.
type logCase struct {
	name     string
	policy   string
	pipeline int
	either
}

var logCases = []logCase{
	{"SET, fsync everysec, pipeline 16", "everysec", 16, either{1.5, 0.7}},
	{"SET, fsync always, pipeline 1", "always", 1, either{speedMin: 1.5}},
}

const (
	// writeCommand fills servers in this section.
	writeCommand = "SET __key__ __rand_data__"
	// writePipeline is long, because nobody looks at how that goes.
	writePipeline = 100
	// loadTimeout is how long a server may take to load what it has kept.
	loadTimeout = 5 * time.Minute
)

// compareDurability measures the log, snapshots, and starts with data.
func compareDurability(ctx context.Context, plan Plan, r *Comparison) error {
	d := &Durability{}
	r.Durability = d
	if err := compareLog(ctx, plan, d); err != nil {
		return err
	}
	if plan.SnapshotKeys == 0 {
		return nil
	}
	// Twice: what a child of a server copies while it writes a snapshot.
	needs := int64(plan.SnapshotKeys) * bytesPerBigKey * 2
	if free, known := memoryAvailable(); known && free < needs {
		r.Notes = append(r.Notes, fmt.Sprintf("Snapshots and starts with %s keys were left out: they need %.1f GiB of free memory.",
			count(float64(plan.SnapshotKeys)), float64(needs)/(1<<30)))
		return nil
	}
	d.Keys = plan.SnapshotKeys
	if err := compareSnapshots(ctx, plan, d); err != nil {
		return err
	}
	return compareRecovery(ctx, plan, d)
}

// compareLog lets servers with a log take turns with writes.
func compareLog(ctx context.Context, plan Plan, d *Durability) error {
	for _, c := range logCases {
		row := SpeedCase{Name: c.name, Op: "set", Pipeline: c.pipeline}
		for _, s := range plan.servers() {
			row.Figures = append(row.Figures, SpeedFigure{Server: s.Name})
		}
		d.Log = append(d.Log, row)
	}
	for round := range plan.Rounds {
		if err := logRound(ctx, plan, d, round); err != nil {
			return err
		}
	}
	for i := range d.Log {
		for j := range d.Log[i].Figures {
			d.Log[i].Figures[j].reduce()
		}
	}
	return nil
}

func logRound(ctx context.Context, plan Plan, d *Durability, round int) error {
	servers := plan.servers()
	for i := range servers {
		servers[i].logPolicy = "everysec"
	}
	f, err := startFleet(ctx, servers)
	if err != nil {
		return err
	}
	defer f.stop()
	for _, p := range f {
		if err := plan.write(ctx, p, plan.Keys, plan.Keys, compareValueBytes); err != nil {
			return err
		}
	}
	op, err := Template(writeCommand, 1)
	if err != nil {
		return err
	}
	for i, c := range logCases {
		for _, p := range f.turns(round + i) {
			if err := p.configure(ctx, "appendfsync", c.policy); err != nil {
				return err
			}
			// What the one before has left to the disk is not this one's business.
			if err := pause(ctx, plan.settle); err != nil {
				return err
			}
			result, err := measure(ctx, p, plan.workload(c.name, op, c.pipeline))
			if err != nil {
				return err
			}
			plan.Progress("round %d/%d  %-34s %-10s %10.0f/s  p99 %.3f ms  server %.2f µs/request",
				round+1, plan.Rounds, c.name, p.server.Name, result.Rate, result.Latency.P99/1000, result.ServerMicros)
			result.Series = nil
			figure := d.Log[i].figure(p.server.Name)
			figure.Rounds = append(figure.Rounds, result)
		}
	}
	return nil
}

// write sends so many SETs, over the keyspace in order and again from its beginning.
func (plan Plan) write(ctx context.Context, p *process, operations, keys uint64, valueBytes int) error {
	op, err := Template(writeCommand, 1)
	if err != nil {
		return err
	}
	w := plan.workload("writing", op, writePipeline)
	w.Requests, w.Duration, w.Warmup = int64(operations), 0, 0
	w.Keys.Pattern, w.Keys.Count = Sequential, keys
	w.DataMin, w.DataMax = valueBytes, valueBytes
	_, err = measure(ctx, p, w)
	return err
}

// configure sets a parameter of a running server.
func (p *process) configure(ctx context.Context, name, value string) error {
	c, err := p.control(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := c.do("CONFIG", "SET", name, value); err != nil {
		return fmt.Errorf("CONFIG SET %s on %s: %w", name, p.server.Name, err)
	}
	return nil
}

// holds fails if a server does not have so many keys: a start that has lost some was fast
// for nothing.
func (p *process) holds(ctx context.Context, keys uint64) error {
	c, err := p.control(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	reply, err := c.do("DBSIZE")
	if err != nil {
		return fmt.Errorf("DBSIZE on %s: %w", p.server.Name, err)
	}
	if got := strings.TrimSpace(strings.TrimPrefix(string(reply), ":")); got != strconv.FormatUint(keys, 10) {
		return fmt.Errorf("%s has %s keys after its start, and should have %d", p.server.Name, got, keys)
	}
	return nil
}

// again starts a server on what another life of it has left, with so many keys.
func again(ctx context.Context, s Server, dir string, keys uint64) (*process, error) {
	p, err := startIn(ctx, s, dir, loadTimeout)
	if err != nil {
		return nil, err
	}
	if err := p.holds(ctx, keys); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// snapshotFiles and logFiles are what brands keep in their directory, as patterns.
var (
	snapshotFiles = map[Brand]string{HyperKV: "snapshots/snapshot-*", Redis: "dump.rdb", Valkey: "dump.rdb"}
	logFiles      = map[Brand]string{HyperKV: "journal/*/wal-*.log", Redis: "appendonlydir/*.incr.aof", Valkey: "appendonlydir/*.incr.aof"}
)

var errNoFiles = errors.New("it has not written what it was to keep")

// snapshotBytes is the size of the files of a snapshot.
func snapshotBytes(s Server, dir string) (sum int64, err error) {
	return sumFiles(s, dir, snapshotFiles[s.Brand], func(name string) (int64, error) {
		info, err := os.Stat(name)
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	})
}

// logBytes is how much has been written into the files of the log.
func logBytes(s Server, dir string) (sum int64, err error) {
	return sumFiles(s, dir, logFiles[s.Brand], writtenBytes)
}

func sumFiles(s Server, dir, pattern string, size func(name string) (int64, error)) (sum int64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		n, err := size(name)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	if sum == 0 {
		return 0, fmt.Errorf("%s: %w", s.Name, errNoFiles)
	}
	return sum, nil
}

// writtenBytes is the size of a file without the zeros at its end: room that was reserved
// is not a log.
func writtenBytes(name string) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	block := make([]byte, 256<<10)
	for end := info.Size(); end > 0; {
		from := max(0, end-int64(len(block)))
		part := block[:end-from]
		if _, err := f.ReadAt(part, from); err != nil {
			return 0, err
		}
		if part = bytes.TrimRight(part, "\x00"); len(part) > 0 {
			return from + int64(len(part)), nil
		}
		end = from
	}
	return 0, nil
}

// visit calls f for each server in each round, one server at a time; every round begins with
// another one. i is the server's place in the plan.
func (p Plan) visit(f func(round, i int, s Server) error) error {
	servers := p.servers()
	for round := range p.Rounds {
		for k := range servers {
			i := (k + round) % len(servers)
			if err := f(round, i, servers[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
