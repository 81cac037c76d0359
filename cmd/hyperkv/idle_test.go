package main

import (
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// idleBytesMax is what an idle connection may cost.
const idleBytesMax = 8 << 10

// Ten thousand clients that have said something once and are silent since cost
// little, whatever they said.
func TestIdleConnections(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector multiplies every byte")
	}
	const clients = 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < clients+200 {
		raised := limit
		raised.Cur = min(limit.Max, clients+1000)
		if raised.Cur < clients+200 || syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) != nil {
			t.Skipf("only %d open files are allowed, and no more than %d", limit.Cur, limit.Max)
		}
		t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) })
	}
	s := testkit.StartBinary(t, "--max-connections", "10100")
	warm := dial(t, s.Network, s.Addr)
	expect(t, warm, "PONG", "PING")
	time.Sleep(300 * time.Millisecond)
	before, err := testkit.ResidentBytes(s.PID)
	if err != nil {
		t.Fatal(err)
	}
	conns := make([]net.Conn, clients)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	var wg sync.WaitGroup
	const dialers = 8
	for d := range dialers {
		wg.Go(func() {
			reply := make([]byte, 16)
			for i := d; i < clients; i += dialers {
				c, err := net.Dial(s.Network, s.Addr)
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				conns[i] = c
				if _, err := c.Write([]byte("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n")); err != nil {
					t.Error(err)
					return
				}
				if n, err := c.Read(reply); string(reply[:n]) != "+OK\r\n" {
					t.Errorf("%q, %v", reply[:n], err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	each := int64(0)
	// A collection that is due gives back what opening took.
	for start := time.Now(); time.Since(start) < 3*time.Second; time.Sleep(100 * time.Millisecond) {
		now, err := testkit.ResidentBytes(s.PID)
		if err != nil {
			t.Fatal(err)
		}
		if each = (now - before) / clients; each <= idleBytesMax {
			break
		}
	}
	t.Logf("%d bytes for each of %d idle connections", each, clients)
	if each > idleBytesMax {
		t.Errorf("an idle connection costs %d bytes, at most %d are allowed", each, idleBytesMax)
	}
	expect(t, warm, "PONG", "PING")
}
