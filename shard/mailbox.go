package shard

import (
	"sync/atomic"

	"hyperkv/internal/invariant"
)

// A Job is work that needs a shard's turn. RunOn is called exactly once, by
// whoever holds the turn, and must not block.
type Job interface {
	RunOn(s *Shard)
}

// A Node carries a Job, or one part of a Transaction, through a mailbox. It is
// embedded in what it carries, so that posting allocates nothing, and must not
// be reused before it has run.
type Node struct {
	next *Node
	job  Job
	txn  *Transaction
	// long keeps the job off event loops: only the shard's keeper runs it.
	long bool
}

// mailbox is the queue of one shard: many goroutines post, the holder of the
// turn takes. Posting is one compare-and-swap on a stack; the holder takes the
// whole stack at once and turns it around, which restores the order of arrival.
//
//	post ──► incoming: n3 ─► n2 ─► n1        (any goroutine)
//	take ──► first: n1 ─► n2 ─► n3 :last     (holder of the turn)
type mailbox struct {
	incoming atomic.Pointer[Node]
	// first and last are owned by the turn.
	first, last *Node
}

// post adds n. Safe for concurrent use.
func (m *mailbox) post(n *Node) {
	for {
		invariant.Yield("mailbox.post")
		head := m.incoming.Load()
		n.next = head
		if m.incoming.CompareAndSwap(head, n) {
			return
		}
	}
}

// arrived says whether anything was posted that collect has not yet taken over.
func (m *mailbox) arrived() bool { return m.incoming.Load() != nil }

// collect moves what has arrived behind what was already waiting. Owned by the turn.
func (m *mailbox) collect() {
	if m.incoming.Load() == nil {
		return
	}
	newest := m.incoming.Swap(nil)
	var oldest *Node
	last := newest
	for newest != nil {
		next := newest.next
		newest.next = oldest
		oldest, newest = newest, next
	}
	if m.first == nil {
		m.first = oldest
	} else {
		m.last.next = oldest
	}
	m.last = last
}

// pop removes and returns the first node. Owned by the turn.
func (m *mailbox) pop() *Node {
	n := m.first
	m.first = n.next
	if m.first == nil {
		m.last = nil
	}
	n.next = nil
	return n
}
