package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"hyperkv/persist/disk"
	"hyperkv/persist/disk/frail"
)

// content is what a test stores: blocks by shard.
type content [][][]byte

func random(r *rand.Rand, shards int) content {
	c := make(content, shards)
	for i := range c {
		for range r.IntN(5) {
			block := make([]byte, 1+r.IntN(3000))
			if r.IntN(2) == 0 {
				for j := range block {
					block[j] = byte(r.Uint32())
				}
			}
			c[i] = append(c[i], block)
		}
	}
	return c
}

func write(s *Store, c content, position *Position) (Manifest, error) {
	w, err := s.Begin(len(c))
	if err != nil {
		return Manifest{}, err
	}
	for i, blocks := range c {
		for n, block := range blocks {
			if err := w.Write(i, block, n+1); err != nil {
				_ = w.Abort()
				return Manifest{}, err
			}
		}
	}
	return w.Commit("test", int64(w.Number()), position)
}

func read(d disk.Disk, dir string, m *Manifest) (content, error) {
	c := make(content, m.Shards)
	for i := range c {
		n := 0
		err := Read(d, dir, m, i, func(block []byte, keys int, _ int64) error {
			if n++; keys != n {
				return fmt.Errorf("block %d has %d keys", n, keys)
			}
			c[i] = append(c[i], bytes.Clone(block))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

func same(a, b content) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func newStore(t testing.TB, d disk.Disk, dir string, compress bool) *Store {
	t.Helper()
	s, err := Open(Options{Disk: d, Dir: dir, Compress: compress})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whatever happens: a snapshot that was committed is there, and right; one that was not is
// not, and leaves nothing behind.
func TestPowerLoss(t *testing.T) {
	seeds := uint64(600)
	if testing.Short() {
		seeds = 100
	}
	published := 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 4))
		d := frail.New()
		have := map[uint64]content{} // that were committed, and are kept
		for life := range 4 {
			where := fmt.Sprintf("seed %d, life %d", seed, life)
			s := newStore(t, d, "dir", r.IntN(2) == 0)
			all, damaged, err := List(d, "dir")
			if err != nil || len(damaged) > 0 {
				t.Fatalf("%s: %v %v", where, err, damaged)
			}
			for i := range all {
				want, known := have[all[i].Number]
				if !known {
					if published++; all[i].Number < s.last {
						t.Fatalf("%s: snapshot %d came back", where, all[i].Number)
					}
					continue // the manifest of what was about to be committed had made it
				}
				got, err := read(d, "dir", &all[i])
				if err != nil || !same(got, want) {
					t.Fatalf("%s: snapshot %d: %v", where, all[i].Number, err)
				}
				delete(have, all[i].Number)
			}
			if len(have) > 0 {
				t.Fatalf("%s: snapshots are missing: %d", where, len(have))
			}
			have = map[uint64]content{}
			for i := range all {
				if have[all[i].Number], err = read(d, "dir", &all[i]); err != nil {
					t.Fatalf("%s: %v", where, err)
				}
			}
			for range r.IntN(3) {
				c := random(r, 1+r.IntN(3))
				m, err := write(s, c, nil)
				if err != nil {
					t.Fatal(err)
				}
				have[m.Number] = c
				kept, err := s.Keep(2)
				if err != nil {
					t.Fatal(err)
				}
				rest := map[uint64]content{}
				for _, m := range kept {
					rest[m.Number] = have[m.Number]
				}
				have = rest
			}
			// Power may go in the middle of the next one.
			steps := r.IntN(40)
			d.Fault = func(string, string) error {
				if steps--; steps < 0 {
					return errors.New("no power")
				}
				return nil
			}
			c := random(r, 2)
			if m, err := write(s, c, nil); err == nil {
				have[m.Number] = c
			}
			d.Fault = nil
			d.Crash(r)
		}
	}
	t.Logf("%d snapshots were there although their writer had not heard so", published)
}

// Whichever bit is wrong in whichever file, and wherever one ends: it is said, and what
// is shown before is right.
func TestDamage(t *testing.T) {
	for _, compress := range []bool{false, true} {
		dir := t.TempDir()
		d := disk.OS{}
		s := newStore(t, d, dir, compress)
		c := content{{[]byte(strings.Repeat("compressible ", 20)), []byte("x")}, {[]byte("other")}}
		m, err := write(s, c, &Position{Identity: "id", Generation: 2, Next: []uint64{3, 4}})
		if err != nil {
			t.Fatal(err)
		}
		if m.Keys != 4 || m.Journal.Next[1] != 4 {
			t.Errorf("the manifest says %+v", m)
		}
		if got, err := read(d, dir, &m); err != nil || !same(got, c) {
			t.Fatalf("%v %v", got, err)
		}
		// try says whether the snapshot is still read as it was, or refused.
		try := func(what string) {
			t.Helper()
			all, damaged, err := List(d, dir)
			if err != nil {
				if !strings.Contains(err.Error(), "start the newer HyperKV") {
					t.Fatalf("%s: %v", what, err)
				}
				return
			}
			if len(all) == 0 && len(damaged) == 1 {
				return
			}
			if len(all) != 1 {
				t.Fatalf("%s: %v %v", what, all, damaged)
			}
			got, err := read(d, dir, &all[0])
			if err == nil && reflect.DeepEqual(all[0], m) && same(got, c) {
				return // white space of the manifest
			}
			var damage *DamageError
			if !errors.As(err, &damage) && (err == nil || !strings.Contains(err.Error(), "start the newer HyperKV")) {
				t.Fatalf("%s was not seen: %v", what, err)
			}
		}
		for _, name := range []string{m.Files[0].Name, m.Files[1].Name, manifestName(m.Number)} {
			path := filepath.Join(dir, name)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			put := func(p []byte) {
				t.Helper()
				if err := os.WriteFile(path, p, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			manifest := strings.HasSuffix(name, ".json")
			for at := range whole {
				for bit := range 8 {
					p := bytes.Clone(whole)
					p[at] ^= 1 << bit
					put(p)
					try(fmt.Sprintf("bit %d of byte %d of %s", bit, at, name))
				}
			}
			for end := range whole {
				put(whole[:end])
				try(fmt.Sprintf("%s with %d bytes of %d", name, end, len(whole)))
			}
			if !manifest {
				put(append(bytes.Clone(whole), 0))
				try("a byte behind the end of " + name)
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				try(name + " missing")
			}
			put(whole)
		}
		// The files of another snapshot under the names of this one.
		other, err := write(s, content{{[]byte("else")}, {[]byte("where")}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, other.Files[0].Name), filepath.Join(dir, m.Files[0].Name)); err != nil {
			t.Fatal(err)
		}
		if _, err := read(d, dir, &m); err == nil {
			t.Error("a file of another snapshot was taken for this one's")
		}
	}
}

// Whatever a file says, reading it ends with an error or with what it has.
func FuzzReader(f *testing.F) {
	dir := f.TempDir()
	s := newStore(f, disk.OS{}, dir, true)
	m, err := write(s, content{{[]byte(strings.Repeat("a", 500)), []byte("b")}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, m.Files[0].Name)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:headerBytes+blockHeader])
	f.Fuzz(func(t *testing.T, p []byte) {
		// Checksums are made right, or hardly anything gets past them.
		for at := headerBytes; at+blockHeader <= len(p); {
			h := readBlockHead(p[at:])
			if h.stored > uint64(len(p)-at-blockHeader) {
				break
			}
			stored := p[at+blockHeader:][:h.stored]
			sum := checksum(p[at:], stored)
			p[at+28], p[at+29], p[at+30], p[at+31] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
			at += blockHeader + int(h.stored)
		}
		if err := os.WriteFile(path, p, 0o600); err != nil {
			t.Fatal(err)
		}
		claim := m
		claim.Files = []File{{Name: m.Files[0].Name, Bytes: int64(len(p)), Blocks: m.Files[0].Blocks, Keys: m.Files[0].Keys}}
		_ = Read(disk.OS{}, dir, &claim, 0, func(block []byte, _ int, _ int64) error {
			if len(block) > len(p)*ratioMax {
				t.Errorf("%d bytes became %d", len(p), len(block))
			}
			return nil
		})
	})
}
