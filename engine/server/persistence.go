package server

import (
	"errors"
	"time"

	"hyperkv/engine"
	"hyperkv/resp"
)

var persisting = []engine.Command{{
	Name: "SAVE", Arity: 1, Start: save,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoScript | engine.NoMulti,
	Summary: "Writes the dataset to disk, and answers when it is there. Other clients need not wait.",
	Since:   "1.0.0", Complexity: "O(N) with the number of keys",
}, {
	Name: "BGSAVE", Arity: -1, Session: bgSave,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoScript,
	Summary: "Writes the dataset to disk in the background.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax:  "[SCHEDULE]",
	History: []string{"3.2.2: Added the option SCHEDULE."},
}, {
	Name: "BGREWRITEAOF", Arity: 1, Session: bgRewriteAOF,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoScript,
	Summary: "Writes the dataset to disk in the background, so that the log before can go.",
	Since:   "1.0.0", Complexity: "O(1)",
}, {
	Name: "LASTSAVE", Arity: 1, Session: lastSave,
	Flags:      engine.Loading | engine.Stale | engine.Fast,
	Categories: "admin dangerous",
	Tips:       []string{"nondeterministic_output"},
	Summary:    "Answers when the dataset was last written to disk.",
	Since:      "1.0.0", Complexity: "O(1)",
}, {
	Name: "SHUTDOWN", Arity: -1, Start: shutdown, Flags: ofOperator | engine.NoMulti | engine.AllowBusy,
	Summary: "Stops the server.",
	Since:   "1.0.0", Complexity: "O(N) with the number of keys when they are saved, otherwise O(1)",
	Syntax:  "[save-selector(NOSAVE | SAVE)] [NOW] [FORCE] [ABORT]",
	History: []string{"7.0.0: Added the options NOW, FORCE and ABORT."},
}}

const (
	errSaveBusy    resp.Error = "ERR Background save already in progress"
	errRewriteBusy resp.Error = "ERR Background append only file rewriting already in progress"
	errSaveBehind  resp.Error = "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible."
	errShutdown    resp.Error = "ERR Errors trying to SHUTDOWN. Check logs."
	errNoShutdown  resp.Error = "ERR No shutdown in progress."
	// errSave is all that Redis says when SAVE has failed; the log has more.
	errSave resp.Error = "ERR"
)

// SAVE
func save(s *engine.Session, c *engine.Command, _ [][]byte) bool {
	s.Aside(c, func(w *resp.Writer) error {
		d := s.Engine().Durability()
		if d == nil {
			return unavailable("snapshots are")
		}
		over, err := d.Snapshot(engine.SnapshotSave, false)
		if err != nil {
			return errSaveBusy
		}
		if err := <-over; err != nil {
			return errSave
		}
		return w.OK()
	})
	return true
}

// BGSAVE [SCHEDULE]
func bgSave(c *engine.Context) error {
	if len(c.Args) > 2 || len(c.Args) == 2 && !resp.WordIs(c.Args[1], "SCHEDULE") {
		return resp.ErrSyntax
	}
	d := c.Engine.Durability()
	if d == nil {
		return unavailable("snapshots are")
	}
	scheduled := len(c.Args) == 2
	if running := d.State().Snapshots; running.Running && (running.Reason == engine.SnapshotSave || !scheduled) {
		if running.Reason == engine.SnapshotSave {
			return errSaveBusy
		}
		return errSaveBehind
	}
	over, err := d.Snapshot(engine.SnapshotSave, scheduled)
	switch {
	case err != nil:
		return errSaveBusy
	case over == nil:
		return c.Reply.Simple("Background saving scheduled")
	}
	return c.Reply.Simple("Background saving started")
}

// BGREWRITEAOF
func bgRewriteAOF(c *engine.Context) error {
	d := c.Engine.Durability()
	if d == nil {
		return unavailable("the append-only log is")
	}
	if running := d.State().Snapshots; running.Running && running.Reason == engine.SnapshotRewrite {
		return errRewriteBusy
	}
	over, err := d.Snapshot(engine.SnapshotRewrite, true)
	switch {
	case err != nil:
		return errRewriteBusy
	case over == nil:
		return c.Reply.Simple("Background append only file rewriting scheduled")
	}
	return c.Reply.Simple("Background append only file rewriting started")
}

// LASTSAVE
//
// When there was none, that was at the start, when there was nothing.
func lastSave(c *engine.Context) error { return c.Reply.Int(lastSaved(c.Engine).Unix()) }

func lastSaved(e *engine.Engine) time.Time {
	if state, ok := e.DurabilityState(); ok && !state.Snapshots.Last.IsZero() {
		return state.Snapshots.Last
	}
	return e.Started()
}

// shutdownOptions are the words of SHUTDOWN.
type shutdownOptions struct{ save, nosave, force, now, abort bool }

func parseShutdown(args [][]byte) (o shutdownOptions, err error) {
	for _, arg := range args {
		switch {
		case resp.WordIs(arg, "NOSAVE"):
			o.nosave = true
		case resp.WordIs(arg, "SAVE"):
			o.save = true
		case resp.WordIs(arg, "NOW"):
			o.now = true
		case resp.WordIs(arg, "FORCE"):
			o.force = true
		case resp.WordIs(arg, "ABORT"):
			o.abort = true
		default:
			return o, resp.ErrSyntax
		}
	}
	if o.abort && (o.save || o.nosave || o.force || o.now) || o.save && o.nosave {
		return o, resp.ErrSyntax
	}
	return o, nil
}

// shutdownPause is how long writes wait for a snapshot at the end, at most.
const shutdownPause = 24 * time.Hour

// SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]
//
// There is no reply: the connection closes with the server. While the last snapshot is
// taken writes wait, so that it has all of them; if it fails they go on.
func shutdown(s *engine.Session, c *engine.Command, args [][]byte) bool {
	e := s.Engine()
	o, err := parseShutdown(args[1:])
	if err == nil && o.abort {
		err = errNoShutdown
	}
	if err != nil {
		s.Refuse(c, err)
		return true
	}
	remote, _ := s.Addresses()
	e.Log.Warn("SHUTDOWN requested", "client", s.ID(), "address", remote)
	e.StopsNow.Store(o.now)
	d := e.Durability()
	if d == nil && o.save && !o.force {
		s.Refuse(c, unavailable("SHUTDOWN SAVE needs snapshots, which are"))
		return true
	}
	if d == nil || o.nosave || !o.save && !e.SavesAtEnd() {
		e.SaveDecided.Store(true)
		e.RequestShutdown()
		return true
	}
	s.Aside(c, func(*resp.Writer) error {
		e.Pause(shutdownPause, false)
		if err := saveNow(d); err != nil {
			e.Log.Error("the dataset could not be saved", "err", err)
			if !o.force {
				e.Unpause()
				return errShutdown
			}
		}
		e.SaveDecided.Store(true)
		e.RequestShutdown()
		return nil
	})
	return true
}

// saveNow takes a snapshot of what is there now.
func saveNow(d *engine.Durability) error {
	for {
		over, err := d.Snapshot(engine.SnapshotSave, false)
		if err == nil {
			return <-over
		}
		if !errors.Is(err, engine.ErrSnapshotBusy) {
			return err
		}
		time.Sleep(10 * time.Millisecond) // the one under way began too early
	}
}
