package testkit

import (
	"testing"

	"hyperkv/resp"
)

// A Doer runs commands: a Client, or one of the engine's own.
type Doer interface {
	Do(args ...string) (resp.Value, error)
}

// Must runs a command that has to succeed, and ends the test if it does not.
func Must(t testing.TB, c Doer, args ...string) resp.Value {
	t.Helper()
	v, err := c.Do(args...)
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		t.Fatalf("%.200q: %v", args, err)
	}
	return v
}

// Connect is a connection to a server until the test ends.
func Connect(t testing.TB, s *Server) *Conn {
	t.Helper()
	c, err := Dial(s.Network, s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
