package main

import (
	"fmt"
	"net"
	"strings"
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
		same(strings.Fields(line)...)
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
	// With another history, the replica has to begin anew.
	full := primary.number(t, "sync_full")
	primary.do(t, "DEBUG", "CHANGE-REPL-ID")
	primary.do(t, "CLIENT", "KILL", "TYPE", "replica")
	eventually(t, "the replica has a new history", func() bool {
		return primary.number(t, "sync_full") == full+1 && replica.info(t, "master_replid") == primary.info(t, "master_replid") && up()
	})
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
