package main

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

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
		// Something of the traffic may have expired meanwhile.
		if err != nil || how == "TIMEOUT" && (v.Err() != nil || v.Int > 1) || how == "ERROR" && v.Err() == nil {
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

// WAITAOF counts the replicas that have a log and have synced it.
func TestWaitAOFReplicas(t *testing.T) {
	t.Parallel()
	primary := startNode(t, "hyperkv2")
	logged, memory, redis := startNode(t, "hyperkv3"), startNode(t, "hyperkv1", "--aof-enabled=false"), startNode(t, "redis")
	c := primary.c
	// Who waits before there is any replica is answered when the first has its copy on its disk.
	early := dial(t, primary.Network, primary.Addr)
	expect(t, early, "OK", "SET", "early", "1")
	if err := early.Send("WAITAOF", "1", "1", "0"); err != nil {
		t.Fatal(err)
	}
	logged.follow(t, primary.Addr)
	if v, err := early.Receive(20 * time.Second); err != nil || len(v.Elems) != 2 || v.Elems[0].Int != 1 || v.Elems[1].Int != 1 {
		t.Fatalf("the first replica: %v %v", v, err)
	}
	memory.follow(t, primary.Addr)
	redis.follow(t, primary.Addr)
	eventually(t, "all are online", func() bool {
		return strings.Count(primary.info(t, "slave0")+primary.info(t, "slave1")+primary.info(t, "slave2"), "state=online") == 3
	})
	for i := range 20 {
		expect(t, c, "OK", "SET", "a", strconv.Itoa(i))
		began := time.Now()
		expect(t, c, "1) (integer) 1\n2) (integer) 1", "WAITAOF", "1", "1", "0")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("WAITAOF took %v", took)
		}
	}
	// One has no log and the other does not say: they have it, and do not count.
	expect(t, c, "OK", "SET", "a", "b")
	expect(t, c, "(integer) 3", "WAIT", "3", "0")
	began := time.Now()
	expect(t, c, "1) (integer) 1\n2) (integer) 1", "WAITAOF", "1", "2", "1500")
	if took := time.Since(began); took < 1500*time.Millisecond {
		t.Errorf("replicas that do not count were waited for %v", took)
	}
	// Inside MULTI it does not wait.
	expect(t, c, "OK", "MULTI")
	expect(t, c, "QUEUED", "WAITAOF", "0", "3", "0")
	expect(t, c, "1) 1) (integer) 1\n   2) (integer) 1", "EXEC")
	expect(t, c, "OK", "MULTI")
	expect(t, c, "QUEUED", "SET", "a", "c")
	expect(t, c, "QUEUED", "WAITAOF", "0", "1", "0")
	if reply := ask(t, c, "EXEC"); !strings.HasPrefix(reply, "1) OK\n2) 1) (integer) ") {
		t.Errorf("EXEC: %s", reply)
	}
	// The log of one is switched on, and that of the primary off.
	if err := early.Send("WAITAOF", "0", "2", "0"); err != nil {
		t.Fatal(err)
	}
	memory.do(t, "CONFIG", "SET", "appendonly", "yes")
	if v, err := early.Receive(20 * time.Second); err != nil || len(v.Elems) != 2 || v.Elems[1].Int != 2 {
		t.Fatalf("a log that was switched on: %v %v", v, err)
	}
	primary.do(t, "CONFIG", "SET", "appendonly", "no")
	eventually(t, "the primary's log is off", func() bool { return primary.info(t, "aof_enabled") == "0" })
	expect(t, c, "OK", "SET", "a", "d")
	expect(t, c, "1) (integer) 0\n2) (integer) 2", "WAITAOF", "0", "2", "0")
	// Who becomes a replica has nothing to wait for any more.
	if err := early.Send("WAITAOF", "0", "3", "0"); err != nil {
		t.Fatal(err)
	}
	waiting := dial(t, primary.Network, primary.Addr)
	if err := waiting.Send("WAIT", "4", "0"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both wait", func() bool { return primary.info(t, "blocked_clients") == "2" })
	logged.do(t, "REPLICAOF", "NO", "ONE")
	primary.follow(t, logged.Addr)
	for _, c := range []*testkit.Conn{early, waiting} {
		if v, err := c.Receive(20 * time.Second); err != nil || v.Err() == nil || !strings.HasPrefix(v.Err().Error(), "UNBLOCKED ") {
			t.Errorf("the primary has become a replica: %v %v", v, err)
		}
	}
	expect(t, c, "(error) ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.",
		"WAITAOF", "0", "0", "0")
}

// What a replica says of its disk is taken as it says it.
func TestWaitAOFSaid(t *testing.T) {
	t.Parallel()
	primary := startNode(t, "hyperkv2")
	c := primary.c
	replica := dial(t, primary.Network, primary.Addr)
	say := func(words string) {
		t.Helper()
		if err := replica.Write([]byte("REPLCONF ACK " + words + "\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := replica.Write([]byte("PSYNC ? -1\r\n")); err != nil {
		t.Fatal(err)
	}
	say("0")
	eventually(t, "it is online", func() bool {
		say("0")
		return strings.Contains(primary.info(t, "slave0"), "state=online")
	})
	expect(t, c, "OK", "SET", "a", "b")
	end := primary.info(t, "master_repl_offset")
	waiting := dial(t, primary.Network, primary.Addr)
	if err := waiting.Send("WAITAOF", "0", "1", "0"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it waits", func() bool { return primary.info(t, "blocked_clients") == "1" })
	for _, words := range []string{end, end + " FACK 0", end + " FACK x", end + " FAKE " + end, "x FACK " + end} {
		say(words)
		if v, err := waiting.Receive(50 * time.Millisecond); err == nil {
			t.Fatalf("REPLCONF ACK %s was enough: %v", words, v)
		}
	}
	expect(t, c, "1) (integer) 1\n2) (integer) 0", "WAITAOF", "1", "1", "50")
	say(end + " FACK " + end)
	if v, err := waiting.Receive(10 * time.Second); err != nil || len(v.Elems) != 2 || v.Elems[1].Int != 1 {
		t.Errorf("it has synced it: %v %v", v, err)
	}
	say("0 FACK 0") // late
	expect(t, c, "1) (integer) 1\n2) (integer) 1", "WAITAOF", "1", "1", "0")
	expect(t, c, "OK", "SET", "a", "c")
	expect(t, c, "OK", "MULTI")
	expect(t, c, "QUEUED", "WAITAOF", "0", "1", "0")
	if reply := ask(t, c, "EXEC"); !strings.HasSuffix(reply, "2) (integer) 0") {
		t.Errorf("EXEC: %s", reply)
	}
}

// A replica does not say that it has synced what its disk has not taken yet.
func TestWaitAOFSlowDisk(t *testing.T) {
	t.Parallel()
	testkit.MayTrace(t)
	primary, replica := startNode(t, "hyperkv2"), startNode(t, "hyperkv2", "--aof-fsync-policy", "no")
	replica.follow(t, primary.Addr)
	expect(t, primary.c, "OK", "SET", "a", "b")
	expect(t, primary.c, "1) (integer) 1\n2) (integer) 1", "WAITAOF", "1", "1", "0")
	// A sync takes a second, and the link does not wait for it.
	end := testkit.Inject(t, replica.PID, "fdatasync:retval=0:delay_enter=1000000")
	expect(t, primary.c, "OK", "SET", "a", "c")
	began := time.Now()
	expect(t, primary.c, "(integer) 1", "WAIT", "1", "0")
	if took := time.Since(began); took > 700*time.Millisecond {
		t.Errorf("WAIT took %v", took)
	}
	expect(t, primary.c, "1) (integer) 1\n2) (integer) 0", "WAITAOF", "1", "1", "200")
	expect(t, primary.c, "1) (integer) 1\n2) (integer) 1", "WAITAOF", "1", "1", "0")
	if took := time.Since(began); took < time.Second {
		t.Errorf("the replica had synced after %v", took)
	}
	end()
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
	eventually(t, "it has stopped", func() bool {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(a.PID) + "/status")
		return err != nil || strings.Contains(string(status), "State:\tT")
	})
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
