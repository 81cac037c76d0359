package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

// asker is a client that keeps what it has asked.
type asker struct {
	number   int
	conn     *testkit.Conn
	requests []request
	tokens   int
}

func (a *asker) name() string { return "client " + strconv.Itoa(a.number) }

func (a *asker) token() string {
	a.tokens++
	return token(a.number, a.tokens)
}

// ask sends requests at once and waits for all replies.
func (a *asker) ask(requests ...request) error {
	var p []byte
	for _, r := range requests {
		p = resp.AppendCommandString(p, r.line...)
	}
	a.requests = append(a.requests, requests...)
	if err := a.conn.Write(p); err != nil {
		return err
	}
	for _, r := range requests {
		v, err := a.conn.Receive(10 * time.Second)
		if err == nil {
			err = v.Err()
		}
		if err != nil {
			return fmt.Errorf("%.100q: %w", r.line, err)
		}
	}
	return nil
}

// pipeline makes some commands: writes, and reads of what was written just now, mostly by
// others.
func (a *asker) pipeline(r *rand.Rand) (all []request) {
	add := func(promises []string, line ...string) { all = append(all, request{line, promises}) }
	for range 1 + r.IntN(6) {
		own, n := []string{a.token()}, strconv.Itoa(r.IntN(4))
		switch r.IntN(9) {
		case 0:
			add(own, "SET", "hot"+n, own[0])
		case 1:
			add(own, "SET", "hot"+n, own[0], "GET")
		case 2:
			add(nil, "GET", "hot"+n)
		case 3: // often over several shards
			add(own, "MSET", "hot"+n, own[0], "warm"+n, own[0])
		case 4:
			add(nil, "MULTI")
			add(nil, "SET", "hot"+n, own[0])
			add(nil, "RPUSH", "list"+n, own[0])
			add(own, "EXEC")
		case 5:
			add(own, "RPUSH", "list"+n, own[0])
			add(nil, "LRANGE", "list"+n, "-2", "-1")
		case 6:
			add(own, "XADD", "stream"+n, "*", "field", own[0])
			add(nil, "XREVRANGE", "stream"+n, "+", "-", "COUNT", "2")
		case 7:
			add(own, "HSET", "hash"+n, own[0], "1")
			add(nil, "HRANDFIELD", "hash"+n)
		case 8: // the key is in the record of its deletion, too
			value := a.token()
			add([]string{value}, "SET", "key"+own[0], value)
			add(own, "GETDEL", "key"+own[0])
		}
	}
	return all
}

const (
	askers      = 24
	askersTurns = 12
	waiterTurns = 20
	// fillBytes is more than the first segment of a log holds. It is filled by so many
	// pieces at once that the next one begins among them.
	fillBytes  = 5 << 20
	fillPieces = 40
	fillPiece  = 6_000
)

// askMuch lets many clients ask at once, and returns what they have asked, by name.
func askMuch(t *testing.T, s *testkit.Server, shards int) map[string][]request {
	t.Helper()
	var clients []*asker
	var wg sync.WaitGroup
	begin := func(work func(a *asker) error) {
		a := &asker{number: len(clients), conn: dial(t, s.Network, s.Addr)}
		clients = append(clients, a)
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := a.ask(request{line: []string{"ECHO", a.name()}})
			if err == nil {
				err = work(a)
			}
			if err != nil {
				t.Errorf("%s: %v", a.name(), err)
			}
		}()
	}
	for range askers {
		begin(func(a *asker) error {
			r := rand.New(rand.NewPCG(uint64(a.number), 4))
			for range askersTurns {
				if err := a.ask(a.pipeline(r)...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	// Some wait for what others push.
	for i := range 3 {
		queue := func(turn int) string { return "queue" + token(100+i, turn) }
		begin(func(a *asker) error {
			for turn := range waiterTurns {
				if err := a.ask(request{[]string{"BLPOP", queue(turn), "5"}, []string{token(100+i, turn)}}); err != nil {
					return err
				}
			}
			return nil
		})
		begin(func(a *asker) error {
			for turn := range waiterTurns {
				time.Sleep(2 * time.Millisecond)
				value := a.token()
				if err := a.ask(request{[]string{"RPUSH", queue(turn), value}, []string{value}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	// And one fills segments.
	begin(func(a *asker) error {
		for range shards * fillBytes / fillPiece / fillPieces {
			var pieces []request
			for i := range fillPieces {
				value := a.token()
				line := []string{"SET", "filler" + strconv.Itoa(i), value + strings.Repeat("x", fillPiece)}
				pieces = append(pieces, request{line, []string{value}})
			}
			if err := a.ask(pieces...); err != nil {
				return err
			}
		}
		return nil
	})
	wg.Wait()
	all := map[string][]request{}
	for _, a := range clients {
		all[a.name()] = a.requests
	}
	return all
}

// Under always no reply leaves before a sync of what it promises has ended, and under no
// policy before the kernel has it. A reply promises what its command has done, and what
// it shows of what others did.
func TestRepliesWait(t *testing.T) {
	testkit.MayTrace(t)
	for _, c := range []struct {
		policy, later string
		shards        int
	}{
		{policy: "always", shards: 1},
		{policy: "always", shards: 2},
		{policy: "everysec", later: "always", shards: 2},
		{policy: "everysec", shards: 2},
		{policy: "no", shards: 1},
	} {
		t.Run(strings.TrimSpace(fmt.Sprintf("%s %d shards %s", c.policy, c.shards, c.later)), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "trace")
			s, err := testkit.LaunchBinary(t, testkit.Straced(file, "--seccomp-bpf", "-s", "1000000",
				"-e", "trace=write,writev,sendto,sendmsg,pwrite64,fdatasync,fsync,renameat,mkdirat"),
				durableFlags(filepath.Join(t.TempDir(), "new", "data"), c.policy, c.shards)...)
			if err != nil {
				t.Fatal(err)
			}
			if c.later != "" {
				expect(t, dial(t, s.Network, s.Addr), "OK", "CONFIG", "SET", "appendfsync", c.later)
			}
			clients := askMuch(t, s, c.shards)
			s.Stop()
			endsWell(t, s)
			if t.Failed() {
				return
			}
			calls := traceOf(t, file)
			v, err := judge(calls, clients)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d calls, %d promises, %d before the record was written, %d before it was synced",
				len(calls), v.promises, len(v.unwritten), len(v.unsynced))
			if n := segments(calls); v.promises < 1000 || n < 2*c.shards {
				t.Errorf("with %d segments that proves little", n)
			}
			complain(t, v.unwritten)
			if c.policy == "always" || c.later == "always" {
				complain(t, v.unsynced)
			} else if len(v.unsynced) == 0 {
				// The other policies do not promise it: here the judge has to find fault.
				t.Error("no reply has left before its sync: the judge is blind")
			}
		})
	}
}

func traceOf(t *testing.T, file string) []*traced {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls, err := readTrace(f)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// segments is how many of them were written.
func segments(calls []*traced) int {
	seen := map[string]bool{}
	for _, c := range calls {
		if c.name == "pwrite64" && logName.MatchString(c.files[0]) {
			seen[c.files[0]] = true
		}
	}
	return len(seen)
}

// complain fails with the first of what is wrong.
func complain(t *testing.T, wrong []string) {
	t.Helper()
	for _, says := range wrong[:min(len(wrong), 5)] {
		t.Error(says)
	}
}
