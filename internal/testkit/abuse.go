package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/resp"
)

// Abuse is what clients do to a server that mean harm, or have gone wrong. Each
// method does one kind of harm while a bystander goes on working, and returns an
// error when the server ends, stops serving others, or grows beyond its bound.
//
// Use Connections up to 10,000; both processes need that many file descriptors.
type Abuse struct {
	Network, Addr string

	// PID is the server's process, whose memory is watched through /proc. Zero
	// leaves the memory alone.
	PID int

	MemoryMax   int64         // growth of the resident size; 0 means 256 MiB
	LatencyMax  time.Duration // of the bystander's commands; 0 means 2 seconds
	Connections int           // 0 means 200
	Duration    time.Duration // of kinds that could go on for ever; 0 means one second
	Seed        uint64
}

// A Toll is what a kind of abuse cost.
type Toll struct {
	Connections int           // that were opened
	Bytes       int64         // that were sent
	Served      int           // commands that the bystander had answered meanwhile
	Worst       time.Duration // the bystander's longest wait
	Growth      int64         // of the resident size, at its highest
}

func (t Toll) String() string {
	return fmt.Sprintf("%d connections, %d bytes sent, %d commands of others served, the slowest in %v, %d KiB more resident",
		t.Connections, t.Bytes, t.Served, t.Worst.Round(time.Microsecond), t.Growth>>10)
}

func (a Abuse) withDefaults() Abuse {
	if a.MemoryMax == 0 {
		a.MemoryMax = 256 << 20
	}
	if a.LatencyMax == 0 {
		a.LatencyMax = 2 * time.Second
	}
	if a.Connections == 0 {
		a.Connections = 200
	}
	if a.Duration == 0 {
		a.Duration = time.Second
	}
	return a
}

// bystanderPause is the time between two commands of the bystander.
const bystanderPause = 2 * time.Millisecond

// A siege is one kind of abuse under way. Safe for concurrent use.
type siege struct {
	Abuse
	connections atomic.Int64
	bytes       atomic.Int64
}

// run does harm under the eyes of a bystander, and looks at the server afterwards.
func (a Abuse) run(ctx context.Context, harm func(ctx context.Context, s *siege) error) (Toll, error) {
	s := &siege{Abuse: a.withDefaults()}
	before, err := s.resident()
	if err != nil {
		return Toll{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg    sync.WaitGroup
		toll  Toll
		stood error // written by the bystander, read after wg.Wait
	)
	wg.Add(1)
	go func() {
		defer wg.Done()
		if stood = s.stand(ctx, before, &toll); stood != nil {
			cancel()
		}
	}()
	err = harm(ctx, s)
	cancel()
	wg.Wait()
	toll.Connections, toll.Bytes = int(s.connections.Load()), s.bytes.Load()
	if stood != nil {
		return toll, stood
	}
	if err != nil {
		return toll, err
	}
	if err := Ping(s.Network, s.Addr, s.LatencyMax); err != nil {
		return toll, fmt.Errorf("afterwards: %w", err)
	}
	return toll, nil
}

// stand is the bystander: it works as a decent client and watches the memory.
func (s *siege) stand(ctx context.Context, before int64, toll *Toll) error {
	conn, err := Dial(s.Network, s.Addr)
	if err != nil {
		return fmt.Errorf("bystander: %w", err)
	}
	defer conn.Close()
	for n := 0; ctx.Err() == nil; n++ {
		value := strconv.Itoa(n)
		began := time.Now()
		if err := conn.Send("GETSET", "abuse:bystander", value); err != nil {
			return fmt.Errorf("bystander: %w", err)
		}
		v, err := conn.Receive(s.LatencyMax)
		if err == nil {
			err = v.Err()
		}
		if err != nil {
			return fmt.Errorf("bystander, after %v: %w", time.Since(began), err)
		}
		if n > 0 && v.Text() != strconv.Itoa(n-1) {
			return fmt.Errorf("bystander: read %s, wrote %d", v, n-1)
		}
		toll.Served++
		toll.Worst = max(toll.Worst, time.Since(began))
		now, err := s.resident()
		if err != nil {
			return err
		}
		toll.Growth = max(toll.Growth, now-before)
		if toll.Growth > s.MemoryMax {
			return fmt.Errorf("the server grew by %d MiB, at most %d are allowed", toll.Growth>>20, s.MemoryMax>>20)
		}
		time.Sleep(bystanderPause)
	}
	return nil
}

// resident returns the server's resident bytes.
func (a Abuse) resident() (int64, error) {
	if a.PID == 0 {
		return 0, nil
	}
	return ResidentBytes(a.PID)
}

// ResidentBytes returns how much memory a process holds.
func ResidentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("memory of the server: %w", err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("memory of the server: %q", text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// dial opens one more connection. Some servers are slow to accept under siege, and
// may be; they may not refuse.
func (s *siege) dial() (net.Conn, error) {
	conn, err := net.DialTimeout(s.Network, s.Addr, dialPatience)
	if err != nil {
		return nil, fmt.Errorf("connection %d: %w", s.connections.Load()+1, err)
	}
	s.connections.Add(1)
	return conn, nil
}

// write sends bytes. That the server closes the connection is its right.
func (s *siege) write(conn net.Conn, p []byte, patience time.Duration) (gone bool) {
	if conn.SetWriteDeadline(time.Now().Add(patience)) != nil {
		return true
	}
	n, err := conn.Write(p)
	s.bytes.Add(int64(n))
	return err != nil
}

// drain reads what the server has to say, until it closes or is silent.
func drain(conn net.Conn, patience time.Duration) (said []byte, closed bool) {
	chunk := make([]byte, 4<<10)
	for {
		if conn.SetReadDeadline(time.Now().Add(patience)) != nil {
			return said, true
		}
		n, err := conn.Read(chunk)
		if len(said) < 64<<10 {
			said = append(said, chunk[:n]...)
		}
		if err != nil {
			return said, !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}

// leave closes a connection in one of the ways in which clients disappear.
func leave(conn net.Conn, r *rand.Rand) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		switch r.IntN(3) {
		case 0:
			_ = tcp.SetLinger(0) // a reset in place of a farewell
		case 1:
			_ = tcp.CloseWrite()
			drain(conn, time.Millisecond)
		}
	}
	conn.Close()
}

// crowd lets a number of clients repeat an act until time is up.
func (s *siege) crowd(ctx context.Context, clients int, act func(r *rand.Rand) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.Duration)
	defer cancel()
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for n := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(s.Seed, uint64(n)))
			for ctx.Err() == nil && errs[n] == nil {
				errs[n] = act(r)
			}
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// RandomBytes sends noise: pure, made of the protocol's own bytes, and right commands
// with some bytes changed.
func (a Abuse) RandomBytes(ctx context.Context) (Toll, error) {
	return a.run(ctx, func(ctx context.Context, s *siege) error {
		return s.crowd(ctx, 4, func(r *rand.Rand) error {
			conn, err := s.dial()
			if err != nil {
				return err
			}
			defer leave(conn, r)
			for range 1 + r.IntN(4) {
				if s.write(conn, noise(r), time.Second) {
					break
				}
				if r.IntN(2) == 0 {
					drain(conn, time.Millisecond)
				}
			}
			return nil
		})
	})
}

// noise makes bytes that no decent client would send.
func noise(r *rand.Rand) []byte {
	var p []byte
	switch r.IntN(3) {
	case 0:
		p = make([]byte, r.IntN(4<<10))
		for i := range p {
			p[i] = byte(r.Uint32())
		}
	case 1:
		tokens := []string{"*", "$", "\r\n", "\r", "\n", "-", "+", ":", "0", "1", "3", "9", "99999", " ", "\"", "'", "\\x", "\x00", "GET", "a"}
		for range r.IntN(400) {
			p = append(p, tokens[r.IntN(len(tokens))]...)
		}
	default:
		for range 1 + r.IntN(20) {
			p = resp.AppendCommandString(p, "SET", "abuse:noise", strings.Repeat("x", r.IntN(100)))
			p = resp.AppendCommandString(p, "MGET", "abuse:noise", "abuse:none")
		}
		for range 1 + r.IntN(5) {
			p[r.IntN(len(p))] = byte(r.Uint32())
		}
	}
	return p
}

// HalfCommands sends commands cut off at every byte, and either holds the connection
// open or goes away. What was cut off must not have happened.
func (a Abuse) HalfCommands(ctx context.Context) (Toll, error) {
	return a.run(ctx, func(ctx context.Context, s *siege) error {
		const key = "abuse:half"
		if err := s.expect("OK", "SET", key, "whole"); err != nil {
			return err
		}
		r := rand.New(rand.NewPCG(s.Seed, 0))
		whole := resp.AppendCommandString(nil, "SET", key, strings.Repeat("half", 8))
		inline := []byte("SET " + key + " half\r\n")
		var held []net.Conn
		defer func() {
			for _, conn := range held {
				conn.Close()
			}
		}()
		for i := 0; i < s.Connections && ctx.Err() == nil; i++ {
			conn, err := s.dial()
			if err != nil {
				return err
			}
			p := whole[:i%len(whole)]
			if r.IntN(4) == 0 {
				p = inline[:i%(len(inline)-2)]
			}
			if s.write(conn, p, time.Second) {
				conn.Close()
				return errors.New("the server does not take half a command")
			}
			if r.IntN(2) == 0 {
				leave(conn, r)
				continue
			}
			held = append(held, conn)
		}
		for _, conn := range held {
			said, closed := drain(conn, time.Millisecond)
			if len(said) > 0 || closed {
				return fmt.Errorf("half a command was answered: %q, closed: %v", said, closed)
			}
		}
		return s.expect(`"whole"`, "GET", key) // half a command has no effect
	})
}

// expect runs one command on a connection of its own, and wants this reply, as
// redis-cli shows it.
func (s *siege) expect(want string, args ...string) error {
	conn, err := Dial(s.Network, s.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	v, err := conn.Do(args...)
	if err == nil && v.String() != want {
		err = fmt.Errorf("answered %s, want %s", v, want)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", args[0], args[1], err)
	}
	return nil
}

// hugeLengths are announcements, and whether the server must refuse them at once. The
// others are allowed, and nobody may reserve memory for them.
var hugeLengths = []struct {
	announce string
	refused  bool
}{
	{"*2147483648\r\n", true},
	{"*9223372036854775807\r\n", true},
	{"*99999999999999999999\r\n", true},
	{"*x\r\n", true},
	{"*1\r\n$536870913\r\n", true},
	{"*1\r\n$-1\r\n", true},
	{"*1\r\n$9223372036854775807\r\n", true},
	{"*1\r\n$99999999999999999999\r\n", true},
	{"*1\r\n:1\r\n", true},
	{"*3\r\n$3\r\nSET\r\n$536870913\r\n", true},
	{strings.Repeat("x", 65<<10), true},             // an inline command without an end
	{"*" + strings.Repeat("1", 65<<10), true},       // a header without an end
	{"*1\r\n$" + strings.Repeat("1", 65<<10), true}, // the same
	{"*1000000\r\n", false},                         // an array that may come
	{"*1000000\r\n$3\r\nSET\r\n$1\r\na\r\n", false}, // its beginning
	{"*1\r\n$500000000\r\n", false},                 // a string that may come
	{"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$500000000\r\nabc", false},
}

// HugeLengths announces more than anybody sends. What is beyond the limits must be
// refused with a protocol error; for the rest no memory may be reserved.
func (a Abuse) HugeLengths(ctx context.Context) (Toll, error) {
	return a.run(ctx, func(ctx context.Context, s *siege) error {
		var held []net.Conn
		defer func() {
			for _, conn := range held {
				conn.Close()
			}
		}()
		for i := 0; i < max(s.Connections, len(hugeLengths)) && ctx.Err() == nil; i++ {
			huge := hugeLengths[i%len(hugeLengths)]
			conn, err := s.dial()
			if err != nil {
				return err
			}
			held = append(held, conn)
			gone := s.write(conn, []byte(huge.announce), time.Second)
			if !huge.refused {
				if said, closed := drain(conn, time.Millisecond); gone || closed || len(said) > 0 {
					return fmt.Errorf("%.60q is allowed, but was answered: %q", huge.announce, said)
				}
				continue
			}
			said, closed := drain(conn, s.LatencyMax)
			if !closed {
				return fmt.Errorf("%.60q leaves the connection open", huge.announce)
			}
			// A reset may overtake the reply when input was left unread.
			if len(said) > 0 && !strings.HasPrefix(string(said), "-ERR Protocol error") {
				return fmt.Errorf("%.60q was answered %q", huge.announce, said)
			}
		}
		return nil
	})
}

// OneByteEach opens all connections at once, sends one byte over each, and then the
// rest of the command byte by byte. Every one must be answered.
func (a Abuse) OneByteEach(ctx context.Context) (Toll, error) {
	return a.run(ctx, func(ctx context.Context, s *siege) error {
		conns := make([]net.Conn, 0, s.Connections)
		defer func() {
			for _, conn := range conns {
				conn.Close()
			}
		}()
		command := resp.AppendCommandString(nil, "PING")
		for range s.Connections {
			conn, err := s.dial()
			if err != nil {
				return err
			}
			conns = append(conns, conn)
			s.write(conn, command[:1], time.Second)
		}
		for i := 1; i < len(command); i++ {
			for n, conn := range conns {
				if ctx.Err() != nil {
					return nil
				}
				if s.write(conn, command[i:i+1], time.Second) {
					return fmt.Errorf("connection %d was closed within its command", n)
				}
			}
		}
		answer := make([]byte, len("+PONG\r\n"))
		for n, conn := range conns {
			if ctx.Err() != nil {
				return nil
			}
			if err := conn.SetReadDeadline(time.Now().Add(replyPatience)); err != nil {
				return err
			}
			if got, err := io.ReadFull(conn, answer); err != nil {
				return fmt.Errorf("connection %d got %q: %w", n, answer[:got], err)
			}
			if string(answer) != "+PONG\r\n" {
				return fmt.Errorf("connection %d got %q", n, answer)
			}
		}
		return nil
	})
}

const (
	// deafReaders ask for much and never read.
	deafReaders = 8

	// deafValueBytes is the size of what they ask for, again and again.
	deafValueBytes = 1 << 20
)

// DeafReaders ask for four times the memory that the server may use, and never read.
// The server may make them wait or close them; it must not keep it all.
func (a Abuse) DeafReaders(ctx context.Context) (Toll, error) {
	return a.run(ctx, func(ctx context.Context, s *siege) error {
		const key = "abuse:deaf"
		if err := s.expect("OK", "SET", key, strings.Repeat("x", deafValueBytes)); err != nil {
			return err
		}
		get := resp.AppendCommandString(nil, "GET", key)
		asks := int(4 * s.MemoryMax / deafReaders / deafValueBytes)
		var held []net.Conn
		defer func() {
			for _, conn := range held {
				conn.Close()
			}
		}()
		for range deafReaders {
			conn, err := s.dial()
			if err != nil {
				return err
			}
			held = append(held, conn)
		}
		for range asks {
			if ctx.Err() != nil {
				return nil
			}
			for _, conn := range held {
				// Neither waiting nor being closed keeps a deaf reader from asking on.
				s.write(conn, get, time.Millisecond)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.Duration):
		}
		return nil
	})
}

// abuses are all kinds.
var abuses = []struct {
	name string
	run  func(Abuse, context.Context) (Toll, error)
}{
	{"random bytes", Abuse.RandomBytes},
	{"half commands", Abuse.HalfCommands},
	{"huge lengths", Abuse.HugeLengths},
	{"one byte each", Abuse.OneByteEach},
	{"deaf readers", Abuse.DeafReaders},
}

// All does every kind of harm, one after the other, and adds up the toll.
func (a Abuse) All(ctx context.Context) (Toll, error) {
	var total Toll
	for _, kind := range abuses {
		toll, err := kind.run(a, ctx)
		total.Connections += toll.Connections
		total.Bytes += toll.Bytes
		total.Served += toll.Served
		total.Worst = max(total.Worst, toll.Worst)
		total.Growth = max(total.Growth, toll.Growth)
		if err != nil {
			return total, fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return total, nil
}
