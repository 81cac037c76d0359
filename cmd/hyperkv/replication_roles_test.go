package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// What is wrong with commands about replication is said in Redis' words.
func TestReplicationErrors(t *testing.T) {
	redis, ours := startNode(t, "redis"), startNode(t, "hyperkv2")
	same := func(args ...string) {
		t.Helper()
		if want, got := redis.do(t, args...), ours.do(t, args...); got != want {
			t.Errorf("%q: %q, want %q", args, got, want)
		}
	}
	same("ROLE")
	for _, line := range []string{
		"REPLICAOF a", "REPLICAOF a b", "REPLICAOF a 70000", "REPLICAOF NO ONE", "SLAVEOF no one",
		"REPLCONF", "REPLCONF a", "REPLCONF a b", "REPLCONF listening-port x", "REPLCONF listening-port 7000 capa eof capa nonesuch",
		"REPLCONF rdb-only 2", "REPLCONF rdb-only x", "REPLCONF rdb-only 0", "REPLCONF rdb-filter-only nonesuch", "REPLCONF rdb-filter-only functions",
		"REPLCONF rdb-filter-only ''", "REPLCONF ip-address " + strings.Repeat("x", 256), "REPLCONF ip-address host",
		"PSYNC", "PSYNC a", "PSYNC a b", "PSYNC a 1 FAILOVER", "SYNC x",
		"FAILOVER", "FAILOVER ABORT", "FAILOVER x", "FAILOVER TIMEOUT", "FAILOVER TIMEOUT x", "FAILOVER TIMEOUT 0", "FAILOVER TIMEOUT 1 TIMEOUT 2",
		"FAILOVER TO a", "FAILOVER TO a b", "FAILOVER TO a 1", "FAILOVER TO a 1 FORCE", "FAILOVER FORCE FORCE", "FAILOVER FORCE",
		"WAIT", "WAIT x 0", "WAIT 1 x", "WAIT 1 -1", "WAIT 0 0", "WAIT 1 10",
	} {
		words, err := testkit.Split(line)
		if err != nil {
			t.Fatal(err)
		}
		same(words...)
	}
	for _, line := range [][]string{{"MULTI"}, {"PSYNC", "?", "-1"}, {"SYNC"}, {"EXEC"}} {
		same(line...)
	}
	// A replica without a link.
	for _, n := range []*node{redis, ours} {
		n.do(t, "SET", "k", "v")
		n.do(t, "REPLICAOF", "127.0.0.1", "1")
	}
	for _, line := range []string{
		"REPLICAOF 127.0.0.1 1", "SET a b", "GET k", "WAIT 1 0", "FAILOVER", "SYNC", "PSYNC ? -1", "PSYNC " + strings.Repeat("0", 40) + " 1 FAILOVER",
		"CONFIG SET replica-serve-stale-data no", "GET k", "SET a b", "DEL k", "PING", "CONFIG GET replicaof", "EXISTS k",
		"CONFIG SET replica-serve-stale-data yes", "CONFIG SET replica-read-only no", "SET a b", "GET a", "CONFIG SET replica-read-only yes", "SET a c",
	} {
		same(strings.Fields(line)...)
	}
	for _, line := range []string{"MULTI", "SET a b", "EXEC", "MULTI", "GET a", "EXEC"} {
		same(line2(line)...)
	}
	for _, field := range []string{
		"role", "master_host", "master_port", "master_link_status", "master_sync_in_progress", "slave_priority", "slave_read_only",
		"replica_announced", "connected_slaves", "master_failover_state", "master_replid2", "second_repl_offset", "repl_backlog_size",
		"master_link_down_since_seconds", "master_last_io_seconds_ago",
	} {
		if want, got := redis.info(t, field), ours.info(t, field); got != want {
			t.Errorf("INFO %s: %q, want %q", field, got, want)
		}
	}
	same("REPLICAOF", "NO", "ONE")
	same("SET", "a", "d")
	redis.do(t, "CONFIG", "SET", "min-replicas-to-write", "1")
	ours.do(t, "CONFIG", "SET", "min-replicas-to-write", "1")
	same("SET", "a", "e")
	same("GET", "a")
}

func line2(line string) []string { return strings.Fields(line) }

// names are the fields of a section of INFO, in their order.
func (n *node) names(t testing.TB, section string) (names []string) {
	for _, line := range strings.Split(n.do(t, "INFO", section), "\r\n") {
		if name, _, ok := strings.Cut(line, ":"); ok {
			names = append(names, name)
		}
	}
	return names
}

// Redis ─► HyperKV ─► Redis and HyperKV: all have the same stream. When the HyperKV in the
// middle takes over, nothing is lost, and its replicas go on where they were.
func TestReplicationChain(t *testing.T) {
	t.Parallel()
	old := startNode(t, "redis", "--repl-backlog-size", "8mb")
	ours := startNode(t, "hyperkv2", "--repl-backlog-size", "8mb")
	redis, further := startNode(t, "redis"), startNode(t, "hyperkv3", "--aof-enabled=false", "--snapshot-enabled=false")
	links := []*proxy{startProxy(t, old.Addr), startProxy(t, ours.Addr), startProxy(t, ours.Addr)}
	traffic := startTraffic(t, old.Addr, 2)
	ours.follow(t, links[0].addr())
	eventually(t, "the first link is up", func() bool { return ours.info(t, "master_link_status") == "up" })
	redis.follow(t, links[1].addr())
	further.follow(t, links[2].addr())
	for _, n := range []*node{redis, further} {
		eventually(t, "the links are up", func() bool { return n.info(t, "master_link_status") == "up" })
	}
	for i := range 6 {
		time.Sleep(40 * time.Millisecond)
		links[i%3].cut()
	}
	time.Sleep(100 * time.Millisecond)
	traffic.end()
	equal(t, old, ours, redis, further)
	var names []string
	for _, name := range ours.names(t, "replication") {
		if name != "slave0" && name != "slave1" { // the Redis has no replicas
			names = append(names, name)
		}
	}
	if want := redis.names(t, "replication"); fmt.Sprint(names) != fmt.Sprint(want) {
		t.Errorf("INFO replication has %v, want %v", names, want)
	}
	// One may go on with another server that has the same stream, in the middle of it.
	old.do(t, "SELECT", "7")
	old.do(t, "SET", "first", "1")
	equal(t, old, ours, redis, further)
	partial := old.number(t, "sync_partial_ok")
	further.follow(t, old.Addr)
	eventually(t, "it goes on with the first", func() bool { return old.number(t, "sync_partial_ok") == partial+1 })
	old.do(t, "SET", "second", "2") // the stream says no more that it is in database 7
	equal(t, old, ours, redis, further)
	further.follow(t, links[2].addr())
	eventually(t, "it is back", func() bool { return further.info(t, "master_link_status") == "up" })
	old.do(t, "SET", "third", "3")
	equal(t, old, ours, redis, further)
	full := ours.number(t, "sync_full")
	// The cutover: no more writes, all has come, and the HyperKV is its own.
	if reply := ours.do(t, "REPLICAOF", "NO", "ONE"); reply != "OK" {
		t.Fatal(reply)
	}
	if ours.info(t, "master_replid2") != old.info(t, "master_replid") {
		t.Error("the old history is forgotten")
	}
	ours.do(t, "SET", "of", "ours")
	traffic = startTraffic(t, ours.Addr, 2)
	time.Sleep(150 * time.Millisecond)
	traffic.end()
	equal(t, ours, redis, further)
	if n := ours.number(t, "sync_full"); n != full {
		t.Errorf("%d full syncs after the cutover", n-full)
	}
	if old.do(t, "GET", "of") == "ours" {
		t.Error("the old primary has heard of it")
	}
}

// Replicas are listed, and killed as a type; and the primary as another.
func TestReplicationClients(t *testing.T) {
	t.Parallel()
	primary, replica := startNode(t, "hyperkv2"), startNode(t, "hyperkv1", "--replica-announce-ip", "127.0.0.1", "--replica-priority", "7")
	replica.follow(t, primary.Addr)
	up := func() bool {
		return replica.info(t, "master_link_status") == "up" && strings.Contains(primary.info(t, "slave0"), "state=online")
	}
	eventually(t, "the link is up", up)
	if list := primary.do(t, "CLIENT", "LIST", "TYPE", "replica"); !strings.Contains(list, "flags=S ") || strings.Count(list, "\n") != 1 {
		t.Errorf("replicas: %q", list)
	}
	if list := replica.do(t, "CLIENT", "LIST", "TYPE", "master"); !strings.Contains(list, "flags=M ") || !strings.Contains(list, "addr="+primary.Addr+" ") {
		t.Errorf("the primary: %q", list)
	}
	if list := primary.do(t, "CLIENT", "LIST", "TYPE", "normal"); strings.Contains(list, "flags=S") {
		t.Errorf("normal clients: %q", list)
	}
	partial := primary.number(t, "sync_partial_ok")
	if n := primary.do(t, "CLIENT", "KILL", "TYPE", "slave"); n != "1" {
		t.Errorf("killed %s replicas", n)
	}
	eventually(t, "the replica is back", func() bool { return primary.number(t, "sync_partial_ok") == partial+1 && up() })
	if n := replica.do(t, "CLIENT", "KILL", "TYPE", "master"); n != "1" {
		t.Errorf("killed %s primaries", n)
	}
	eventually(t, "the replica is back again", func() bool { return primary.number(t, "sync_partial_ok") == partial+2 && up() })
	if role := primary.do(t, "INFO", "replication"); !strings.Contains(role, "slave0:ip=127.0.0.1,port="+portOf(replica)+",state=online,offset=") {
		t.Errorf("INFO: %s", role)
	}
	if replica.info(t, "slave_priority") != "7" {
		t.Error("the priority is not told")
	}
	// A client that waits in a command that writes is let go when the server becomes a
	// replica.
	waiting := dial(t, primary.Network, primary.Addr)
	if err := waiting.Send("BLPOP", "nothing", "0"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it waits", func() bool { return primary.number(t, "blocked_clients") == 1 })
	replica.do(t, "REPLICAOF", "NO", "ONE")
	primary.follow(t, replica.Addr)
	v, err := waiting.Receive(5 * time.Second)
	if err != nil || v.Err() == nil || !strings.HasPrefix(v.Err().Error(), "UNBLOCKED force unblock from blocking operation") {
		t.Errorf("the client was told %v %v", v, err)
	}
}

func portOf(n *node) string {
	_, port, _ := net.SplitHostPort(n.Addr)
	return port
}

// A key that has expired is absent on a replica, and stays until the primary says that it
// is gone; what the primary does meets it as it was.
func TestReplicationExpiry(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"redis", "hyperkv2"} {
		primary, replica := startNode(t, kind), startNode(t, "hyperkv2")
		primary.do(t, "DEBUG", "SET-ACTIVE-EXPIRE", "0")
		replica.follow(t, primary.Addr)
		eventually(t, "the link is up", func() bool { return replica.info(t, "master_link_status") == "up" })
		primary.do(t, "SET", "k", "v", "PX", "30")
		primary.do(t, "RPUSH", "l", "a")
		primary.do(t, "PEXPIRE", "l", "30")
		eventually(t, "the key has come", func() bool { return replica.do(t, "DBSIZE") == "2" })
		time.Sleep(60 * time.Millisecond)
		if v := replica.do(t, "EXISTS", "k"); v != "0" {
			t.Errorf("%s: an expired key is there: %s", kind, v)
		}
		if n := replica.do(t, "DBSIZE"); n != "2" {
			t.Errorf("%s: the replica has removed it by itself: %s", kind, n)
		}
		primary.do(t, "GET", "k") // which removes it
		eventually(t, "it has gone", func() bool { return replica.do(t, "DBSIZE") == "1" })
		primary.do(t, "RPUSH", "l", "b")
		equal(t, primary, replica)
		if n := primary.do(t, "LLEN", "l"); n != "1" {
			t.Errorf("%s: %s elements", kind, n)
		}
		// On its own, it looks after its keys itself.
		primary.do(t, "SET", "k", "v", "PX", "30")
		eventually(t, "the key has come", func() bool { return replica.do(t, "DBSIZE") == "2" })
		replica.do(t, "REPLICAOF", "NO", "ONE")
		eventually(t, "it has gone", func() bool { return replica.do(t, "DBSIZE") == "1" })
	}
}

// WAIT counts those who have it, and waits no longer than it must.
func TestWaitForReplicas(t *testing.T) {
	t.Parallel()
	primary := startNode(t, "hyperkv2")
	replicas := []*node{startNode(t, "hyperkv1"), startNode(t, "redis")}
	link := startProxy(t, primary.Addr)
	replicas[0].follow(t, primary.Addr)
	replicas[1].follow(t, link.addr())
	eventually(t, "both are online", func() bool { return strings.Count(primary.do(t, "INFO", "replication"), "state=online") == 2 })
	traffic := startTraffic(t, primary.Addr, 2)
	var waits sync.WaitGroup
	for i := range 4 {
		waits.Go(func() {
			c := dial(t, primary.Network, primary.Addr)
			for n := range 40 {
				key, value := "wait:"+strconv.Itoa(i), strconv.Itoa(n)
				if v, err := c.Do("SET", key, value); err != nil || v.Err() != nil {
					continue // SWAPDB and its like are of the traffic, too
				}
				start := time.Now()
				v, err := c.Do("WAIT", "2", "5000")
				if err != nil || v.Int != 2 {
					t.Errorf("WAIT: %v %v", v, err)
					return
				}
				if took := time.Since(start); took > 3*time.Second {
					t.Errorf("WAIT took %v", took)
				}
			}
		})
	}
	waits.Wait()
	traffic.end()
	// Without the second it comes to its time-out, or to CLIENT UNBLOCK.
	link.closed.Store(true)
	link.cut()
	eventually(t, "one is left", func() bool { return primary.info(t, "connected_slaves") == "1" })
	primary.do(t, "SET", "a", "b")
	start := time.Now()
	if n := primary.do(t, "WAIT", "2", "200"); n != "1" || time.Since(start) < 150*time.Millisecond {
		t.Errorf("WAIT 2: %s after %v", n, time.Since(start))
	}
	waiting := dial(t, primary.Network, primary.Addr)
	id, err := waiting.Do("CLIENT", "ID")
	if err != nil {
		t.Fatal(err)
	}
	number := strconv.FormatInt(id.Int, 10)
	for _, how := range []string{"TIMEOUT", "ERROR"} {
		if err := waiting.Send("WAIT", "2", "0"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it waits", func() bool { return primary.do(t, "CLIENT", "UNBLOCK", number, how) == "1" })
		v, err := waiting.Receive(5 * time.Second)
		if err != nil || how == "TIMEOUT" && v.Int != 1 || how == "ERROR" && v.Err() == nil {
			t.Errorf("CLIENT UNBLOCK %s: %v %v", how, v, err)
		}
	}
	// Writes need as many replicas as the settings say, and one is left.
	primary.do(t, "CONFIG", "SET", "min-replicas-to-write", "2")
	if reply := primary.do(t, "SET", "a", "c"); !strings.HasPrefix(reply, "NOREPLICAS ") {
		t.Errorf("with one replica of two: %s", reply)
	}
	if good := primary.info(t, "min_slaves_good_slaves"); good != "1" {
		t.Errorf("%s good replicas", good)
	}
	link.closed.Store(false)
	eventually(t, "writes are accepted again", func() bool { return primary.do(t, "SET", "a", "d") == "OK" })
	equal(t, append([]*node{primary}, replicas...)...)
}

// FAILOVER exchanges the parts of two servers, and no acknowledged write is lost.
func TestFailover(t *testing.T) {
	t.Parallel()
	a, b := startNode(t, "hyperkv2"), startNode(t, "hyperkv3")
	b.follow(t, a.Addr)
	eventually(t, "the link is up", func() bool { return strings.Contains(a.info(t, "slave0"), "state=online") })
	acked := 0
	writing := dial(t, a.Network, a.Addr)
	stop := make(chan struct{})
	var over sync.WaitGroup
	over.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			v, err := writing.Do("INCR", "counter")
			if err != nil || v.Err() != nil {
				return
			}
			acked = int(v.Int)
		}
	})
	time.Sleep(50 * time.Millisecond)
	if reply := a.do(t, "FAILOVER", "TO", "127.0.0.1", portOf(b), "TIMEOUT", "10000"); reply != "OK" {
		t.Fatal(reply)
	}
	eventually(t, "the parts are exchanged", func() bool {
		return a.info(t, "role") == "slave" && b.info(t, "role") == "master" && a.info(t, "master_link_status") == "up" &&
			a.info(t, "master_failover_state") == "no-failover"
	})
	close(stop)
	over.Wait()
	if acked < 10 {
		t.Errorf("only %d writes", acked)
	}
	if n, _ := strconv.Atoi(b.do(t, "GET", "counter")); n != acked {
		t.Errorf("the counter is at %d, and %d was acknowledged", n, acked)
	}
	if v, err := a.c.Do("CONFIG", "GET", "replicaof"); err != nil || len(v.Elems) != 2 || v.Elems[1].Text() != "127.0.0.1 "+portOf(b) {
		t.Errorf("replicaof is %v, %v", v, err)
	}
	if n := b.number(t, "sync_full"); n != 0 {
		t.Errorf("%d full syncs", n)
	}
	b.do(t, "SET", "k", "v")
	equal(t, b, a)
	// One that cannot succeed is given up, and writes go on.
	if err := syscall.Kill(a.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(a.PID, syscall.SIGCONT)
	b.do(t, "SET", "k", "w")
	if reply := b.do(t, "FAILOVER", "TIMEOUT", "300"); reply != "OK" {
		t.Fatal(reply)
	}
	if state := b.info(t, "master_failover_state"); state != "waiting-for-sync" {
		t.Errorf("the state is %s", state)
	}
	if reply := b.do(t, "FAILOVER"); reply != "ERR FAILOVER already in progress." {
		t.Error(reply)
	}
	start := time.Now()
	if reply := b.do(t, "SET", "k", "x"); reply != "OK" || time.Since(start) < 100*time.Millisecond {
		t.Errorf("a write while it lasted: %s after %v", reply, time.Since(start))
	}
	if reply := b.do(t, "FAILOVER"); reply != "OK" {
		t.Error(reply)
	}
	if reply := b.do(t, "FAILOVER", "ABORT"); reply != "OK" {
		t.Error(reply)
	}
	if reply := b.do(t, "SET", "k", "y"); reply != "OK" {
		t.Error(reply)
	}
	// One that is forced does not wait for all that there is, but for the replica.
	if reply := b.do(t, "FAILOVER", "TO", "127.0.0.1", portOf(a), "FORCE", "TIMEOUT", "200"); reply != "OK" {
		t.Fatal(reply)
	}
	eventually(t, "it is under way", func() bool { return b.info(t, "master_failover_state") == "failover-in-progress" })
	_ = syscall.Kill(a.PID, syscall.SIGCONT)
	eventually(t, "the parts are exchanged", func() bool {
		return a.info(t, "role") == "master" && b.info(t, "master_link_status") == "up" && b.info(t, "master_failover_state") == "no-failover"
	})
	a.do(t, "SET", "k", "z")
	equal(t, a, b)
}

// A replica that does not read is given up at its limit, and costs no memory beyond.
func TestDeafReplica(t *testing.T) {
	t.Parallel()
	primary := startNode(t, "hyperkv2", "--client-output-buffer-limit", "replica 8mb 0 0", "--aof-enabled=false", "--snapshot-enabled=false")
	value := strings.Repeat("x", 100_000)
	deaf := dial(t, primary.Network, primary.Addr)
	if err := deaf.Write([]byte("PSYNC ? -1\r\nREPLCONF ACK 0\r\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is served", func() bool { return strings.Contains(primary.info(t, "slave0"), "state=online") })
	if err := deaf.Write([]byte("REPLCONF ACK 0\r\n")); err != nil {
		t.Fatal(err)
	}
	most := 0
	for i := 0; i < 1000 && primary.info(t, "connected_slaves") == "1"; i++ {
		primary.do(t, "SET", "k", value)
		most = max(most, primary.number(t, "mem_clients_slaves"))
	}
	if primary.info(t, "connected_slaves") != "0" {
		t.Error("it is still there after 100 MB")
	}
	if most > 16<<20 || most < 4<<20 {
		t.Errorf("up to %d bytes waited for it", most)
	}
	if n := primary.number(t, "client_output_buffer_limit_disconnections"); n != 1 {
		t.Errorf("%d clients were closed at their limit", n)
	}
}

// The tools of Redis that act as replicas work.
func TestRedisCLIAsReplica(t *testing.T) {
	t.Parallel()
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("there is no redis-cli")
	}
	primary := startNode(t, "hyperkv3")
	traffic := startTraffic(t, primary.Addr, 2)
	time.Sleep(200 * time.Millisecond)
	traffic.end()
	persistAll(t, primary) // a file may be loaded when keys have expired that it has
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(cli, append([]string{"-p", portOf(primary)}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("redis-cli %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("--rdb", filepath.Join(dir, "dump.rdb"))
	redis := startNode(t, "redis", "--dir", dir)
	if want, got := primary.do(t, "DEBUG", "DIGEST"), redis.do(t, "DEBUG", "DIGEST"); got != want {
		t.Errorf("the file's digest is %s, want %s", got, want)
	}
	run("--functions-rdb", filepath.Join(dir, "functions.rdb"))
	if info, err := os.Stat(filepath.Join(dir, "functions.rdb")); err != nil || info.Size() > 1000 {
		t.Errorf("the file of functions: %v %v", info, err)
	}
	follow := exec.Command(cli, "-p", portOf(primary), "--replica")
	var out lockedBuffer
	follow.Stdout = &out
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = follow.Process.Kill()
		_ = follow.Wait()
	}()
	eventually(t, "it shows what happens", func() bool {
		primary.do(t, "SET", "shown", "yes")
		return strings.Contains(out.String(), `"SET","shown","yes"`)
	})
}

// persistAll lets nothing expire.
func persistAll(t testing.TB, n *node) {
	t.Helper()
	for db := range 16 {
		n.do(t, "SELECT", strconv.Itoa(db))
		v, err := n.c.Do("KEYS", "*")
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, key := range v.Elems {
			keys = append(keys, key.Text())
		}
		for _, key := range keys {
			n.do(t, "PERSIST", key)
		}
	}
	n.do(t, "SELECT", "0")
}

// While a replica loads, it says so, and how far it has come; what it had before is there
// until all has come.
func TestReplicaLoading(t *testing.T) {
	t.Parallel()
	primary, replica := startNode(t, "hyperkv2"), startNode(t, "hyperkv2")
	primary.do(t, "DEBUG", "POPULATE", "300000", "key", "20")
	replica.do(t, "SET", "before", "yes")
	replica.follow(t, primary.Addr)
	before, loading := false, false
	for replica.info(t, "master_link_status") != "up" {
		switch reply := replica.do(t, "GET", "before"); {
		case reply == "yes":
			before = true
		case reply == "LOADING Redis is loading the dataset in memory":
			text := replica.do(t, "INFO", "persistence")
			if !strings.Contains(text, "loading:1\r\n") {
				continue // it is over by now
			}
			for _, field := range []string{"loading_start_time:", "loading_total_bytes:", "loading_loaded_bytes:", "loading_loaded_perc:", "loading_eta_seconds:"} {
				if !strings.Contains(text, field) {
					t.Fatalf("INFO lacks %s: %s", field, text)
				}
			}
			if reply := replica.do(t, "PING"); reply != "LOADING Redis is loading the dataset in memory" {
				if reply != "PONG" {
					t.Errorf("PING: %s", reply)
				}
			}
			loading = true
		}
	}
	if !before || !loading {
		t.Errorf("seen before: %v, while loading: %v", before, loading)
	}
	equal(t, primary, replica)
}

// lockedBuffer is a bytes.Buffer that may be read while it is written. Safe for
// concurrent use.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Either side may be killed at any moment.
func TestReplicationKilled(t *testing.T) {
	t.Parallel()
	dirs := []string{t.TempDir(), t.TempDir()}
	primary := startNode(t, "hyperkv2", "--data-dir", dirs[0])
	link := startProxy(t, primary.Addr)
	start := func() *node {
		host, port, _ := net.SplitHostPort(link.addr())
		return startNode(t, "hyperkv3", "--data-dir", dirs[1], "--replicaof", host+" "+port)
	}
	replica := start()
	traffic := startTraffic(t, primary.Addr, 2)
	for range 3 {
		time.Sleep(150 * time.Millisecond)
		kill(t, replica.Server)
		replica = start()
		eventually(t, "the link is up", func() bool { return replica.info(t, "master_link_status") == "up" })
	}
	traffic.end()
	equal(t, primary, replica)
	digest := primary.do(t, "DEBUG", "DIGEST")
	kill(t, primary.Server)
	eventually(t, "the link is down", func() bool { return replica.info(t, "master_link_status") == "down" })
	if got := replica.do(t, "DEBUG", "DIGEST"); got != digest {
		t.Error("the replica has lost something with its primary")
	}
	again := startNode(t, "hyperkv2", "--data-dir", dirs[0])
	link.target.Store(&again.Addr)
	again.do(t, "SET", "back", "yes")
	eventually(t, "the link is up", func() bool { return replica.info(t, "master_link_status") == "up" })
	equal(t, again, replica)
	// What a replica has, it keeps, all of it.
	persistAll(t, again)
	equal(t, again, replica)
	digest = replica.do(t, "DEBUG", "DIGEST")
	kill(t, replica.Server)
	kill(t, again.Server)
	alone := startNode(t, "hyperkv1", "--data-dir", dirs[1])
	if got := alone.do(t, "DEBUG", "DIGEST"); got != digest || alone.do(t, "GET", "back") != "yes" {
		t.Errorf("the replica has kept %s, and had %s", got, digest)
	}
}
