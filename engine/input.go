package engine

import "time"

// A client's input buffer exists only while it is of use. Most bursts are read
// from the network's buffer and leave nothing behind; the buffer is made when a
// command arrives in pieces, and has the size of that command as soon as enough
// is known about it. It outlives the command a little, because the next one will
// often be like it, and goes when the client has been quiet for a while.

const (
	// inputBytes is the least that a buffer is made with.
	inputBytes = 16 << 10
	// inputTinyBytes is how few bytes are no beginning of a burst yet: thousands of
	// clients may have sent no more than that. They get inputTinyRoom.
	inputTinyBytes = 16
	inputTinyRoom  = 64
	// inputSlackBytes is left behind a large argument for what ends the command.
	inputSlackBytes = 1 << 10
	// inputTrustBytes is the most room that is made for what has been announced;
	// of a larger command, a good part must have come.
	inputTrustBytes = 1<<20 + inputSlackBytes
	// loopTrustBytes bounds what a loop has made for announcements.
	loopTrustBytes = 64 << 20
	// inputIdle is how long a client must be quiet to lose its buffer.
	inputIdle = 2 * time.Second
)

// makeRoom prepares the buffer for n more bytes, and for the rest of the command
// that they belong to. Before it, the parser must have seen what is there.
func (s *Session) makeRoom(n int) {
	have := len(s.input) + n
	s.inputPeak = max(s.inputPeak, have)
	size := inputBytes
	if have < inputTinyBytes {
		size = inputTinyRoom
	}
	if need := s.parser.Need(); need > 0 && s.hold == holdNone {
		size = max(size, need+inputSlackBytes)
	}
	if size <= cap(s.input) || size <= have {
		return
	}
	if size > 4*have {
		// Little of it is here yet.
		l := s.loop
		if size > inputTrustBytes || l.trusted-s.trusted+size > loopTrustBytes {
			return
		}
		l.trusted += size - s.trusted
		s.trusted = size
	}
	grown := make([]byte, len(s.input), size)
	copy(grown, s.input)
	s.input = grown
}

// distrust settles the room that was made for what had been announced: it has
// come, or the room is gone.
func (s *Session) distrust() {
	s.loop.trusted -= s.trusted
	s.trusted = 0
}

// trimInput fits the buffer to what the client has needed of late.
func (s *Session) trimInput(idle time.Duration) {
	peak := s.inputPeak
	s.inputPeak = 0
	keep := len(s.input)
	if idle < inputIdle {
		// The room for a command that is still arriving stays.
		if keep > 0 || peak > inputBytes {
			return
		}
		keep = inputBytes
	}
	if keep >= cap(s.input) {
		return
	}
	var trimmed []byte
	if keep > 0 {
		trimmed = append(make([]byte, 0, keep), s.input...)
	}
	s.input = trimmed
	s.distrust()
	s.publishBuffers()
}
