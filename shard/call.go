package shard

import (
	"strconv"

	"hyperkv/internal/clock"
	"hyperkv/internal/invariant"
	"hyperkv/resp"
)

// A Client is what a shard needs to know of who asks. Owned by whoever runs a
// command for it; a session has at most one command under way per shard.
type Client struct {
	ID int64
	// Primary says that it is the server whose dataset this one copies: for its commands
	// nothing has expired until it says so.
	Primary bool
	// NoTouch leaves the access time of keys alone (CLIENT NO-TOUCH).
	NoTouch bool
	// Watch is the current set of watched keys, nil when there is none.
	Watch *WatchSet
	// Session is the client's state in the engine, for commands that belong to it.
	Session any
}

// A Handler is the body of a command that works on keys. An error it returns
// becomes the reply; what it had written to the reply is dropped.
type Handler func(c *Call) error

// A Call is one command on its way through a shard, and all that its handler
// sees. Time and randomness come only from here, so that a replica which is
// handed the same Call does the same. It is reused for the next command: nothing
// of it may be kept.
type Call struct {
	// Args is the command as it was sent, the name first. The bytes are
	// borrowed until the handler returns.
	Args [][]byte
	// Reply takes the answer.
	Reply *resp.Writer
	// DB is the client's selected database, over all shards the call may touch.
	DB DB
	// Now is the time in milliseconds since the epoch, frozen for the turn: what has
	// a deadline up to it has expired. For a Client that is the Primary it lies before
	// all deadlines.
	Now int64
	// Clock is the time for what is noted or reckoned from now on.
	Clock int64
	// Client is who asks; nil for the server itself.
	Client *Client
	// Command identifies the command in the statistics.
	Command int
	// Keys are positions of keys in Args and Hashes their Hash, in the order in
	// which the handler will most likely ask for them; or FirstKey and FirstHash
	// say the same of a single key. None of it is needed, it only saves hashing.
	Keys      []int
	Hashes    []uint64
	FirstKey  int
	FirstHash uint64
	nextKey   int // where in Keys the handler is
	// Part says that this is what one shard does of a command; whoever has split
	// the command counts it, and reports it when it was slow.
	Part bool

	// only is the shard of a call that needs one; nil when shards has several.
	only   *Shard
	shards []*Shard
	set    *Set

	words []byte // backs Int and Word

	collections    [collectionsMax]Collection
	nextCollection int

	// wait takes what a command that blocks waits for, nil where it may not;
	// blocked says that it does.
	wait    *Wait
	blocked bool

	changes int // how many mutations this command made so far
	counted int // how many of them the statistics need not count any more
	effects effectBuffer
}

// Bind gives the call the shards whose turns the caller holds. It stays bound
// until the next Bind; Begin is called per command. The call of a single shard
// comes from Shard.Call.
func (c *Call) Bind(set *Set, shards ...*Shard) {
	c.set, c.shards, c.only = set, shards, nil
	if len(shards) == 1 {
		c.only = shards[0]
	}
}

// Call returns the shard's own Call, bound to it. Owned by the turn.
func (s *Shard) Call() *Call { return &s.call }

// BeginClient prepares the call for commands of one client, whose replies go to
// reply. Time stands still for them.
func (c *Call) BeginClient(client *Client, reply *resp.Writer) {
	c.Reply, c.Client = reply, client
	c.Clock = c.set.Now()
	c.Now = c.Clock
	if client != nil && client.Primary {
		c.Now = beforeDeadlines
	}
}

// beforeDeadlines is a time at which nothing has expired.
const beforeDeadlines = 1

// EndClient forgets the client and where its replies went.
func (c *Call) EndClient() { c.Reply, c.Client = nil, nil }

// Begin prepares the call for a command in the given database.
func (c *Call) Begin(database int, args [][]byte) {
	c.Args = args
	c.DB = DB{call: c, Number: database}
	c.changes, c.counted = 0, 0
	c.FirstKey, c.Part = 0, false
	c.wait, c.blocked = nil, false
	c.Keys, c.nextKey = nil, 0
	c.words = c.words[:0]
}

// Int is n in decimal, for an argument of Effect. It is borrowed until the next
// command.
func (c *Call) Int(n int64) []byte {
	at := len(c.words)
	c.words = strconv.AppendInt(c.words, n, 10)
	return c.words[at:len(c.words):len(c.words)]
}

// Word is what write appends, for an argument of Effect. It is borrowed until the
// next command.
func (c *Call) Word(write func(dst []byte) []byte) []byte {
	at := len(c.words)
	c.words = write(c.words)
	return c.words[at:len(c.words):len(c.words)]
}

// Key is the first key.
func (c *Call) Key() []byte { return c.Args[1] }

// Shards are the shards whose turns this call holds, for commands over the
// whole keyspace.
func (c *Call) Shards() []*Shard { return c.shards }

// Set is the set of all shards; of its data only Shards() may be touched.
func (c *Call) Set() *Set { return c.set }

// Random is a number that a replay of the call will see again.
func (c *Call) Random() uint64 {
	if c.only != nil {
		return c.only.nextRandom()
	}
	return c.shards[0].nextRandom()
}

// DBAt is another database over the same shards.
func (c *Call) DBAt(number int) DB { return DB{call: c, Number: number} }

// Databases is how many databases there are.
func (c *Call) Databases() int { return len(c.shards[0].databases) }

// Changed says whether the command has changed anything so far.
func (c *Call) Changed() bool { return c.changes > 0 }

// Execute runs a handler and settles what surrounds every command: the error
// reply, the effect record, the statistics and the slow log. start is a reading
// of clock.Monotonic; the reading at the end is returned, to be the start of the
// next command of a burst.
func (c *Call) Execute(h Handler, start int64) (end int64) {
	mark := len(c.Reply.Buf)
	err := h(c)
	home := c.only
	if home == nil {
		home = c.shards[0]
	}
	if err == errBlocked {
		invariant.Assert(c.changes == 0 || c.effects.spoken, "a command waits after it had changed something")
		c.Reply.Buf = c.Reply.Buf[:mark]
		c.blocked = true
		if c.effects.spoken {
			c.countRest()
			c.settleEffects()
		}
		return clock.Monotonic()
	}
	if err != nil {
		invariant.Assert(c.changes == 0, "a command failed after it had changed something")
		c.Reply.Buf = c.Reply.Buf[:mark]
		c.Reply.Error(err)
		if !c.Part {
			home.stats.failed(c.Command, err)
		}
		c.dropEffects()
	} else if c.changes > 0 || c.effects.spoken {
		c.countRest()
		c.settleEffects()
	}
	end = clock.Monotonic()
	took := end - start
	if c.noted() && !c.effects.open {
		c.serveReady()
	}
	if c.Part {
		return end
	}
	home.stats.ran(c.Command, took)
	if slow := c.set.SlowNanos.Load(); slow >= 0 && took >= slow && c.set.hooks.Slow != nil {
		c.set.hooks.Slow(c, took)
	}
	return end
}

// shardOf returns the shard among the call's that owns a key.
func (c *Call) shardOf(key []byte, hash uint64) *Shard {
	if c.only != nil {
		if invariant.Enabled {
			invariant.Assert(c.set.Of(RouteHash(key, hash)) == c.only, "a command touched a key of another shard")
			invariant.Assert(c.only.turn.Load() != turnFree, "a shard was touched without its turn")
		}
		return c.only
	}
	s := c.set.Of(RouteHash(key, hash))
	if invariant.Enabled {
		held := false
		for _, other := range c.shards {
			held = held || other == s
		}
		invariant.Assert(held, "a command touched a shard whose turn it does not hold")
	}
	return s
}

// hashOf returns Hash(key), from the call when the router has computed it.
func (c *Call) hashOf(key []byte) uint64 {
	if c.FirstKey > 0 && same(c.Args[c.FirstKey], key) {
		return c.FirstHash
	}
	// A handler goes through its keys in order and asks for each several times.
	for i := c.nextKey; i < len(c.Keys) && i <= c.nextKey+1; i++ {
		if same(c.Args[c.Keys[i]], key) {
			c.nextKey = i
			return c.Hashes[i]
		}
	}
	return Hash(key)
}

// same says whether a and b are the same bytes in memory.
func same(a, b []byte) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}
