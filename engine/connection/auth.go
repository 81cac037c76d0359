package connection

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"

	"hyperkv/engine"
	"hyperkv/resp"
)

var handshake = []engine.Command{{
	Name: "AUTH", Arity: -2, Session: auth,
	Flags: engine.NoScript | engine.Loading | engine.Stale | engine.Fast | engine.NoAuth | engine.AllowBusy |
		engine.Immediate,
	Redact:  engine.RedactFrom(1),
	Summary: "Proves with a password who the client is.",
	Since:   "1.0.0", Complexity: "O(N) with the number of passwords of the user",
	Syntax:  "[username] password",
	History: []string{"6.0.0: Added the form with a username."},
}, {
	Name: "HELLO", Arity: -1, Session: hello,
	Flags:   engine.NoScript | engine.Loading | engine.Stale | engine.Fast | engine.NoAuth | engine.AllowBusy,
	Redact:  redactHello,
	Summary: "Agrees on the protocol, and says who is at either end.",
	Since:   "6.0.0", Complexity: "O(1)",
	Syntax:  "arguments[protover auth[AUTH username password] [SETNAME clientname]]",
	History: []string{"6.2.0: The protocol version may be left out; the reply then describes the connection as it is."},
}}

// defaultUser is the only user there is.
const defaultUser = "default"

const errNoPassword resp.Error = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"

// AUTH [username] password
func auth(c *engine.Context) error {
	user, password := []byte(defaultUser), c.Args[1]
	switch len(c.Args) {
	case 2:
		if !passwordSet(c) {
			return errNoPassword
		}
	case 3:
		user, password = c.Args[1], c.Args[2]
	default:
		return resp.ErrSyntax
	}
	if err := checkCredentials(c, user, password); err != nil {
		return err
	}
	c.Session.SetAuthenticated(true)
	return c.Reply.OK()
}

func passwordSet(c *engine.Context) bool { return c.Engine.Params.String("requirepass") != "" }

// checkCredentials says whether the password is the user's, and counts when it
// is not. How long it takes does not depend on how much of either is right.
func checkCredentials(c *engine.Context, user, password []byte) error {
	right := sameSecret(user, defaultUser)
	if secret := c.Engine.Params.String("requirepass"); secret != "" {
		right &= sameSecret(password, secret)
	}
	if right == 0 {
		c.Engine.Totals.AuthFailures.Add(1)
		return resp.ErrWrongPass
	}
	return nil
}

// sameSecret compares digests, so that not even the length of the secret shows.
func sameSecret(given []byte, secret string) int {
	a, b := sha256.Sum256(given), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(a[:], b[:])
}

// HELLO [protover [AUTH username password] [SETNAME clientname]]
//
// All arguments are checked before the first of them takes effect.
func hello(c *engine.Context) error {
	proto := c.Session.Proto()
	if len(c.Args) > 1 {
		n, ok := resp.ParseInt(c.Args[1])
		if !ok {
			return resp.Error("ERR Protocol version is not an integer or out of range")
		}
		if n != 2 && n != 3 {
			return resp.ErrNoProto
		}
		proto = int(n)
	}
	var name, user, password []byte
	named, login := false, false
	for i := 2; i < len(c.Args); i++ {
		more := len(c.Args) - 1 - i
		switch {
		case resp.WordIs(c.Args[i], "AUTH") && more >= 2:
			user, password, login = c.Args[i+1], c.Args[i+2], true
			i += 2
		case resp.WordIs(c.Args[i], "SETNAME") && more >= 1:
			name, named = c.Args[i+1], true
			if !listable(name) {
				return errClientName
			}
			i++
		default:
			return resp.Error("ERR Syntax error in HELLO option '" + shown(c.Args[i]) + "'")
		}
	}
	if login {
		if err := checkCredentials(c, user, password); err != nil {
			return err
		}
	} else if passwordSet(c) && !c.Session.Authenticated() {
		return resp.ErrNoAuthHello
	}

	s := c.Session
	if login {
		s.SetAuthenticated(true)
	}
	if named {
		s.SetName(string(name))
	}
	s.SetProto(proto)
	c.Reply.Proto = proto
	return describeServer(c)
}

// describeServer is the reply of HELLO. Clients take the name and the version of
// the server as what it understands, so they are those of Redis.
func describeServer(c *engine.Context) error {
	w := c.Reply
	w.Map(7)
	w.BulkString("server")
	w.BulkString("redis")
	w.BulkString("version")
	w.BulkString(engine.RedisVersion)
	w.BulkString("proto")
	w.Int(int64(c.Session.Proto()))
	w.BulkString("id")
	w.Int(c.Session.ID())
	w.BulkString("mode")
	w.BulkString("standalone")
	w.BulkString("role")
	w.BulkString("master")
	w.BulkString("modules")
	return w.Array(0)
}

// redactHello hides the two arguments behind every AUTH, even where HELLO would
// take that word for a name: it is better to hide too much.
func redactHello(args [][]byte) [][]byte {
	visible := slices.Clone(args)
	for i := 2; i < len(args); i++ {
		if resp.WordIs(args[i], "AUTH") {
			end := min(i+3, len(args))
			copy(visible[i+1:end], engine.RedactFrom(i + 1)(args)[i+1:end])
		}
	}
	return visible
}
