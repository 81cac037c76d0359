package migrate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"hyperkv/internal/rdb"
	"hyperkv/resp"
)

// Server is a server as a Target: keys go to it by RESTORE, many at a time. What is too
// long for that, or of a kind that the server's RESTORE does not know, goes as commands.
type Server struct {
	// LibrariesLeft counts libraries that the server would not have, because it has no
	// functions. It is there after End.
	LibrariesLeft int

	c       *client
	longest int // value for RESTORE
	replace bool
	own     bool // it is a HyperKV
	newest  int  // RDB version that it reads
	writer  *rdb.Writer
	command commander
	options [][]byte

	database int
	unsent   []pending    // whose commands are in the connection's buffer
	pending  chan pending // whose commands were sent
	over     sync.WaitGroup

	mu     sync.Mutex
	err    error         // the first
	failed chan struct{} // closed with it
}

// A pending is a command whose reply has not come.
type pending struct {
	library  bool // it is not about a key, but a library
	database int
	key      string
	reply    chan<- resp.Value // who waits for it; nil for nobody
}

// aboutKey is a pending command about a key, of which it keeps as much as is shown.
func aboutKey(name []byte) pending { return pending{key: string(name[:min(len(name), keyShown)])} }

// keyShown is how much of a key is shown.
const keyShown = 64

const (
	// pendingMax is how many replies may be missing, unsentMax how many commands are sent
	// together, and unsentBytesMax how long they are.
	pendingMax     = 4096
	unsentMax      = 1024
	unsentBytesMax = 64 << 10
	// lastWords is how long to wait for what a server says that has closed the connection.
	lastWords = time.Second
	// restoreBytesMax is how long a value may be for RESTORE; servers refuse arguments of
	// 512 MiB, and hold all of one in memory.
	restoreBytesMax = 64 << 20
)

// ServerOptions say how a server is written to.
type ServerOptions struct {
	Replace bool // keys that are there already
	Flush   bool // empty it before
}

// NewServer connects to a server. Close it when done.
func NewServer(ctx context.Context, a Address, o ServerOptions) (*Server, error) {
	c, err := dial(ctx, a)
	if err != nil {
		return nil, err
	}
	s := &Server{c: c, longest: restoreBytesMax, replace: o.Replace, newest: versionUsual, pending: make(chan pending, pendingMax), failed: make(chan struct{})}
	if err := s.begin(o); err != nil {
		c.close()
		return nil, fmt.Errorf("%s: %w", a.Host, err)
	}
	s.writer = rdb.NewWriter(nil, s.newest)
	s.command.emit = func(command []byte) error { return s.send(aboutKey(s.command.key), command) }
	s.over.Go(s.receive)
	return s, nil
}

// begin finds out whether the server is there for us, and which.
func (s *Server) begin(o ServerOptions) error {
	if _, err := s.c.do("PING"); err != nil {
		return fmt.Errorf("PING: %w", err)
	}
	info, err := s.c.do("INFO", "server")
	var refused resp.Error
	switch {
	case err == nil:
		s.meet(info.Text())
	case !errors.As(err, &refused): // who may not ask is content with the usual version
		return fmt.Errorf("INFO: %w", err)
	}
	if o.Flush {
		if _, err := s.c.do("FLUSHALL"); err != nil {
			return fmt.Errorf("FLUSHALL: %w", err)
		}
	}
	return nil
}

// meet learns from INFO who the server is.
func (s *Server) meet(info string) {
	s.own = field(info, "server_name") == "hyperkv"
	major, rest, _ := strings.Cut(field(info, "redis_version"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	m, _ := strconv.Atoi(major)
	n, _ := strconv.Atoi(minor)
	switch {
	case m > 7 || m == 7 && n >= 4:
		s.newest = 12
	case m == 7 && n >= 2:
		s.newest = 11
	}
}

func field(info, name string) string {
	_, value, _ := strings.Cut("\r\n"+info, "\r\n"+name+":")
	value, _, _ = strings.Cut(value, "\r\n")
	return value
}

// Close ends the connection.
func (s *Server) Close() {
	s.fail(errors.New("closed"))
	close(s.pending)
	s.over.Wait()
	s.c.close()
}

// fail notes the first error, and lets nobody wait any more.
func (s *Server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		close(s.failed)
		s.c.conn.Close()
	}
}

func (s *Server) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// receive reads replies.
func (s *Server) receive() {
	for p := range s.pending {
		if s.failure() != nil {
			continue
		}
		v, err := s.c.receive()
		if err != nil {
			s.fail(err)
			continue
		}
		if p.reply != nil {
			p.reply <- v
		} else if err := v.Err(); err != nil {
			s.refused(p, err)
		}
	}
}

// refused says what a server would not do.
func (s *Server) refused(p pending, err error) {
	switch {
	case p.library && strings.HasPrefix(err.Error(), "ERR unknown command"):
		s.LibrariesLeft++
	case p.library:
		s.fail(fmt.Errorf("a library of functions: %w", err))
	case strings.HasPrefix(err.Error(), "BUSYKEY"):
		s.fail(fmt.Errorf("the key %q in database %d is there already: %w", p.key, p.database, err))
	default:
		s.fail(fmt.Errorf("the key %q in database %d: %w", p.key, p.database, err))
	}
}

// send sends a command whose reply is read later, together with others.
func (s *Server) send(p pending, command []byte) error {
	p.database = s.database
	s.unsent = append(s.unsent, p)
	if _, err := s.c.out.Write(command); err != nil {
		return s.broken(err)
	}
	if len(s.unsent) >= unsentMax || s.c.out.Buffered() >= unsentBytesMax {
		return s.flush()
	}
	return s.failure()
}

// flush sends what was collected.
func (s *Server) flush() error {
	if err := s.c.out.Flush(); err != nil {
		return s.broken(err)
	}
	for _, p := range s.unsent {
		select {
		case s.pending <- p:
		case <-s.failed:
			return s.failure()
		}
	}
	s.unsent = s.unsent[:0]
	return nil
}

// broken is called when nothing can be sent any more. The server may have said why.
func (s *Server) broken(err error) error {
	select {
	case <-s.failed:
	case <-time.After(lastWords):
		s.fail(err)
	}
	return s.failure()
}

// ask sends a command and waits for its reply, and so for all before it.
func (s *Server) ask(args ...[]byte) (v resp.Value, err error) {
	reply := make(chan resp.Value, 1)
	if err := s.send(pending{reply: reply}, encode(args...)); err != nil {
		return v, err
	}
	if err := s.flush(); err != nil {
		return v, err
	}
	select {
	case v = <-reply:
		return v, s.failure()
	case <-s.failed:
		return v, s.failure()
	}
}

var (
	wordRestore   = []byte("RESTORE")
	wordReplace   = []byte("REPLACE")
	wordAbsTTL    = []byte("ABSTTL")
	wordIdleTime  = []byte("IDLETIME")
	wordFrequency = []byte("FREQ")
)

// Key implements Target.
func (s *Server) Key(k *rdb.Key, raw []byte) error {
	if k.Database != s.database {
		// What follows must not land in the database before.
		v, err := s.ask([]byte("SELECT"), number(int64(k.Database)))
		if err == nil {
			err = v.Err()
		}
		if err != nil {
			return fmt.Errorf("SELECT %d, for the key %.64q: %w", k.Database, k.Name, err)
		}
		s.database = k.Database
	}
	if len(raw) > s.longest {
		return s.byCommands(k, raw)
	}
	w := s.writer
	w.Reset()
	if k.Type == rdb.TypeSetMetadata && s.own {
		w.Raw(k.Type, raw)
	} else if err := w.Value(k.Type, raw); err != nil {
		return fmt.Errorf("the key %.64q: %w", k.Name, err)
	}
	if w.Version() > s.newest {
		return s.byCommands(k, raw)
	}
	s.options = append(s.options[:0], wordRestore, k.Name, number(k.Deadline), w.Payload(), wordAbsTTL)
	if s.replace {
		s.options = append(s.options, wordReplace)
	}
	switch {
	case k.Frequency >= 0:
		s.options = append(s.options, wordFrequency, number(int64(k.Frequency)))
	case k.Idle >= 0:
		s.options = append(s.options, wordIdleTime, number(k.Idle))
	}
	return s.send(aboutKey(k.Name), encode(s.options...))
}

// byCommands makes a key by commands.
func (s *Server) byCommands(k *rdb.Key, raw []byte) error {
	if s.replace {
		if err := s.send(aboutKey(k.Name), encode([]byte("DEL"), k.Name)); err != nil {
			return err
		}
	} else {
		v, err := s.ask([]byte("EXISTS"), k.Name)
		if err == nil {
			err = v.Err()
		}
		if err == nil && v.Int != 0 {
			err = fmt.Errorf("the key %.64q in database %d is there already", k.Name, k.Database)
		}
		if err != nil {
			return err
		}
	}
	if err := s.command.value(k, raw); err != nil {
		if failure := s.failure(); failure != nil {
			return failure
		}
		return fmt.Errorf("the key %.64q: %w", k.Name, err)
	}
	return nil
}

// Library implements Target.
func (s *Server) Library(source []byte) error {
	args := [][]byte{[]byte("FUNCTION"), []byte("LOAD"), source}
	if s.replace {
		args = [][]byte{[]byte("FUNCTION"), []byte("LOAD"), wordReplace, source}
	}
	return s.send(pending{library: true}, encode(args...))
}

// End implements Target.
func (s *Server) End() error {
	_, err := s.ask([]byte("PING"))
	return err
}
