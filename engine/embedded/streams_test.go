package embedded

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/difftest"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

// streams is all that a client can see of the streams, but for when consumers were
// seen and active, which is not recorded.
func (l *lab) streams(t testing.TB) (all []string) {
	t.Helper()
	c := l.client(t)
	defer c.Close()
	keys, err := c.Do("KEYS", "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys.Elems {
		v, err := c.Do("XINFO", "STREAM", key.Text(), "FULL", "COUNT", "0")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%q %v %s", key.Str, withoutSeen(v), must(t, c, "XINFO", "GROUPS", key.Text())))
	}
	slices.Sort(all)
	return all
}

func withoutSeen(v resp.Value) resp.Value {
	v.Elems = slices.Clone(v.Elems)
	for i := range v.Elems {
		if name := v.Elems[max(i-1, 0)].Text(); name == "seen-time" || name == "active-time" {
			v.Elems[i] = resp.Value{Kind: resp.KindInt}
		}
		v.Elems[i] = withoutSeen(v.Elems[i])
	}
	return v
}

// newerStreams are the forms that the reference of the fuzzer does not know.
var newerStreams = difftest.Family{Name: "newer streams", Forms: []string{
	"4*XADD stream * F value",
	"2*XADD stream MAXLEN ~ small [KEEPREF|DELREF|ACKED] newid F value",
	"2*XADD stream MINID streamid [KEEPREF|DELREF|ACKED] * F value",
	"2*XTRIM stream (MAXLEN|MAXLEN ~) small (DELREF|ACKED)",
	"2*XDELEX stream [KEEPREF|DELREF|ACKED] IDS 2 streamid streamid",
	"2*XACKDEL stream group [KEEPREF|DELREF|ACKED] IDS 2 streamid streamid",
	"2*XAUTOCLAIM stream group consumer 10 -",
	"2*XCLAIM stream group consumer 10 streamid streamid IDLE 100",
	"COPY stream stream REPLACE",
	"RENAME stream stream",
}}

// What was done to streams, done again on servers with another clock, gives the
// same streams.
func TestEffectsOfStreams(t *testing.T) {
	for seed := range uint64(less(60)) {
		seed += uint64(time.Now().UnixNano())
		steps, err := difftest.Steps(seed, []difftest.Family{difftest.Streams, newerStreams}, time.UnixMilli(epoch), 400)
		if err != nil {
			t.Fatal(err)
		}
		l := newLab(t, 1, epoch)
		if seed%3 == 0 {
			must(t, l.client(t), "CONFIG", "SET", "stream-node-max-entries", "3")
		}
		clients := []*engine.Client{l.client(t), l.client(t)}
		var story []string
		for _, st := range steps {
			v, err := clients[st.Conn].Do(st.Args...)
			if err != nil {
				t.Fatalf("%q: %v", st.Args, err)
			}
			if v.Err() == nil {
				story = append(story, testkit.Quote(st.Args...))
			}
			l.clock.Advance(5 * time.Millisecond)
		}
		want := l.streams(t)
		l.record.mu.Lock()
		units := l.record.units
		l.record.mu.Unlock()
		other := newLab(t, 2, 1)
		if seed%3 == 0 {
			must(t, other.client(t), "CONFIG", "SET", "stream-node-max-entries", "3")
		}
		other.replay(t, units)
		if have := other.streams(t); !slices.Equal(have, want) {
			t.Errorf("seed %d, after the replay:\n%s\nbefore:\n%s\nrecord:\n%s\nstory:\n%s", seed,
				strings.Join(have, "\n"), strings.Join(want, "\n"), &l.record, strings.Join(story, "\n"))
		}
		l.Close()
		other.Close()
		if t.Failed() {
			return
		}
	}
}

// Counters at their ends, which clients can set, stay what the log and replicas take.
func TestStreamCountersAtTheirEnds(t *testing.T) {
	l, other := newLab(t, 1, epoch), newLab(t, 1, 1)
	defer l.Close()
	defer other.Close()
	c := l.client(t)
	for _, line := range []string{
		"XADD s 1-1 f v", "XSETID s 5-1 ENTRIESADDED 9223372036854775807", "XADD s 6-1 f v", "XADD s 7-1 f v",
		"XGROUP CREATE s g 0", "XREADGROUP GROUP g a COUNT 2 STREAMS s >", "XREADGROUP GROUP g a STREAMS s >",
		"XGROUP SETID s g 5-1 ENTRIESREAD 9223372036854775806", "XREADGROUP GROUP g a STREAMS s >",
		"XGROUP CREATE s h 5-1", "XREADGROUP GROUP h a STREAMS s >",
	} {
		must(t, c, strings.Fields(line)...)
	}
	l.record.mu.Lock()
	units := l.record.units
	l.record.mu.Unlock()
	other.replay(t, units)
	if have, want := other.streams(t), l.streams(t); !slices.Equal(have, want) {
		t.Errorf("after the replay %q, before %q", have, want)
	}
}
