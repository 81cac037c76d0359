package connection

import (
	"time"

	"hyperkv/engine"
	"hyperkv/resp"
)

// CLIENT KILL addr
// CLIENT KILL filter value [filter value ...]
//
// The old form may name the client itself, and answers OK; the new form spares
// it unless told otherwise, and answers how many clients it has found. Either
// way a client that kills itself reads the answer first.
func clientKill(c *engine.Context) error {
	selected := selection{skipMe: true}
	old := len(c.Args) == 3
	if old {
		selected.skipMe = false
		selected.address(c.Args[2])
	} else if err := selected.parse(c, 2, killing); err != nil {
		return err
	}
	killed := 0
	for _, p := range selected.find(c) {
		p.session.Kill(c.Session)
		killed++
	}
	switch {
	case !old:
		return c.Reply.Int(int64(killed))
	case killed == 0:
		return resp.ErrNoSuchClient
	}
	return c.Reply.OK()
}

// pauseMax bounds a pause to what a clock can hold; it is as good as forever.
const pauseMax = 100 * 365 * 24 * time.Hour

// CLIENT PAUSE timeout [WRITE | ALL]
func clientPause(c *engine.Context) error {
	all := true
	switch {
	case len(c.Args) > 4:
		return resp.SubcommandSyntax("client", c.Args[1])
	case len(c.Args) == 4 && resp.WordIs(c.Args[3], "WRITE"):
		all = false
	case len(c.Args) == 4 && !resp.WordIs(c.Args[3], "ALL"):
		return resp.Error("ERR CLIENT PAUSE mode must be WRITE or ALL")
	}
	millis, ok := resp.ParseInt(c.Args[2])
	if !ok {
		return resp.ErrTimeoutNotInt
	}
	if millis < 0 {
		return resp.ErrTimeoutNegative
	}
	timeout := pauseMax
	if millis < pauseMax.Milliseconds() {
		timeout = time.Duration(millis) * time.Millisecond
	}
	c.Engine.Pause(timeout, all)
	return c.Reply.OK()
}

// CLIENT UNPAUSE
func clientUnpause(c *engine.Context) error {
	c.Engine.Unpause()
	return c.Reply.OK()
}

// CLIENT UNBLOCK client-id [TIMEOUT | ERROR]
func clientUnblock(c *engine.Context) error {
	withError := false
	switch {
	case len(c.Args) > 4:
		return resp.SubcommandSyntax("client", c.Args[1])
	case len(c.Args) == 4 && resp.WordIs(c.Args[3], "ERROR"):
		withError = true
	case len(c.Args) == 4 && !resp.WordIs(c.Args[3], "TIMEOUT"):
		return resp.Error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
	}
	id, ok := resp.ParseInt(c.Args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	if s := c.Engine.Client(id); s != nil && s.Unblock(withError) {
		return c.Reply.Int(1)
	}
	return c.Reply.Int(0)
}
