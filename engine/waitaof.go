package engine

import (
	"sync/atomic"
	"time"

	"hyperkv/resp"
)

// waitAOF asks whether what the client wrote survives a loss of power.
var waitAOF = Command{
	Name: "WAITAOF", Group: "generic", Arity: 4, Start: startWaitAOF, Session: waitAOFNow,
	Flags:   Blocking,
	Summary: "Waits until the client's writes are synced in the local log and in those of enough replicas, or for the given time.",
	Since:   "7.2.0", Complexity: "O(1)", Syntax: "numlocal:integer numreplicas:integer timeout:integer",
	Tips: []string{"request_policy:all_shards", "response_policy:agg_min"},
}

const (
	errNumLocal         resp.Error = "ERR value is out of range, must be between 0 and 1"
	errWaitAOFOff       resp.Error = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
	errWaitAOFOnReplica resp.Error = "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated."
)

type waitAOFWords struct {
	local, replicas int64
	timeout         time.Duration
}

func parseWaitAOF(e *Engine, args [][]byte) (w waitAOFWords, err error) {
	var ok bool
	if w.local, ok = resp.ParseInt(args[1]); !ok || w.local < 0 || w.local > 1 {
		return w, errNumLocal
	}
	if w.replicas, ok = resp.ParseInt(args[2]); !ok || w.replicas < 0 {
		return w, resp.ErrNotPositive
	}
	if w.timeout, err = e.ParseTimeout(args[3]); err != nil {
		return w, err
	}
	if r := e.Replication(); r != nil && r.State().Replica {
		return w, errWaitAOFOnReplica
	}
	if state, _ := e.DurabilityState(); w.local > 0 && !state.Log {
		return w, errWaitAOFOff
	}
	return w, nil
}

// WAITAOF numlocal numreplicas timeout
//
// What the client wrote is taken to be all that was written so far. The log is synced for
// the sake of the answer, and replicas are asked what they have synced.
func startWaitAOF(s *Session, c *Command, args [][]byte) bool {
	e := s.engine
	words, err := parseWaitAOF(e, args)
	if err != nil {
		s.Refuse(c, err)
		return true
	}
	d, r := e.Durability(), e.Replication()
	position := int64(0)
	if r != nil {
		position = r.Changed()
	}
	var synced, gone atomic.Bool // the log, behind what was written before the command
	synced.Store(d != nil && d.Synced())
	look := s.waitFor(c, words.timeout, func() (n counts, enough bool) {
		n.local = synced.Load()
		if r != nil {
			_, n.replicas = r.Reached(position)
		}
		return n, gone.Load() || (n.local || words.local == 0) && int64(n.replicas) >= words.replicas
	}, func(w *resp.Writer, n counts) {
		if gone.Load() {
			w.Error(errWaitAOFOff)
			return
		}
		answerWaitAOF(w, n)
	})
	if look == nil || d == nil || synced.Load() {
		return true
	}
	go func() {
		err := d.Sync()
		synced.Store(err == nil)
		gone.Store(err != nil && words.local > 0 && !d.State().Log) // it was switched off
		look()
	}()
	return true
}

// waitAOFNow is WAITAOF where it must not block, as inside EXEC.
func waitAOFNow(c *Context) error {
	if _, err := parseWaitAOF(c.Engine, c.Args); err != nil {
		return err
	}
	var n counts
	if r := c.Engine.Replication(); r != nil {
		_, n.replicas = r.Reached(r.Changed())
	}
	d := c.Engine.Durability()
	n.local = d != nil && d.Synced()
	answerWaitAOF(c.Reply, n)
	return nil
}

func answerWaitAOF(w *resp.Writer, n counts) {
	w.Array(2)
	if n.local {
		w.Int(1)
	} else {
		w.Int(0)
	}
	w.Int(int64(n.replicas))
}
