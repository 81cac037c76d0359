package difftest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

// databases is how many databases the commands reach; see dbs.
const databases = 16

// readers are the commands that show the whole value of a type.
var readers = map[string][]string{
	"string": {"GET", ""},
	"list":   {"LRANGE", "", "0", "-1"},
	"set":    {"SMEMBERS", ""},
	"hash":   {"HGETALL", ""},
	"zset":   {"ZRANGE", "", "0", "-1", "WITHSCORES"},
	"stream": {"XRANGE", "", "-", "+"},
}

// An entry is a key with everything that a client can learn about it.
type entry struct {
	db, key, kind, encoding, value string
	ttl                            resp.Value
}

func (e entry) String() string {
	return fmt.Sprintf("db%s %s %s/%s %s, PTTL %v", e.db, testkit.Quote(e.key), e.kind, e.encoding, e.value, e.ttl)
}

// dataset reads everything a server holds.
func (p *pair) dataset(c *testkit.Conn) ([]entry, error) {
	var wire []byte
	for db := range p.dbs {
		wire = resp.AppendCommandString(wire, "SELECT", strconv.Itoa(db))
		wire = resp.AppendCommandString(wire, "KEYS", "*")
	}
	replies, err := exchange(c, wire, 2*p.dbs)
	if err != nil {
		return nil, err
	}
	var all []entry
	wire = wire[:0]
	db := ""
	asked := 0
	for i := range p.dbs {
		var names []string
		for _, key := range replies[2*i+1].Elems {
			names = append(names, key.Text())
		}
		slices.Sort(names)
		for _, key := range names {
			if at := strconv.Itoa(i); db != at {
				db = at
				wire = resp.AppendCommandString(wire, "SELECT", db)
				asked++
			}
			all = append(all, entry{db: db, key: key})
			wire = resp.AppendCommandString(wire, "TYPE", key)
			wire = resp.AppendCommandString(wire, "OBJECT", "ENCODING", key)
			wire = resp.AppendCommandString(wire, "PTTL", key)
			asked += 3
		}
	}
	if replies, err = exchange(c, wire, asked); err != nil {
		return nil, err
	}
	wire, asked, db = wire[:0], 0, ""
	at := 0
	for i := range all {
		e := &all[i]
		if e.db != db {
			db = e.db
			at++
			wire = resp.AppendCommandString(wire, "SELECT", db)
			asked++
		}
		e.kind, e.encoding, e.ttl = replies[at].Text(), replies[at+1].Text(), replies[at+2]
		switch {
		case e.kind == "list":
			e.encoding = "any" // see newer
		case e.kind == "zset" && (p.sorted[e.key] || strings.HasPrefix(e.key, "sort:")):
			e.encoding = "any" // one that was sorted, or a copy of it
		}
		at += 3
		if e.kind == "set" {
			e.encoding = "" // older than what HyperKV follows: no listpacks
		}
		read, ok := readers[e.kind]
		if !ok {
			read = []string{"DUMP", ""}
		}
		read = slices.Clone(read)
		read[1] = e.key
		wire = resp.AppendCommandString(wire, read...)
		asked++
	}
	if replies, err = exchange(c, wire, asked); err != nil {
		return nil, err
	}
	at, db = 0, ""
	for i := range all {
		e := &all[i]
		if e.db != db {
			db = e.db
			at++
		}
		v := replies[at]
		at++
		if e.kind == "set" || e.kind == "hash" {
			texts := groups(v)
			slices.Sort(texts)
			e.value = strings.Join(texts, " ")
			continue
		}
		if e.kind == "zset" {
			for at := 1; at < len(v.Elems); at += 2 {
				shortenScore(&v.Elems[at])
			}
		}
		e.value = v.String()
	}
	return all, nil
}

// shortenScore writes a text that is a number with the fewest digits, as Redis from
// 7.2 on does.
func shortenScore(v *resp.Value) {
	if score, ok := resp.ParseFloat(v.Str); ok {
		v.Str = resp.FormatDouble(nil, score+0)
	}
}

// compareDatasets reads both servers' datasets and returns the first difference.
func (p *pair) compareDatasets() (*mismatch, error) {
	var data [2][]entry
	for i := range p.sides {
		var err error
		if data[i], err = p.dataset(p.sides[i].own); err != nil {
			return p.unreadable(i, "dataset", err)
		}
	}
	p.stats.Datasets++
	near := p.book.rule([]string{"PTTL"})
	a, b := data[hyperkv], data[redis]
	for i := 0; i < len(a) || i < len(b); i++ {
		texts := [2]string{"(no more keys)", "(no more keys)"}
		if i < len(a) {
			texts[hyperkv] = a[i].String()
		}
		if i < len(b) {
			texts[redis] = b[i].String()
		}
		if i < len(a) && i < len(b) && near.agree(a[i].ttl, b[i].ttl) {
			x, y := a[i], b[i]
			x.ttl, y.ttl = resp.Value{}, resp.Value{}
			if x.String() == y.String() {
				continue
			}
		}
		return &mismatch{command: "(dataset)", got: texts}, nil
	}
	return nil, nil
}

// unreadable is what to say when a server cannot show what it holds: ours is wrong
// then, and without the reference there is no telling.
func (p *pair) unreadable(side int, what string, err error) (*mismatch, error) {
	if side == redis {
		return nil, fmt.Errorf("%s of the reference server: %w", what, err)
	}
	return &mismatch{command: "(" + what + ")", got: [2]string{err.Error(), "(no error)"}}, nil
}
