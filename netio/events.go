package netio

import (
	"io"
	"runtime"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// events receives gnet's callbacks, all of them on the loop of their connection.
type events struct {
	gnet.BuiltinEventEngine
}

// heart is the context of the connections that only serve to learn the loops.
type heart struct{}

func (*events) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	if t, ok := gc.Context().(*transit); ok {
		t.c.loop.arrive(gc, t)
		return nil, gnet.None
	}
	c, ok := gc.Context().(*Conn)
	if !ok {
		return nil, gnet.None
	}
	l := c.loop
	c.gc, c.fd, c.spoke = gc, gc.Fd(), l.window
	l.link(c)

	l.busy = true
	session, err := l.backend.Open(c)
	l.busy = false
	c.opened = true
	if err != nil {
		c.closing = true
		l.end(c)
		_, _ = send(c.fd, []byte(err.Error()))
	} else {
		c.session = session
	}
	l.settle()
	return nil, gnet.None
}

func (*events) OnTraffic(gc gnet.Conn) gnet.Action {
	c, ok := gc.Context().(*Conn)
	data, _ := gc.Next(-1)
	if !ok || c.closing || c.gone || len(data) == 0 {
		return gnet.None
	}
	l := c.loop
	if l.speaks(c) && l.give.Load() > 0 && l.move(c, data) {
		return gnet.None
	}
	l.busy = true
	c.session.Feed(data)
	if len(l.outbox.held) > 1 && time.Since(l.outbox.since) > outboxTimeMax {
		l.release()
	}
	l.busy = false
	if len(l.ending) > 0 || len(l.due) > 0 {
		l.settle()
	}
	if l.server.crowded.Load() {
		if l.reads++; l.reads%readsPerTurn == 0 {
			runtime.Gosched()
		}
	}
	return gnet.None
}

// readsPerTurn is how many connections a loop of a crowded server reads from
// before it gives way to the others.
const readsPerTurn = 8

func (*events) OnClose(gc gnet.Conn, err error) gnet.Action {
	c, ok := gc.Context().(*Conn)
	if !ok {
		return gnet.None
	}
	l := c.loop
	if c.moving {
		l.closed = append(l.closed, gc)
		return gnet.None
	}
	busy := l.busy
	l.busy = true
	l.release()
	if c.held > 0 {
		// The client may still read what it was promised, and this is its last chance.
		l.backend.Commit(true)
		l.deliver()
	}
	l.busy = busy
	c.err = c.closeReason(err)
	if c.err == io.EOF {
		// The client has sent all it had to say and may still read: gnet offers its
		// buffer to the kernel once more before it closes.
		for c.staged.bytes > 0 {
			_, _ = gc.Write(c.staged.front())
			c.staged.pop()
		}
	}
	c.gone = true
	c.closing = true
	l.closed = append(l.closed, gc)
	l.end(c)
	l.settle()
	return gnet.None
}

func (*events) OnTick() (time.Duration, gnet.Action) { return time.Hour, gnet.None }
