package aof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"hyperkv/internal/rdb"
	"hyperkv/resp"
)

// seen is the Visitor that writes down what it is shown.
type seen struct {
	lines []string
	fail  string // the name of a command that is an error
}

func (s *seen) RDB(f *rdb.File) error {
	for {
		k, err := f.Next()
		if k == nil || err != nil {
			return err
		}
		if _, err := f.Raw(); err != nil {
			return err
		}
		s.lines = append(s.lines, fmt.Sprintf("%d rdb %s", k.Database, k.Name))
	}
}

func (s *seen) Command(c *Command) error {
	if s.fail != "" && string(c.Args[0]) == s.fail {
		return errors.New("refused")
	}
	s.lines = append(s.lines, fmt.Sprintf("%d %s @%d", c.Database, bytes.Join(c.Args, []byte(" ")), c.Offset))
	return nil
}

func command(line string) string {
	return string(resp.AppendCommandString(nil, strings.Fields(line)...))
}

func commands(lines ...string) (text string) {
	for _, line := range lines {
		text += command(line)
	}
	return text
}

func rdbFile(t *testing.T, keys ...string) string {
	t.Helper()
	var out bytes.Buffer
	w := rdb.NewFileWriter(&out, 10)
	w.SelectDB(0)
	for _, key := range keys {
		w.Key([]byte(key), 0)
		w.Type(rdb.TypeString)
		w.Text([]byte("value"))
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// folder writes files, given as name and text in turn, and returns where they are.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path string, truncated bool) (lines []string, cut *Cut, err error) {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	var s seen
	cut, err = l.Read(context.Background(), Options{Truncated: truncated}, &s)
	return s.lines, cut, err
}

func same(t *testing.T, have []string, want ...string) {
	t.Helper()
	if strings.Join(have, "\n") != strings.Join(want, "\n") {
		t.Errorf("read:\n%s\nwant:\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

// The files of a directory are read in the order of the manifest, each from database 0 on;
// history is not.
func TestDirectory(t *testing.T) {
	dir := folder(t,
		"appendonly.aof.manifest", "# a note\nfile appendonly.aof.2.base.rdb seq 2 type b\nfile old.aof seq 1 type h\n"+
			"file appendonly.aof.2.incr.aof seq 2 type i\nfile \"a \\x62.aof\" seq 3 type i startoffset 0\n",
		"temp-appendonly.aof.manifest", "nonsense",
		"appendonly.aof.2.base.rdb", rdbFile(t, "k1", "k2"),
		"old.aof", "nonsense",
		"appendonly.aof.2.incr.aof", "#TS:1628217470\r\n"+commands("SELECT 3", "SET a 1")+"#TS:1628217471\r\n"+command("SET b 2"),
		"a b.aof", commands("SET c 3", "select 1", "Multi", "SET d 4", "SELECT 2", "SET e 5", "SELECT 5", "EXEC", "SET f 6"),
	)
	want := []string{"0 rdb k1", "0 rdb k2", "3 SET a 1 @39", "3 SET b 2 @82", "0 SET c 3 @0", "1 SET d 4 @65", "2 SET e 5 @115", "5 SET f 6 @179"}
	for _, path := range []string{dir, filepath.Join(dir, "appendonly.aof.manifest")} {
		lines, cut, err := read(t, path, false)
		if err != nil || cut != nil {
			t.Fatal(err, cut)
		}
		same(t, lines, want...)
	}
	l, err := Open(dir)
	if err != nil || len(l.Files) != 3 || l.Size() < 100 {
		t.Errorf("%+v %v", l, err)
	}
}

// A single file of before 7.0, with an RDB file in front of it, or empty.
func TestSingleFile(t *testing.T) {
	preamble := rdbFile(t, "k")
	dir := folder(t, "a.aof", preamble+commands("SET a 1"), "b.aof", commands("SET b 1"), "c.aof", "", "d.aof", preamble)
	f := func(name string, want ...string) {
		t.Helper()
		lines, cut, err := read(t, filepath.Join(dir, name), false)
		if err != nil || cut != nil {
			t.Error(err, cut)
		}
		same(t, lines, want...)
	}
	f("a.aof", "0 rdb k", fmt.Sprintf("0 SET a 1 @%d", len(preamble)))
	f("b.aof", "0 SET b 1 @0")
	f("c.aof")
	f("d.aof", "0 rdb k")
	if _, _, err := read(t, filepath.Join(dir, "none.aof"), true); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// Wherever the last file ends, what is whole before that is read, a transaction as one; and
// nothing is left out without being told.
func TestTruncated(t *testing.T) {
	preamble := rdbFile(t, "k")
	lines := []string{"SELECT 1", "SET a 1", "MULTI", "SET b 2", "SET c 3", "EXEC", "SET d 4"}
	text := preamble
	ends := map[int]int{len(preamble): 1} // how many lines are shown when it ends there
	for i, line := range lines {
		text += command(line)
		if shown := []int{1, 2, 0, 0, 0, 4, 5}[i]; shown > 0 {
			ends[len(text)] = shown
		}
	}
	dir := folder(t)
	path := filepath.Join(dir, "a.aof")
	shown, done := 0, 0
	for n := len(preamble); n <= len(text); n++ {
		if s, whole := ends[n]; whole {
			shown, done = s, n
		}
		if err := os.WriteFile(path, []byte(text[:n]), 0o600); err != nil {
			t.Fatal(err)
		}
		got, cut, err := read(t, path, true)
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if len(got) != shown {
			t.Errorf("%d bytes: %q, want %d lines", n, got, shown)
		}
		if n == done {
			if cut != nil {
				t.Errorf("%d bytes: %v", n, cut)
			}
			continue
		}
		if cut == nil || cut.Offset != int64(done) || cut.Left != int64(n-done) || cut.File != path {
			t.Fatalf("%d bytes: %+v, want a cut at %d", n, cut, done)
		}
		inside := strings.Count(text[:n], "MULTI\r\n") > strings.Count(text[:n], "EXEC\r\n")
		if cut.Transaction != inside || !strings.Contains(cut.String(), path) {
			t.Errorf("%d bytes: %v", n, cut)
		}
		_, _, err = read(t, path, false)
		var where *Error
		if !errors.As(err, &where) || where.Offset != int64(done) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	// The RDB file in front has to be whole.
	for n := 9; n < len(preamble); n++ {
		if err := os.WriteFile(path, []byte(preamble[:n]), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := read(t, path, true); !errors.Is(err, rdb.ErrCorrupt) {
			t.Fatalf("%d bytes of the RDB file: %v", n, err)
		}
	}
	// Only the last file may end so. Nothing is missing of an annotation.
	dir = folder(t, "x.manifest", "file a seq 1 type b\nfile b seq 1 type i\n", "a", command("SET a 1")[:20], "b", "")
	if _, _, err := read(t, dir, true); err == nil || !strings.Contains(err.Error(), "not the last file") {
		t.Error(err)
	}
	dir = folder(t, "x.manifest", "file a seq 1 type b\nfile b seq 1 type i\n", "a", command("SET a 1")+"#TS:16", "b", command("SET b 1"))
	got, cut, err := read(t, dir, false)
	if err != nil || cut != nil {
		t.Error(err, cut)
	}
	same(t, got, "0 SET a 1 @0", "0 SET b 1 @0")
}

// What is not an append-only file is refused, with file and place.
func TestGarbage(t *testing.T) {
	good := commands("SET a 1", "SET b 2")
	f := func(text string, offset int, words string) {
		t.Helper()
		dir := folder(t, "a.aof", text)
		_, _, err := read(t, filepath.Join(dir, "a.aof"), true)
		var where *Error
		if !errors.As(err, &where) || where.Offset != int64(offset) || filepath.Base(where.File) != "a.aof" || !strings.Contains(err.Error(), words) {
			t.Errorf("%.60q: %v, want byte %d and %q", text, err, offset, words)
		}
	}
	end := len(good)
	f("x"+good, 0, "begins")
	f(good+"\x00\x00\x00\x00", end, "begins")
	f(good+"SET c 3\r\n", end, "begins")
	f(good+"*0\r\n"+good, end, "0 words")
	f(good+"*-1\r\n"+good, end, "number")
	f(good+"*\r\n"+good, end, "number")
	f(good+"*1x\r\n$4\r\nPING\r\n", end, "number")
	f(good+"*1\n$4\r\nPING\r\n", end, "CR LF")
	f(good+"*99999999999999999999\r\n", end, "number")
	f(good+"*2000000\r\n$1\r\na\r\n", end, "2000000 words")
	f(good+"*1\r\n+OK\r\n", end, "argument")
	f(good+"*1\r\n$-1\r\n", end, "number")
	f(good+"*1\r\n$600000000\r\n", end, "600000000 bytes")
	f(good+"*1\r\n$4\r\nPINGx\r\n", end, "does not end")
	f(good+"*1"+strings.Repeat("0", 2000)+"\r\n", end, "no end")
	f(good+command("EXEC"), end, "not begun")
	f(good+commands("MULTI", "MULTI"), end+len(command("MULTI")), "within another")
	f(good+commands("SELECT 1 2"), end, "2 arguments")
	f(good+commands("SELECT x"), end, `SELECT "x"`)
	f(good+commands("SELECT -1"), end, `SELECT "-1"`)

	dir := folder(t, "a.aof", "REDIS0010\xff\x01\x01\x01\x01\x01\x01\x01\x01"+good)
	if _, _, err := read(t, filepath.Join(dir, "a.aof"), true); !errors.Is(err, rdb.ErrCorrupt) || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	dir = folder(t, "a.aof", good)
	l, err := Open(filepath.Join(dir, "a.aof"))
	if err != nil {
		t.Fatal(err)
	}
	var where *Error
	s := seen{fail: "SET"}
	if _, err := l.Read(context.Background(), Options{}, &s); !errors.As(err, &where) || where.Offset != 0 || where.Err.Error() != "refused" {
		t.Error(err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	stop(errors.New("stopped"))
	if _, err := l.Read(ctx, Options{}, &seen{}); err == nil || err.Error() != "stopped" {
		t.Error(err)
	}
}

func TestManifest(t *testing.T) {
	f := func(text, words string) {
		t.Helper()
		dir := folder(t, "a.manifest", text, "a", "", "b", "")
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v, want %q", text, err, words)
		}
	}
	f("", "names no files")
	f("# nothing\n", "names no files")
	f("file a seq 1 type h\n", "names no files")
	f("file a seq 1 type b\n\nfile b seq 1 type i\n", "line 2")
	f("file a seq 1 type b\nfile b seq 1 type b\n", "line 2: a second base")
	f("file a seq 2 type i\nfile b seq 2 type i\n", "line 2: the numbers")
	f("file a seq 1 type x\n", `type 'x'`)
	f("file a seq 0 type b\n", "line 1")
	f("file a seq x type b\n", `number "x"`)
	f("file a seq 1\n", "line 1")
	f("file a seq 1 type\n", "line 1")
	f("file ../a seq 1 type b\n", "not one of the directory")
	f("file .. seq 1 type b\n", "not one of the directory")
	f("file \"a seq 1 type b\n", "line 1")
	f("file nonesuch seq 1 type b\n", "nonesuch")
	if _, err := Open(folder(t, "a", "")); err == nil || !strings.Contains(err.Error(), "no manifest") {
		t.Error(err)
	}
	if _, err := Open(folder(t, "a.manifest", "", "b.manifest", "")); err == nil || !strings.Contains(err.Error(), "a.manifest, b.manifest") {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(commands("SELECT 1", "SET a 1", "MULTI", "SET b 2", "EXEC"))
	f.Add("REDIS0003\xfe\x00\x00\x01k\x01v\xff" + command("SET a 1"))
	f.Add("#TS:1\r\n*2\r\n$3\r\nDEL\r\n$300000000\r\n")
	path := filepath.Join(f.TempDir(), "a.aof")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		lines, cut, err := read(t, path, true)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 200*uint64(len(text))+2<<20 {
			t.Fatalf("%d bytes for a file of %d", grown, len(text))
		}
		if err != nil || cut == nil {
			return
		}
		// Without what was cut off it is a whole file that says the same.
		if err := os.WriteFile(path, []byte(text[:cut.Offset]), 0o600); err != nil {
			t.Fatal(err)
		}
		again, cut, err := read(t, path, false)
		if err != nil || cut != nil {
			t.Fatal(err, cut)
		}
		same(t, again, lines...)
	})
}

func FuzzManifest(f *testing.F) {
	f.Add("file a seq 1 type b\nfile \"b\\x20\" seq 1 type i\n")
	f.Fuzz(func(t *testing.T, text string) {
		names, err := parseManifest([]byte(text))
		if err != nil {
			return
		}
		for _, name := range names {
			if name == "" || filepath.Base(name) != name {
				t.Fatalf("%q names %q", text, name)
			}
		}
	})
}
