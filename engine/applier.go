package engine

import (
	"errors"
	"fmt"
	"slices"

	"hyperkv/internal/clock"
	"hyperkv/resp"
	"hyperkv/shard"
)

// An Applier does what the primary of this server has done. For it nothing has expired
// before the primary says so, and nothing that clients are refused is refused. It
// belongs to one goroutine, which holds no turn.
type Applier struct {
	e        *Engine
	all      *shard.Exclusive
	client   shard.Client
	w        resp.Writer
	scratch  crossingScratch
	commands []item
	errs     []error
}

// NewApplier makes one.
func (e *Engine) NewApplier() *Applier {
	return &Applier{e: e, all: e.Shards.NewExclusive(), client: shard.Client{Primary: true}, w: resp.Writer{Proto: 2}}
}

// ErrNotApplied says that the primary has sent what means nothing here.
var ErrNotApplied = errors.New("it means nothing here")

// A Change is a command of the primary in one of the databases.
type Change struct {
	Database int
	Args     [][]byte // the name first
}

// Apply does several things as one, or one thing. settled is called when all of it is
// done and before anything else can happen on the shards where it was. What could not be
// done is left out, and the first such thing is the error; settled is called all
// the same.
func (a *Applier) Apply(changes []Change, settled func()) (err error) {
	x := &a.scratch
	x.begin(a.e)
	a.commands = a.commands[:0]
	long := false
	for _, change := range changes {
		c, failed := a.resolve(change)
		if failed == nil {
			failed = x.include(a.e, c, change.Args)
		}
		if failed != nil {
			if err == nil {
				err = fmt.Errorf("%.64q: %w", slices.Concat(change.Args[:min(1, len(change.Args))]...), failed)
			}
			continue
		}
		long = long || c.Is(Long)
		m := item{command: c, args: change.Args, db: change.Database}
		if c.simpleKey > 0 {
			m.hash = x.hashes[len(x.hashes)-1]
		}
		a.commands = append(a.commands, m)
	}
	if len(a.commands) == 0 {
		settled()
		return err
	}
	run := func(call *shard.Call) {
		failed := a.run(call)
		if err == nil {
			err = failed
		}
		settled()
	}
	if only := x.only(a.e); only >= 0 && !long {
		s := a.e.Shards.Shards[only]
		if s.Enter() {
			run(s.Call())
			s.Exit()
		} else {
			s.Do(func() { run(s.Call()) })
		}
		return err
	}
	a.all.Run(long, run)
	return err
}

func (a *Applier) resolve(change Change) (*Command, error) {
	if len(change.Args) == 0 {
		return nil, ErrNotApplied
	}
	c, err := resolve(a.e.Table.Lookup(change.Args[0]), change.Args)
	switch {
	case err != nil:
		return nil, err
	case c.Run == nil:
		return nil, ErrNotApplied
	case change.Database < 0 || change.Database >= int(a.e.Params.Int("databases")):
		return nil, resp.ErrDBIndex
	}
	return c, nil
}

// run runs the commands with a call whose shards' turns are held.
func (a *Applier) run(call *shard.Call) (err error) {
	a.w.Buf = a.w.Buf[:0]
	call.BeginClient(&a.client, &a.w)
	defer call.EndClient()
	if len(a.commands) > 1 {
		call.BeginUnit()
		defer call.EndUnit()
	}
	at := clock.Monotonic()
	for i := range a.commands {
		a.w.Buf = a.w.Buf[:0]
		at = a.commands[i].run(call, at)
		if reply := a.w.Buf; len(reply) > 0 && reply[0] == '-' && err == nil {
			err = fmt.Errorf("%.64q: %.200q", a.commands[i].args[0], reply[1:])
		}
	}
	return err
}
