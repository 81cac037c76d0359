package engine

import "hyperkv/resp"

// Aside runs work on a goroutine of its own, while the session waits for what it replies;
// other sessions go on. An error of it is the reply. It is called from a command's Start.
func (s *Session) Aside(c *Command, work func(w *resp.Writer) error) {
	b := &blocking{command: c}
	s.holdFor(b)
	loop, proto := s.loop, s.proto
	go func() {
		w := resp.Writer{Proto: proto}
		if err := work(&w); err != nil {
			w.Buf = w.Buf[:0]
			w.Error(err)
			loop.post(func() {
				loop.counter.Failed(c.id)
				loop.errors.count(err)
			})
		}
		b.pending.reply = w.Buf
		loop.complete(&b.pending)
	}()
}
