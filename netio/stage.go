package netio

import "sync"

// stage is a queue of bytes in chunks: what a slow reader has not taken and gnet
// should not look at yet. Owned by its Conn.
//
// Invariant: bytes is the sum of the chunks' lengths, and no chunk is empty.
type stage struct {
	chunks [][]byte
	head   int // chunks before it were popped
	bytes  int
}

const chunkBytes = 64 << 10

var chunkPool = sync.Pool{New: func() any { return new([chunkBytes]byte) }}

// add appends a copy of p.
func (s *stage) add(p []byte) {
	s.bytes += len(p)
	for len(p) > 0 {
		last := len(s.chunks) - 1
		if last < s.head || len(s.chunks[last]) == chunkBytes {
			s.chunks = append(s.chunks, chunkPool.Get().(*[chunkBytes]byte)[:0])
			last++
		}
		chunk := s.chunks[last]
		n := min(chunkBytes-len(chunk), len(p))
		s.chunks[last] = append(chunk, p[:n]...)
		p = p[n:]
	}
}

// front is the oldest chunk.
func (s *stage) front() []byte { return s.chunks[s.head] }

// pop frees the oldest chunk.
func (s *stage) pop() {
	chunk := s.chunks[s.head]
	s.bytes -= len(chunk)
	s.chunks[s.head] = nil
	s.head++
	chunkPool.Put((*[chunkBytes]byte)(chunk[:chunkBytes]))
	switch {
	case s.head == len(s.chunks):
		s.chunks, s.head = nil, 0 // an idle connection keeps nothing
	case s.head >= 64 && s.head > len(s.chunks)/2:
		n := copy(s.chunks, s.chunks[s.head:])
		clear(s.chunks[n:])
		s.chunks, s.head = s.chunks[:n], 0
	}
}

// drop frees everything.
func (s *stage) drop() {
	for s.bytes > 0 {
		s.pop()
	}
}
