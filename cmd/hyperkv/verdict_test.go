package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hyperkv/resp"
)

// token is a word by which records are known again. Whoever promises it needs all of those
// that have it, so as a rule only one command brings it into the logs.
func token(client, number int) string { return fmt.Sprintf("~%d.%d~", client, number) }

var tokens = regexp.MustCompile(`~[0-9]+\.[0-9]+~`)

// request is a command of a client, and the tokens that its effects bring into the logs.
// Its reply promises those, and whatever tokens it shows.
type request struct {
	line     []string
	promises []string
}

// verdict is what a trace says about the replies of some clients.
type verdict struct {
	promises  int      // that were looked at
	unwritten []string // those whose reply left before the kernel had the record
	unsynced  []string // those whose reply left before a sync of the record had ended well
}

// judge holds the replies of clients, by name, against what had become of what they
// promise when they left. A client's first request has to be answered with its name.
func judge(calls []*traced, clients map[string][]request) (v verdict, err error) {
	m, err := findMedium(calls)
	if err != nil {
		return v, err
	}
	streams, err := findStreams(calls)
	if err != nil {
		return v, err
	}
	answered := 0
	for _, s := range streams {
		requests := clients[s.name()]
		for i, at := 0, 0; i < len(requests); i++ {
			n, err := resp.SkipValue([]byte(s.text[at:]))
			if n == 0 || err != nil {
				return v, fmt.Errorf("%s: no reply to %q: %v", s.name(), requests[i].line, err)
			}
			reply := s.text[at : at+n]
			left := s.left(at)
			for _, t := range append(tokens.FindAllString(reply, -1), requests[i].promises...) {
				written, synced := m.kept(t)
				v.promises++
				says := fmt.Sprintf("line %d: the reply %.60q to %.100q leaves, and %s was written at line %d and synced at %d",
					left, reply, requests[i].line, t, written, synced)
				if written > left {
					v.unwritten = append(v.unwritten, says)
				}
				if synced > left {
					v.unsynced = append(v.unsynced, says)
				}
			}
			at += n
		}
		if len(requests) > 0 {
			answered++
		}
	}
	if answered != len(clients) {
		return v, fmt.Errorf("%d of %d clients were answered", answered, len(clients))
	}
	return v, nil
}

// medium is what a trace says about files.
type medium struct {
	records map[string][]record // by token
	copies  map[string][]record // in the commit log, by token and log
	syncs   map[string][]span   // that went well, by file or folder
	named   map[string]int      // when a file or folder had its name
}

// record is where a token stands.
type record struct {
	file    string
	written int
}

// log is the number of the log in whose file it stands.
func (r record) log() string { return logName.FindStringSubmatch(r.file)[1] }

// commitLog is the number of the commit log, which has copies of what others record.
const commitLog = "4096"

type span struct{ begin, end int }

// logName matches the segments of logs, and nothing that is only reserved.
var logName = regexp.MustCompile(`/wal-([0-9]{4})-[0-9]{20}\.log$`)

func findMedium(calls []*traced) (*medium, error) {
	m := &medium{map[string][]record{}, map[string][]record{}, map[string][]span{}, map[string]int{}}
	for _, c := range calls {
		if c.result < 0 {
			continue
		}
		switch c.name {
		case "pwrite64":
			if !logName.MatchString(c.files[0]) {
				continue
			}
			text, err := c.sent()
			if err != nil {
				return nil, err
			}
			r := record{c.files[0], c.end}
			if r.log() == commitLog {
				err = m.copied(r, text)
			} else {
				m.note(m.records, text, "", r)
			}
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", c.begin, err)
			}
		case "fdatasync", "fsync":
			m.syncs[c.files[0]] = append(m.syncs[c.files[0]], span{c.begin, c.end})
		case "renameat", "mkdirat":
			name := c.text[len(c.text)-1]
			if !filepath.IsAbs(name) {
				return nil, fmt.Errorf("line %d: %s of %q, which is not a whole path", c.begin, c.name, name)
			}
			m.named[name] = c.end
		}
	}
	return m, nil
}

// note notes where the tokens of a text stand.
func (m *medium) note(where map[string][]record, text, log string, r record) {
	for _, t := range tokens.FindAllString(text, -1) {
		where[t+log] = append(where[t+log], r)
	}
}

// copied notes the tokens in what was written to the commit log: whole records, each of which
// has the number of a log as its group. Its segments begin with a header.
func (m *medium) copied(r record, text string) error {
	if strings.HasPrefix(text, "HKVWAL") {
		return nil
	}
	for len(text) > 0 {
		const header = 24
		if len(text) < header {
			return errors.New("not a whole record of the commit log")
		}
		length := int(binary.LittleEndian.Uint32([]byte(text[:4])))
		log := fmt.Sprintf("%04d", binary.LittleEndian.Uint16([]byte(text[18:20])))
		if header+length > len(text) {
			return errors.New("not a whole record of the commit log")
		}
		m.note(m.copies, text[header:header+length], log, r)
		text = text[min((header+length+7)&^7, len(text)):]
	}
	return nil
}

// noLine stands for that of what does not come about.
const noLine = math.MaxInt

// kept says when all records of a token had been written, and when they were synced.
func (m *medium) kept(token string) (written, synced int) {
	if len(m.records[token]) == 0 {
		return noLine, noLine
	}
	for _, r := range m.records[token] {
		written = max(written, r.written)
		safe := m.safe(r)
		for _, c := range m.copies[token+r.log()] {
			safe = min(safe, m.safe(c))
		}
		synced = max(synced, safe)
	}
	return written, synced
}

// safe is when a record was synced, and the name of its file, too.
func (m *medium) safe(r record) (synced int) {
	synced = m.synced(r.file, r.written)
	for name := r.file; name != "/"; name = filepath.Dir(name) {
		if at, ok := m.named[name]; ok {
			synced = max(synced, m.synced(filepath.Dir(name), at))
		}
	}
	return synced
}

// synced is the end of the first sync of a file that began behind a line.
func (m *medium) synced(file string, line int) int {
	first := noLine
	for _, s := range m.syncs[file] {
		if s.begin > line {
			first = min(first, s.end)
		}
	}
	return first
}

// stream is what was sent to one client.
type stream struct {
	text  string
	sends []send
}

// send is a piece of a stream: where it begins, and the line at which it left.
type send struct{ from, left int }

func findStreams(calls []*traced) (map[string]*stream, error) {
	streams := map[string]*stream{}
	pieces := map[string]*strings.Builder{}
	for _, c := range calls {
		if len(c.files) == 0 || !strings.HasPrefix(c.files[0], "socket:") || c.result <= 0 ||
			!slices.Contains([]string{"sendto", "write", "writev", "sendmsg"}, c.name) {
			continue
		}
		text, err := c.sent()
		if err != nil {
			return nil, err
		}
		s := streams[c.files[0]]
		if s == nil {
			s = &stream{}
			streams[c.files[0]], pieces[c.files[0]] = s, &strings.Builder{}
		}
		s.sends = append(s.sends, send{pieces[c.files[0]].Len(), c.begin})
		pieces[c.files[0]].WriteString(text)
	}
	for socket, s := range streams {
		s.text = pieces[socket].String()
	}
	return streams, nil
}

// name is what the first reply says.
func (s *stream) name() string {
	v, _, err := resp.ReadValue([]byte(s.text))
	if err != nil {
		return ""
	}
	return v.Text()
}

// left is the line at which a byte of the stream left.
func (s *stream) left(at int) int {
	i := len(s.sends) - 1
	for s.sends[i].from > at {
		i--
	}
	return s.sends[i].left
}

// The judge sees what is wrong, and nothing where all is well.
func TestJudge(t *testing.T) {
	const log, other = "/d/j/wal-0000-00000000000000000001.log", "/d/j/wal-0001-00000000000000000001.log"
	f := func(want string, lines ...string) {
		t.Helper()
		text := strings.Join(append([]string{`1 sendto(9<socket:[5]>, "$1\r\na\r\n", 7, MSG_NOSIGNAL, NULL, 0) = 7`}, lines...), "\n") + "\n"
		calls, err := readTrace(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		v, err := judge(calls, map[string][]request{"a": {{line: []string{"ECHO", "a"}}, {line: []string{"SET"}, promises: []string{"~1.1~"}}}})
		got := fmt.Sprintf("%d unwritten, %d unsynced", len(v.unwritten), len(v.unsynced))
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s, want %s:\n%s", got, want, text)
		}
	}
	const (
		good, unsynced, unwritten = "0 unwritten, 0 unsynced", "0 unwritten, 1 unsynced", "1 unwritten, 1 unsynced"

		write   = `2 pwrite64(8<` + log + `>, "\1\0\0013~1.1~\n", 10, 64) = 10`
		writes  = `2 pwrite64(8<` + log + `>, "\1\0\0013~1.1~\n", 10, 64 <unfinished ...>`
		written = `2 <... pwrite64 resumed>) = 10`
		sync    = `2 fdatasync(8<` + log + `>) = 0`
		syncs   = `3 fdatasync(8<` + log + `>   <unfinished ...>`
		synced  = `3 <... fdatasync resumed>)      = 0`
		reply   = `1 sendto(9<socket:[5]>, "+OK\r\n", 5, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0) = 5`
	)
	f(good, write, sync, reply)
	f(good, writes, written, syncs, synced, reply)
	f(good, write, syncs, `2 write(13<anon_inode:[eventfd]>, "\1\0", 2 <unfinished ...>`, synced, `2 <... write resumed>) = 2`, reply)
	f(unsynced, write, reply, sync)
	f(unsynced, write, reply)
	f(unwritten, reply, write, sync)
	f(unwritten, reply)
	f(unwritten, writes, reply, written, sync)
	f(unsynced, write, syncs, reply, synced)
	// A sync that began before says nothing about the record.
	f(unsynced, writes, syncs, written, synced, reply)
	f(good, writes, syncs, written, synced, sync, reply)
	// One that failed, or of another file, neither.
	f(unsynced, write, `2 fdatasync(8<`+log+`>) = -1 EIO (Input/output error) (INJECTED)`, reply)
	f(unsynced, write, `2 fdatasync(8<`+other+`>) = 0`, reply)
	// A record of two logs is needed in both.
	f(unsynced, write, sync, `2 pwrite64(7<`+other+`>, "~1.1~", 5, 64) = 5`, reply)
	f(good, write, sync, `2 pwrite64(7<`+other+`>, "~1.1~", 5, 64) = 5`, `2 fdatasync(7<`+other+`>) = 0`, reply)
	// Or has its copy in the commit log, which is as good as the record itself.
	const commit = "/d/j/wal-4096-00000000000000000001.log"
	copied := func(log string) string {
		return `2 pwrite64(6<` + commit + `>, "\5\0\0\0crc4\1\0\0\0\0\0\0\0\22\0` + log + `\0\0\0\0\0~1.1~\0\0\0", 32, 64) = 32`
	}
	commits := `2 fdatasync(6<` + commit + `>) = 0`
	f(good, write, copied(`\0`), commits, reply)
	f(unsynced, write, copied(`\0`), reply)
	f(unsynced, write, copied(`\1`), commits, reply)
	f(unsynced, write, `2 pwrite64(7<`+other+`>, "~1.1~", 5, 64) = 5`, copied(`\0`), commits, reply)
	f(good, write, `2 pwrite64(7<`+other+`>, "~1.1~", 5, 64) = 5`, copied(`\0`), copied(`\1`), commits, reply)
	f(good, write, sync, `2 pwrite64(7<`+other+`>, "~1.1~", 5, 64) = 5`, copied(`\1`), commits, reply)
	f(unwritten, copied(`\0`), commits, reply)
	f("line 3: not a whole record of the commit log", write, strings.ReplaceAll(copied(`\0`), `\5\0`, `\5\1`), commits, reply)
	// Some other file is no log, and what failed or was only half done wrote nothing.
	f(unwritten, strings.ReplaceAll(write, "wal", "spare"), sync, reply)
	f(unwritten, strings.ReplaceAll(write, "= 10", "= -1 ENOSPC (No space left on device)"), sync, reply)
	f(unwritten, strings.ReplaceAll(write, "= 10", "= 5"), sync, reply)
	// A name has to be durable, too, and so has that of its folder.
	rename := `2 renameat(AT_FDCWD</x>, "/d/j/spare.tmp", AT_FDCWD</x>, "` + log + `") = 0`
	f(unsynced, rename, write, sync, reply)
	f(good, rename, write, sync, `2 fsync(8</d/j>) = 0`, reply)
	f(unsynced, `2 mkdirat(AT_FDCWD</x>, "/d/j", 0750) = 0`, write, sync, `2 fsync(8</d/j>) = 0`, reply)
	f(good, `2 mkdirat(AT_FDCWD</x>, "/d/j", 0750) = 0`, `2 fsync(8</d>) = 0`, write, sync, reply)
	// What a reply shows is promised as well, from its first byte on.
	shows := `1 writev(9<socket:[5]>, [{iov_base="+O", iov_len=2}, {iov_base="K~2.2~\r\n", iov_len=8}], 2) = 2`
	rest := `1 write(9<socket:[5]>, "K~2.2~\r\n", 8) = 8`
	later := `2 pwrite64(8<` + log + `>, "~2.2~", 5, 64) = 5`
	f(good, write, later, sync, shows, rest)
	f(unsynced, write, sync, later, shows, rest)
	f(unsynced, write, sync, later, shows, sync, rest)
	f("a: no reply to [\"SET\"]: <nil>", write, sync)
	f("line 2: strace has cut off what pwrite64 wrote", `2 pwrite64(8<`+log+`>, "~1.1~"..., 10, 64) = 10`, sync, reply)
}
