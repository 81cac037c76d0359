package engine

import (
	"errors"
	"sync"

	"hyperkv/resp"
)

// A Client runs commands inside the process, without a socket. It is a session
// like any other: it has a selected database, may MULTI and WATCH, and is listed
// by CLIENT LIST. Safe for concurrent use; commands run one at a time, so that
// programs that want parallelism open several.
type Client struct {
	// Kept, when set, is called before a reply is returned, to make true what it promises. An
	// error takes the place of the reply. promises says that it is that of a command which may
	// have changed something. Set it before the first command.
	Kept func(promises bool) error

	mu      sync.Mutex
	loop    *Loop
	session *Session
	wake    chan struct{}
	request []byte
	reply   []byte
	// promises is whether the reply does: see Kept.
	promises bool
	closed   bool
}

// ErrClosed is returned by a Client that was closed, by the program or by CLIENT KILL.
var ErrClosed = errors.New("client is closed")

// ErrNoReply is returned when the session has been told not to reply (CLIENT REPLY OFF).
var ErrNoReply = errors.New("the client has replies switched off")

// NewClient opens a session inside the process. It needs no password. Close it
// when done.
func (e *Engine) NewClient() (*Client, error) {
	c := &Client{wake: make(chan struct{}, 1)}
	c.loop = e.NewLoop(-1, func() {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	})
	s, err := c.loop.Open((*clientOutlet)(c), ConnInfo{})
	if err != nil {
		c.loop.Close()
		return nil, err
	}
	s.authenticated = true
	s.SetProto(3)
	c.session = s
	return c, nil
}

// Close ends the session. A command under way returns ErrClosed, unless its reply is
// there already.
func (c *Client) Close() error {
	c.session.loop.post((*clientOutlet)(c).Close) // lets go of one that waits
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.session.Closed(nil)
	}
	if c.loop != nil {
		for c.session.hold == holdExec { // a transaction still has the session
			<-c.wake
			c.loop.Woken()
		}
		c.loop.Close()
		c.loop = nil
	}
	return nil
}

// Closed says whether the session has ended, by Close or otherwise.
func (c *Client) Closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Fresh says whether the session is as it was when it was opened: database 0, no
// transaction, nothing watched, replies switched on.
func (c *Client) Fresh() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.session
	return !c.closed && s.db == 0 && s.multi == nil && s.client.Watch == nil && s.reply == replyOn && s.proto == 3 &&
		s.authenticated && s.info.flags.Load() == 0
}

// Do runs one command and returns its reply. An error reply is a value of kind
// resp.KindError, not an error; errors mean that there is no reply.
func (c *Client) Do(args ...string) (resp.Value, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.request = resp.AppendCommandString(c.request[:0], args...)
	return c.roundTrip()
}

// DoBytes is Do for arguments that are bytes.
func (c *Client) DoBytes(args ...[]byte) (resp.Value, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.request = resp.AppendCommand(c.request[:0], args...)
	return c.roundTrip()
}

func (c *Client) roundTrip() (resp.Value, error) {
	if c.loop == nil || c.closed {
		return resp.Value{}, ErrClosed
	}
	c.reply, c.promises = nil, false // what is returned borrows from it
	c.session.Feed(c.request)
	for {
		v, n, err := resp.ReadValue(c.reply)
		if err != nil {
			return resp.Value{}, err
		}
		if n > 0 {
			if c.Kept != nil {
				if err := c.Kept(c.promises); err != nil {
					return resp.Value{}, err
				}
			}
			return v, nil
		}
		if c.closed {
			return resp.Value{}, ErrClosed
		}
		if c.session.hold == holdNone && c.session.pipeline.empty() {
			return resp.Value{}, ErrNoReply
		}
		<-c.wake
		c.loop.Woken()
	}
}

// clientOutlet is the Client as its session sees it.
type clientOutlet Client

func (c *clientOutlet) Write(p []byte)            { c.promises = true; c.WriteAnyway(p) }
func (c *clientOutlet) WriteAnyway(p []byte)      { c.reply = append(c.reply, p...) }
func (c *clientOutlet) Unsent() int               { return 0 }
func (c *clientOutlet) NotifyDrained(int, func()) {}
func (c *clientOutlet) Close() {
	if !c.closed {
		c.closed = true
		c.session.Closed(nil)
	}
}
