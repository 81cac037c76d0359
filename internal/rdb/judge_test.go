package rdb

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"hyperkv/internal/testkit"
)

// judge is a connection to the reference server.
func judge(t *testing.T) *testkit.Conn {
	t.Helper()
	server := testkit.StartRedis(t, "--sanitize-dump-payload", "yes")
	if server == nil {
		t.Skip("there is no redis-server to compare with")
	}
	return testkit.Connect(t, server)
}

var do = testkit.Must

// sorted brings what has no order into one.
func sorted(m model) model {
	switch m.kind {
	case Set:
		m.texts = slices.Sorted(slices.Values(m.texts))
	case ZSet, Hash:
		type pair struct {
			key, value string
		}
		var pairs []pair
		if m.kind == ZSet {
			for i, text := range m.texts {
				pairs = append(pairs, pair{text, strconv.FormatFloat(m.scores[i], 'g', -1, 64)})
			}
		} else {
			for i := 0; i < len(m.texts); i += 2 {
				pairs = append(pairs, pair{m.texts[i], m.texts[i+1]})
			}
		}
		slices.SortFunc(pairs, func(a, b pair) int {
			if a.key < b.key {
				return -1
			}
			return 1
		})
		m.texts, m.scores = nil, nil
		for _, p := range pairs {
			m.texts = append(m.texts, p.key, p.value)
		}
	}
	return m
}

// shown is the value of a key as the commands of its type show it.
func shown(t *testing.T, c *testkit.Conn, m model) model {
	t.Helper()
	got := model{kind: m.kind, times: m.times}
	texts := func(args ...string) {
		for _, e := range do(t, c, args...).Elems {
			got.texts = append(got.texts, e.Text())
		}
	}
	switch m.kind {
	case String:
		got.texts = []string{do(t, c, "GET", "key").Text()}
	case List:
		texts("LRANGE", "key", "0", "-1")
	case Set:
		texts("SMEMBERS", "key")
	case ZSet:
		texts("ZRANGE", "key", "0", "-1", "WITHSCORES")
		pairs := got.texts
		got.texts = nil
		for i := 0; i < len(pairs); i += 2 {
			score, err := strconv.ParseFloat(pairs[i+1], 64)
			if err != nil {
				t.Fatal(err)
			}
			got.texts, got.scores = append(got.texts, pairs[i]), append(got.scores, score)
		}
	case Hash:
		texts("HGETALL", "key")
	case Stream:
		got.state, got.groups = m.state, m.groups
		for _, e := range do(t, c, "XRANGE", "key", "-", "+").Elems {
			var entry modelEntry
			entry.id = parseID(e.Elems[0].Text())
			for _, text := range e.Elems[1].Elems {
				entry.fields = append(entry.fields, text.Text())
			}
			got.entries = append(got.entries, entry)
		}
	}
	return got
}

func parseID(text string) (id StreamID) {
	for i := range text {
		if text[i] == '-' {
			id.Ms, _ = strconv.ParseUint(text[:i], 10, 64)
			id.Seq, _ = strconv.ParseUint(text[i+1:], 10, 64)
		}
	}
	return id
}

// What the Writer writes, Redis 7.0 shows; and what that dumps, the Reader shows.
func TestExchange(t *testing.T) {
	c := judge(t)
	r := rand.New(rand.NewPCG(11, 12))
	for range 400 {
		m := randomModel(r)
		for i := range m.times {
			m.times[i] = 0
		}
		if m.kind == ZSet { // a packed one is in order
			order := make([]int, len(m.texts))
			for i := range order {
				order[i] = i
			}
			slices.SortFunc(order, func(a, b int) int {
				if m.scores[a] < m.scores[b] || m.scores[a] == m.scores[b] && m.texts[a] < m.texts[b] {
					return -1
				}
				return 1
			})
			sortedModel := model{kind: ZSet}
			for _, i := range order {
				sortedModel.texts = append(sortedModel.texts, m.texts[i])
				sortedModel.scores = append(sortedModel.scores, m.scores[i])
			}
			m = sortedModel
		}
		for i := range m.groups {
			for j := range m.groups[i].consumers {
				m.groups[i].consumers[j].active = m.groups[i].consumers[j].seen
			}
		}
		w := NewWriter(nil, 10)
		write(w, m)
		do(t, c, "RESTORE", "key", "0", string(w.Payload()), "REPLACE")
		if got := shown(t, c, m); sorted(got).String() != sorted(m).String() {
			t.Fatalf("Redis shows %.300v\nwant %.300v", got, m)
		}
		dump := []byte(do(t, c, "DUMP", "key").Text())
		got, err := read(dump)
		if err != nil || sorted(got).String() != sorted(m).String() {
			t.Fatalf("%v: Redis dumps %.300v\nwant %.300v", err, got, m)
		}
	}
}

// Values that were made by commands, in all encodings of Redis 7.0.
func TestDumpsOfRedis(t *testing.T) {
	c := judge(t)
	r := rand.New(rand.NewPCG(13, 14))
	for range 300 {
		m := randomModel(r)
		do(t, c, "DEL", "key")
		switch m.kind {
		case String:
			do(t, c, "SET", "key", m.texts[0])
		case List:
			do(t, c, append([]string{"RPUSH", "key"}, m.texts...)...)
		case Set:
			do(t, c, append([]string{"SADD", "key"}, m.texts...)...)
		case ZSet:
			for i, text := range m.texts {
				if m.scores[i] == math.SmallestNonzeroFloat64 {
					m.scores[i] = 0
				}
				do(t, c, "ZADD", "key", strconv.FormatFloat(m.scores[i], 'g', 17, 64), text)
			}
		case Hash:
			for i := range m.times {
				m.times[i] = 0
			}
			do(t, c, append([]string{"HSET", "key"}, m.texts...)...)
		case Stream:
			if len(m.entries) == 0 {
				continue
			}
			m.groups = nil
			m.state = StreamState{Last: m.entries[len(m.entries)-1].id, Added: int64(len(m.entries))}
			for _, e := range m.entries {
				do(t, c, append([]string{"XADD", "key", strconv.FormatUint(e.id.Ms, 10) + "-" + strconv.FormatUint(e.id.Seq, 10)}, e.fields...)...)
			}
			if r.IntN(2) == 0 {
				gone := r.IntN(len(m.entries))
				id := m.entries[gone].id
				do(t, c, "XDEL", "key", strconv.FormatUint(id.Ms, 10)+"-"+strconv.FormatUint(id.Seq, 10))
				m.entries = slices.Delete(m.entries, gone, gone+1)
				m.state.MaxDeleted = id
			}
		}
		got, err := read([]byte(do(t, c, "DUMP", "key").Text()))
		if err != nil || sorted(got).String() != sorted(m).String() {
			t.Fatalf("%v: Redis dumps %.300v\nwant %.300v", err, sorted(got), sorted(m))
		}
	}
}

// The old forms of these tests are what Redis takes them for.
func TestOldFormsInRedis(t *testing.T) {
	c := judge(t)
	for name, row := range oldPayloads() {
		if Type(row.payload[0]).Version() > 10 {
			continue
		}
		body := row.payload[:len(row.payload)-footerBytes]
		w := Writer{buf: body, needed: 10}
		do(t, c, "RESTORE", "key", "0", string(w.Payload()), "REPLACE")
		if got := shown(t, c, row.want); sorted(got).String() != sorted(row.want).String() {
			t.Errorf("%s: Redis shows %.300v\nwant %.300v", name, got, row.want)
		}
	}
}
