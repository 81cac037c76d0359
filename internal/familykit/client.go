package familykit

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
	"hyperkv/shard"
)

// A Client asks Handlers. Of what a session knows it has the selected database and
// the version of the protocol. Owned by one goroutine.
type Client struct {
	t        testing.TB
	h        *Handlers
	database int
	client   shard.Client
	call     shard.Call
	reply    resp.Writer // what was not received yet
}

// Client returns a new client, which fails t when it is asked the impossible.
func (h *Handlers) Client(t testing.TB) *Client { return &Client{t: t, h: h} }

// Close implements testkit.Client.
func (c *Client) Close() error { return nil }

// Do implements testkit.Client.
func (c *Client) Do(args ...string) (resp.Value, error) {
	if err := c.Send(args...); err != nil {
		return resp.Value{}, err
	}
	return c.Receive(0)
}

// Receive implements testkit.Client. Replies are there at once or never.
func (c *Client) Receive(time.Duration) (resp.Value, error) {
	if len(c.reply.Buf) == 0 {
		return resp.Value{}, os.ErrDeadlineExceeded
	}
	v, n, err := resp.ReadValue(c.reply.Buf)
	c.reply.Buf = c.reply.Buf[n:]
	return v, err
}

// Send implements testkit.Client.
func (c *Client) Send(args ...string) error {
	switch strings.ToUpper(args[0]) {
	case "SELECT":
		return c.choose(&c.database, args)
	case "HELLO":
		return c.choose(&c.reply.Proto, args)
	}
	words := bytesOf(args)
	command, err := c.h.Table.Resolve(words)
	if err != nil {
		return c.reply.Error(err)
	}
	if command.Run == nil {
		return fmt.Errorf("%s needs a session, which handlers alone do not have", command.FullName())
	}
	c.run(command, words)
	return nil
}

// choose is a command that sets something of the session to a number.
func (c *Client) choose(what *int, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%v is more than handlers alone understand", args)
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	*what = n
	return c.reply.OK()
}

// run runs the body of a command with the turns of all shards that it may touch.
func (c *Client) run(command *engine.Command, args [][]byte) {
	set := c.h.Set
	shards := set.Shards
	if command.Scope == engine.ScopeCursor {
		cursor, _ := shard.ParseCursor(args[1])
		at := shard.CursorShard(cursor, len(shards))
		shards = shards[at : at+1]
	}
	// A turn may be with a keeper for a moment.
	for !set.EnterAll(shards) {
		time.Sleep(time.Millisecond)
	}
	defer set.ExitAll(shards)
	c.call.Bind(set, shards...)
	c.call.BeginClient(&c.client, &c.reply)
	c.call.Begin(c.database, args)
	c.call.Command = command.ID()
	c.call.Execute(command.Run, 0)
	c.call.EndClient()
}

// Must runs a command that may not be refused.
func (c *Client) Must(args ...string) resp.Value {
	c.t.Helper()
	v, err := c.Do(args...)
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		c.t.Fatalf("%q: %v", args, err)
	}
	return v
}

// Line runs a command that is written in one line, as in a transcript, and returns
// the reply as redis-cli shows it.
func (c *Client) Line(line string) string {
	c.t.Helper()
	v, err := c.Do(c.split(line)...)
	if err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	return v.String()
}

// Allocations says how many allocations it takes on average to run a command that is
// written in one line. Finding it in the table does not count.
func (c *Client) Allocations(line string) float64 {
	c.t.Helper()
	args := bytesOf(c.split(line))
	command, err := c.h.Table.Resolve(args)
	if err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	defer c.reply.Reset()
	return testing.AllocsPerRun(200, func() {
		c.reply.Reset()
		c.run(command, args)
	})
}

func (c *Client) split(line string) []string {
	c.t.Helper()
	words, err := testkit.Split(line)
	if err != nil {
		c.t.Fatal(err)
	}
	return words
}

func bytesOf(words []string) [][]byte {
	b := make([][]byte, len(words))
	for i, word := range words {
		b[i] = []byte(word)
	}
	return b
}
