package engine

import (
	"time"

	"hyperkv/resp"
)

const (
	// outputHoldBytes is how much a client may leave unread before its commands wait.
	outputHoldBytes = 4 << 20
	// outputResumeBytes is how little must be left unread to go on.
	outputResumeBytes = 1 << 20
	// inputHeldBytes bounds what a client may send while it reads no replies; one
	// that sends more is closed.
	inputHeldBytes = 64 << 20
	// outputBurstBytes is how much the replies of one burst should come to: bursts
	// get smaller when replies are large.
	outputBurstBytes = 1 << 20
)

// Feed takes bytes that arrived; they are borrowed until it returns. Complete
// commands run, as far as nothing holds the session, and what is left waits.
func (s *Session) Feed(data []byte) {
	l := s.loop
	l.enter()
	l.bytesIn.Add(uint64(len(data)))
	s.info.bytesIn.Add(uint64(len(data)))
	switch {
	case s.hold != holdNone:
		s.keep(data)
	case s.closing || s.closed:
	case len(s.input) > 0:
		s.keep(data)
		s.resume()
	default:
		used := s.process(data)
		if used < len(data) && !s.closing {
			s.keep(data[used:])
		}
		s.send()
	}
	l.leave()
}

// keep adds bytes to the input that waits. A client that sends more than it may
// is closed, as in Redis.
func (s *Session) keep(data []byte) {
	limit := s.engine.limits.inputBytes.Load()
	if s.hold == holdOutput && (limit == 0 || limit > inputHeldBytes) {
		limit = inputHeldBytes
	}
	if limit > 0 && int64(len(s.input)+len(data)) > limit {
		s.engine.Totals.InputLimitClosed.Add(1)
		s.engine.Log.Warn("closing client that reached the query buffer limit", "client", s.info.id)
		s.close()
		return
	}
	s.makeRoom(len(data))
	s.input = append(s.input, data...)
	s.publishBuffers()
}

// resumeBytesMax is how much of the input that waits is taken at a time, so that
// one client with much of it does not keep the loop from the others.
const resumeBytesMax = 256 << 10

// resume goes on with the input that waits.
func (s *Session) resume() {
	if s.closing || s.closed || s.hold != holdNone {
		return
	}
	input := s.input
	used := s.process(input[:min(len(input), resumeBytesMax)])
	if used == 0 && len(input) > resumeBytesMax {
		used = s.process(input) // one large command
	}
	rest := len(input) - used
	switch {
	case s.closing || s.closed:
		s.input = nil
	case used == 0:
	case rest <= used:
		// Moving what is left costs no more than what was read.
		s.input = input[:copy(input, input[used:])]
		s.distrust()
	default:
		s.input = input[used:]
		s.distrust()
	}
	s.publishBuffers()
	s.send()
	if used > 0 && rest > 0 && len(input) > resumeBytesMax {
		s.yield()
	}
}

// yield lets the other clients of the loop have their turn: the session goes on
// with its input in the loop's next round.
func (s *Session) yield() {
	if s.yielded {
		return
	}
	s.yielded = true
	l := s.loop
	l.yielded = append(l.yielded, s)
	l.wake()
}

// process parses and runs commands and returns how many bytes they took. The
// replies are in the loop's output or in the pipeline.
func (s *Session) process(data []byte) (used int) {
	l := s.loop
	b := &l.burst
	for s.hold == holdNone && !s.closing {
		if s.pipeline.full(s.replySize) {
			s.hold = holdFence
			break
		}
		complete := true
		limit := s.burstLimit()
		for b.count < limit && s.hold == holdNone && !s.closing && !s.enough() {
			mark := len(b.args)
			args, n, err := s.parser.Next(data[used:], s.limits(), b.args)
			if err != nil {
				s.flush()
				s.protocolError(err)
				return len(data)
			}
			if n == 0 {
				complete = false
				break
			}
			if len(args) > mark {
				b.args = args
				if !s.dispatch(args[mark:len(args):len(args)]) {
					// It must wait; it will be parsed again.
					b.args = b.args[:mark]
					break
				}
			}
			used += n
			if used == len(data) {
				complete = false
				break
			}
		}
		count, before := b.count, len(l.output)
		s.flush()
		if added := len(l.output) - before; added > 0 && count > 0 {
			s.learnReply(added / count)
		}
		sent := s.pace()
		if !complete {
			break
		}
		if sent && s.hold == holdNone && !s.closing {
			s.yield()
			break
		}
	}
	if s.info.lastActive.Load() != l.now {
		s.info.lastActive.Store(l.now)
	}
	if s.replica != nil {
		s.replica.Alive()
	}
	return used
}

// enough says that commands which answer outside the burst have made so much output,
// or handed over so much work, that it is time to look at what the client does with it.
func (s *Session) enough() bool {
	return len(s.loop.output) >= outputBurstBytes || !s.pipeline.empty() && s.pipeline.full(s.replySize)
}

// burstLimit is how many commands the next burst may have: as many as come to
// outputBurstBytes of replies, judging by those before.
func (s *Session) burstLimit() int {
	if s.replySize <= outputBurstBytes/burstMax {
		return burstMax
	}
	return max(outputBurstBytes/s.replySize, 1)
}

// learnReply notes the size of a reply that the client was sent.
func (s *Session) learnReply(size int) { s.replySize = max(size, s.replySize/2) }

// replySizeFirst is what the replies to a new client are taken for: its first
// bursts are short, in case it asks for much.
const replySizeFirst = outputBurstBytes / 4

// pace sends large output on before more is made, and so stops a client that does
// not read. It says whether there was so much.
func (s *Session) pace() bool {
	if len(s.loop.output) < outputBurstBytes || s.closing {
		return false
	}
	s.send()
	return true
}

// protocolError answers bytes that are no command and ends the connection.
func (s *Session) protocolError(err error) {
	w := resp.Writer{Buf: s.loop.output, Proto: s.proto}
	if s.pipeline.empty() {
		w.Error(err)
		s.loop.output = w.Buf
	} else {
		w.Buf = nil
		w.Error(err)
		s.pipeline.ready(w.Buf)
	}
	s.loop.errors.count(err)
	s.engine.Log.Debug("protocol error", "client", s.info.id, "err", err)
	s.CloseAfterReply()
}

// send hands the replies of this round to the connection.
func (s *Session) send() {
	l := s.loop
	if len(l.output) > 0 && s.replica != nil && s.replica.Started() {
		s.refuseReply()
		return
	}
	if len(l.output) > 0 {
		s.write(l.output)
		l.output = l.output[:0]
		if cap(l.output) > outputRoundBytes {
			l.output = nil
		}
	}
	if s.pipeline.empty() {
		s.promises = false
	}
	if s.closing && s.pipeline.empty() && !s.closed {
		s.out.Close()
		return
	}
	s.holdDeaf()
}

// holdDeaf stops a client that leaves too much unread.
func (s *Session) holdDeaf() {
	if s.out.Unsent() > outputHoldBytes && s.hold == holdNone {
		s.hold = holdOutput
		s.out.NotifyDrained(outputResumeBytes, s.drained)
	}
}

const (
	// outputRoundBytes is the largest output buffer that a loop keeps from one
	// send to the next, and outputKeepBytes beyond a tick.
	outputRoundBytes = 4 * outputBurstBytes
	outputKeepBytes  = 256 << 10
)

func (s *Session) write(p []byte) {
	if s.closed {
		return
	}
	s.loop.bytesOut.Add(uint64(len(p)))
	s.info.bytesOut.Add(uint64(len(p)))
	if s.promises {
		s.out.Write(p)
	} else {
		s.out.WriteAnyway(p)
	}
	if s.out.Unsent() > 0 {
		s.checkOutput(time.Now().UnixMilli())
	}
}

// drained is called once the client has read most of what it had left unread.
func (s *Session) drained() {
	s.loop.enter()
	if s.hold == holdOutput {
		s.release()
	}
	s.loop.leave()
}

// release ends the session's hold and goes on with its input.
func (s *Session) release() {
	s.hold = holdNone
	if !s.closed {
		s.holdDeaf()
	}
	s.resume()
}

func (s *Session) publishBuffers() {
	s.info.inputBytes.Store(int64(len(s.input)))
	s.info.inputFree.Store(int64(cap(s.input) - len(s.input)))
	if n := int64(len(s.input)); n > s.engine.Totals.MaxInput.Load() {
		s.engine.Totals.MaxInput.Store(n)
	}
}
