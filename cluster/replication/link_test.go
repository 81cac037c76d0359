package replication

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/resp"
)

// primary is a scripted one.
type scripted struct {
	listener net.Listener
	// answer is what PSYNC with the given arguments is answered with, all that comes
	// behind included.
	answer func(args []string) []byte
	// seen are the commands that came.
	seen chan []string
	step int         // bytes that are sent at a time
	more chan []byte // is sent behind what PSYNC was answered with
}

func startScripted(t testing.TB, answer func(args []string) []byte) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &scripted{listener: l, answer: answer, seen: make(chan []string, 10_000), step: 1 << 20}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *scripted) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		if len(args) == 0 {
			continue
		}
		p.seen <- args
		switch args[0] {
		case "PING":
			fmt.Fprint(c, "+PONG\r\n")
		case "REPLCONF":
			if args[1] != "ACK" {
				fmt.Fprint(c, "+OK\r\n")
			}
		case "AUTH":
			fmt.Fprint(c, "+OK\r\n")
		case "PSYNC":
			for b := p.answer(args); len(b) > 0; {
				n := min(p.step, len(b))
				if _, err := c.Write(b[:n]); err != nil {
					return
				}
				b = b[n:]
			}
			go func() {
				for b := range p.more {
					_, _ = c.Write(b)
				}
			}()
		}
	}
}

// readCommand reads one, or an empty line.
func readCommand(in *bufio.Reader) (args []string, err error) {
	line, err := in.ReadString('\n')
	if err != nil || line[0] != '*' {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	for range n {
		if line, err = in.ReadString('\n'); err != nil {
			return nil, err
		}
		size, err := strconv.Atoi(strings.TrimSpace(line[1:]))
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, err
		}
		args = append(args, string(b[:size]))
	}
	return args, err
}

func (p *scripted) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

const (
	historyA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	historyB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	mark     = "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
)

// file is a snapshot behind which the stream is in a database.
func snapshotOf(database int) []byte {
	body := append(fileBegin(false, historyA, 0, database), "\xfe\x00\x00\x01k\x01v"...)
	return append(body, fileEnd(checksum(0, body))...)
}

func commands(lines ...string) []byte {
	var b []byte
	for _, line := range lines {
		b = resp.AppendCommandString(b, strings.Fields(line)...)
	}
	return b
}

// What a primary sends is done, in whichever pieces it comes, and passed on byte for byte.
func TestFollow(t *testing.T) {
	stream := commands("SET a b", "SELECT 3", "PING", "DEL x y", "MULTI", "SET m 1", "SELECT 4", "SET n 2", "EXEC", "SET o 3",
		"REPLCONF GETACK *", "MULTI", "EXEC", "MULTI", "SET lost 1")
	want := []string{
		`2 ["SET" "a" "b"];`, `3 ["DEL" "x" "y"];`, `3 ["SET" "m" "1"];4 ["SET" "n" "2"];`, `4 ["SET" "o" "3"];`,
	}
	done := len(stream) - len(commands("MULTI", "SET lost 1"))
	file := snapshotOf(2)
	for _, head := range []string{
		fmt.Sprintf("+FULLRESYNC %s 1000\r\n\n\n$%d\r\n%s", historyA, len(file), file),
		fmt.Sprintf("\n\n+FULLRESYNC %s 1000\r\n\n$EOF:%s\r\n%s%s", historyA, mark, file, mark),
	} {
		for _, step := range []int{1, 7, 1 << 20} {
			ready := make(chan bool, 1)
			p := startScripted(t, func(args []string) []byte {
				if args[1] == historyA {
					return nil // for a second connection there is nothing
				}
				ready <- true
				return []byte(head)
			})
			p.step = step
			n, h := newToyNode(t, toySettings{"masterauth": "secret", "masteruser": "me", "replica-announce-port": 99})
			over := make(chan bool)
			n.Follow("127.0.0.1", p.port(), func() { close(over) })
			<-over
			<-ready
			soon(t, "the link is up", func() bool { return n.State().Link == "connected" })
			if !bytes.Equal(h.file(), file) || n.State().History != historyA || n.State().Position != 1000 {
				t.Fatalf("step %d: %d bytes were loaded, up to %d", step, len(h.file()), n.State().Position)
			}
			// The stream comes on the connection that is there.
			n.feed.mu.Lock()
			c := n.feed.tail()
			n.feed.mu.Unlock()
			feedIn(t, theLink(n), stream, step)
			soon(t, "all is done", func() bool { return n.State().Position == int64(1000+done) })
			if got := h.list(); !slices.Equal(got, want) {
				t.Errorf("step %d: done %q, want %q", step, got, want)
			}
			if got := all(n.feed, &c, 1000); !bytes.Equal(got, stream[:done]) {
				t.Errorf("step %d: passed on %q", step, got)
			}
			var seen []string
			for len(p.seen) > 0 {
				seen = append(seen, strings.Join(<-p.seen, " "))
			}
			if len(seen) < 6 || seen[1] != "AUTH me secret" || seen[2] != "REPLCONF listening-port 99" || !strings.HasPrefix(seen[5], "PSYNC ") {
				t.Errorf("it said %q", seen)
			}
		}
	}
}

// theLink is the node's link.
func theLink(n *Node) *link {
	l := make(chan *link)
	n.post(func() { l <- n.link })
	return <-l
}

// close cuts the connection.
func (l *link) close() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.conn.Close()
}

// feedIn lets a link that waits for its primary read bytes, in pieces, as follow does.
func feedIn(t *testing.T, l *link, b []byte, step int) {
	t.Helper()
	l.stop() // it reads by itself no more
	client, server := net.Pipe()
	next := &link{node: l.node, host: l.host, port: l.port, conn: client, patience: time.Minute, database: l.database}
	next.applied.Store(l.node.feed.end())
	go func() { _, _ = io.Copy(io.Discard, server) }() // acknowledgements
	go func() {
		for len(b) > 0 {
			n := min(step, len(b))
			if _, err := server.Write(b[:n]); err != nil {
				return
			}
			b = b[n:]
		}
		server.Close()
	}()
	if err := next.follow(); err == nil {
		t.Error("the link has ended without a reason")
	}
}

// After a cut the replica asks for what it has not seen; a primary whose history has
// another name tells it.
func TestContinue(t *testing.T) {
	asked := make(chan []string, 10)
	answers := []string{
		fmt.Sprintf("+FULLRESYNC %s 10\r\n$%d\r\n%s", historyA, len(snapshotOf(0)), snapshotOf(0)),
		"+CONTINUE\r\n", "+CONTINUE " + historyB + "\r\n", "-NOMASTERLINK wait\r\n", "+CONTINUE\r\n",
	}
	p := startScripted(t, func(args []string) []byte {
		asked <- args
		if len(answers) == 0 {
			return nil
		}
		answer := answers[0]
		answers = answers[1:]
		return []byte(answer)
	})
	n, h := newToyNode(t, nil)
	n.Follow("127.0.0.1", p.port(), func() {})
	<-asked
	cut := func() {
		t.Helper()
		soon(t, "the link is up", func() bool { return n.State().Link == "connected" })
		theLink(n).close()
	}
	cut()
	if args := <-asked; args[1] != historyA || args[2] != "11" {
		t.Errorf("it asked for %q", args)
	}
	cut()
	<-asked
	cut()
	if args := <-asked; args[1] != historyB || args[2] != "11" {
		t.Errorf("it asked for %q", args)
	}
	<-asked // again, after NOMASTERLINK
	soon(t, "the link is up", func() bool { return n.State().Link == "connected" })
	if s := n.State(); s.OldHistory != historyA || s.OldPosition != 10 {
		t.Errorf("the old history is %s up to %d", s.OldHistory, s.OldPosition)
	}
	// The stream is the primary's: nothing is added to it here.
	n.feed.ping()
	n.feed.ask()
	over := make(chan bool)
	n.Lead(func() { close(over) })
	<-over
	if s := n.State(); s.OldHistory != historyB || s.History == historyB || s.Position != 10 {
		t.Errorf("on its own it has %s and %s", s.History, s.OldHistory)
	}
	if !h.isRecorded() || h.isReplica() {
		t.Error("it is not a primary")
	}
}

// A replica with a log says what it has synced, never more, and syncs when the primary asks.
func TestReport(t *testing.T) {
	file := snapshotOf(0)
	stream := make(chan []byte)
	p := startScripted(t, func(args []string) []byte {
		return fmt.Appendf(nil, "+FULLRESYNC %s 0\r\n$%d\r\n%s", historyA, len(file), file)
	})
	p.more = stream
	n, h := newToyNode(t, nil)
	n.Follow("127.0.0.1", p.port(), func() {})
	said := func(what string, words ...string) {
		t.Helper()
		deadline := time.After(10 * time.Second)
		for {
			select {
			case args := <-p.seen:
				if args[0] == "REPLCONF" && slices.Equal(args[1:], words) {
					return
				}
				if len(args) > 4 && args[1] == "ACK" && len(words) < 4 {
					t.Fatalf("%s: it said %q", what, args)
				}
			case <-deadline:
				t.Fatalf("%s: it does not say %q", what, words)
			}
		}
	}
	at := func(position int) string { return strconv.Itoa(position) }
	said("without a log", "ACK", "0")
	set, ask := commands("SET a b"), commands("REPLCONF GETACK *")
	position := len(set)
	stream <- set
	said("without a log", "ACK", at(position))
	h.set(func() { h.log, h.stuck = true, true })
	stream <- ask
	said("nothing is synced yet", "ACK", at(position))
	position += len(ask)
	h.set(func() { h.stuck = false })
	said("when the log can be written, without being asked again", "ACK", at(position), "FACK", at(position))
	h.set(func() { h.stuck = true })
	old := position
	stream <- slices.Concat(set, ask)
	position += len(set)
	said("the disk is behind", "ACK", at(position), "FACK", at(old))
	position += len(ask)
	h.set(func() { h.synced = len(h.done) }) // by itself, as every second
	said("the next time", "ACK", at(position), "FACK", at(position))
	h.set(func() { h.log = false })
	said("the log was switched off", "ACK", at(position))
	// What was synced of one history says nothing of another.
	h.set(func() { h.log, h.synced = true, -1 })
	stream <- set
	said("there is a log", "ACK", at(position+len(set)), "FACK", at(position))
	theLink(n).close()
	said("another connection", "ACK", "0")
}

// What a snapshot leaves that could not be loaded is nobody's dataset: it has no place in
// any history.
func TestTornLoad(t *testing.T) {
	file := snapshotOf(0)
	asked := make(chan []string, 10)
	p := startScripted(t, func(args []string) []byte {
		asked <- args
		return fmt.Appendf(nil, "+FULLRESYNC %s 10\r\n$%d\r\n%s", historyA, len(file), file)
	})
	n, h := newToyNode(t, nil)
	n.Follow("127.0.0.1", p.port(), func() {})
	soon(t, "the link is up", func() bool { return n.State().Link == "connected" })
	if s, ok := n.Standing(); !ok || s != (Standing{History: historyA, Position: 10, Changed: 10}) {
		t.Errorf("it stands at %+v, %v", s, ok)
	}
	h.set(func() { h.torn = true })
	theLink(n).close()
	<-asked
	<-asked
	soon(t, "it stands nowhere", func() bool { _, ok := n.Standing(); return !ok })
	if full, err := theLink(n).ask(); err == nil || full != nil {
		t.Errorf("without a connection: %v %v", full, err)
	}
	if s := n.State(); s.History == historyA || s.Position != 0 {
		t.Errorf("its history is %s up to %d", s.History, s.Position)
	}
}

// A primary that begins where its last life has ended has the replicas that are exactly there,
// and no others.
func TestTakeUp(t *testing.T) {
	n, h := newToyNode(t, nil)
	n.TakeUp(Standing{History: historyA, Position: 10, Database: 3}, true)
	if s := n.State(); !h.isRecorded() || s.History == historyA || s.OldHistory != historyA || s.OldPosition != 10 || s.Position != 10 {
		t.Errorf("it begins with %+v", s)
	}
	h.record(n, "SET", "a", "b")
	const stream = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n"
	for _, c := range []struct {
		history  string
		position int64
		want     string
	}{
		{historyA, 10, "+CONTINUE " + n.feed.history + "\r\n" + stream}, {historyA, 9, "+FULLRESYNC "}, {historyA, 11, "+FULLRESYNC "},
		{historyB, 10, "+FULLRESYNC "}, {n.feed.history, 10, "+CONTINUE " + n.feed.history + "\r\n" + stream},
	} {
		var l toyLink
		if err := l.serve(n, Wishes{EOF: true, PSYNC2: true, Named: true, Continue: true, History: c.history, Position: c.position}); err != nil {
			t.Fatal(err)
		}
		soon(t, fmt.Sprintf("%s %d: %q", c.history, c.position, l.text()), func() bool { return strings.HasPrefix(l.text(), c.want) })
	}
}

// A primary that stops waits for replicas that are alive, and for no others.
func TestDrain(t *testing.T) {
	n, h := newToyNode(t, nil)
	drain := func(limit time.Duration) (took time.Duration) {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		began := time.Now()
		n.Drain(ctx)
		return time.Since(began)
	}
	var tool, replica toyLink
	if err := tool.serve(n, Wishes{EOF: true, Named: true}); err != nil {
		t.Fatal(err)
	}
	soon(t, "it is online", func() bool { return reached(n, 0) == 1 })
	h.record(n, "SET", "a", "b")
	if took := drain(time.Minute); took > time.Second {
		t.Errorf("a tool was waited for, %v", took)
	}
	if err := replica.serve(n, Wishes{EOF: true, Named: true, Port: 1}); err != nil {
		t.Fatal(err)
	}
	soon(t, "it is online", func() bool { return reached(n, 0) == 2 })
	replica.replica.Acknowledged(0, NotDurable)
	if took := drain(50 * time.Millisecond); took < 50*time.Millisecond {
		t.Errorf("it was not waited for: %v", took)
	}
	position := n.feed.end()
	h.record(n, "SET", "a", "c")
	go func() {
		for strings.Count(replica.text(), "GETACK") < 2 {
			time.Sleep(time.Millisecond)
		}
		replica.replica.Acknowledged(position, NotDurable)
		time.Sleep(50 * time.Millisecond)
		replica.replica.Acknowledged(n.feed.end(), NotDurable)
	}()
	if took := drain(time.Minute); took < 50*time.Millisecond || took > 30*time.Second {
		t.Errorf("it was waited for %v", took)
	}
	h.record(n, "SET", "a", "d")
	if took := drain(time.Minute); took < drainPatience/2 || took > 30*time.Second {
		t.Errorf("one that says nothing was waited for %v", took)
	}
	n.feed.mu.Lock()
	defer n.feed.mu.Unlock()
	if !n.stopping.Load() {
		t.Error("pings go on")
	}
}

// A primary may send anything at all.
func FuzzPrimary(f *testing.F) {
	for _, head := range []string{
		"+FULLRESYNC " + historyA + " 1\r\n$3\r\nabc", "+CONTINUE\r\n", "+CONTINUE " + historyB + "\r\n*1\r\n$4\r\nPING\r\n",
		"+FULLRESYNC " + historyA + " 5\r\n$EOF:" + mark + "\r\nREDIS0009" + mark, "-ERR no\r\n", "+FULLRESYNC x y z\r\n", "\n\n\n", "+\r\n",
		"+CONTINUE\r\n*2\r\n$6\r\nSELECT\r\n$3\r\n999\r\n", "+CONTINUE\r\n*-1\r\n", "+CONTINUE\r\n*1000000000\r\n$1\r\n",
		"+CONTINUE\r\n*1\r\n$4\r\nEXEC\r\n*1\r\n$5\r\nMULTI\r\n*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n", "+CONTINUE\r\n*0\r\n*1\r\n$0\r\n\r\n",
	} {
		f.Add([]byte(head))
	}
	f.Add(slices.Concat([]byte("+CONTINUE\r\n"), commands("SELECT 1", "MULTI", "SET a b", "EXEC", "DEL a")))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := &toyHost{}
		dir := t.TempDir()
		n := &Node{
			o:    Options{Host: h, Settings: toySettings{}, Folder: func() string { return dir }, Port: func() int { return 1 }},
			log:  slog.New(slog.DiscardHandler),
			feed: newFeed(historyA, 1<<20),
		}
		n.feed.open()
		client, server := net.Pipe()
		defer client.Close()
		l := &link{node: n, conn: client, patience: time.Minute}
		go func() { _, _ = io.Copy(io.Discard, server) }()
		go func() {
			r := rand.New(rand.NewPCG(uint64(len(b)), 1))
			for len(b) > 0 {
				k := min(1+r.IntN(9), len(b))
				if _, err := server.Write(b[:k]); err != nil {
					return
				}
				b = b[k:]
			}
			server.Close()
		}()
		full, err := l.ask()
		if err == nil && full != nil {
			err = l.copy(context.Background(), full)
		}
		if err == nil {
			before := n.feed.end()
			_ = l.follow()
			if n.feed.end() < before {
				t.Error("the stream has become shorter")
			}
		}
	})
}
