package server

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"hyperkv/engine"
	"hyperkv/resp"
)

const replicaOfSyntax = "args(host-port(host port:integer) | no-one(NO ONE))"

// replicationCommands are what servers say to each other, and operators about it. What
// is behind them is engine.Replication.
var replicationCommands = []engine.Command{{
	Name: "REPLICAOF", Arity: 3, Start: startReplicaOf, Session: replicaOf,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoScript | engine.Stale,
	Summary: "Makes the server a copy of another one, or NO ONE's.",
	Since:   "5.0.0", Complexity: "O(1)",
	Syntax: replicaOfSyntax,
}, {
	Name: "SLAVEOF", Arity: 3, Start: startReplicaOf, Session: replicaOf,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoScript | engine.Stale,
	Summary: "Is the older name of REPLICAOF.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax:     replicaOfSyntax,
	Deprecated: "5.0.0", Replacement: "`REPLICAOF`",
}, {
	Name: "ROLE", Arity: 1, Session: role,
	Flags:      engine.NoScript | engine.Loading | engine.Stale | engine.Fast,
	Categories: "admin dangerous",
	Summary:    "Answers the part that the server plays in replication.",
	Since:      "2.8.12", Complexity: "O(1)",
}, {
	Name: "REPLCONF", Arity: -1, Session: replConf,
	Flags:   engine.Admin | engine.NoScript | engine.Loading | engine.Stale | engine.AllowBusy,
	Summary: "Is what a replica says of itself to its primary, and how far it has come.",
	Since:   "3.0.0", Complexity: "O(1)",
}, {
	Name: "PSYNC", Arity: -3, Start: startPSync,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoMulti | engine.NoScript,
	Session: outsideOfMulti,
	Summary: "Is how a replica asks for what it does not have yet.",
	Since:   "2.8.0", Complexity: "O(N) with what it does not have", Syntax: "replicationid offset:integer",
}, {
	Name: "SYNC", Arity: 1, Start: startSync,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoMulti | engine.NoScript,
	Session: outsideOfMulti,
	Summary: "Is how a replica asks for the whole dataset.",
	Since:   "1.0.0", Complexity: "O(N) with the dataset",
}, {
	Name: "FAILOVER", Arity: -1, Session: failover,
	Flags:   engine.Admin | engine.NoScript | engine.Stale,
	Summary: "Makes a replica the primary, and this server its replica.",
	Since:   "6.2.0", Complexity: "O(1)",
	Syntax: "[TO target(host port:integer [FORCE])] [ABORT] [TIMEOUT milliseconds:integer]",
}}

// outsideOfMulti is the body of what MULTI refuses.
func outsideOfMulti(*engine.Context) error {
	return resp.Error("ERR Command not allowed inside a transaction")
}

// primaryAddress reads the arguments of REPLICAOF; none is true for NO ONE.
func primaryAddress(args [][]byte) (host string, port int, none bool, err error) {
	if resp.WordIs(args[1], "NO") && resp.WordIs(args[2], "ONE") {
		return "", 0, true, nil
	}
	port, err = strconv.Atoi(strings.TrimSpace(string(args[2])))
	if err != nil || port < 0 || port > 65535 {
		return "", 0, false, resp.Error("ERR Invalid master port")
	}
	return string(args[1]), port, false, nil
}

const (
	errFailingOver    resp.Error = "ERR REPLICAOF not allowed while failing over."
	errReplicaCommand resp.Error = "ERR Command is not valid when client is a replica."
	alreadyConnected             = "OK Already connected to specified master"
)

// changePrimary does what REPLICAOF asks for and returns the words of the reply. over is
// called when that is so.
func changePrimary(s *engine.Session, args [][]byte, over func()) (words string, err error) {
	r := s.Engine().Replication()
	host, port, none, err := primaryAddress(args)
	if r == nil {
		switch {
		case err != nil:
			return "", err
		case !none:
			return "", unavailable("replication from another server is")
		}
		over()
		return "OK", nil
	}
	state := r.State()
	switch {
	case state.Failover != "no-failover":
		return "", errFailingOver
	case err != nil:
		return "", err
	case none:
		r.Lead(over)
		return "OK", nil
	case s.Replica() != nil:
		return "", errReplicaCommand
	case state.Replica && strings.EqualFold(state.Host, host) && state.Port == port:
		over()
		return alreadyConnected, nil
	}
	r.Follow(host, port, over)
	return "OK", nil
}

// REPLICAOF host port | NO ONE
func startReplicaOf(s *engine.Session, c *engine.Command, args [][]byte) bool {
	answer := s.Later(c)
	words := make(chan string, 1) // they are there before the change is over, or never
	text, err := changePrimary(s, args, func() {
		answer(func(w *resp.Writer) error { return w.Simple(<-words) })
	})
	if err != nil {
		answer(func(*resp.Writer) error { return err })
		return true
	}
	words <- text
	return true
}

// replicaOf is REPLICAOF inside EXEC, which does not wait.
func replicaOf(c *engine.Context) error {
	words, err := changePrimary(c.Session, c.Args, func() {})
	if err != nil {
		return err
	}
	return c.Reply.Simple(words)
}

// ROLE
func role(c *engine.Context) error {
	s := c.Engine.ReplicationState()
	w := c.Reply
	if s.Replica {
		w.Array(5)
		w.BulkString("slave")
		w.BulkString(s.Host)
		w.Int(int64(s.Port))
		w.BulkString(s.Link)
		return w.Int(s.LinkPosition)
	}
	w.Array(3)
	w.BulkString("master")
	w.Int(s.Position)
	online := 0
	for i := range s.Replicas {
		if s.Replicas[i].State == "online" {
			online++
		}
	}
	w.Array(online)
	for i := range s.Replicas {
		if r := &s.Replicas[i]; r.State == "online" {
			w.Array(3)
			w.BulkString(r.Host)
			w.BulkInt(int64(r.Port))
			w.BulkInt(r.Position)
		}
	}
	return nil
}

// replicaHostMax is how long the name may be that a replica gives itself.
const replicaHostMax = 255

// REPLCONF option value [option value ...]
//
// What tells how far a replica has come is not answered.
func replConf(c *engine.Context) error {
	if len(c.Args)%2 == 0 {
		return resp.ErrSyntax
	}
	wishes := c.Session.Wishes()
	for i := 1; i < len(c.Args); i += 2 {
		option, value := c.Args[i], c.Args[i+1]
		switch {
		case resp.WordIs(option, "LISTENING-PORT"):
			port, ok := resp.ParseInt(value)
			if !ok {
				return resp.ErrNotInteger
			}
			wishes.Port = int(port)
		case resp.WordIs(option, "IP-ADDRESS"):
			if len(value) > replicaHostMax {
				return resp.Error(fmt.Sprintf("ERR REPLCONF ip-address provided by replica instance is too long: %d bytes", len(value)))
			}
			wishes.Host = string(value)
		case resp.WordIs(option, "CAPA"):
			wishes.EOF = wishes.EOF || resp.WordIs(value, "EOF")
			wishes.PSYNC2 = wishes.PSYNC2 || resp.WordIs(value, "PSYNC2")
			wishes.Native = wishes.Native || resp.WordIs(value, "HYPERKV")
		case resp.WordIs(option, "ACK"):
			acknowledged(c, value, c.Args[i+2:])
			return nil
		case resp.WordIs(option, "GETACK"):
			if r := c.Engine.Replication(); r != nil && r.State().Replica {
				r.Acknowledge()
			}
			return nil
		case resp.WordIs(option, "RDB-ONLY"):
			n, ok := resp.ParseInt(value)
			if !ok {
				return resp.ErrNotInteger
			}
			if n < 0 || n > 1 {
				return resp.Error("ERR value is out of range, value must between 0 and 1")
			}
			wishes.SnapshotOnly = n == 1
		case resp.WordIs(option, "RDB-FILTER-ONLY"):
			wishes.WithoutKeys = false
			for _, word := range strings.Fields(string(value)) {
				if !strings.EqualFold(word, "functions") {
					return resp.Error("ERR Unsupported rdb-filter-only option: " + shownWord(word))
				}
				wishes.WithoutKeys = true
			}
		case resp.WordIs(option, "VERSION"):
			// All versions are served alike.
		default:
			return resp.Error("ERR Unrecognized REPLCONF option: " + shownWord(string(option)))
		}
	}
	return c.Reply.OK()
}

// acknowledged notes what a replica says of how far it has come: REPLCONF ACK position, and
// behind it, if it has a log, FACK and up to where that is durable.
func acknowledged(c *engine.Context, value []byte, more [][]byte) {
	r := c.Session.Replica()
	if r == nil {
		return
	}
	position, ok := resp.ParseInt(value)
	if !ok {
		return
	}
	durable := int64(-1)
	if len(more) >= 2 && resp.WordIs(more[0], "FACK") {
		if n, ok := resp.ParseInt(more[1]); ok {
			durable = n
		}
	}
	r.Acknowledged(position, durable)
}

// shownWord is a word of a client in an error, which is one line.
func shownWord(word string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, word)
}

// PSYNC replicationid offset [FAILOVER]
func startPSync(s *engine.Session, c *engine.Command, args [][]byte) bool {
	w := *s.Wishes()
	w.Named = true
	w.History = string(args[1])
	position, ok := resp.ParseInt(args[2])
	promote := len(args) > 3 && resp.WordIs(args[3], "FAILOVER")
	w.Continue = w.History != "?"
	w.Position = position - 1
	answer := s.Later(c)
	r := s.Engine().Replication()
	switch {
	case r == nil:
		answer(func(*resp.Writer) error { return unavailable("serving replicas is") })
	case s.Replica() != nil:
		answer(func(*resp.Writer) error { return nil }) // it is served already
	case promote:
		err := r.Promote(w.History, func() {
			answer(func(*resp.Writer) error { return serveReplica(s, w) })
		})
		if err != nil {
			answer(func(*resp.Writer) error { return err })
		}
	case !ok:
		answer(func(*resp.Writer) error { return resp.ErrNotInteger })
	default:
		answer(func(*resp.Writer) error { return serveReplica(s, w) })
	}
	return true
}

// SYNC
func startSync(s *engine.Session, c *engine.Command, _ [][]byte) bool {
	w := *s.Wishes()
	answer := s.Later(c)
	answer(func(*resp.Writer) error {
		if s.Engine().Replication() == nil {
			return unavailable("serving replicas is")
		}
		if s.Replica() != nil {
			return nil
		}
		return serveReplica(s, w)
	})
	return true
}

// serveReplica makes the session a replica's. On its loop.
func serveReplica(s *engine.Session, w engine.ReplicaWishes) error {
	replica, err := s.Engine().Replication().Serve(s, w)
	if err != nil {
		return err
	}
	s.SendFrom(replica)
	return nil
}

// FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]
func failover(c *engine.Context) error {
	r := c.Engine.Replication()
	if r == nil {
		return unavailable("replication is")
	}
	if len(c.Args) == 2 && resp.WordIs(c.Args[1], "ABORT") {
		if err := r.AbortFailover(); err != nil {
			return err
		}
		return c.Reply.OK()
	}
	var o engine.FailoverOptions
	for i := 1; i < len(c.Args); i++ {
		switch arg := c.Args[i]; {
		case resp.WordIs(arg, "TIMEOUT") && i+1 < len(c.Args) && o.Timeout == 0:
			i++
			millis, ok := resp.ParseInt(c.Args[i])
			if !ok {
				return resp.ErrNotInteger
			}
			if millis <= 0 {
				return resp.Error("ERR FAILOVER timeout must be greater than 0")
			}
			o.Timeout = time.Duration(min(millis, int64(1<<62)/int64(time.Millisecond))) * time.Millisecond
		case resp.WordIs(arg, "TO") && i+2 < len(c.Args) && o.Host == "":
			port, ok := resp.ParseInt(c.Args[i+2])
			if !ok {
				return resp.ErrNotInteger
			}
			o.Host, o.Port = string(c.Args[i+1]), int(port)
			i += 2
		case resp.WordIs(arg, "FORCE") && !o.Force:
			o.Force = true
		default:
			return resp.ErrSyntax
		}
	}
	if err := r.Failover(o); err != nil {
		return err
	}
	return c.Reply.OK()
}

// DEBUG CHANGE-REPL-ID
func debugChangeReplID(c *engine.Context) error {
	if r := c.Engine.Replication(); r != nil {
		r.NewHistory()
	}
	return c.Reply.OK()
}

// replication is the section of INFO.
func (r *report) replication() {
	s := r.e.ReplicationState()
	if s.Replica {
		r.replicaOf(&s)
	} else {
		r.text("role", "master")
	}
	r.int("connected_slaves", int64(len(s.Replicas)))
	if min := r.e.Params.Int("min-replicas-to-write"); min > 0 && r.e.Params.Int("min-replicas-max-lag") > 0 {
		r.int("min_slaves_good_slaves", r.e.GoodReplicas())
	}
	for i := range s.Replicas {
		x := &s.Replicas[i]
		lag := int64(0)
		if x.State == "online" {
			lag = int64(x.Lag / time.Second)
		}
		r.text("slave"+strconv.Itoa(i), fmt.Sprintf("ip=%s,port=%d,state=%s,offset=%d,lag=%d", x.Host, x.Port, x.State, x.Position, lag))
	}
	r.text("master_failover_state", s.Failover)
	r.text("master_replid", s.History)
	old := s.OldHistory
	if old == "" {
		old = noReplication
	}
	r.text("master_replid2", old)
	r.int("master_repl_offset", s.Position)
	second := int64(-1)
	if s.OldPosition >= 0 {
		second = s.OldPosition + 1
	}
	r.int("second_repl_offset", second)
	r.bool("repl_backlog_active", s.Backlog)
	r.int("repl_backlog_size", r.e.Params.Int("repl-backlog-size"))
	r.int("repl_backlog_first_byte_offset", s.BacklogFirst)
	r.int("repl_backlog_histlen", s.BacklogLength)
}

// noReplication is what Redis shows for the history of a dataset that has none.
const noReplication = "0000000000000000000000000000000000000000"

// replicaOf is what only a replica shows.
func (r *report) replicaOf(s *engine.ReplicationState) {
	up := s.Link == "connected"
	r.text("role", "slave")
	r.text("master_host", s.Host)
	r.int("master_port", int64(s.Port))
	if up {
		r.text("master_link_status", "up")
	} else {
		r.text("master_link_status", "down")
	}
	heard := int64(-1)
	if up && s.LastHeard >= 0 {
		heard = int64(s.LastHeard / time.Second)
	}
	r.int("master_last_io_seconds_ago", heard)
	r.bool("master_sync_in_progress", s.Link == "sync")
	r.int("slave_read_repl_offset", max(s.Position, 0))
	r.int("slave_repl_offset", max(s.Position, 0))
	if s.Link == "sync" {
		percent, left := 0.0, s.SyncTotal-s.SyncRead
		if s.SyncTotal > 0 {
			percent = float64(s.SyncRead) / float64(s.SyncTotal) * 100
		} else {
			left = -1
		}
		r.int("master_sync_total_bytes", max(s.SyncTotal, 0))
		r.int("master_sync_read_bytes", s.SyncRead)
		r.int("master_sync_left_bytes", left)
		r.float("master_sync_perc", percent, 2)
		r.int("master_sync_last_io_seconds_ago", int64(s.LastHeard/time.Second))
	}
	if !up {
		down := int64(-1)
		if !s.DownSince.IsZero() {
			down = int64(time.Since(s.DownSince) / time.Second)
		}
		r.int("master_link_down_since_seconds", down)
	}
	p := r.e.Params
	r.int("slave_priority", p.Int("replica-priority"))
	r.bool("slave_read_only", p.Bool("replica-read-only"))
	r.bool("replica_announced", p.Bool("replica-announced"))
}
