package testkit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"hyperkv/resp"
)

// A Workload is a concurrent load whose outcome can be judged: which server, how
// many clients on how many keys, for how long, and from which seed. Its methods
// (Bank, Counter, Visible, Forward, Linear) run one kind of load each and return
// what they saw that no order of the commands explains.
//
// Keys carry the prefix, and spread over shards by their numbers. The server's
// other keys are left alone.
type Workload struct {
	Network, Addr string

	Clients  int           // 0 means 6
	Keys     int           // 0 means 12; at least 2, except where a load has its own number
	Duration time.Duration // 0 means one second
	Seed     uint64        // of the clients' choices; their timing is the machine's
	Prefix   string        // "" means a prefix of each kind of load
}

// A Tally counts what a workload did, so that a test can tell proof from idleness.
type Tally struct {
	Done    int // operations and transactions that took effect
	Aborted int // EXECs that answered nil because of WATCH
	Read    int // observations that were judged; of Counter, the counts it expects
}

func (t *Tally) add(other Tally) {
	t.Done += other.Done
	t.Aborted += other.Aborted
	t.Read += other.Read
}

func (t Tally) String() string {
	return fmt.Sprintf("%d done, %d aborted, %d read", t.Done, t.Aborted, t.Read)
}

func (w Workload) withDefaults(prefix string) Workload {
	if w.Clients == 0 {
		w.Clients = 6
	}
	switch {
	case w.Keys == 0:
		w.Keys = 12
	case w.Keys < 2:
		w.Keys = 2
	}
	if w.Duration == 0 {
		w.Duration = time.Second
	}
	if w.Prefix == "" {
		w.Prefix = prefix
	}
	return w
}

func (w Workload) key(i int) string { return w.Prefix + strconv.Itoa(i) }

func (w Workload) keys() []string {
	keys := make([]string, w.Keys)
	for i := range keys {
		keys[i] = w.key(i)
	}
	return keys
}

// A hand is one client of a workload. Owned by its goroutine.
type hand struct {
	*Conn
	w     Workload
	n     int // which client
	rand  *rand.Rand
	tally Tally
}

// run lets every client repeat its act until time is up or one of them fails. The
// first error that is not a consequence of another ends the workload.
func (w Workload) run(ctx context.Context, act func(h *hand) error) (Tally, error) {
	ctx, cancel := context.WithTimeout(ctx, w.Duration)
	defer cancel()
	var (
		mu    sync.Mutex // guards what the clients leave behind
		total Tally
		first error
		wg    sync.WaitGroup
	)
	for n := range w.Clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			tally, err := w.client(ctx, n, act)
			mu.Lock()
			defer mu.Unlock()
			total.add(tally)
			if err != nil && first == nil {
				first = fmt.Errorf("client %d: %w", n, err)
				cancel()
			}
		}()
	}
	wg.Wait()
	return total, first
}

func (w Workload) client(ctx context.Context, n int, act func(h *hand) error) (Tally, error) {
	conn, err := Dial(w.Network, w.Addr)
	if err != nil {
		return Tally{}, err
	}
	defer conn.Close()
	h := &hand{Conn: conn, w: w, n: n, rand: rand.New(rand.NewPCG(w.Seed, uint64(n)))}
	for ctx.Err() == nil {
		if err := act(h); err != nil {
			return h.tally, err
		}
	}
	return h.tally, nil
}

// once runs commands on a connection of their own, and returns the last reply as
// integers.
func (w Workload) once(commands ...[]string) ([]int64, error) {
	conn, err := Dial(w.Network, w.Addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var last resp.Value
	for _, args := range commands {
		if last, err = conn.must(args...); err != nil {
			return nil, err
		}
	}
	return integers(last)
}

// must is Do that takes an error reply for an error.
func (c *Conn) must(args ...string) (resp.Value, error) {
	v, err := c.Do(args...)
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		return v, fmt.Errorf("%s: %w", Quote(args...), err)
	}
	return v, nil
}

// transact sends MULTI, the commands and EXEC in one write, and returns the reply of
// EXEC: one element per command, or null when a watched key had changed.
func (c *Conn) transact(commands ...[]string) (resp.Value, error) {
	wire := resp.AppendCommandString(nil, "MULTI")
	for _, args := range commands {
		wire = resp.AppendCommandString(wire, args...)
	}
	wire = resp.AppendCommandString(wire, "EXEC")
	if err := c.Write(wire); err != nil {
		return resp.Value{}, err
	}
	for i := range len(commands) + 1 {
		v, err := c.Receive(replyPatience)
		if err == nil {
			err = v.Err()
		}
		if err != nil {
			return v, fmt.Errorf("MULTI, command %d: %w", i, err)
		}
	}
	v, err := c.Receive(replyPatience)
	if err != nil {
		return v, fmt.Errorf("EXEC: %w", err)
	}
	if err := v.Err(); err != nil {
		return v, fmt.Errorf("EXEC: %w", err)
	}
	if v.Null {
		return v, nil
	}
	if len(v.Elems) != len(commands) {
		return v, fmt.Errorf("EXEC of %d commands answered %s", len(commands), v)
	}
	for i, reply := range v.Elems {
		if err := reply.Err(); err != nil {
			return v, fmt.Errorf("%s in EXEC: %w", Quote(commands[i]...), err)
		}
	}
	return v, nil
}

var errNoInteger = errors.New("no integer")

// integer reads an integer reply, or a string that is one; null counts as 0.
func integer(v resp.Value) (int64, error) {
	switch {
	case v.Null:
		return 0, nil
	case v.Kind == resp.KindInt:
		return v.Int, nil
	case v.Kind == resp.KindBulk:
		if n, err := strconv.ParseInt(v.Text(), 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s: %w", v, errNoInteger)
}

// integers reads an array of what integer reads, or a single one of those. Replies
// that are a status count as none.
func integers(v resp.Value) ([]int64, error) {
	if v.Kind == resp.KindSimple {
		return nil, nil
	}
	if v.Kind != resp.KindArray {
		n, err := integer(v)
		return []int64{n}, err
	}
	all := make([]int64, len(v.Elems))
	for i, e := range v.Elems {
		var err error
		if all[i], err = integer(e); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func sum(all []int64) int64 {
	var total int64
	for _, n := range all {
		total += n
	}
	return total
}
