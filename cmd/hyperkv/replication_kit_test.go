package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hyperkv/internal/difftest"
	"hyperkv/internal/testkit"
)

// proxy passes bytes on to a server until it is cut.
type proxy struct {
	listener net.Listener
	target   atomic.Pointer[string]
	closed   atomic.Bool // refuses connections

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, conns: map[net.Conn]bool{}}
	p.target.Store(&target)
	t.Cleanup(func() {
		l.Close()
		p.cut()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if p.closed.Load() {
				c.Close()
				continue
			}
			go p.pass(c)
		}
	}()
	return p
}

func (p *proxy) pass(c net.Conn) {
	s, err := net.Dial("tcp", *p.target.Load())
	if err != nil {
		c.Close()
		return
	}
	p.mu.Lock()
	p.conns[c], p.conns[s] = true, true
	p.mu.Unlock()
	both := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		to.Close()
		from.Close()
		p.mu.Lock()
		delete(p.conns, to)
		p.mu.Unlock()
	}
	go both(c, s)
	both(s, c)
}

// cut ends all connections, maybe in the middle of something.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		c.Close()
	}
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// node is a server of either kind in a test of replication.
type node struct {
	*testkit.Server
	c *testkit.Conn
}

// startNode starts a server: "redis", or "hyperkv" with a number of shards behind it.
func startNode(t testing.TB, kind string, flags ...string) *node {
	t.Helper()
	var s *testkit.Server
	if kind == "redis" {
		if s = testkit.StartRedis(t, append([]string{"--repl-diskless-sync-delay", "0"}, flags...)...); s == nil {
			t.Skip("there is no redis-server")
		}
	} else {
		shards := strings.TrimPrefix(kind, "hyperkv")
		if shards == "" {
			shards = "2"
		}
		s = testkit.StartBinary(t, append([]string{
			"--worker-threads", shards, "--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0",
		}, flags...)...)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s %s:\n%s", kind, s.Addr, lastLines(s.Log(), 40))
		}
	})
	return &node{s, dial(t, s.Network, s.Addr)}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (n *node) do(t testing.TB, args ...string) string {
	t.Helper()
	v, err := n.c.Do(args...)
	if err != nil {
		t.Fatalf("%s: %q: %v\n%s", n.Addr, args, err, lastLines(n.Log(), 40))
	}
	if v.Err() != nil {
		return v.Err().Error()
	}
	return v.Text()
}

// info is a field of INFO, or of its lines together.
func (n *node) info(t testing.TB, field string) string {
	t.Helper()
	for _, line := range strings.Split(n.do(t, "INFO", "everything"), "\r\n") {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return value
		}
	}
	return ""
}

func (n *node) number(t testing.TB, field string) int {
	t.Helper()
	number, err := strconv.Atoi(n.info(t, field))
	if err != nil {
		t.Fatalf("%s: %s is %q", n.Addr, field, n.info(t, field))
	}
	return number
}

// follow makes the node a replica of what listens on an address.
func (n *node) follow(t testing.TB, addr string) {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	if reply := n.do(t, "REPLICAOF", host, port); reply != "OK" {
		t.Fatalf("REPLICAOF %s %s: %s", host, port, reply)
	}
}

// eventually waits until f says that it is so.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 20 s it is not so: %s", what)
		}
	}
}

// equal waits until all nodes have all that the first has, and the same dataset.
func equal(t testing.TB, nodes ...*node) {
	t.Helper()
	var now string
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		now = ""
		same := true
		offset, digest := nodes[0].info(t, "master_repl_offset"), nodes[0].do(t, "DEBUG", "DIGEST")
		for _, n := range nodes {
			o, d := n.info(t, "master_repl_offset"), n.do(t, "DEBUG", "DIGEST")
			now += fmt.Sprintf("\n%s: offset %s, digest %s", n.Addr, o, d)
			same = same && o == offset && d == digest
		}
		if same && nodes[0].info(t, "master_repl_offset") == offset {
			return
		}
		if time.Now().After(deadline.Add(-18*time.Second)) && zeros(t, nodes) {
			return
		}
		if time.Now().After(deadline) {
			for _, n := range nodes {
				now += "\n" + n.Addr + "\n" + n.do(t, "INFO", "replication")
				if n != nodes[0] {
					now += differences(t, nodes[0], n)
				}
			}
			t.Fatalf("the servers do not become equal:%s", now)
		}
	}
}

// zeros says that nodes differ in nothing but scores of -0, which HyperKV keeps as 0.
func zeros(t testing.TB, nodes []*node) bool {
	t.Helper()
	for _, n := range nodes[1:] {
		if nodes[0].info(t, "master_repl_offset") != n.info(t, "master_repl_offset") || differences(t, nodes[0], n) != "" {
			return false
		}
	}
	return true
}

// differences shows the keys that two nodes have different values of.
func differences(t testing.TB, a, b *node) string {
	t.Helper()
	var text strings.Builder
	for db := range 16 {
		all := map[string]bool{}
		for _, n := range []*node{a, b} {
			n.do(t, "SELECT", strconv.Itoa(db))
			v, err := n.c.Do("KEYS", "*")
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range v.Elems {
				all[e.Text()] = true
			}
		}
		for key := range all {
			x, y := valueOf(t, a, key), valueOf(t, b, key)
			if x[:len(noDigestYet)] != y[:len(noDigestYet)] && !sameScores(x, y) && text.Len() < 10_000 {
				fmt.Fprintf(&text, "db%d %.40q\n  %s\n  %s\n", db, key, x, y)
			}
		}
	}
	a.do(t, "SELECT", "0")
	b.do(t, "SELECT", "0")
	return text.String()
}

// sameScores says that two sorted sets differ only in how their scores are written.
func sameScores(x, y string) bool {
	a, b := strings.Split(x, `\"`), strings.Split(y, `\"`)
	if len(a) != len(b) || len(a) < 2 || !strings.Contains(a[0], " zset ") || a[0][len(noDigestYet):] != b[0][len(noDigestYet):] {
		return false
	}
	for i := 1; i < len(a); i++ {
		m, err1 := strconv.ParseFloat(a[i], 64)
		n, err2 := strconv.ParseFloat(b[i], 64)
		if a[i] != b[i] && (err1 != nil || err2 != nil || m != n) {
			return false
		}
	}
	return true
}

// noDigestYet is as long as every digest.
const noDigestYet = "0000000000000000000000000000000000000000"

// valueOf is about what a key holds.
func valueOf(t testing.TB, n *node, key string) string {
	t.Helper()
	v, err := n.c.Do("DEBUG", "DIGEST-VALUE", key)
	if err != nil || len(v.Elems) != 1 {
		t.Fatalf("the digest of %q: %v %v", key, v, err)
	}
	digest, kind := v.Elems[0].Text(), n.do(t, "TYPE", key)
	commands := map[string][]string{
		"string": {"GET", key}, "list": {"LRANGE", key, "0", "-1"}, "set": {"SMEMBERS", key}, "hash": {"HGETALL", key},
		"zset": {"ZRANGE", key, "0", "-1", "WITHSCORES"}, "stream": {"XINFO", "STREAM", key, "FULL"},
	}
	value := ""
	if command := commands[kind]; command != nil {
		v, err := n.c.Do(command...)
		if err != nil {
			t.Fatal(err)
		}
		value = fmt.Sprintf("%.2000q", fmt.Sprint(v))
	}
	return fmt.Sprintf("%s %s until %s: %s", digest, kind, n.do(t, "PEXPIRETIME", key), value)
}

// known are the commands that Redis 7.0 knows: what it does not know, it cannot repeat.
var known = []difftest.Family{
	difftest.Strings, difftest.Bitmaps, difftest.HyperLogLogs, difftest.Lists, difftest.Hashes, difftest.Sets, difftest.ZSets,
	difftest.Geo, difftest.Streams, difftest.Sorting, difftest.Generic, difftest.Expiry, difftest.Transactions,
	{Name: "databases", Forms: []string{"20*SELECT db", "FLUSHALL"}},
}

// beyond are commands that only HyperKV and newer servers know.
var beyond = append([]difftest.Family{
	{Name: "fields", Forms: []string{
		"30*HEXPIRE key seconds [NX|XX|GT|LT] FIELDS 1 field", "30*HPEXPIRE key millis FIELDS 2 field field",
		"10*HPERSIST key FIELDS 2 field field", "20*HGETEX key [EX seconds|PX millis|PERSIST] FIELDS 2 field field",
		"10*HGETDEL key FIELDS 2 field field", "30*HSETEX key [FNX|FXX] [EX seconds|PX millis|KEEPTTL] FIELDS 1 field value",
		"30*HPEXPIRE key (1|10|30) FIELDS 1 field",
	}},
	{Name: "members", Forms: []string{"30*SADDEX key seconds member...", "20*SADDEX key KEEPTTL seconds member member"}},
}, known...)

// traffic writes to an address until it is stopped.
type traffic struct {
	addr    string
	forms   []difftest.Family
	stop    atomic.Bool
	count   atomic.Int64
	writers sync.WaitGroup
}

// startTraffic lets clients write whatever there is; they come back when they are thrown out.
func startTraffic(t testing.TB, addr string, clients int, forms ...difftest.Family) *traffic {
	t.Helper()
	l := &traffic{addr: addr, forms: forms}
	if forms == nil {
		l.forms = known
	}
	seed := testkit.Seed(t)
	for i := range clients {
		l.writers.Add(1)
		go func() {
			defer l.writers.Done()
			for round := uint64(0); !l.stop.Load(); round++ {
				l.write(seed + uint64(i)*1_000_003 + round)
			}
		}()
	}
	t.Cleanup(l.end)
	return l
}

func (l *traffic) end() {
	l.stop.Store(true)
	l.writers.Wait()
}

// write plays one episode, with bursts of a few commands.
func (l *traffic) write(seed uint64) {
	steps, err := difftest.Steps(seed, l.forms, time.Now(), 400)
	if err != nil {
		panic(err)
	}
	c, err := testkit.Dial("tcp", l.addr)
	if err != nil {
		time.Sleep(5 * time.Millisecond)
		return
	}
	defer c.Close()
	r := rand.New(rand.NewPCG(seed, 5))
	for len(steps) > 0 && !l.stop.Load() {
		n := min(1+r.IntN(8), len(steps))
		for _, step := range steps[:n] {
			if c.Send(step.Args...) != nil {
				return
			}
		}
		for range n {
			if _, err := c.Receive(2 * time.Second); err != nil {
				return
			}
			l.count.Add(1)
		}
		steps = steps[n:]
	}
}

// long says whether tests may take long.
func long() bool { return os.Getenv("HYPERKV_TEST_LONG") != "" }
