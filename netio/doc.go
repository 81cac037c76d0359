// Package netio owns the sockets: it accepts connections, spreads them over the
// event loops, reads what clients send and delivers what sessions answer.
//
// A connection belongs to one event loop for life. The loop's goroutine reads it,
// hands the bytes to its session, and is the only one that may touch the Conn, so
// nothing on the way of a request takes a lock.
//
//	listener ──► acceptor ──► the loop with the fewest connections
//	                             │ readable: Session.Feed(bytes)
//	                             │           Conn.Write ──► outbox ──► kernel ──► gnet's buffer ──► staged
//	                             │ woken:    Loop.Woken    (another loop finished something)
//	                             │ 100 ms:   Loop.Tick
//
// The event loops are gnet's. Three things are done here instead of there. The
// accepting: gnet stops the whole engine when accept fails, and running out of
// descriptors must cost a log line, not the server. The first write of a reply:
// straight to the kernel, without telling the scheduler about a call that cannot
// block. And the depth of the output: gnet holds only what the kernel is about to
// take, the rest of a slow reader's replies waits in our own chunks, so that their
// number never slows the loop down. The outbox is for busy loops: replies leave when
// all connections that were ready have been read (outbox.go).
//
// A session is never called from inside its own call to a Conn. A write that fails,
// a Close, a drained buffer: all of them are noted, and told when the session has
// returned (loop.settle). What happens to bytes is in conn.go; how a loop is woken
// without losing a wake-up is in loop.go; start with Serve in server.go.
//
// How many processors the loops should get is a question of its own, and most of what
// a lightly loaded server costs: procs.go. gnet's build tag poll_opt, by which it finds
// a connection through a pointer instead of a map, may be used: loop.closed keeps that
// pointer valid. It wins a few percent, and needs -gcflags=all=-d=checkptr=0 with -race.
//
// netio knows no protocol and none of our other packages: it says in Backend, Loop
// and Session what it needs, and cmd/hyperkv connects them.
package netio
