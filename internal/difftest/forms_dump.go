package difftest

import (
	"encoding/binary"
	"strconv"

	"hyperkv/internal/rdb"
)

// Dumps are DUMP and RESTORE.
var Dumps = Family{"dumps", []string{
	"8*RESTORE key 0 payload [REPLACE]",
	"3*RESTORE key restorettl payload REPLACE",
	"2*RESTORE key unixmillis payload REPLACE ABSTTL",
	"RESTORE key restorettl payload (REPLACE|ABSTTL|IDLETIME number|FREQ small|word)...",
	"RESTORE key 0 value [REPLACE]",
	"2*DUMP key",
}}

// payloads hold a value of each type in each form that Redis 7.0 knows, and a few
// are broken, so surely that every Redis finds out.
var payloads = makePayloads()

func makePayloads() (all []string) {
	add := func(write func(w *rdb.Writer)) {
		w := rdb.NewWriter(nil, 10)
		write(w)
		all = append(all, string(w.Payload()))
	}
	texts := func(t rdb.Type, elements ...string) {
		add(func(w *rdb.Writer) {
			w.Type(t)
			w.Length(uint64(len(elements)))
			for _, e := range elements {
				w.Text([]byte(e))
			}
		})
	}
	packed := func(t rdb.Type, elements ...string) {
		add(func(w *rdb.Writer) {
			w.Type(t)
			var list rdb.Listpack
			list.Reset()
			for _, e := range elements {
				list.Text([]byte(e))
			}
			w.Packed(&list)
		})
	}
	for _, text := range []string{"", "12", "-70000", "9223372036854775807", "text", "01", string(make([]byte, 100))} {
		add(func(w *rdb.Writer) {
			w.Type(rdb.TypeString)
			w.Text([]byte(text))
		})
	}
	var many []string
	for i := range 600 {
		many = append(many, strconv.Itoa(i))
	}
	long := string(make([]byte, 70))
	texts(rdb.TypeList, "a", "", "-1", long)
	texts(rdb.TypeSet, "1", "2", "70000")
	texts(rdb.TypeSet, "a", "1", "")
	texts(rdb.TypeSet, many...)
	texts(rdb.TypeHash, many[:2]...) // broken: these count as two pairs
	packed(rdb.TypeHashListpack, "a", "1", "", "text")
	packed(rdb.TypeZSetListpack, "a", "-1", "b", "1", "c", "2")
	add(func(w *rdb.Writer) { w.Intset([]int64{-5_000_000_000, 0, 7}) })
	add(func(w *rdb.Writer) {
		w.Type(rdb.TypeHash)
		w.Length(2)
		for _, text := range []string{"f", long, long, "1"} {
			w.Text([]byte(text))
		}
	})
	add(func(w *rdb.Writer) {
		w.Type(rdb.TypeZSet2)
		w.Length(uint64(len(many)))
		for i, member := range many {
			w.Text([]byte(member))
			w.Double(float64(1 + i/3))
		}
	})
	add(func(w *rdb.Writer) {
		list := w.List()
		for range 2 {
			for _, text := range many {
				list.Count(len(text))
			}
		}
		for range 2 {
			for _, text := range many {
				list.Element([]byte(text))
			}
		}
		list.End()
	})
	add(func(w *rdb.Writer) {
		s := w.Stream()
		fields := [][]byte{[]byte("f"), []byte("v")}
		for range 150 {
			s.Count(fields)
		}
		for i := range 150 {
			s.Entry(rdb.StreamID{Ms: uint64(1 + i/2), Seq: uint64(i)}, fields)
		}
		id := rdb.StreamID{Ms: 3, Seq: 4}
		s.State(rdb.StreamState{Last: rdb.StreamID{Ms: 900, Seq: 1}, MaxDeleted: rdb.StreamID{Ms: 80}, Added: 200}, 1)
		s.Group(rdb.StreamGroup{Name: []byte("g"), Last: id, Read: 5},
			[]rdb.StreamConsumer{{Name: []byte("c"), Seen: 1_000_000}, {Name: []byte("d"), Seen: 2_000_000}},
			[]rdb.StreamPending{{ID: id, Consumer: 1, Delivered: 1_500_000, Count: 2}})
	})

	whole := all[4]
	all = append(all, whole[:len(whole)-1], whole[:3]+"T"+whole[4:])
	newer := []byte(whole[:len(whole)-10])
	newer = append(newer, 0xff, 0xff)
	all = append(all, string(binary.LittleEndian.AppendUint64(newer, rdb.Checksum(0, newer))))
	return all
}

// restoreTTL is a time to live of RESTORE.
func restoreTTL(g *generator) string {
	if g.rand.IntN(2) == 0 {
		return "0"
	}
	return millis(g)
}
