package server

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"hyperkv/engine"
	"hyperkv/resp"
)

// There is one user, who may do everything; requirepass is the password. ACL
// shows that and changes nothing.
var acl = engine.Command{
	Name: "ACL", Arity: -2,
	Summary: "Shows who may do what.",
	Since:   "6.0.0", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{{
		Name: "CAT", Arity: -2, Session: aclCat,
		Flags:   engine.NoScript | engine.Loading | engine.Stale,
		Summary: "Lists the categories of commands, or the commands of a category.",
		Since:   "6.0.0", Complexity: "O(1)",
		Syntax: "[category]",
	}, {
		Name: "GETUSER", Arity: 3, Session: aclGetUser, Flags: ofOperator,
		Summary: "Describes a user.",
		Since:   "6.0.0", Complexity: "O(N) with the number of rules of the user",
		Syntax: "username",
		History: []string{
			"6.2.0: Added the channel patterns.",
			"7.0.0: Added the selectors, and patterns are one text.",
		},
	}, {
		Name: "LIST", Arity: 2, Session: aclList, Flags: ofOperator,
		Summary: "Lists the users in the form of a configuration file.",
		Since:   "6.0.0", Complexity: "O(N) with the number of users",
	}, {
		Name: "USERS", Arity: 2, Session: aclUsers, Flags: ofOperator,
		Summary: "Lists the names of the users.",
		Since:   "6.0.0", Complexity: "O(N) with the number of users",
	}, {
		Name: "WHOAMI", Arity: 2, Session: aclWhoAmI,
		Flags:   engine.NoScript | engine.Loading | engine.Stale,
		Summary: "Answers the name of the connection's user.",
		Since:   "6.0.0", Complexity: "O(1)",
	}, helpRow("", "6.0.0")},
}

const defaultUser = "default"

// passwordHash is the password of the user as Redis writes it down, "" for none.
func passwordHash(e *engine.Engine) string {
	password := e.Params.String("requirepass")
	if password == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

// ACL CAT [category]
func aclCat(c *engine.Context) error {
	switch len(c.Args) {
	case 2:
		return c.Reply.BulkStrings(aclCategories...)
	case 3:
	default:
		return subcommandSyntax(c)
	}
	category := strings.ToLower(string(c.Args[2]))
	if !slices.Contains(aclCategories, category) {
		return resp.Error("ERR Unknown category '" + string(c.Args[2]) + "'")
	}
	var names []string
	for _, command := range byName(c.Engine.Table) {
		if slices.Contains(Categories(command), category) {
			names = append(names, command.FullName())
		}
	}
	return c.Reply.BulkStrings(names...)
}

// ACL GETUSER username
func aclGetUser(c *engine.Context) error {
	w := c.Reply
	if string(c.Args[2]) != defaultUser {
		return w.Null()
	}
	hash := passwordHash(c.Engine)
	w.Map(6)
	w.BulkString("flags")
	if hash == "" {
		w.Set(2)
		w.BulkString("on")
		w.BulkString("nopass")
		w.BulkString("passwords")
		w.Array(0)
	} else {
		w.Set(1)
		w.BulkString("on")
		w.BulkString("passwords")
		w.BulkStrings(hash)
	}
	for _, rule := range [][2]string{{"commands", "+@all"}, {"keys", "~*"}, {"channels", "&*"}} {
		w.BulkString(rule[0])
		w.BulkString(rule[1])
	}
	w.BulkString("selectors")
	return w.Array(0)
}

// ACL LIST
func aclList(c *engine.Context) error {
	password := "nopass"
	if hash := passwordHash(c.Engine); hash != "" {
		password = "#" + hash
	}
	return c.Reply.BulkStrings("user " + defaultUser + " on " + password + " ~* &* +@all")
}

// ACL USERS
func aclUsers(c *engine.Context) error { return c.Reply.BulkStrings(defaultUser) }

// ACL WHOAMI
func aclWhoAmI(c *engine.Context) error { return c.Reply.BulkString(defaultUser) }
