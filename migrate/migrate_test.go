package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/difftest"
	"hyperkv/internal/rdb"
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

func connect(t *testing.T, server *testkit.Server) *testkit.Conn {
	t.Helper()
	c, err := testkit.Dial(server.Network, server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func do(t *testing.T, c *testkit.Conn, args ...string) resp.Value {
	t.Helper()
	v, err := c.Do(args...)
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		t.Fatalf("%.200q: %v", args, err)
	}
	return v
}

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

// keys is a Source of strings, and of one value of any kind.
type keys struct {
	names    []string
	database int
	form     rdb.Type
	raw      string
	deadline int64
	idle     int64
}

func (s keys) Copy(_ context.Context, t Target) error {
	for _, name := range s.names {
		k := rdb.Key{Database: s.database, Name: []byte(name), Type: s.form, Deadline: s.deadline, Idle: -1, Frequency: -1}
		if s.idle > 0 {
			k.Idle = s.idle
		}
		raw := s.raw
		if raw == "" {
			raw = "\x05value"
		}
		if err := t.Key(&k, []byte(raw)); err != nil {
			return err
		}
	}
	return nil
}

func TestServerRefuses(t *testing.T) {
	to, c := redisServer(t, t.TempDir())
	f := func(s Source, o ServerOptions, words ...string) {
		t.Helper()
		target, err := NewServer(context.Background(), Address{Host: to.Addr}, o)
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		if err = s.Copy(context.Background(), target); err == nil {
			err = target.End()
		}
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%v does not say %q", err, word)
			}
		}
	}
	do(t, c, "SET", "b", "old")
	f(keys{names: []string{"a", "b", "c"}}, ServerOptions{}, `"b"`, "database 0", "there already", "BUSYKEY")
	f(keys{names: []string{strings.Repeat("long", 100)}, form: rdb.TypeSet, raw: "\x02\x01a\x01a"}, ServerOptions{}, `the key "longlong`, "ERR")
	f(keys{names: []string{"a"}, database: 16}, ServerOptions{}, "SELECT 16", `"a"`, "out of range")
	f(keys{names: []string{"h"}, form: rdb.TypeHashMetadata, raw: "\x88\x13\x00\x00\x00\x00\x00\x00\x01\x01\x01f\x01v"}, ServerOptions{}, `"h"`, "HPEXPIREAT")
	f(keys{names: []string{"m"}, form: rdb.TypeSetListpack, raw: "\x01x"}, ServerOptions{}, `"m"`, "listpack")
	if have := do(t, c, "GET", "b").Text(); have != "old" {
		t.Errorf("b is %q", have)
	}
	// What is too long for RESTORE is not put into what is there.
	target := server(t, to, ServerOptions{})
	target.longest = 0
	if err := (keys{names: []string{"b"}}).Copy(context.Background(), target); err == nil || !strings.Contains(err.Error(), "there already") {
		t.Error(err)
	}
	// Many keys, of which the last is refused: no reply is lost sight of.
	many := keys{}
	for i := range 20_000 {
		many.names = append(many.names, "many"+strconv.Itoa(i))
	}
	many.names = append(many.names, "b")
	f(many, ServerOptions{}, `"b"`)
	f(many, ServerOptions{}, `"many0"`)

	ctx := context.Background()
	refused := func(a Address, words ...string) {
		t.Helper()
		_, err := NewServer(ctx, a, ServerOptions{})
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%v does not say %q", err, word)
			}
		}
	}
	refused(Address{Host: "nonsense"}, "nonsense", "HOST:PORT")
	refused(Address{Host: "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))}, "refused")
	refused(Address{Host: filepath.Join(t.TempDir(), "socket")}, "socket")
	do(t, c, "ACL", "SETUSER", "alice", "on", ">secret", "+@all", "~*")
	do(t, c, "CONFIG", "SET", "requirepass", "default")
	refused(Address{Host: to.Addr}, "PING", "NOAUTH")
	refused(Address{Host: to.Addr, Password: "wrong"}, "AUTH", "WRONGPASS")
	for _, a := range []Address{{Host: to.Addr, Password: "default"}, {Host: to.Addr, User: "alice", Password: "secret"}} {
		target, err := NewServer(ctx, a, ServerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		target.Close()
	}
}

// What goes by RESTORE goes with all that is known of a key.
func TestServerKeepsUsage(t *testing.T) {
	to, c := redisServer(t, t.TempDir(), "--unixsocket", filepath.Join(t.TempDir(), "s"))
	moved(t, keys{names: []string{"a"}, idle: 1000, deadline: 4_000_000_000_000}, server(t, to, ServerOptions{}))
	if n := do(t, c, "OBJECT", "IDLETIME", "a").Int; n < 1000 || n > 1010 {
		t.Errorf("idle for %d seconds", n)
	}
	if at := do(t, c, "PEXPIRETIME", "a").Int; at != 4_000_000_000_000 {
		t.Errorf("expires at %d", at)
	}
	// A deadline that has passed removes the key.
	moved(t, keys{names: []string{"a"}, deadline: 1000}, server(t, to, ServerOptions{Replace: true}))
	if n := do(t, c, "DBSIZE").Int; n != 0 {
		t.Errorf("%d keys", n)
	}
	socket := do(t, c, "CONFIG", "GET", "unixsocket").Elems[1].Text()
	target, err := NewServer(context.Background(), Address{Host: socket}, ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	moved(t, keys{names: []string{"a", "b"}}, target)
	if n := do(t, c, "DBSIZE").Int; n != 2 {
		t.Errorf("%d keys", n)
	}
	// Old forms are understood by the server itself.
	moved(t, keys{names: []string{"zipmap"}, form: rdb.TypeHashZipmap, raw: "\x07\x01\x01f\x01\x00v\xff"}, server(t, to, ServerOptions{}))
	if have := do(t, c, "HGET", "zipmap", "f").Text(); have != "v" {
		t.Errorf("the field is %q", have)
	}
}

// answering is a server that answers bytes as they come with what it was told to, one answer
// after the other.
func answering(t *testing.T, answers ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				room := make([]byte, 1<<16)
				for _, answer := range answers {
					if _, err := conn.Read(room); err != nil {
						return
					}
					if _, err := conn.Write([]byte(answer)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// A server that is silent, goes away or talks nonsense ends the work with its reason.
func TestServerGoesAway(t *testing.T) {
	ctx := context.Background()
	f := func(word string, answers ...string) {
		t.Helper()
		target, err := NewServer(ctx, Address{Host: answering(t, answers...), Patience: 300 * time.Millisecond}, ServerOptions{})
		if err == nil {
			defer target.Close()
			if err = (keys{names: []string{"a"}}).Copy(ctx, target); err == nil {
				err = target.End()
			}
		}
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: %v, want %q", answers, err, word)
		}
	}
	f("closed the connection", "+PONG\r\n")
	f("closed the connection", "+PONG\r\n", "$0\r\n\r\n")
	f("LOADING", "-LOADING wait\r\n")
	f("MISCONF", "+PONG\r\n", "$0\r\n\r\n", "-MISCONF disk\r\n+PONG\r\n")
	f("unknown reply", "+PONG\r\n", "$0\r\n\r\n", "HTTP/1.1 400\r\n")
	f("silent", "+PONG\r\n", "$0\r\n\r\n", "", "")

	// Whoever asked may give up.
	stopped, stop := context.WithCancelCause(ctx)
	target, err := NewServer(stopped, Address{Host: answering(t, "+PONG\r\n", "$0\r\n\r\n", "", "", "")}, ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := (keys{names: []string{"a"}}).Copy(ctx, target); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { stop(errors.New("stopped")) })
	if err := target.End(); err == nil {
		t.Error("a server that says nothing has everything")
	}
}

// A server without functions gets the rest.
func TestServerWithoutFunctions(t *testing.T) {
	unknown := "+PONG\r\n"
	target, err := NewServer(context.Background(), Address{Host: answering(t, unknown, "$0\r\n\r\n", "-ERR unknown command 'FUNCTION'\r\n+PONG\r\n")}, ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := target.Library([]byte("#!lua name=lib")); err != nil {
		t.Fatal(err)
	}
	if err := target.End(); err != nil || target.LibrariesLeft != 1 {
		t.Errorf("%v, %d libraries are left", err, target.LibrariesLeft)
	}
	target, err = NewServer(context.Background(), Address{Host: answering(t, unknown, "$0\r\n\r\n", "-ERR Library 'lib' already exists\r\n+PONG\r\n")}, ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := target.Library([]byte("#!lua name=lib")); err != nil {
		t.Fatal(err)
	}
	if err := target.End(); err == nil || !strings.Contains(err.Error(), "library") {
		t.Error(err)
	}
}
