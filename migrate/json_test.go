package migrate

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hyperkv/internal/rdb"
)

// record is a line as a program reads it.
type record struct {
	Database  int
	Key       any
	Type      string
	ExpiresAt int64 `json:"expires_at"`
	Idle      *int
	Frequency *int
	Value     any
	Library   any
}

// lines writes a source as JSON.
func lines(t *testing.T, s Source) (all []string) {
	t.Helper()
	var out bytes.Buffer
	moved(t, s, NewJSON(&out))
	for line := range strings.Lines(out.String()) {
		all = append(all, strings.TrimSuffix(line, "\n"))
	}
	return all
}

// Each type has its form.
func TestJSONForms(t *testing.T) {
	f := func(form rdb.Type, raw, typ, value string) {
		t.Helper()
		have := lines(t, keys{names: []string{"k"}, form: form, raw: raw})
		want := `{"database":0,"key":"k","type":"` + typ + `","value":` + value + `}`
		if len(have) != 1 || have[0] != want {
			t.Errorf("%q\nwant\n%s", have, want)
		}
	}
	f(rdb.TypeString, "\x04text", "string", `"text"`)
	f(rdb.TypeString, "\xc0\x07", "string", `"7"`)
	f(rdb.TypeString, "\x00", "string", `""`)
	f(rdb.TypeString, "\x0ba\"\\\n\r\t\x01\x7f/é", "string", `"a\"\\\n\r\t\u0001\u007f/é"`)
	f(rdb.TypeString, "\x03\xff\x00a", "string", `{"base64":"/wBh"}`)
	f(rdb.TypeList, "\x03\x01b\x01a\x01\xff", "list", `["b","a",{"base64":"/w=="}]`)
	f(rdb.TypeSet, "\x01\x01m", "set", `["m"]`)
	f(rdb.TypeSetMetadata, "\x88\x13\x00\x00\x00\x00\x00\x00\x02\x01\x01a\x00\x01b", "set", `[["a",5000],"b"]`)
	f(rdb.TypeZSet, "\x04\x01a\x031.5\x01b\xfe\x01c\xff\x01d\x051e300", "zset", `[["a",1.5],["b","inf"],["c","-inf"],["d",1e+300]]`)
	f(rdb.TypeHash, "\x02\x01f\x01v\x01g\x00", "hash", `[["f","v"],["g",""]]`)
	f(rdb.TypeHashMetadata, "\x88\x13\x00\x00\x00\x00\x00\x00\x02\x01\x01f\x01v\x00\x01g\x01w", "hash", `[["f","v",5000],["g","w"]]`)
	f(rdb.TypeStream2, "\x00\x00\x07\x01\x00\x00\x03\x02\x09\x00", "stream",
		`{"entries":[],"last_id":"7-1","max_deleted_id":"3-2","entries_added":9,"groups":[]}`)

	w := rdb.NewWriter(nil, rdb.Version)
	s := w.Stream()
	entries := [][][]byte{{[]byte("f"), []byte("v"), []byte("g"), {0xff}}, {[]byte("f"), []byte("w")}}
	for _, fields := range entries {
		s.Count(fields)
	}
	for i, fields := range entries {
		s.Entry(rdb.StreamID{Ms: 5, Seq: uint64(i + 1)}, fields)
	}
	s.State(rdb.StreamState{Last: rdb.StreamID{Ms: 5, Seq: 2}, Added: 2}, 3)
	s.Group(rdb.StreamGroup{Name: []byte("a"), Last: rdb.StreamID{Ms: 5, Seq: 1}, Read: 1},
		[]rdb.StreamConsumer{{Name: []byte("x"), Seen: 100, Active: -1}, {Name: []byte("y"), Seen: 200, Active: 150}},
		[]rdb.StreamPending{{ID: rdb.StreamID{Ms: 5, Seq: 1}, Consumer: 1, Delivered: 150, Count: 3}, {ID: rdb.StreamID{Ms: 5, Seq: 2}, Consumer: 0, Delivered: 160, Count: 1}})
	s.Group(rdb.StreamGroup{Name: []byte("b"), Read: -1}, []rdb.StreamConsumer{{Name: []byte("x"), Seen: 100, Active: 90}}, nil)
	s.Group(rdb.StreamGroup{Name: []byte("c"), Read: 0}, nil, nil)
	b := w.Take(nil)
	f(rdb.Type(b[0]), string(b[1:]), "stream", `{"entries":[["5-1",["f","v","g",{"base64":"/w=="}]],["5-2",["f","w"]]],`+
		`"last_id":"5-2","max_deleted_id":"0-0","entries_added":2,"groups":[`+
		`{"name":"a","last_id":"5-1","entries_read":1,"consumers":[{"name":"x","seen_at":100},{"name":"y","seen_at":200,"active_at":150}],"pending":[["5-1",1,150,3],["5-2",0,160,1]]},`+
		`{"name":"b","last_id":"0-0","consumers":[{"name":"x","seen_at":100,"active_at":90}],"pending":[]},`+
		`{"name":"c","last_id":"0-0","entries_read":0,"consumers":[],"pending":[]}]}`)

	if have := lines(t, keys{names: []string{"\xff"}, database: 3, deadline: 5000, idle: 7}); len(have) != 1 ||
		have[0] != `{"database":3,"key":{"base64":"/w=="},"type":"string","expires_at":5000,"idle":7,"value":"value"}` {
		t.Errorf("%q", have)
	}
	var out bytes.Buffer
	j := NewJSON(&out)
	if err := j.Library([]byte("#!lua name=lib\n")); err != nil {
		t.Fatal(err)
	}
	if err := j.Key(&rdb.Key{Name: []byte("k"), Idle: -1, Frequency: 200}, []byte("\x01v")); err != nil {
		t.Fatal(err)
	}
	if err := j.End(); err != nil || out.String() != `{"library":"#!lua name=lib\n"}`+"\n"+`{"database":0,"key":"k","type":"string","frequency":200,"value":"v"}`+"\n" {
		t.Errorf("%s %v", &out, err)
	}
	if err := (keys{names: []string{"k"}, form: rdb.TypeList, raw: "\x02\x01a"}).Copy(context.Background(), NewJSON(&out)); err == nil || !strings.Contains(err.Error(), `"k"`) {
		t.Error(err)
	}
}

// A program reads from the lines what the server has.
func TestJSONOfRedis(t *testing.T) {
	dir := t.TempDir()
	server, filler := redisServer(t, dir)
	populate(t, filler, 3)
	c := connect(t, server) // with the protocol as it is at first
	do(t, c, "SAVE")
	seen := 0
	for _, line := range lines(t, RDB{Path: filepath.Join(dir, "dump.rdb")}) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %.200s", err, line)
		}
		key := text(t, r.Key)
		do(t, c, "SELECT", strconv.Itoa(r.Database))
		if have := do(t, c, "TYPE", key).Text(); have != r.Type {
			t.Errorf("%q is a %s, and the line says %s", key, have, r.Type)
		}
		if at := do(t, c, "PEXPIRETIME", key).Int; max(at, 0) != r.ExpiresAt {
			t.Errorf("%q expires at %d, and the line says %d", key, at, r.ExpiresAt)
		}
		ask := map[string][]string{
			"string": {"GET", key}, "list": {"LRANGE", key, "0", "-1"}, "set": {"SMEMBERS", key}, "hash": {"HGETALL", key},
			"zset": {"ZRANGE", key, "0", "-1", "WITHSCORES"}, "stream": {"XRANGE", key, "-", "+"},
		}[r.Type]
		v := do(t, c, ask...)
		var want, have []string
		if r.Type == "string" {
			want, have = []string{v.Text()}, []string{text(t, r.Value)}
		}
		for i, e := range v.Elems {
			switch {
			case r.Type == "stream":
				for _, field := range e.Elems[1].Elems {
					want = append(want, e.Elems[0].Text()+" "+field.Text())
				}
			case r.Type == "zset" && i%2 == 1:
				f, err := strconv.ParseFloat(e.Text(), 64)
				if err != nil {
					t.Fatal(err)
				}
				want[len(want)-1] += fmt.Sprint(" ", f)
			case r.Type == "hash" && i%2 == 1:
				want[len(want)-1] += " " + e.Text()
			default:
				want = append(want, e.Text())
			}
		}
		switch value := r.Value.(type) {
		case []any:
			for _, e := range value {
				have = append(have, element(t, r.Type, e))
			}
		case map[string]any:
			if r.Type == "stream" {
				for _, e := range value["entries"].([]any) {
					pair := e.([]any)
					for _, field := range pair[1].([]any) {
						have = append(have, pair[0].(string)+" "+text(t, field))
					}
				}
			}
		}
		if r.Type != "list" && r.Type != "stream" {
			slices.Sort(want)
			slices.Sort(have)
		}
		if !slices.Equal(have, want) {
			t.Errorf("%q: the line says %.300q, want %.300q", key, have, want)
		}
		seen++
	}
	sum := 0
	for db := range 16 {
		do(t, c, "SELECT", strconv.Itoa(db))
		sum += int(do(t, c, "DBSIZE").Int)
	}
	if seen != sum {
		t.Errorf("%d lines, want %d", seen, sum)
	}
}

func element(t *testing.T, typ string, e any) string {
	t.Helper()
	pair, ok := e.([]any)
	switch {
	case !ok:
		return text(t, e)
	case typ == "hash":
		return text(t, pair[0]) + " " + text(t, pair[1])
	}
	score, ok := pair[1].(float64)
	if !ok {
		score = math.Inf(strings.Count(pair[1].(string), "-")*-2 + 1)
	}
	return text(t, pair[0]) + fmt.Sprint(" ", score)
}

// text is a text as a program reads it.
func text(t *testing.T, v any) string {
	t.Helper()
	if s, ok := v.(string); ok {
		return s
	}
	object, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("%v is no text", v)
	}
	b, err := base64.StdEncoding.DecodeString(object["base64"].(string))
	if err != nil || len(object) != 1 {
		t.Fatalf("%v: %v", v, err)
	}
	return string(b)
}
