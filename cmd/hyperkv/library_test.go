package main

import (
	"path/filepath"
	"strconv"
	"testing"

	"hyperkv/engine/embedded"
)

// A data directory may be used by a server and by a program with the library in turn, never by
// both, and the tools know what either has left.
func TestServerAndLibrary(t *testing.T) {
	dir := t.TempDir()
	for life := range int64(3) {
		s := startDurable(t, dir, "everysec", 2)
		c := dial(t, s.Network, s.Addr)
		expect(t, c, "(integer) "+strconv.FormatInt(2*life+1, 10), "INCR", "lives")
		if kv, err := embedded.Open(map[string]string{"data_dir": dir}); err == nil {
			kv.Close()
			t.Fatal("the library uses what a server uses")
		}
		if life == 1 {
			kill(t, s)
		} else {
			s.Stop()
		}
		kv, err := embedded.Open(map[string]string{"data_dir": dir, "worker_threads": "3"})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := kv.Do("INCR", "lives"); err != nil || v.Int != 2*life+2 {
			t.Fatalf("life %d: %v %v", life, v, err)
		}
		for _, command := range [][]string{{"check", dir}, {"backup", dir, filepath.Join(t.TempDir(), "copy")}} {
			fails(t, "another process uses it (hyperkv embedded, pid ", command...)
		}
		if err := kv.Close(); err != nil {
			t.Fatal(err)
		}
		succeeds(t, "check", dir)
	}
}
