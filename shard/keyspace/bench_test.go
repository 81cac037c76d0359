package keyspace

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// benchKey writes a 16-byte key for i.
func benchKey(buf *[16]byte, i uint64) []byte {
	const digits = "0123456789abcdef"
	for j := 15; j >= 4; j-- {
		buf[j] = digits[i&15]
		i >>= 4
	}
	copy(buf[:], "key:")
	return buf[:]
}

func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

var benchValue = make([]byte, 32)

func filled(n int, deadline func(i int) int64) *DB {
	d := New()
	var buf [16]byte
	for i := range n {
		key := benchKey(&buf, uint64(i))
		var at int64
		if deadline != nil {
			at = deadline(i)
		}
		d.PutBytes(Hash(key), key, benchValue, at, 0)
	}
	return d
}

// BenchmarkFill reports the bytes that a key costs beyond its 48 bytes of
// payload, accounted and resident, and the longest single insert.
func BenchmarkFill(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		name     string
		keys     int
		deadline func(int) int64
	}{
		{"1M", 1 << 20, nil},
		{"4M", 1 << 22, nil},
		{"1M-ttl-random", 1 << 20, func(int) int64 { return 1_700_000_000_000 + r.Int64N(3_600_000) }},
		{"1M-ttl-constant", 1 << 20, func(i int) int64 { return 1_700_000_000_000 + int64(i)/1000 }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				debug.FreeOSMemory()
				before := residentBytes()
				start := time.Now()
				d := filled(c.keys, c.deadline)
				b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(c.keys), "ns/insert")
				runtime.GC()
				n := float64(c.keys)
				b.ReportMetric(float64(residentBytes()-before)/n-48, "resident-B/key")
				u := d.Usage()
				b.ReportMetric(float64(u.Total())/n-48, "accounted-B/key")
				b.ReportMetric(float64(u.Index)/n, "index-B/key")
				b.ReportMetric(float64(u.Expiry)/n, "expiry-B/key")
				d.Close()
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	for _, keys := range []int{1 << 14, 1 << 20, 1 << 22} {
		d := filled(keys, nil)
		r := rand.New(rand.NewPCG(1, 2))
		order := make([]uint32, 1<<20)
		for i := range order {
			order[i] = uint32(r.IntN(keys))
		}
		b.Run(fmt.Sprintf("hit/%d", keys), func(b *testing.B) {
			var buf [16]byte
			sum := 0
			for i := range b.N {
				key := benchKey(&buf, uint64(order[i&(len(order)-1)]))
				sum += int(d.Find(Hash(key), key).Bytes()[0])
			}
			sinkInt = sum
		})
		b.Run(fmt.Sprintf("miss/%d", keys), func(b *testing.B) {
			var buf [16]byte
			for i := range b.N {
				key := benchKey(&buf, uint64(order[i&(len(order)-1)])+1<<40)
				if d.Find(Hash(key), key).Exists() {
					b.Fatal("found")
				}
			}
		})
		const burst = 16
		b.Run(fmt.Sprintf("burst16/%d", keys), func(b *testing.B) {
			var bufs [burst][16]byte
			var hashes [burst]uint64
			var sink uint64
			sum := 0
			for i := 0; i < b.N; i += burst {
				for j := range burst {
					hashes[j] = Hash(benchKey(&bufs[j], uint64(order[(i+j)&(len(order)-1)])))
				}
				for j := range burst {
					sink += d.PrefetchBucket(hashes[j])
				}
				for j := range burst {
					sink += d.PrefetchRecord(hashes[j])
				}
				for j := range burst {
					sum += int(d.Find(hashes[j], bufs[j][:]).Bytes()[0])
				}
			}
			sinkInt = sum + int(sink&1)
		})
		b.Run(fmt.Sprintf("put/%d", keys), func(b *testing.B) {
			var buf [16]byte
			for i := range b.N {
				key := benchKey(&buf, uint64(order[i&(len(order)-1)]))
				d.PutBytes(Hash(key), key, benchValue, 0, 0)
			}
		})
		d.Close()
	}
}

var sinkInt int

// BenchmarkGoMap is what Find is compared with.
func BenchmarkGoMap(b *testing.B) {
	for _, keys := range []int{1 << 14, 1 << 20, 1 << 22} {
		m := make(map[string][]byte)
		var buf [16]byte
		for i := range keys {
			value := make([]byte, 32)
			binary.LittleEndian.PutUint64(value, uint64(i))
			m[string(benchKey(&buf, uint64(i)))] = value
		}
		r := rand.New(rand.NewPCG(1, 2))
		order := make([]uint32, 1<<20)
		for i := range order {
			order[i] = uint32(r.IntN(keys))
		}
		b.Run(fmt.Sprintf("hit/%d", keys), func(b *testing.B) {
			var buf [16]byte
			sum := 0
			for i := range b.N {
				sum += int(m[string(benchKey(&buf, uint64(order[i&(len(order)-1)])))][0])
			}
			sinkInt = sum
		})
	}
}
