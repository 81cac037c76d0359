package replication

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// set records a change at the host of a primary.
func (h *toyHost) record(n *Node, words ...string) {
	args := make([][]byte, len(words))
	for i, word := range words {
		args[i] = []byte(word)
	}
	h.Exclusive(func() { n.feed.Record(1, func(int) (int, [][]byte) { return 0, args }) })
}

// payload takes the snapshot out of what a replica was sent, and returns what is behind.
func payload(t *testing.T, text string) (file, rest string) {
	t.Helper()
	if mark, body, ok := strings.Cut(strings.TrimPrefix(text, "$EOF:"), "\r\n"); ok && strings.HasPrefix(text, "$EOF:") {
		file, rest, ok = strings.Cut(body, mark)
		if !ok {
			t.Fatalf("a snapshot without an end: %q", text)
		}
		return file, rest
	}
	head, body, _ := strings.Cut(text, "\r\n")
	size, err := strconv.Atoi(strings.TrimPrefix(head, "$"))
	if err != nil || size > len(body) {
		t.Fatalf("no snapshot: %q", text)
	}
	return body[:size], body[size:]
}

// checked verifies a snapshot.
func checked(t *testing.T, file string) {
	t.Helper()
	f, err := temporary(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(file); err != nil {
		t.Fatal(err)
	}
	if err := verify(f, int64(len(file))); err != nil {
		t.Errorf("%v: %q", err, file)
	}
}

// A new replica is sent a snapshot in the form that it understands and then the stream;
// one that comes back, only the stream.
func TestServe(t *testing.T) {
	for _, diskless := range []bool{true, false} {
		n, h := newToyNode(t, toySettings{"repl-diskless-sync": diskless})
		h.record(n, "SET", "lost", "x")
		var modern, old, tool toyLink
		for l, w := range map[*toyLink]Wishes{
			&modern: {EOF: true, PSYNC2: true, Named: true, Port: 1}, &old: {}, &tool: {EOF: true, SnapshotOnly: true},
		} {
			if err := l.serve(n, w); err != nil {
				t.Fatal(err)
			}
		}
		soon(t, "all have their snapshot", func() bool {
			tool.pump()
			return reached(n, -1) == 2 && tool.ended
		})
		if !h.isRecorded() || !n.feed.on.Load() {
			t.Error("nobody records what happens")
		}
		modern.replica.Acknowledged(0, NotDurable)
		h.record(n, "SET", "a", "b")
		const stream = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n"
		soon(t, "the stream comes", func() bool {
			return strings.HasSuffix(modern.text(), stream) && strings.HasSuffix(old.text(), stream)
		})
		head, text, _ := strings.Cut(modern.text(), "\r\n")
		if head != fmt.Sprintf("+FULLRESYNC %s 0", n.feed.history) {
			t.Errorf("it began with %q", head)
		}
		for name, text := range map[string]string{"modern": text, "old": old.text(), "tool": tool.text()} {
			file, rest := payload(t, text)
			checked(t, file)
			if name == "tool" && rest != "" || name != "tool" && rest != stream {
				t.Errorf("%s: behind the snapshot: %q", name, rest)
			}
			if strings.HasPrefix(text, "$EOF:") != (diskless && name != "old") {
				t.Errorf("%s: the form is %.20q", name, text)
			}
		}
		// Where it was is still there.
		modern.replica.Gone()
		h.record(n, "DEL", "a")
		var back, wrong toyLink
		for l, w := range map[*toyLink]Wishes{
			&back:  {PSYNC2: true, Named: true, Continue: true, History: n.feed.history, Position: int64(len(stream))},
			&wrong: {EOF: true, Named: true, Continue: true, History: newHistory(), Position: 3},
		} {
			if err := l.serve(n, w); err != nil {
				t.Fatal(err)
			}
		}
		want := fmt.Sprintf("+CONTINUE %s\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n", n.feed.history)
		soon(t, "it goes on", func() bool { return back.text() == want })
		soon(t, "the other begins anew", func() bool { return strings.HasPrefix(wrong.text(), "+FULLRESYNC") })
		s := n.State()
		if s.PartialSyncs != 1 || s.RefusedPartial != 1 || s.FullSyncs != 4 {
			t.Errorf("%d, %d and %d syncs", s.PartialSyncs, s.RefusedPartial, s.FullSyncs)
		}
	}
}

// Who wants no more than a snapshot costs nothing afterwards.
func TestSnapshotOnly(t *testing.T) {
	n, h := newToyNode(t, nil)
	var l toyLink
	if err := l.serve(n, Wishes{EOF: true, SnapshotOnly: true}); err != nil {
		t.Fatal(err)
	}
	soon(t, "it has its snapshot", func() bool {
		l.pump()
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.ended
	})
	if h.isRecorded() || n.feed.on.Load() || n.State().Backlog {
		t.Error("what happens is recorded for nobody")
	}
}

// Several replicas that come together share a snapshot.
func TestSharedSnapshot(t *testing.T) {
	n, _ := newToyNode(t, toySettings{"repl-diskless-sync-delay": 60, "repl-diskless-sync-max-replicas": 3})
	links := make([]toyLink, 3)
	for i := range links {
		if reached(n, -1) > 0 {
			t.Error("a snapshot has begun before all were there")
		}
		if err := links[i].serve(n, Wishes{EOF: true, Named: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Millisecond)
	}
	soon(t, "all have it", func() bool { return reached(n, -1) == 3 })
	if a, b := links[0].text(), links[2].text(); a == "" || a != b {
		t.Errorf("%q and %q", a, b)
	}
}

// A replica that does not read makes the snapshot wait, and does not keep it when it goes.
func TestSlowSnapshot(t *testing.T) {
	n, _ := newToyNode(t, nil)
	var l toyLink
	l.deaf = true
	if err := l.serve(n, Wishes{EOF: true}); err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, piecesBytesMax)
	sent := make(chan bool)
	go func() {
		l.replica.send(piece)
		sent <- l.replica.send(piece)
	}()
	select {
	case <-sent:
		t.Error("a snapshot does not wait for the replica")
	case <-time.After(20 * time.Millisecond):
	}
	l.replica.Gone()
	if <-sent {
		t.Error("it was sent to nobody")
	}
	// One that stays and does not read is given up.
	n, _ = newToyNode(t, toySettings{"repl-timeout": 1})
	stuck := toyLink{deaf: true}
	if err := stuck.serve(n, Wishes{EOF: true}); err != nil {
		t.Fatal(err)
	}
	stuck.replica.begin(copying, "")
	if !stuck.replica.send(piece) || stuck.replica.send(piece) {
		t.Error("it was not given up")
	}
}

// A replica of a replica has to wait for the link to the primary.
func TestServeWithoutLink(t *testing.T) {
	n, h := newToyNode(t, nil)
	n.Follow("127.0.0.1", 1, func() {})
	if err := new(toyLink).serve(n, Wishes{}); !errors.Is(err, ErrNoPrimary) {
		t.Errorf("it was answered %v", err)
	}
	soon(t, "it is a replica", func() bool { return h.isReplica() })
	over := make(chan bool)
	n.Lead(func() { close(over) })
	<-over
	if h.isReplica() || n.State().Host != "" {
		t.Error("it is still a replica")
	}
	if err := new(toyLink).serve(n, Wishes{}); err != nil {
		t.Error(err)
	}
	if err := new(toyLink).serve(n, Wishes{WithoutKeys: true}); !errors.Is(err, ErrNeedsEOF) {
		t.Errorf("it was answered %v", err)
	}
}

// The backlog goes when there were no replicas for long, and with it the history.
func TestBacklogTTL(t *testing.T) {
	n, h := newToyNode(t, toySettings{"repl-backlog-ttl": 1})
	var l toyLink
	if err := l.serve(n, Wishes{}); err != nil {
		t.Fatal(err)
	}
	soon(t, "it has its snapshot", func() bool { return reached(n, -1) == 1 })
	history := n.State().History
	l.replica.Gone()
	soon(t, "the backlog is gone", func() bool { return !n.State().Backlog })
	if n.State().History == history || h.isRecorded() || n.feed.on.Load() {
		t.Error("the history goes on without a backlog")
	}
}

// Who waits for replicas is told as soon as enough of them have it.
func TestAwait(t *testing.T) {
	n, h := newToyNode(t, nil)
	links := make([]toyLink, 2)
	for i := range links {
		if err := links[i].serve(n, Wishes{Named: true}); err != nil {
			t.Fatal(err)
		}
	}
	soon(t, "they are online", func() bool { return reached(n, 0) == 2 })
	h.record(n, "SET", "a", "b")
	position := n.Changed()
	looked := make(chan [2]int, 10)
	look := func() {
		applied, durable := n.Reached(position)
		looked <- [2]int{applied, durable}
	}
	expect := func(what string, applied, durable int) {
		t.Helper()
		if got := <-looked; got != [2]int{applied, durable} {
			t.Errorf("%s: %d have it and %d have synced it, want %d and %d", what, got[0], got[1], applied, durable)
		}
	}
	forget := n.Await(look)
	expect("nobody has said anything", 0, 0)
	soon(t, "they are asked", func() bool { return strings.Contains(links[1].text(), "GETACK") })
	links[0].replica.Acknowledged(position, NotDurable)
	expect("one without a log", 1, 0)
	links[1].replica.Acknowledged(position, position-1)
	expect("one whose disk is behind", 2, 0)
	links[1].replica.Acknowledged(position+1, position)
	expect("it has synced it", 2, 1)
	links[1].replica.Acknowledged(0, 0)
	expect("what was said before comes late", 2, 1)
	forget()
	links[1].replica.Acknowledged(position+2, position+2)
	select {
	case <-looked:
		t.Error("it was told again")
	case <-time.After(10 * time.Millisecond):
	}
}

// reached is how many replicas have applied what was before a position.
func reached(n *Node, position int64) int {
	applied, _ := n.Reached(position)
	return applied
}

func TestVerify(t *testing.T) {
	// The checksum of its body ends in 0xff, so that without its last byte it is right, too.
	var body []byte
	for i := 0; i == 0 || byte(checksum(0, body)) != opEnd; i++ {
		body = append(fileBegin(true, noHistory, int64(i), 3), "\xfe\x00\x00\x01k\x01v"...)
	}
	whole := append(body, fileEnd(checksum(0, body))...)
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(whole); err != nil {
		t.Fatal(err)
	}
	if err := verify(f, int64(len(whole))); err != nil {
		t.Error(err)
	}
	if n := streamDatabase(f); n != 3 {
		t.Errorf("the stream is in database %d", n)
	}
	for i := range whole {
		broken := append([]byte(nil), whole...)
		broken[i] ^= 0x10
		if _, err := f.WriteAt(broken, 0); err != nil {
			t.Fatal(err)
		}
		if err := verify(f, int64(len(broken))); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d of %d is another: %v", i, len(whole), err)
		}
	}
	for size := range whole {
		if err := verify(f, int64(size)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes of %d: %v", size, len(whole), err)
		}
	}
}
