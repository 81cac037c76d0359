package interchange

import (
	"context"
	"errors"
	"fmt"
	"io"

	"hyperkv/engine"
	"hyperkv/internal/aof"
	"hyperkv/internal/rdb"
	"hyperkv/resp"
	"hyperkv/shard"
)

// ReplayOptions say how an append-only file is replayed.
type ReplayOptions struct {
	// Truncated and Wrap are those of aof.Options.
	Truncated bool
	Wrap      func(io.Reader) io.Reader
	// Untouched, if set, takes the keys of RDB files that no command behind them concerns,
	// as they stand there. The engine then gets the others only: what the commands need.
	// It costs reading all files twice.
	Untouched func(k *rdb.Key, raw []byte) error
}

// Replayed is what was replayed.
type Replayed struct {
	Loaded    // from RDB files
	Untouched uint64
	Commands  uint64
	Libraries [][]byte // the sources of functions
	Cut       *aof.Cut // where the last file was cut off; nil if it was not
}

// Replay does in an engine what is in an append-only file. The engine is empty and serves
// nobody. Nothing expires before the end: when the commands were recorded, the keys that
// they met had not expired, whatever the time is now.
//
// To send the commands to a server would be wrong: a counter whose time has come would be
// begun anew by the next INCR in the file, and stay for good.
func Replay(ctx context.Context, e *engine.Engine, log *aof.Log, o ReplayOptions) (Replayed, error) {
	p := &player{ctx: ctx, e: e, o: &o, shared: e.NewReplayer(0, 0)}
	for i := range e.Shards.Shards {
		p.homes = append(p.homes, e.NewReplayer(i, len(e.Shards.Shards)))
	}
	e.Shards.ExpiryHeld.Add(1)
	defer func() {
		e.Shards.ExpiryHeld.Add(-1)
		e.Shards.ClockChanged()
	}()
	options := aof.Options{Truncated: o.Truncated, Wrap: o.Wrap}
	if o.Untouched != nil {
		t := touched{e: e, keys: map[uint64]struct{}{}}
		if _, err := log.Read(ctx, options, &t); err != nil {
			return Replayed{}, err
		}
		p.touched = &t
	}
	cut, err := log.Read(ctx, options, p)
	p.sum.Cut, p.sum.Libraries = cut, p.libraries.sources
	return p.sum, err
}

// player is the aof.Visitor that does what it is shown.
type player struct {
	ctx       context.Context
	e         *engine.Engine
	o         *ReplayOptions
	touched   *touched
	homes     []*engine.Replayer // by shard
	shared    *engine.Replayer   // for what concerns several
	libraries libraries
	sum       Replayed
}

// RDB implements aof.Visitor.
func (p *player) RDB(f *rdb.File) error {
	f.Function = p.libraries.add
	o := LoadOptions{KeepExpired: true}
	if p.touched != nil && !p.touched.all {
		o.Pass = p.pass
	}
	loaded, err := Load(p.ctx, p.e, f, o)
	p.sum.Keys += loaded.Keys
	p.sum.Expired += loaded.Expired
	p.sum.Empty += loaded.Empty
	return err
}

func (p *player) pass(k *rdb.Key, raw []byte) (bool, error) {
	if p.touched.has(k.Name) {
		return false, nil
	}
	p.sum.Untouched++
	return true, p.o.Untouched(k, raw)
}

// Command implements aof.Visitor.
func (p *player) Command(c *aof.Command) error {
	if isLibrary(c.Args) {
		return p.libraries.do(c.Args)
	}
	row, err := p.e.Table.Resolve(c.Args)
	if err != nil {
		return fmt.Errorf("%.64q: %w", c.Args[0], err)
	}
	if !changes(row) {
		return nil
	}
	p.sum.Commands++
	keys, everything := keysOf(row, c.Args)
	if everything {
		return p.shared.Play(c.Database, c.Args, true)
	}
	home := p.shardOf(c.Args[keys[0]])
	for _, at := range keys[1:] {
		if p.shardOf(c.Args[at]) != home {
			return p.shared.Play(c.Database, c.Args, true)
		}
	}
	return p.homes[home].Play(c.Database, c.Args, false)
}

func (p *player) shardOf(key []byte) int {
	return p.e.Shards.IndexOf(shard.RouteHash(key, shard.Hash(key)))
}

// changes says that a command may change data, as PFCOUNT does though it reads. Others have
// no place in such a file, and nobody knows what they would do here.
func changes(row *engine.Command) bool { return row.Flags&(engine.Write|engine.MayReplicate) != 0 }

// keysOf says where the keys of a command are, or that they are not all to be seen.
func keysOf(row *engine.Command, args [][]byte) (keys []int, everything bool) {
	if row.Scope != engine.ScopeKeys || row.Wide != nil && row.Wide(args) {
		return nil, true
	}
	keys, err := row.KeyPositions(args)
	return keys, err != nil || len(keys) == 0
}

// touched is the aof.Visitor that looks which keys are concerned by commands.
type touched struct {
	e    *engine.Engine
	keys map[uint64]struct{} // by their hash; in whichever database
	all  bool                // it cannot be told
}

// RDB implements aof.Visitor.
func (t *touched) RDB(f *rdb.File) error {
	for {
		k, err := f.Next()
		if k == nil || err != nil {
			return err
		}
		if _, err := f.Raw(); err != nil {
			return named(k.Name, err)
		}
	}
}

// Command implements aof.Visitor.
func (t *touched) Command(c *aof.Command) error {
	if isLibrary(c.Args) || t.all {
		return nil
	}
	row, err := t.e.Table.Resolve(c.Args)
	if err != nil {
		return fmt.Errorf("%.64q: %w", c.Args[0], err)
	}
	if !changes(row) {
		return nil
	}
	keys, everything := keysOf(row, c.Args)
	if everything {
		t.all, t.keys = true, nil
		return nil
	}
	for _, at := range keys {
		t.keys[shard.Hash(c.Args[at])] = struct{}{}
	}
	return nil
}

func (t *touched) has(key []byte) bool {
	_, has := t.keys[shard.Hash(key)]
	return has
}

// libraries are those of functions, which HyperKV does not have, but whoever takes the
// dataset over may.
type libraries struct {
	names   []string
	sources [][]byte
}

var errLibrary = errors.New("a library that does not say its name")

// isLibrary says that a command concerns scripts and libraries, and no keys.
func isLibrary(args [][]byte) bool {
	return resp.WordIs(args[0], "FUNCTION") || resp.WordIs(args[0], "SCRIPT")
}

// do does what such a command does. Scripts are kept by nobody.
func (l *libraries) do(args [][]byte) error {
	if resp.WordIs(args[0], "SCRIPT") || len(args) < 2 {
		return nil
	}
	switch {
	case resp.WordIs(args[1], "LOAD") && len(args) > 2:
		return l.add(args[len(args)-1])
	case resp.WordIs(args[1], "DELETE") && len(args) == 3:
		l.remove(string(args[2]))
	case resp.WordIs(args[1], "FLUSH"):
		*l = libraries{}
	case resp.WordIs(args[1], "RESTORE") && len(args) > 2:
		if len(args) > 3 && resp.WordIs(args[3], "FLUSH") {
			*l = libraries{}
		}
		return rdb.EachFunction(args[2], l.add)
	default:
		return fmt.Errorf("FUNCTION %.40q", args[1])
	}
	return nil
}

// add adds a library, in the place of one with the same name.
func (l *libraries) add(source []byte) error {
	name, ok := rdb.FunctionName(source)
	if !ok {
		return errLibrary
	}
	l.remove(name)
	l.names = append(l.names, name)
	l.sources = append(l.sources, append([]byte(nil), source...))
	return nil
}

func (l *libraries) remove(name string) {
	for i := range l.names {
		if l.names[i] == name {
			l.names = append(l.names[:i], l.names[i+1:]...)
			l.sources = append(l.sources[:i], l.sources[i+1:]...)
			return
		}
	}
}
