package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"hyperkv/internal/testkit"
)

// What people connect with works as it does with Redis, without a special case.

func TestGoRedis(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			_, addr := inProcess(t, testkit.ServerOptions{Shards: 3, Inline: true})
			c := redis.NewClient(&redis.Options{Addr: addr, Protocol: protocol, ClientName: "test"})
			defer c.Close()
			testGoRedis(t, c)
		})
	}
}

func testGoRedis(t *testing.T, c *redis.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	is := func(got any, err error, want any) {
		t.Helper()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	v1, err := c.Set(ctx, "a", "value", time.Hour).Result()
	is(v1, err, "OK")
	v1, err = c.Get(ctx, "a").Result()
	is(v1, err, "value")
	if _, err := c.Get(ctx, "nothing").Result(); !errors.Is(err, redis.Nil) {
		t.Errorf("%v", err)
	}
	ttl, err := c.TTL(ctx, "a").Result()
	is(ttl, err, time.Hour)
	n, err := c.IncrBy(ctx, "n", 5).Result()
	is(n, err, 5)
	f, err := c.IncrByFloat(ctx, "f", 1.25).Result()
	is(f, err, 1.25)
	set, err := c.SetNX(ctx, "a", "x", 0).Result()
	is(set, err, false)
	all, err := c.MGet(ctx, "a", "nothing", "n").Result()
	is(all, err, "[value <nil> 5]")
	v1, err = c.MSet(ctx, "m1", "1", "m2", "2", "m3", "3").Result()
	is(v1, err, "OK")
	bits, err := c.BitCount(ctx, "a", nil).Result()
	is(bits, err, 21)
	fields, err := c.BitField(ctx, "bits", "SET", "u8", "0", "200", "INCRBY", "u8", "0", "100").Result()
	is(fields, err, "[0 44]")
	lcs, err := c.LCS(ctx, &redis.LCSQuery{Key1: "m1", Key2: "m1", Len: true}).Result()
	if err != nil || lcs.Len != 1 {
		t.Errorf("%+v, %v", lcs, err)
	}
	name, err := c.ClientGetName(ctx).Result()
	is(name, err, "test")
	if err := c.Do(ctx, "NOSUCHCOMMAND").Err(); err == nil || !strings.HasPrefix(err.Error(), "ERR unknown command 'NOSUCHCOMMAND'") {
		t.Errorf("%v", err)
	}

	// A pipeline over many keys, so over all shards, in the order in which it was sent.
	var replies []*redis.StringCmd
	const depth = 1000
	_, err = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range depth {
			p.Set(ctx, "p:"+strconv.Itoa(i), i, 0)
			replies = append(replies, p.Get(ctx, "p:"+strconv.Itoa(i)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range replies {
		if r.Val() != strconv.Itoa(i) {
			t.Fatalf("reply %d is %q", i, r.Val())
		}
	}
	var keys []string
	for it := c.Scan(ctx, 0, "p:*", 100).Iterator(); it.Next(ctx); {
		keys = append(keys, it.Val())
	}
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) != depth {
		t.Errorf("SCAN found %d keys of %d", len(keys), depth)
	}

	// MULTI and EXEC in a pipeline.
	var sum *redis.IntCmd
	_, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "t1", 1, 0)
		p.Set(ctx, "t2", 2, 0)
		sum = p.IncrBy(ctx, "t1", 41)
		return nil
	})
	is(sum.Val(), err, 42)

	// Optimistic locking: no count is lost.
	const workers, rounds = 8, 25
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				for {
					err := c.Watch(ctx, func(tx *redis.Tx) error {
						n, err := tx.Get(ctx, "counter").Int()
						if err != nil && !errors.Is(err, redis.Nil) {
							return err
						}
						_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
							p.Set(ctx, "counter", n+1, 0)
							p.Incr(ctx, "shadow")
							return nil
						})
						return err
					}, "counter", "shadow")
					if errors.Is(err, redis.TxFailedErr) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					break
				}
			}
		})
	}
	wg.Wait()
	v1, err = c.Get(ctx, "counter").Result()
	is(v1, err, workers*rounds)
	v1, err = c.Get(ctx, "shadow").Result()
	is(v1, err, workers*rounds)
}

func TestRueidis(t *testing.T) {
	_, addr := inProcess(t, testkit.ServerOptions{Shards: 3, Inline: true})
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	if err := c.Do(ctx, c.B().Set().Key("a").Value("1").Ex(time.Hour).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Do(ctx, c.B().Incr().Key("a").Build()).AsInt64(); n != 2 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if err := c.Do(ctx, c.B().Get().Key("nothing").Build()).Error(); !rueidis.IsRedisNil(err) {
		t.Errorf("%v", err)
	}
	// It pipelines by itself what many goroutines ask over one connection.
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 200 {
				key := fmt.Sprintf("k:%d:%d", w, i)
				if err := c.Do(ctx, c.B().Set().Key(key).Value(key).Build()).Error(); err != nil {
					t.Error(err)
					return
				}
				if got, err := c.Do(ctx, c.B().Get().Key(key).Build()).ToString(); got != key || err != nil {
					t.Errorf("%s: %s %v", key, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	var commands rueidis.Commands
	for i := range 500 {
		commands = append(commands, c.B().Set().Key("p"+strconv.Itoa(i)).Value(strconv.Itoa(i)).Build(),
			c.B().Get().Key("p"+strconv.Itoa(i)).Build())
	}
	for i, r := range c.DoMulti(ctx, commands...) {
		if got, err := r.ToString(); err != nil || i%2 == 1 && got != strconv.Itoa(i/2) {
			t.Fatalf("reply %d: %q %v", i, got, err)
		}
	}
	if got, err := c.Do(ctx, c.B().Mget().Key("p1", "p2", "nothing").Build()).ToArray(); err != nil || len(got) != 3 || !got[2].IsNil() {
		t.Errorf("%v %v", got, err)
	}
	err = c.Dedicated(func(d rueidis.DedicatedClient) error {
		if err := d.Do(ctx, d.B().Watch().Key("a").Build()).Error(); err != nil {
			return err
		}
		replies := d.DoMulti(ctx, d.B().Multi().Build(), d.B().Incr().Key("a").Build(),
			d.B().Set().Key("b").Value("x").Build(), d.B().Exec().Build())
		all, err := replies[3].ToArray()
		if err != nil {
			return err
		}
		if n, err := all[0].AsInt64(); n != 3 || err != nil {
			return fmt.Errorf("%d %v", n, err)
		}
		// Somebody else's write makes EXEC answer nil.
		if err := d.Do(ctx, d.B().Watch().Key("a").Build()).Error(); err != nil {
			return err
		}
		if err := c.Do(ctx, c.B().Set().Key("a").Value("9").Build()).Error(); err != nil {
			return err
		}
		replies = d.DoMulti(ctx, d.B().Multi().Build(), d.B().Incr().Key("a").Build(), d.B().Exec().Build())
		if err := replies[2].Error(); !rueidis.IsRedisNil(err) {
			return fmt.Errorf("EXEC after a change: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// What a person types into nc.
func TestBareHands(t *testing.T) {
	_, addr := inProcess(t, testkit.ServerOptions{Shards: 2, Inline: true})
	for said, want := range map[string]string{
		"PING\n":                           "+PONG\r\n",
		"PING\r\nPING hello\r\n":           "+PONG\r\n$5\r\nhello\r\n",
		"set \"a key\" 'v'\nget 'a key'\n": "+OK\r\n$1\r\nv\r\n",
		"\n\r\n\nPING\nQUIT\n":             "+PONG\r\n+OK\r\n",
		"*1\r\n$4\r\nPING\r\nECHO x\n":     "+PONG\r\n$1\r\nx\r\n",
		"SET k \"unbalanced\n":             "-ERR Protocol error: unbalanced quotes in request\r\n",
		"GET\nPING\n":                      "-ERR wrong number of arguments for 'get' command\r\n+PONG\r\n",
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, said); err != nil {
			t.Fatal(err)
		}
		// nc tells the other side that it has nothing more to say, and reads on.
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		got, err := io.ReadAll(conn)
		conn.Close()
		if string(got) != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", said, got, err, want)
		}
	}
}

func TestRedisCLI(t *testing.T) {
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed")
	}
	_, addr := inProcess(t, testkit.ServerOptions{Shards: 3, Inline: true})
	_, port, _ := net.SplitHostPort(addr)
	run := func(stdin string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, cli, append([]string{"-h", "127.0.0.1", "-p", port}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("redis-cli %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	expect := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	expect(run("", "SET", "a", "1"), "OK\n")
	expect(run("", "-3", "GET", "nothing"), "\n")
	expect(run("GET a\nINCR a\nSELECT 2\nGET a\n"), "1\n2\nOK\n\n")
	expect(run("MULTI\nINCR a\nDISCARD\nGET a\n"), "OK\nQUEUED\nOK\n2\n")
	expect(run("value from a pipe", "-x", "SET", "piped"), "OK\n")
	expect(run("", "-n", "3", "DBSIZE"), "0\n")

	// Bulk loading, the way the documentation says.
	var protocol strings.Builder
	w := bufio.NewWriter(&protocol)
	for i := range 50_000 {
		key := "bulk:" + strconv.Itoa(i)
		fmt.Fprintf(w, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\nx\r\n", len(key), key)
	}
	w.Flush()
	if out := run(protocol.String(), "--pipe"); !strings.Contains(out, "errors: 0, replies: 50000") {
		t.Errorf("--pipe: %s", out)
	}
	if keys := strings.Fields(run("", "--scan", "--pattern", "bulk:*")); len(keys) != 50_000 {
		t.Errorf("--scan: %d keys", len(keys))
	}
	expect(run("", "--scan", "--pattern", "a"), "a\n")
	// Completion and help read COMMAND DOCS, at the start of a session with a
	// terminal; this is what they ask.
	if out := run("", "-3", "COMMAND", "DOCS", "get"); !strings.Contains(out, "summary") || !strings.Contains(out, "arguments") {
		t.Errorf("COMMAND DOCS: %s", out)
	}
	if out := run("", "COMMAND", "COUNT"); strings.TrimSpace(out) < "100" && len(strings.TrimSpace(out)) < 3 {
		t.Errorf("COMMAND COUNT: %s", out)
	}
	if out := run("", "INFO", "server"); !strings.Contains(out, "redis_version:7.4.") {
		t.Errorf("INFO: %s", out)
	}
	if out := run("", "--latency", "-i", "0"); out == "" {
		t.Log("no --latency without a terminal")
	}
}
