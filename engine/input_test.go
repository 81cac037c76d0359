package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hyperkv/resp"
)

func (p *peer) room() int { return cap(p.session.input) }

// tick is a tick of the loop, ahead of now.
func (p *peer) tick(ahead time.Duration) { p.session.loop.Tick(time.Now().Add(ahead)) }

// The input buffer is there for commands in pieces, and no longer than needed.
func TestInputBuffer(t *testing.T) {
	p := connect(t, newEngine(t, Options{}, onShards(2)))
	p.ask("+OK\r\n", "SET", "a", "1")
	if p.room() != 0 {
		t.Errorf("%d bytes after a command in one piece", p.room())
	}

	p.feed("*3\r\n$3\r\nSET\r\n$1\r\na")
	if p.room() != inputBytes {
		t.Errorf("%d bytes for a piece", p.room())
	}
	p.feed("\r\n$1\r\n2\r\n")
	p.expect("+OK\r\n")
	p.tick(0)
	if p.room() != inputBytes || p.session.trusted != 0 {
		t.Errorf("%d bytes after the rest, %d trusted", p.room(), p.session.trusted)
	}
	p.tick(3 * time.Second)
	if p.room() != 0 {
		t.Errorf("%d bytes after a while", p.room())
	}

	// A large argument has room from the start, and the room stays while it arrives.
	value := strings.Repeat("v", 1_000_000)
	request := string(resp.AppendCommandString(nil, "SET", "a", value))
	p.feed(request[:40])
	p.tick(0)
	p.tick(0)
	p.feed(request[40:41])
	p.tick(0)
	if p.room() < len(value) {
		t.Errorf("%d bytes for what was announced", p.room())
	}
	if p.session.trusted != p.room() || p.session.loop.trusted != p.room() {
		t.Errorf("%d and %d trusted, %d made", p.session.trusted, p.session.loop.trusted, p.room())
	}
	p.tick(3 * time.Second)
	if p.room() != 41 || p.session.loop.trusted != 0 {
		t.Errorf("%d bytes after silence, %d trusted", p.room(), p.session.loop.trusted)
	}
	p.feed(request[41:])
	p.expect("+OK\r\n")

	// What it needed of late is kept for the next one, for one tick.
	p.feed(request[:len(request)/2])
	p.feed(request[len(request)/2:])
	p.expect("+OK\r\n")
	p.tick(0)
	if p.room() < len(value) {
		t.Errorf("%d bytes right after a large command", p.room())
	}
	p.tick(0)
	if p.room() != inputBytes {
		t.Errorf("%d bytes a little later", p.room())
	}
}

// Many clients that announce much and send nothing cannot fill the memory.
func TestInputOnTrustIsBounded(t *testing.T) {
	l, wake := loopOf(newEngine(t, Options{}, onShards(1)))
	t.Cleanup(l.Close)
	var peers []*peer
	sum := func() (n int) {
		for _, p := range peers {
			n += p.room()
		}
		return n
	}
	const clients = 3 * loopTrustBytes / inputTrustBytes
	for range clients {
		p := connectTo(t, l, wake)
		peers = append(peers, p)
		p.feed(fmt.Sprintf("*2\r\n$4\r\nECHO\r\n$%d\r\n", inputTrustBytes-4<<10))
	}
	if n := sum(); n > loopTrustBytes+clients*64 || n < loopTrustBytes/2 {
		t.Errorf("%d bytes of room", n)
	}
	huge := connectTo(t, l, wake)
	huge.feed("*2\r\n$4\r\nECHO\r\n$500000000\r\n")
	if huge.room() > 64 {
		t.Errorf("%d bytes for a large announcement", huge.room())
	}
	huge.session.Closed(nil)
	for _, p := range peers {
		p.session.Closed(nil)
	}
	if l.trusted != 0 {
		t.Errorf("%d trusted after all have left", l.trusted)
	}
}

// Writes are refused while replicas are asked for, of which there are none.
func TestNoReplicas(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	p := connect(t, e)
	p.ask("+OK\r\n", "MULTI")
	p.ask("+QUEUED\r\n", "SET", "a", "1")
	set(t, e, "min-replicas-to-write", "1")
	p.ask("-EXECABORT Transaction discarded because of: NOREPLICAS Not enough good replicas to write.\r\n", "EXEC")
	p.ask("-NOREPLICAS Not enough good replicas to write.\r\n", "SET", "a", "1")
	p.ask("-NOREPLICAS Not enough good replicas to write.\r\n", "MSET", "a", "1", "b", "2")
	p.ask("$-1\r\n", "GET", "a")
	p.ask("+OK\r\n", "MULTI")
	p.ask("+QUEUED\r\n", "GET", "a")
	p.ask("*1\r\n$-1\r\n", "EXEC")
	set(t, e, "min-replicas-max-lag", "0")
	p.ask("+OK\r\n", "SET", "a", "1")
}

// EXEC needs memory if what is queued does.
func TestExecOutOfMemory(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	p, other := connect(t, e), connect(t, e)
	other.ask("+OK\r\n", "SET", "x", "1")
	p.ask("+OK\r\n", "MULTI")
	p.ask("+QUEUED\r\n", "SET", "a", "1")
	other.ask("+OK\r\n", "MULTI")
	other.ask("+QUEUED\r\n", "GET", "x")
	set(t, e, "maxmemory", "1")
	p.ask("-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.\r\n", "EXEC")
	other.ask("*1\r\n$1\r\n1\r\n", "EXEC")
}
