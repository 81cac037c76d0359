package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/difftest"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

// redisServer starts a redis-server in a directory, with a client of it.
func redisServer(t *testing.T, dir string, flags ...string) (*testkit.Server, *testkit.Conn) {
	t.Helper()
	server := testkit.StartRedis(t, append([]string{"--dir", dir}, flags...)...)
	if server == nil {
		t.Skip("there is no redis-server to move data from and to")
	}
	return server, connect(t, server)
}

var connect, do = testkit.Connect, testkit.Must

// populate gives a server values of all types, large ones among them, in some databases.
func populate(t *testing.T, c *testkit.Conn, seed uint64) {
	t.Helper()
	steps, err := difftest.Steps(seed, difftest.Families, time.Now(), 1500)
	if err != nil {
		t.Fatal(err)
	}
	expiring := []string{"EXPIRE", "EX", "PX", "SETEX"} // nothing may go while it is compared
	for _, st := range steps {
		switch name := strings.ToUpper(st.Args[0]); {
		case name == "FLUSHDB", name == "SWAPDB", name == "MULTI", name == "WATCH",
			slices.ContainsFunc(expiring, func(word string) bool { return strings.Contains(strings.ToUpper(strings.Join(st.Args, " ")), word) }):
			continue
		}
		if _, err := c.Do(st.Args...); err != nil {
			t.Fatalf("%q: %v", st.Args, err)
		}
	}
	do(t, c, "SELECT", "3")
	do(t, c, "DEL", "large:list", "large:set", "large:intset", "large:zset", "large:hash", "large:stream", "empty:stream", "ended:stream")
	r := rand.New(rand.NewPCG(seed, 41))
	for i := range 1200 {
		n := strconv.Itoa(i)
		binary := strconv.FormatUint(r.Uint64(), 36) + string([]byte{byte(r.Uint32()), 0, '\n', '"'})
		do(t, c, "RPUSH", "large:list", n, binary)
		do(t, c, "SADD", "large:set", n+binary)
		do(t, c, "SADD", "large:intset", n)
		do(t, c, "ZADD", "large:zset", strconv.FormatFloat(r.NormFloat64(), 'g', -1, 64), binary)
		do(t, c, "HSET", "large:hash", "f"+n, binary)
		do(t, c, "XADD", "large:stream", "5-"+strconv.Itoa(i+1), "f", binary)
	}
	do(t, c, "ZADD", "large:zset", "inf", "a", "-inf", "b", "1e300", "c")
	do(t, c, "SET", "large:string", strings.Repeat("0123456789", 50_000))
	do(t, c, "PEXPIREAT", "large:hash", "4000000000000")
	do(t, c, "XGROUP", "CREATE", "large:stream", "g", "5-3", "ENTRIESREAD", "3")
	do(t, c, "XGROUP", "CREATE", "large:stream", "h", "0")
	do(t, c, "XREADGROUP", "GROUP", "g", "c1", "COUNT", "5", "STREAMS", "large:stream", ">")
	do(t, c, "XREADGROUP", "GROUP", "h", "c2", "COUNT", "900", "STREAMS", "large:stream", ">")
	do(t, c, "XCLAIM", "large:stream", "h", "c3", "0", "5-7", "5-8", "RETRYCOUNT", "7", "TIME", "1700000000000")
	do(t, c, "XDEL", "large:stream", "5-1000", "5-1200")
	do(t, c, "XGROUP", "CREATE", "empty:stream", "g", "$", "MKSTREAM")
	do(t, c, "XADD", "ended:stream", "7-7", "f", "v")
	do(t, c, "XDEL", "ended:stream", "7-7")
	do(t, c, "SELECT", "0")
}

// streams is what servers know of streams beside their entries, which digests leave out.
func streams(t *testing.T, c *testkit.Conn) (all []string) {
	t.Helper()
	for db := range 16 {
		do(t, c, "SELECT", strconv.Itoa(db))
		var keys []string // what was answered is borrowed
		for _, e := range do(t, c, "KEYS", "*").Elems {
			keys = append(keys, e.Text())
		}
		for _, key := range keys {
			if do(t, c, "TYPE", key).Text() != "stream" {
				continue
			}
			v := do(t, c, "XINFO", "STREAM", key, "FULL", "COUNT", "0")
			all = append(all, fmt.Sprintf("%d %q %s", db, key, known(v)))
		}
	}
	do(t, c, "SELECT", "0")
	slices.Sort(all)
	return all
}

// known is a reply without what depends on when and how.
func known(v resp.Value) string {
	if len(v.Elems) == 0 {
		return v.String()
	}
	var b strings.Builder
	for i := 0; i < len(v.Elems); i++ {
		switch v.Elems[i].Text() {
		case "radix-tree-keys", "radix-tree-nodes", "entries", "seen-time", "active-time":
			i++
			continue
		}
		b.WriteString("[" + known(v.Elems[i]) + "]")
	}
	return b.String()
}

func alike(t *testing.T, what string, have, want *testkit.Conn) {
	t.Helper()
	h, w := do(t, have, "DEBUG", "DIGEST").Text(), do(t, want, "DEBUG", "DIGEST").Text()
	if h != w {
		t.Errorf("%s: the digest is %s, want %s", what, h, w)
	}
	if h, w := streams(t, have), streams(t, want); !slices.Equal(h, w) {
		t.Errorf("%s: streams are\n%.3000s\nwant\n%.3000s", what, strings.Join(h, "\n"), strings.Join(w, "\n"))
	}
}

func moved(t *testing.T, s Source, target Target) {
	t.Helper()
	err := s.Copy(context.Background(), target)
	if err == nil {
		err = target.End()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func server(t *testing.T, s *testkit.Server, o ServerOptions) *Server {
	t.Helper()
	target, err := NewServer(context.Background(), Address{Host: s.Addr}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(target.Close)
	return target
}

// Data goes from a server into a file, from there by every way into another, and is the
// same in the end.
func TestAllWays(t *testing.T) {
	dir := t.TempDir()
	from, c := redisServer(t, dir)
	populate(t, c, 1)
	do(t, c, "FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 7 end)")
	do(t, c, "SAVE")
	dump := RDB{Path: filepath.Join(dir, "dump.rdb")}
	to, other := redisServer(t, t.TempDir())
	for what, way := range map[string]func() Target{
		"RESTORE": func() Target { return server(t, to, ServerOptions{Flush: true}) },
		"RESTORE in the place of others": func() Target {
			populate(t, other, 2)
			do(t, other, "SELECT", "0")
			return server(t, to, ServerOptions{Replace: true})
		},
		"commands": func() Target {
			do(t, other, "FUNCTION", "FLUSH")
			s := server(t, to, ServerOptions{Flush: true})
			s.longest = 0
			return s
		},
	} {
		if what == "RESTORE" {
			do(t, other, "FUNCTION", "FLUSH")
		}
		moved(t, dump, way())
		if strings.Contains(what, "place") {
			removeOthers(t, other, c)
		}
		alike(t, what, other, c)
		if n := do(t, other, "FCALL", "f", "0").Int; n != 7 {
			t.Errorf("%s: the function answers %d", what, n)
		}
	}
	// By the commands in a file.
	do(t, other, "FLUSHALL")
	do(t, other, "FUNCTION", "FLUSH")
	var out bytes.Buffer
	moved(t, dump, NewRESP(&out))
	send(t, connect(t, to), out.Bytes())
	alike(t, "a file of commands", other, c)
	// By an RDB file that was written anew.
	file, err := os.Create(filepath.Join(t.TempDir(), "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	moved(t, dump, NewRDBFile(file, 10, [2]string{"redis-ver", "7.0.0"}))
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	_, last := redisServer(t, filepath.Dir(file.Name()))
	alike(t, "an RDB file", last, c)
	if n := do(t, last, "FCALL", "f", "0").Int; n != 7 {
		t.Errorf("an RDB file: the function answers %d", n)
	}
	// And from the server itself, from memory and by way of its disk.
	for _, diskless := range []string{"yes", "no"} {
		do(t, c, "CONFIG", "SET", "repl-diskless-sync", diskless, "repl-diskless-sync-delay", "0")
		sync := Sync{Address: Address{Host: from.Addr}}
		moved(t, sync, server(t, to, ServerOptions{Flush: true, Replace: true}))
		alike(t, "SYNC, diskless "+diskless, other, c)
		saved := filepath.Join(t.TempDir(), "dump.rdb")
		file, err := os.Create(saved)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(sync.Save(context.Background(), file, Nowhere{}), file.Close()); err != nil {
			t.Fatal(err)
		}
		_, last := redisServer(t, filepath.Dir(saved))
		alike(t, "SYNC saved, diskless "+diskless, last, c)
	}
}

// removeOthers deletes what one server has and another has not.
func removeOthers(t *testing.T, of, than *testkit.Conn) {
	t.Helper()
	for db := range 16 {
		do(t, of, "SELECT", strconv.Itoa(db))
		do(t, than, "SELECT", strconv.Itoa(db))
		var keys []string
		for _, e := range do(t, of, "KEYS", "*").Elems {
			keys = append(keys, e.Text())
		}
		for _, key := range keys {
			if do(t, than, "EXISTS", key).Int == 0 {
				do(t, of, "DEL", key)
			}
		}
	}
	do(t, of, "SELECT", "0")
	do(t, than, "SELECT", "0")
}

// send sends commands as they are, and expects that none is refused.
func send(t *testing.T, c *testkit.Conn, commands []byte) {
	t.Helper()
	var p resp.Parser
	for len(commands) > 0 {
		// Some at a time, so that replies do not stand in the way.
		end, count := 0, 0
		for count < 100 && end < len(commands) {
			_, n, err := p.Next(commands[end:], nil, nil)
			if n == 0 || err != nil {
				t.Fatalf("%.100q: %v", commands[end:], err)
			}
			end += n
			count++
		}
		if err := c.Write(commands[:end]); err != nil {
			t.Fatal(err)
		}
		for range count {
			v, err := c.Receive(10 * time.Second)
			if err == nil {
				err = v.Err()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		commands = commands[end:]
	}
}
