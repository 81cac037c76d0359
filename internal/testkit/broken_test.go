package testkit

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A broken server is one in front of a right one that answers each command in its
// own way. It proves that the workloads notice.
type broken struct {
	listener net.Listener
	behind   string
	open     func() answerer
	wg       sync.WaitGroup

	mu    sync.Mutex // guards conns, which come and go on their own goroutines
	conns map[net.Conn]struct{}
}

// An answerer answers the commands of one client with the wire form of replies.
type answerer func(behind *Conn, args []string) ([]byte, error)

func newBroken(t *testing.T, behind string, open func() answerer) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broken{listener: l, behind: behind, open: open, conns: map[net.Conn]struct{}{}}
	b.wg.Add(1)
	go func() {
		defer b.wg.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns[conn] = struct{}{}
			b.mu.Unlock()
			b.wg.Add(1)
			go b.serve(conn)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		b.mu.Lock()
		for conn := range b.conns {
			conn.Close()
		}
		b.mu.Unlock()
		b.wg.Wait()
	})
	return l.Addr().String()
}

func (b *broken) serve(conn net.Conn) {
	defer b.wg.Done()
	defer conn.Close()
	behind, err := Dial("tcp", b.behind)
	if err != nil {
		return
	}
	defer behind.Close()
	answer := b.open()
	client := NewConn(conn) // a command reads like a reply that is an array
	for {
		v, err := client.Receive(10 * startPatience)
		if err != nil {
			return
		}
		args := make([]string, len(v.Elems))
		for i, e := range v.Elems {
			args[i] = e.Text()
		}
		reply, err := answer(behind, args)
		if err != nil {
			return
		}
		if _, err := conn.Write(reply); err != nil {
			return
		}
	}
}

// frame passes a command on and returns its reply as it came.
func frame(behind *Conn, args ...string) ([]byte, error) {
	if err := behind.Send(args...); err != nil {
		return nil, err
	}
	_, raw, err := behind.Frame(replyPatience)
	return append([]byte(nil), raw...), err
}

// newTearing takes apart what should be one: EXEC runs its commands one by one, WATCH
// watches nothing, MGET, MSET and DEL go key by key.
func newTearing(t *testing.T, behind string) string {
	return newBroken(t, behind, func() answerer {
		var queued [][]string
		inMulti := false
		var single answerer
		single = func(behind *Conn, args []string) ([]byte, error) {
			switch args[0] {
			case "MGET":
				reply := []byte("*" + strconv.Itoa(len(args)-1) + "\r\n")
				for _, key := range args[1:] {
					one, err := frame(behind, "GET", key)
					if err != nil {
						return nil, err
					}
					reply = append(reply, one...)
				}
				return reply, nil
			case "MSET":
				for i := 1; i < len(args); i += 2 {
					if _, err := frame(behind, "SET", args[i], args[i+1]); err != nil {
						return nil, err
					}
				}
				return []byte("+OK\r\n"), nil
			default:
				return frame(behind, args...)
			}
		}
		return func(behind *Conn, args []string) ([]byte, error) {
			switch strings.ToUpper(args[0]) {
			case "WATCH":
				return []byte("+OK\r\n"), nil
			case "MULTI":
				inMulti, queued = true, nil
				return []byte("+OK\r\n"), nil
			case "EXEC":
				inMulti = false
				reply := []byte("*" + strconv.Itoa(len(queued)) + "\r\n")
				for _, command := range queued {
					one, err := single(behind, command)
					if err != nil {
						return nil, err
					}
					reply = append(reply, one...)
				}
				return reply, nil
			}
			if inMulti {
				queued = append(queued, args)
				return []byte("+QUEUED\r\n"), nil
			}
			return single(behind, args)
		}
	})
}

// newStale answers every third GET with what the same GET was answered last time.
func newStale(t *testing.T, behind string) string {
	var mu sync.Mutex // guards what all connections share
	last := map[string][]byte{}
	n := 0
	return newBroken(t, behind, func() answerer {
		return func(behind *Conn, args []string) ([]byte, error) {
			reply, err := frame(behind, args...)
			if err != nil || args[0] != "GET" {
				return reply, err
			}
			mu.Lock()
			defer mu.Unlock()
			n++
			old, ok := last[args[1]]
			if n%3 == 0 && ok {
				return old, nil
			}
			last[args[1]] = reply
			return reply, nil
		}
	})
}
