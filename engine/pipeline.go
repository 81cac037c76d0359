package engine

// pending is work for a session that runs, or waits to run, somewhere else. It
// comes back to the session's loop through Loop.complete. Owned by whoever runs
// it until then, by the loop afterwards.
type pending struct {
	next    *pending // in the loop's stack of finished work
	session *Session
	reply   []byte
	// replies are the parts of reply that belong to different requests, in
	// order; none means that all of reply is the answer to one.
	replies []replyRange
	slots   int  // how many slots of the pipeline wait for it
	done    bool // the loop has seen it finished
	// finished, if set, is called on the loop before the reply leaves.
	finished func()
	// free, if set, is called on the loop when the last reply has left.
	free func()
}

type replyRange struct {
	entry      int // the request's number in its burst
	start, end int
}

// replyKeepBytes is the largest reply buffer that is kept for reuse.
const replyKeepBytes = 64 << 10

func (p *pending) reset() {
	if cap(p.reply) > replyKeepBytes {
		p.reply = nil
	}
	p.reply, p.replies = p.reply[:0], p.replies[:0]
	p.session, p.done, p.slots = nil, false, 0
}

// pipeline holds the replies that cannot leave yet because one before them is
// not there, in the order of the requests. Owned by the session's loop.
type pipeline struct {
	slots []slot
	first int // slots before it have left
	bytes int // ready bytes that wait
}

const (
	// pipelineMax is how many replies a client may be waiting for; its further
	// commands wait until some have come.
	pipelineMax = 1024
	// pipelineBytes is how much the replies under way should come to.
	pipelineBytes = 2 << 20
)

// full says that enough is under way, given the usual size of a reply: work that was
// handed to busy shards brings its replies however slowly the client reads.
func (p *pipeline) full(replySize int) bool {
	waiting := len(p.slots) - p.first
	return waiting >= pipelineMax || waiting*replySize >= pipelineBytes
}

// slot is one reply to come, or a run of bytes that are ready.
type slot struct {
	pending *pending
	part    int // index in pending.replies, -1 for all
	drop    bool
	ready   []byte
}

func (p *pipeline) empty() bool { return p.first == len(p.slots) }

// wait adds a slot for the reply of the given request of a burst.
func (p *pipeline) wait(work *pending, entry int, drop bool) {
	part := -1
	for i := range work.replies {
		if work.replies[i].entry == entry {
			part = i
			break
		}
	}
	work.slots++
	p.slots = append(p.slots, slot{pending: work, part: part, drop: drop})
}

// ready adds bytes behind what waits; they are copied.
func (p *pipeline) ready(b []byte) {
	p.bytes += len(b)
	if last := len(p.slots) - 1; last >= p.first && p.slots[last].pending == nil {
		p.slots[last].ready = append(p.slots[last].ready, b...)
		return
	}
	p.slots = append(p.slots, slot{ready: append([]byte(nil), b...)})
}

// advance appends to out whatever may leave now.
func (p *pipeline) advance(out []byte) []byte {
	for p.first < len(p.slots) {
		sl := &p.slots[p.first]
		switch work := sl.pending; {
		case work == nil:
			p.bytes -= len(sl.ready)
			out = append(out, sl.ready...)
		case !work.done:
			p.compact()
			return out
		default:
			if !sl.drop {
				reply := work.reply
				if sl.part >= 0 {
					reply = reply[work.replies[sl.part].start:work.replies[sl.part].end]
				}
				out = append(out, reply...)
				work.session.learnReply(len(reply))
			}
			if work.slots--; work.slots == 0 && work.free != nil {
				work.free()
			}
		}
		*sl = slot{}
		p.first++
	}
	p.slots, p.first = p.slots[:0], 0
	return out
}

// compactSlots is how many slots must have left before the others move up, so that
// a pipeline that never runs dry does not grow for ever.
const compactSlots = 256

func (p *pipeline) compact() {
	if p.first < compactSlots || 2*p.first < len(p.slots) {
		return
	}
	kept := copy(p.slots, p.slots[p.first:])
	clear(p.slots[kept:])
	p.slots, p.first = p.slots[:kept], 0
}

// completed is called on the loop when work for the session has finished.
func (s *Session) completed(p *pending) {
	p.done = true
	if p.finished != nil {
		p.finished()
	}
	l := s.loop
	if s.closed {
		// Nobody reads any more; what the work holds is still given back.
		s.pipeline.advance(nil)
		if s.hold == holdExec {
			s.hold = holdNone
			s.forget()
		}
		return
	}
	l.output = s.pipeline.advance(l.output)
	s.send()
	if s.pipeline.empty() && (s.hold == holdFence || s.hold == holdExec) {
		s.release()
	}
}
