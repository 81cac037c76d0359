package embedded

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/engine/snapshot"
	"hyperkv/internal/difftest"
	"hyperkv/internal/testkit"
	"hyperkv/shard"
)

// blocks is a snapshot.Sink in memory. Safe for concurrent use.
type blocks struct {
	mu  sync.Mutex
	all map[int][]snapshot.Block
}

func (b *blocks) Write(shard int, block snapshot.Block) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[int][]snapshot.Block{}
	}
	b.all[shard] = append(b.all[shard], block)
	return nil
}

// load gives an engine what a snapshot of so many shards has taken.
func (b *blocks) load(t testing.TB, l *lab, shards int) {
	t.Helper()
	for i, all := range b.all {
		loader := snapshot.NewLoader(l.Engine, i, shards)
		for _, block := range all {
			if err := snapshot.CheckBlock(block.Bytes, block.Keys, i, shards); err != nil {
				t.Fatalf("check a block of shard %d: %v", i, err)
			}
			if err := loader.Load(block.Bytes, block.Keys); err != nil {
				t.Fatalf("load a block of shard %d: %v", i, err)
			}
		}
	}
}

// withoutEncodings is a dataset without how its values are represented, which is chosen
// anew for what is loaded.
func withoutEncodings(dataset []string) []string {
	for i, line := range dataset {
		dataset[i] = encodings.ReplaceAllString(line, ": $1 until")
	}
	return dataset
}

var encodings = regexp.MustCompile(`: (string|list|hash|set|zset|stream) "?\w*"? until`)

// A snapshot is the dataset of one moment, whatever is done while it is taken, with keys
// expiring all the while; and what was recorded since that moment leads from it to
// the end.
func TestSnapshots(t *testing.T) {
	episodes := uint64(less(60))
	if os.Getenv("HYPERKV_TEST_LONG") != "" {
		episodes = 3000
	}
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			first := testkit.Seed(t)
			behind := 0
			for seed := first; seed < first+episodes; seed++ {
				behind += snapshotEpisode(t, seed, shards)
				if t.Failed() {
					t.Fatalf("with HYPERKV_TEST_SEED=%d alone", seed)
				}
			}
			t.Logf("%d commands ran while snapshots were taken", behind)
			if behind < int(episodes)*20 {
				t.Error("hardly anything happened while snapshots were taken, which proves little")
			}
		})
	}
}

func snapshotEpisode(t *testing.T, seed uint64, shards int) (behind int) {
	steps, err := difftest.Steps(seed, changing, time.UnixMilli(epoch), 300)
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, shards, epoch)
	defer l.Close()
	limits := l.Shards.Limits()
	if seed%2 == 1 {
		limits.HashListpackEntries = 3
	}
	l.Shards.SetLimits(limits)
	clients := []*engine.Client{l.client(t), l.client(t)}
	r := rand.New(rand.NewPCG(seed, 1))
	// A slice of the snapshot is taken between two commands, now and then.
	next := make(chan bool)
	var taken blocks
	cut, over := 0, make(chan error, 1)
	begin := func() {
		_, err := snapshot.Take(context.Background(), l.Engine, snapshot.Options{
			Native: true, Slice: -1, Large: int(seed % 3),
			AtCut: func(*shard.Call) {
				l.record.mu.Lock()
				cut = len(l.record.units)
				l.record.mu.Unlock()
			},
			Pause: func() { <-next },
		}, &taken)
		over <- err
	}
	var story []string
	start := r.IntN(len(steps) - 50)
	finished := false
	for i, st := range steps {
		if i == start {
			go begin()
		}
		for i > start && !finished && r.IntN(25) == 0 {
			select {
			case next <- true:
			case err := <-over:
				finished = true
				if err != nil {
					t.Fatal(err)
				}
			}
			story = append(story, "slice")
		}
		if i > start && !finished {
			behind++
		}
		if _, err := clients[st.Conn].Do(st.Args...); err != nil {
			t.Fatalf("%q: %v", st.Args, err)
		}
		story = append(story, fmt.Sprintf("%c> %s", 'a'+st.Conn, testkit.Quote(st.Args...)))
		pause := st.Fuse
		if r.IntN(20) == 0 {
			pause += time.Duration(r.IntN(100)) * time.Millisecond
		}
		if pause > 0 {
			l.clock.Advance(pause)
			story = append(story, fmt.Sprintf("sleep=%v", pause))
		}
	}
	for !finished {
		select {
		case next <- true:
		case err := <-over:
			finished = true
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range clients {
		c.Close()
	}
	now := l.clock.NowMillis()
	want := withoutEncodings(l.dataset(t))
	l.record.mu.Lock()
	units := l.record.units
	l.record.mu.Unlock()

	repeated := newLab(t, shards, 1)
	repeated.Shards.SetLimits(limits)
	repeated.replay(t, units[:cut])
	repeated.clock.Set(now)
	atCut := withoutEncodings(repeated.dataset(t))
	repeated.Close()
	for _, others := range []int{shards, 2} {
		other := newLab(t, others, 1)
		other.Shards.SetLimits(limits)
		taken.load(t, other, shards)
		if len(other.record.units) != 0 {
			t.Error("loading was recorded")
		}
		bare := newLab(t, others, 1)
		bare.Shards.SetLimits(limits)
		taken.load(t, bare, shards)
		bare.clock.Set(now)
		if have := withoutEncodings(bare.dataset(t)); !slices.Equal(have, atCut) {
			t.Errorf("on %d shards the snapshot has:\n%s\nand at the cut, after %d units, there was:\n%s\nrecord:\n%s\nstory:\n%s", others,
				strings.Join(have, "\n"), cut, strings.Join(atCut, "\n"), &l.record, strings.Join(story, "\n"))
		}
		bare.Close()
		other.replay(t, units[cut:])
		other.clock.Set(now)
		if have := withoutEncodings(other.dataset(t)); !slices.Equal(have, want) {
			t.Errorf("on %d shards after the snapshot and what came behind:\n%s\nbefore:\n%s\nrecord:\n%s\nstory:\n%s", others,
				strings.Join(have, "\n"), strings.Join(want, "\n"), &l.record, strings.Join(story, "\n"))
		}
		other.Close()
	}
	return behind
}

// A snapshot is given up when more has changed before it could be stored than memory may be
// used for, and commands go on.
func TestSnapshotTooFar(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some memory")
	}
	l := newLab(t, 1, epoch)
	defer l.Close()
	c := l.client(t)
	const keys, length = 80, 4 << 20
	value := strings.Repeat("x", length)
	set := func() {
		t.Helper()
		for i := range keys {
			if _, err := c.Do("SET", "key:"+strconv.Itoa(i), value); err != nil {
				t.Fatal(err)
			}
		}
	}
	set()
	cut, next, over := make(chan bool), make(chan bool), make(chan error)
	var taken blocks
	go func() {
		paused := false
		_, err := snapshot.Take(context.Background(), l.Engine, snapshot.Options{Native: true, Slice: -1, Pause: func() {
			if !paused {
				paused = true
				cut <- true
				<-next
			}
		}}, &taken)
		over <- err
	}()
	<-cut
	set()
	next <- true
	if err := <-over; err != snapshot.ErrTooFar {
		t.Errorf("it ended with %v", err)
	}
	var again blocks
	if taken, err := snapshot.Take(context.Background(), l.Engine, snapshot.Options{Native: true}, &again); err != nil || taken != keys {
		t.Errorf("the next one has %d keys, %v", taken, err)
	}
}
