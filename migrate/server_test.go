package migrate

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/rdb"
	"hyperkv/internal/testkit"
)

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

// Keys that hold nothing are passed over, as by Redis.
func TestEmptyKeys(t *testing.T) {
	var seen []string
	file := "REDIS0009\xfe\x00\x01\x01l\x00\x0b\x01i\x08\x02\x00\x00\x00\x00\x00\x00\x00\x10\x01h\x07\x07\x00\x00\x00\x00\x00\xff" +
		"\x00\x01s\x00\x01\x01m\x01\x01a\xff\x00\x00\x00\x00\x00\x00\x00\x00"
	if err := CopyRDB(context.Background(), strings.NewReader(file), naming{&seen}); err != nil {
		t.Fatal(err)
	}
	if have := strings.Join(seen, " "); have != "s m" {
		t.Errorf("%s are shown, want the string and the list with an element", have)
	}
}

type naming struct{ seen *[]string }

func (n naming) Key(k *rdb.Key, _ []byte) error {
	*n.seen = append(*n.seen, string(k.Name))
	return nil
}
func (n naming) Library([]byte) error { return nil }
func (n naming) End() error           { return nil }

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
