package engine

import (
	"time"
)

// A session that asks for the dataset becomes a replica's: from then on it does not
// answer commands, but sends on what its Replica has for it. The loop takes from the
// Replica only what the kernel is about to take, so that what waits for a slow reader
// waits in one place for all of them, where its length is known.
const (
	// sourceAheadBytes is how much of it may be unsent on the connection.
	sourceAheadBytes = 256 << 10
	// sourcePieceBytes is how much is taken at a time, and sourceRoundBytes how much
	// before the loop looks after others.
	sourcePieceBytes = 64 << 10
	sourceRoundBytes = 1 << 20
)

// SendFrom makes the session that of a replica. On its loop.
func (s *Session) SendFrom(r Replica) {
	s.replica = r
	s.setFlag(flagReplica, true)
	s.engine.clients.replicas.Add(1)
	s.Wake()
}

// Replica is what the session sends from, nil for one that answers.
func (s *Session) Replica() Replica { return s.replica }

// Wake says that the replica has something to send. Safe for concurrent use.
func (s *Session) Wake() { s.post(s.pump) }

// Disconnect ends the connection. Safe for concurrent use.
func (s *Session) Disconnect() {
	s.post(func() {
		if !s.closed {
			s.closing = true
			s.out.Close()
		}
	})
}

// pump sends what the replica has, as far as the connection takes it.
func (s *Session) pump() {
	if s.closed || s.closing || s.replica == nil {
		return
	}
	for sent := 0; ; {
		if s.waiting() >= sourceAheadBytes {
			if s.checkOutput(time.Now().UnixMilli()); s.closing {
				return
			}
			s.out.NotifyDrained(sourceAheadBytes/2, s.pumpDrained)
			return
		}
		if sent >= sourceRoundBytes {
			s.Wake()
			return
		}
		p, end := s.replica.Next(sourcePieceBytes)
		if len(p) > 0 {
			sent += len(p)
			s.promises = true // a replica has nothing that its primary may lose
			s.write(p)
		}
		if s.closed || s.closing {
			return
		}
		if end {
			s.closing = true
			s.out.Close()
			return
		}
		if len(p) == 0 {
			return
		}
	}
}

// waiting is how many bytes wait on the connection, what may not leave yet included.
func (s *Session) waiting() int {
	if c, ok := s.out.(interface{ Waiting() int }); ok {
		return c.Waiting()
	}
	return s.out.Unsent()
}

func (s *Session) pumpDrained() {
	s.loop.enter()
	s.pump()
	s.loop.leave()
}

// refuseReply ends the connection of a replica whose command was answered, which it
// would take for a part of what it is sent.
func (s *Session) refuseReply() {
	name := ""
	if c := s.info.command.Load(); c != nil {
		name = c.fullName
	}
	s.engine.Log.Warn("a replica sent a command that is answered: closing it", "client", s.info.id, "command", name)
	s.loop.output = s.loop.output[:0]
	s.close()
}

// OpenPrimary lists the connection to the server whose dataset this one copies as a
// client. Closing it, as CLIENT KILL does, calls end; over takes it off the list.
func (e *Engine) OpenPrimary(conn ConnInfo, end func()) (over func()) {
	l := &Loop{}
	s := &Session{engine: e, loop: l, out: primaryOutlet(end), proto: 2}
	s.home.Store(l)
	l.engine, l.wake = e, func() {
		// Nobody runs this loop: the only thing to do on it is to close.
		if t := l.tasks.Swap(nil); t != nil {
			end()
		}
	}
	empty := ""
	for _, text := range []*string{&empty} {
		s.info.name.Store(text)
		s.info.libName.Store(text)
		s.info.libVersion.Store(text)
	}
	s.info.conn, s.info.created = conn, time.Now()
	s.info.fd.Store(int64(conn.FD))
	s.info.multi.Store(-1)
	s.info.proto.Store(2)
	s.info.lastActive.Store(e.NowMillis())
	s.setFlag(flagPrimary, true)
	_ = e.clients.add(s, 0)
	return func() { e.clients.remove(s) }
}

// primaryOutlet closes the link to the primary.
type primaryOutlet func()

func (primaryOutlet) Write([]byte)              {}
func (primaryOutlet) WriteAnyway([]byte)        {}
func (primaryOutlet) Unsent() int               { return 0 }
func (primaryOutlet) NotifyDrained(int, func()) {}
func (end primaryOutlet) Close()                { end() }
