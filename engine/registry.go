package engine

import (
	"net"
	"sort"
	"sync"
	"sync/atomic"

	"hyperkv/resp"
)

// registry knows all clients. Safe for concurrent use.
type registry struct {
	mu       sync.Mutex
	sessions map[int64]*Session
	nextID   atomic.Int64
	count    atomic.Int64
	blocked  atomic.Int64
	replicas atomic.Int64
}

func (r *registry) init() { r.sessions = make(map[int64]*Session) }

func (r *registry) add(s *Session, max int64) error {
	if r.count.Add(1) > max && max > 0 {
		r.count.Add(-1)
		return resp.ErrMaxClients
	}
	s.info.id = r.nextID.Add(1)
	r.mu.Lock()
	r.sessions[s.info.id] = s
	r.mu.Unlock()
	return nil
}

func (r *registry) remove(s *Session) {
	r.mu.Lock()
	_, listed := r.sessions[s.info.id]
	delete(r.sessions, s.info.id)
	r.mu.Unlock()
	if listed {
		r.count.Add(-1)
	}
}

// Clients lists all clients by identifier; of a Session that is not the
// caller's own, only what is safe for concurrent use may be asked.
func (e *Engine) Clients() []*Session {
	e.clients.mu.Lock()
	all := make([]*Session, 0, len(e.clients.sessions))
	for _, s := range e.clients.sessions {
		all = append(all, s)
	}
	e.clients.mu.Unlock()
	sort.Slice(all, func(i, j int) bool { return all[i].info.id < all[j].info.id })
	return all
}

// Client finds a client by its identifier, nil if it is gone.
func (e *Engine) Client(id int64) *Session {
	e.clients.mu.Lock()
	defer e.clients.mu.Unlock()
	return e.clients.sessions[id]
}

// ClientCount is how many clients are connected, BlockedCount how many of them wait, and
// ReplicaCount how many of them are replicas.
func (e *Engine) ClientCount() int64  { return e.clients.count.Load() }
func (e *Engine) BlockedCount() int64 { return e.clients.blocked.Load() }
func (e *Engine) ReplicaCount() int64 { return e.clients.replicas.Load() }

// Kill ends a client's connection. Safe for concurrent use; a client that kills
// itself still reads the reply.
func (s *Session) Kill(by *Session) {
	s.info.killed.Store(true)
	s.engine.clients.remove(s)
	if s == by {
		if s.hold != holdExec { // else the loop has the rest of the session; see finished
			s.CloseAfterReply()
		}
		return
	}
	s.Disconnect()
}

// Killed says whether Kill was called. Safe for concurrent use.
func (s *Session) Killed() bool { return s.info.killed.Load() }

// local says whether the client is on the same machine.
func (s *Session) local() bool {
	if s.info.conn.Unix || s.info.conn.RemoteAddr == "" {
		return true
	}
	host, _, err := net.SplitHostPort(s.info.conn.RemoteAddr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
