package difftest

import (
	"bytes"
	"hash/fnv"
	"io"
	"net"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"hyperkv/resp"
)

// A liar is a proxy in front of a server that now and then changes a reply. It is
// how the fuzzer itself is tested.
type liar struct {
	listener net.Listener
	behind   Endpoint
	hear     func(command []byte) []byte
	lie      func(command, reply []byte) []byte
	wg       sync.WaitGroup

	mu    sync.Mutex // connections come and go on their own goroutines
	conns map[net.Conn]struct{}
}

// newLiar starts a proxy. lie is called for every command and its reply, as they
// went over the wire, and returns what the client is to see; it must be safe for
// concurrent use.
func newLiar(t *testing.T, behind Endpoint, lie func(command, reply []byte) []byte) Endpoint {
	t.Helper()
	return newProxy(t, behind, func(command []byte) []byte { return command }, lie)
}

// newLosing is a proxy in front of a server that stores some SETs under a name
// which is not theirs, and so loses them.
func newLosing(t *testing.T, behind Endpoint) Endpoint {
	t.Helper()
	lose := func(command []byte) []byte {
		at := bytes.Index(command, []byte("user:2\r\n"))
		if at < 0 || !bytes.HasPrefix(command, []byte("*3\r\n$3\r\nSET\r\n")) {
			return command
		}
		command = bytes.Clone(command)
		command[at] = 'X'
		return command
	}
	return newProxy(t, behind, lose, func(_, reply []byte) []byte { return reply })
}

func newProxy(t *testing.T, behind Endpoint, hear func([]byte) []byte, lie func(_, _ []byte) []byte) Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &liar{listener: l, behind: behind, hear: hear, lie: lie, conns: map[net.Conn]struct{}{}}
	p.wg.Add(1)
	go p.accept()
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		for c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return Endpoint{"tcp", l.Addr().String()}
}

func (p *liar) accept() {
	defer p.wg.Done()
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(p.behind.Network, p.behind.Addr)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.wg.Add(1)
		go p.serve(client, server)
	}
}

// serve copies in both directions. Commands are noted in order, so that each reply
// meets its own.
func (p *liar) serve(client, server net.Conn) {
	defer p.wg.Done()
	commands := make(chan []byte, 1<<12)
	var up sync.WaitGroup
	up.Add(1)
	go func() {
		defer up.Done()
		defer close(commands)
		eachFrame(client, func(frame []byte) error {
			commands <- bytes.Clone(frame)
			_, err := server.Write(p.hear(frame))
			return err
		})
		server.Close()
	}()
	eachFrame(server, func(frame []byte) error {
		_, err := client.Write(p.lie(<-commands, frame))
		return err
	})
	client.Close()
	server.Close()
	for range commands { // nobody answers them any more
	}
	up.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// eachFrame calls f for every value that arrives. A command has the form of an
// array, so both directions are read alike.
func eachFrame(r io.Reader, f func(frame []byte) error) {
	var buf []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := r.Read(chunk)
		if err != nil {
			return
		}
		buf = append(buf, chunk[:n]...)
		for {
			n, err := resp.SkipValue(buf)
			if err != nil {
				return
			}
			if n == 0 {
				break
			}
			if f(buf[:n]) != nil {
				return
			}
			buf = buf[n:]
		}
	}
}

// sometimes lies about one in n pairs of command and reply, always the same ones.
// Replies that no replay repeats, such as the time left, are not lied about.
func sometimes(n uint32, told *atomic.Int64) func(command, reply []byte) []byte {
	return func(command, reply []byte) []byte {
		h := fnv.New32a()
		h.Write(command)
		h.Write(reply)
		if h.Sum32()%n != 0 || fleeting.Match(command) {
			return reply
		}
		told.Add(1)
		return damaged(reply)
	}
}

var fleeting = regexp.MustCompile(`(?i)\r\n(P?TTL|P?EXPIRETIME|EXEC|CLIENT|HELLO|SCAN|KEYS|RANDOMKEY|OBJECT)\r\n`)

// damaged changes a reply and keeps it well-formed.
func damaged(reply []byte) []byte {
	switch reply[0] {
	case ':':
		return []byte(":424242\r\n")
	case '+', '-':
		return append(bytes.Clone(reply[:len(reply)-2]), "?\r\n"...)
	default:
		return []byte("+LIE\r\n")
	}
}
