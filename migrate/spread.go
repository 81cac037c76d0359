package migrate

import (
	"context"
	"hash/maphash"

	"hyperkv/internal/rdb"
)

// Spread is a server as a Target over several connections, so that it can use several
// cores. Which one a key takes depends on its name: what concerns a key stays in order.
type Spread struct {
	servers []*Server
	seed    maphash.Seed
}

// NewSpread makes so many connections to a server. Close it when done.
func NewSpread(ctx context.Context, a Address, o ServerOptions, connections int) (*Spread, error) {
	t := &Spread{seed: maphash.MakeSeed()}
	for range connections {
		s, err := NewServer(ctx, a, o)
		if err != nil {
			t.Close()
			return nil, err
		}
		t.servers = append(t.servers, s)
		o.Flush = false // once is enough
	}
	return t, nil
}

// Close ends the connections.
func (t *Spread) Close() {
	for _, s := range t.servers {
		s.Close()
	}
}

// Key implements Target.
func (t *Spread) Key(k *rdb.Key, raw []byte) error {
	return t.servers[maphash.Bytes(t.seed, k.Name)%uint64(len(t.servers))].Key(k, raw)
}

// Library implements Target.
func (t *Spread) Library(source []byte) error { return t.servers[0].Library(source) }

// End implements Target.
func (t *Spread) End() error {
	for _, s := range t.servers {
		if err := s.End(); err != nil {
			return err
		}
	}
	return nil
}

// LibrariesLeft is Server.LibrariesLeft.
func (t *Spread) LibrariesLeft() int { return t.servers[0].LibrariesLeft }
