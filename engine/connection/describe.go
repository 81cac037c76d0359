package connection

import (
	"reflect"
	"strconv"
	"time"

	"hyperkv/engine"
)

// A peer is one client as CLIENT LIST and its filters see it: taken down once,
// so that what was filtered is also what is shown.
type peer struct {
	session *engine.Session
	self    bool
	info    engine.ClientInfo
	flags   string
}

func peerOf(c *engine.Context, s *engine.Session) peer {
	p := peer{session: s, self: s == c.Session, info: s.Info()}
	if p.self {
		p.info.Idle = 0 // it is sending this very command
	}
	if p.info.Addr == "" {
		// A client inside the process has no address, in the words of Redis.
		p.info.Addr, p.info.LocalAddr, p.info.FD = "?:0", "?:0", -1
	}
	p.flags = flagLetters(&p.info, s.Killed())
	return p
}

// flagLetters are the states of a client, in Redis' order.
func flagLetters(i *engine.ClientInfo, killed bool) string {
	letters := make([]byte, 0, 16)
	add := func(letter byte, yes bool) {
		if yes {
			letters = append(letters, letter)
		}
	}
	add('O', i.Monitor)
	add('S', i.Replica)
	add('M', i.Primary)
	add('x', i.InMulti)
	add('b', i.Blocked)
	add('d', i.DirtyWatch)
	add('c', i.Closing)
	add('A', killed && !i.Closing)
	add('U', i.Unix)
	add('e', i.NoEvict)
	add('T', i.NoTouch)
	add('N', len(letters) == 0)
	return string(letters)
}

// CLIENT INFO
func clientInfo(c *engine.Context) error {
	p := peerOf(c, c.Session)
	return c.Reply.Verbatim("txt", string(p.appendLine(nil)))
}

// CLIENT LIST [filter value ...]
func clientList(c *engine.Context) error {
	var selected selection
	if err := selected.parse(c, 2, listing); err != nil {
		return err
	}
	var text []byte
	for _, p := range selected.find(c) {
		text = p.appendLine(text)
	}
	return c.Reply.Verbatim("txt", string(text))
}

// sessionBytes is what a client costs besides its buffers.
var sessionBytes = int64(reflect.TypeFor[engine.Session]().Size())

// appendLine appends the fields of Redis 7.4 in its order, then the counters
// that came later. Fields about what does not exist here keep their place: the
// arguments of a command are part of the input (argv-mem), and replies have no
// buffer of the client's own (rbs, rbp, obl).
func (p *peer) appendLine(to []byte) []byte {
	i := &p.info
	text := func(name, value string) {
		to = append(append(append(append(to, ' '), name...), '='), value...)
	}
	number := func(name string, n int64) {
		to = append(append(append(to, ' '), name...), '=')
		to = strconv.AppendInt(to, n, 10)
	}
	to = append(to, "id="...)
	to = strconv.AppendInt(to, i.ID, 10)
	text("addr", i.Addr)
	text("laddr", i.LocalAddr)
	number("fd", int64(i.FD))
	text("name", i.Name)
	number("age", int64(i.Age/time.Second))
	number("idle", int64(i.Idle/time.Second))
	text("flags", p.flags)
	number("db", int64(i.DB))
	number("sub", 0)
	number("psub", 0)
	number("ssub", 0)
	number("multi", int64(i.Multi))
	number("watch", int64(i.Watching))
	number("qbuf", i.InputBytes)
	number("qbuf-free", i.InputFree)
	number("argv-mem", 0)
	number("multi-mem", i.ArgvBytes)
	number("rbs", 0)
	number("rbp", 0)
	number("obl", 0)
	queued, events := int64(0), "r"
	if i.OutputBytes > 0 {
		queued, events = 1, "rw"
	}
	number("oll", queued)
	number("omem", i.OutputBytes)
	number("tot-mem", sessionBytes+i.InputBytes+i.InputFree+i.ArgvBytes+i.OutputBytes)
	text("events", events)
	command := i.Command
	if command == "" {
		command = "NULL"
	}
	text("cmd", command)
	text("user", defaultUser)
	number("redir", noRedirection)
	number("resp", int64(i.Proto))
	text("lib-name", i.LibName)
	text("lib-ver", i.LibVersion)
	number("tot-net-in", int64(i.BytesIn))
	number("tot-net-out", int64(i.BytesOut))
	number("tot-cmds", int64(i.Commands))
	return append(to, '\n')
}
