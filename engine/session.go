package engine

import (
	"sync/atomic"
	"time"

	"hyperkv/internal/config"
	"hyperkv/resp"
	"hyperkv/shard"
)

// An Outlet is what a session needs of its connection. All methods are called
// on the session's loop.
type Outlet interface {
	// Write sends p, or queues what the peer does not take yet; p is borrowed.
	Write(p []byte)
	// WriteAnyway is Write for what promises no change: it leaves also while changes cannot
	// be kept.
	WriteAnyway(p []byte)
	// Unsent is how many bytes are queued.
	Unsent() int
	// NotifyDrained calls f on the loop once fewer than below bytes are queued.
	NotifyDrained(below int, f func())
	// Close ends the connection after what is queued has had a chance to leave.
	Close()
}

// ConnInfo describes a connection.
type ConnInfo struct {
	RemoteAddr, LocalAddr string
	FD                    int
	Unix                  bool
}

// A Session is one client. Owned by its loop, or by the goroutine that runs a
// transaction for it while the loop waits; the fields of info are for everyone.
type Session struct {
	engine *Engine
	loop   *Loop // nil on the way from one to another
	// home is the loop, or that which the session is on its way to, for everybody else.
	home atomic.Pointer[Loop]
	// arriving is what is to be done when it has come there; owned by that loop.
	arriving []func()
	out      Outlet
	client   shard.Client
	parser   resp.Parser
	input    []byte // bytes that wait to be parsed; see input.go
	// yielded says that the loop will come back to input by itself.
	yielded bool
	// inputPeak is the most that has waited since the last tick, trusted the room
	// that was made for what has only been announced.
	inputPeak, trusted int

	db    int
	proto int
	// hold says why the session does not read on at present.
	hold  hold
	multi *multi // nil outside MULTI
	reply replyMode
	muted bool // the reply of the session command under way is unwanted
	// replies that cannot leave yet, in the order of the requests.
	pipeline pipeline
	// promises says that one of the commands whose replies have not left may have
	// changed something.
	promises bool
	// replySize is about how large the larger replies of late were.
	replySize int

	authenticated bool
	closing       bool // nothing more is read; closes once the replies are out
	closed        bool
	blocked       *blocking
	replica       Replica // what the session sends from, once it is a replica's
	// wishes are what it has said of itself as one.
	wishes ReplicaWishes

	info sessionInfo
}

// hold is why a session leaves its input alone.
type hold uint8

const (
	holdNone   hold = iota
	holdFence       // the next command must see the effect of all before it
	holdExec        // a transaction runs with access to the session
	holdOutput      // the client does not read its replies
	holdPause       // CLIENT PAUSE
	holdBlock       // a blocking command
)

// replyMode is CLIENT REPLY.
type replyMode uint8

const (
	replyOn replyMode = iota
	replyOff
	replySkipNext // the command after this one is not answered
)

// sessionInfo is what other goroutines may know of a session.
type sessionInfo struct {
	id      int64
	created time.Time
	conn    ConnInfo // but for FD, which changes

	fd                        atomic.Int64
	name, libName, libVersion atomic.Pointer[string]
	lastActive                atomic.Int64 // Unix milliseconds
	db                        atomic.Int32
	proto                     atomic.Int32
	command                   atomic.Pointer[Command]
	multi                     atomic.Int32 // queued commands, -1 outside MULTI
	watching                  atomic.Int32
	flags                     atomic.Uint32
	inputBytes, inputFree     atomic.Int64
	outputBytes, argvBytes    atomic.Int64
	bytesIn, bytesOut         atomic.Uint64
	commands                  atomic.Uint64
	killed                    atomic.Bool
	blocking                  atomic.Pointer[blocking] // the wait that Unblock may end
	watch                     atomic.Pointer[shard.WatchSet]
	softSince                 int64 // owned by the loop: since when the soft limit is exceeded
}

// Client flags, as CLIENT LIST shows them.
const (
	flagMulti uint32 = 1 << iota
	flagBlocked
	flagCloseAfterReply
	flagNoEvict
	flagNoTouch
	flagMonitor
	flagUnix
	flagReplica
	flagPrimary
)

// Open adds a client. An error means that it cannot be served; its text is the
// reply to send before the connection is closed.
func (l *Loop) Open(out Outlet, conn ConnInfo) (*Session, error) {
	e := l.engine
	e.Totals.ConnectionsReceived.Add(1)
	s := &Session{engine: e, loop: l, out: out, proto: 2, replySize: replySizeFirst}
	s.home.Store(l)
	s.info.conn = conn
	s.info.fd.Store(int64(conn.FD))
	s.info.created = time.Now()
	s.info.multi.Store(-1)
	s.info.proto.Store(2)
	l.now = e.NowMillis()
	s.info.lastActive.Store(l.now)
	empty := ""
	s.info.name.Store(&empty)
	s.info.libName.Store(&empty)
	s.info.libVersion.Store(&empty)
	if conn.Unix {
		s.setFlag(flagUnix, true)
	}
	s.authenticated = *e.limits.password.Load() == ""
	if err := e.clients.add(s, e.Params.Int("maxclients")); err != nil {
		e.Totals.ConnectionsRejected.Add(1)
		return nil, err
	}
	s.client = shard.Client{ID: s.info.id, Session: s}
	l.sessions[s] = struct{}{}
	return s, nil
}

// Closed tells the session that its connection is gone.
func (s *Session) Closed(error) {
	if s.closed {
		return
	}
	s.loop.enter()
	s.closed = true
	s.cancelBlock()
	delete(s.loop.sessions, s)
	s.engine.clients.remove(s)
	if s.replica != nil {
		s.engine.clients.replicas.Add(-1)
		s.replica.Gone()
	}
	if s.hold != holdExec {
		s.forget()
	}
	s.loop.leave()
}

// forget drops what a client that is gone leaves behind. While a transaction
// runs with the session it has to wait for it.
func (s *Session) forget() {
	s.dropWatch()
	s.engine.Monitors.remove(s)
	s.input = nil
	s.distrust()
	s.multi = nil
}

// close ends the connection without waiting for the replies under way, which may
// be those of a command that blocks.
func (s *Session) close() {
	s.closing = true
	s.setFlag(flagCloseAfterReply, true)
	s.input = nil
	if !s.closed {
		s.out.Close()
	}
}

// setFlag may be called by a transaction and by the loop at the same time.
func (s *Session) setFlag(flag uint32, on bool) {
	switch set := s.info.flags.Load()&flag != 0; {
	case on && !set:
		s.info.flags.Or(flag)
	case !on && set:
		s.info.flags.And(^flag)
	}
}

// ID is the client's number, unique in this run of the server. Safe for concurrent use.
func (s *Session) ID() int64 { return s.info.id }

// Name is what CLIENT SETNAME gave the client. Safe for concurrent use.
func (s *Session) Name() string { return *s.info.name.Load() }

// SetName names the client.
func (s *Session) SetName(name string) { s.info.name.Store(&name) }

// SetLibrary notes the name and version of the client's library, as far as they are given.
func (s *Session) SetLibrary(name, version *string) {
	if name != nil {
		s.info.libName.Store(name)
	}
	if version != nil {
		s.info.libVersion.Store(version)
	}
}

// Addresses are the two ends of the connection. Safe for concurrent use.
func (s *Session) Addresses() (remote, local string) {
	return s.info.conn.RemoteAddr, s.info.conn.LocalAddr
}

// DB is the selected database.
func (s *Session) DB() int { return s.db }

// Select selects a database, which the caller has checked to exist.
func (s *Session) Select(db int) {
	s.db = db
	s.info.db.Store(int32(db))
}

// Proto is the protocol version of the replies, 2 or 3.
func (s *Session) Proto() int { return s.proto }

// SetProto changes the protocol version from the next reply on.
func (s *Session) SetProto(proto int) {
	s.proto = proto
	s.info.proto.Store(int32(proto))
}

// Authenticated says whether the client has proved who it is, if it must.
func (s *Session) Authenticated() bool { return s.authenticated }

// SetAuthenticated changes it.
func (s *Session) SetAuthenticated(yes bool) { s.authenticated = yes }

// NoTouch and NoEvict are the modes of CLIENT NO-TOUCH and CLIENT NO-EVICT.
func (s *Session) SetNoTouch(on bool) {
	s.client.NoTouch = on
	s.setFlag(flagNoTouch, on)
}

// SetNoEvict exempts the client from client eviction.
func (s *Session) SetNoEvict(on bool) { s.setFlag(flagNoEvict, on) }

// Shard returns what shards know of the client.
func (s *Session) Shard() *shard.Client { return &s.client }

// CloseAfterReply ends the connection once the current reply has left (QUIT).
func (s *Session) CloseAfterReply() {
	s.closing = true
	s.setFlag(flagCloseAfterReply, true)
}

// Reset brings the session back to the state of a new connection (RESET).
func (s *Session) Reset() {
	s.discard()
	s.engine.Monitors.remove(s)
	s.Select(0)
	s.SetProto(2)
	s.SetName("")
	s.SetNoTouch(false)
	s.SetNoEvict(false)
	s.reply, s.muted = replyOn, false
	s.authenticated = *s.engine.limits.password.Load() == ""
}

// SetReply is CLIENT REPLY: on, off, or skip the next reply.
func (s *Session) SetReply(on, skip bool) {
	switch {
	case on:
		s.reply, s.muted = replyOn, false
	case skip:
		if s.reply == replyOn {
			s.reply = replySkipNext
		}
	default:
		s.reply = replyOff
	}
}

// limits are the protocol limits that hold for the client now.
func (s *Session) limits() *resp.Limits {
	if !s.authenticated {
		return &unauthenticated
	}
	return s.engine.limits.trusted.Load()
}

// tick looks after a client that has been quiet or does not read.
func (s *Session) tick(now time.Time) {
	e := s.engine
	millis := now.UnixMilli()
	if timeout := e.limits.timeout.Load(); timeout > 0 && s.hold == holdNone && s.pipeline.empty() && !s.isMonitor() && s.replica == nil &&
		millis-s.info.lastActive.Load() > timeout*1000 {
		s.out.Close()
		return
	}
	s.checkOutput(millis)
	s.trimInput(time.Duration(millis-s.info.lastActive.Load()) * time.Millisecond)
}

// checkOutput closes a client that leaves more unread than its class may.
func (s *Session) checkOutput(nowMillis int64) {
	e := s.engine
	limit := e.limits.output.Load().Normal
	queued := int64(s.out.Unsent() + s.pipeline.bytes)
	if s.replica != nil {
		if s.closing {
			return
		}
		limit = e.replicaLimit()
		queued += s.replica.Behind()
	}
	s.info.outputBytes.Store(queued)
	if queued > e.Totals.MaxOutput.Load() {
		e.Totals.MaxOutput.Store(queued)
	}
	if limit.Soft == 0 || queued < limit.Soft {
		s.info.softSince = 0
	} else if s.info.softSince == 0 {
		s.info.softSince = nowMillis
	}
	soft := s.info.softSince != 0 && nowMillis-s.info.softSince >= limit.SoftFor.Milliseconds()
	if limit.Hard > 0 && queued >= limit.Hard || soft {
		e.Totals.OutputLimitClosed.Add(1)
		s.closing = true
		if s.replica != nil {
			e.Log.Warn("a replica is too far behind: closing it", "client", s.info.id, "bytes", queued)
			s.replica.Gone() // closing may take a while
		}
		s.out.Close()
	}
}

// replicaLimit bounds what may wait for a replica. What the backlog keeps anyway is
// no reason to end it.
func (e *Engine) replicaLimit() config.OutputLimit {
	limit := e.limits.output.Load().Replica
	if backlog := e.limits.backlogBytes.Load(); limit.Hard > 0 && limit.Hard < backlog {
		limit.Hard = backlog
	}
	return limit
}

// Wishes are what the client has said of itself as a replica (REPLCONF).
func (s *Session) Wishes() *ReplicaWishes { return &s.wishes }
