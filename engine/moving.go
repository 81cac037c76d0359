package engine

// A session may move to another loop while nothing of it is under way: the network keeps
// those that are busy together on as few loops as there are processors in use. Between Leave,
// on one loop, and Arrive, on the other, it belongs to nobody.

// Leave lets go of a session that is to go on on another loop, if it can: nothing of what it
// has sent may be under way or left over. On its loop.
func (s *Session) Leave(to *Loop) bool {
	idle := s.hold == holdNone && s.pipeline.empty() && len(s.input) == 0 && !s.yielded && !s.closing && !s.closed
	if !idle || s.multi != nil || s.client.Watch != nil || s.replica != nil || s.isMonitor() {
		return false
	}
	s.distrust()
	delete(s.loop.sessions, s)
	s.loop = nil
	s.home.Store(to)
	return true
}

// Arrive takes up a session that has left another loop for this one. fd is the new descriptor
// of its connection.
func (l *Loop) Arrive(s *Session, fd int) {
	l.enter()
	s.loop = l
	s.info.fd.Store(int64(fd))
	l.sessions[s] = struct{}{}
	due := s.arriving
	s.arriving = nil
	for _, run := range due {
		run()
	}
	l.leave()
}

// post has run called on the session's loop. Any goroutine may call it.
func (s *Session) post(run func()) {
	l := s.home.Load()
	l.post(func() {
		switch {
		case s.home.Load() != l: // it has left since
			s.post(run)
		case s.loop == nil:
			s.arriving = append(s.arriving, run)
		default:
			run()
		}
	})
}
