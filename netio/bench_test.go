package netio

import (
	"io"
	"strings"
	"testing"
)

// A wake-up and its Woken, one at a time, from another goroutine.
func BenchmarkWake(b *testing.B) {
	done := make(chan struct{}, 1)
	backend := &toy{woken: func(*toyLoop) { done <- struct{}{} }}
	serve(b, backend, Options{})
	wake := backend.loops[0].wake
	b.ReportAllocs()
	for b.Loop() {
		wake()
		<-done
	}
}

// One client that waits for each reply.
func BenchmarkEcho(b *testing.B) {
	c := dial(b, serve(b, &toy{}, Options{}))
	p := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(p); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, p); err != nil {
			b.Fatal(err)
		}
	}
}

// Connect, one request, close: what a client without a pool of connections costs.
func BenchmarkConnect(b *testing.B) {
	s := serve(b, &toy{}, Options{Loops: 2})
	for b.Loop() {
		c := dial(b, s)
		ask(b, c, "x", "x")
		c.Close()
	}
}

// Many small writes to a reader that lags behind.
func BenchmarkSlowReader(b *testing.B) {
	line := []byte(strings.Repeat("x", 100))
	var conn *Conn
	backend := &toy{feed: func(s *toySession, data []byte) { conn = s.c; s.c.Write(data) }}
	s := serve(b, backend, Options{})
	c := dial(b, s)
	ask(b, c, "x", "x")
	b.SetBytes(int64(len(line)))
	go func() { _, _ = io.Copy(io.Discard, c) }()
	const batch = 1000
	done := make(chan struct{})
	push := func() {
		for range batch {
			conn.Write(line)
		}
		conn.NotifyDrained(64<<20, func() { done <- struct{}{} })
	}
	for i := 0; i < b.N; i += batch {
		if err := s.Execute(0, push); err != nil {
			b.Fatal(err)
		}
		<-done
	}
}
