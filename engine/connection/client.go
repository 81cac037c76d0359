package connection

import (
	"hyperkv/engine"
	"hyperkv/resp"
)

// Most subcommands of CLIENT carry these flags.
const (
	ofClient = engine.NoScript | engine.Loading | engine.Stale
	// ofSelf marks those that neither see nor change anything but the session.
	ofSelf = ofClient | engine.Immediate
)

// everyNode are the tips of what a client of a cluster tells each node.
var everyNode = []string{"request_policy:all_nodes", "response_policy:all_succeeded"}

var client = engine.Command{
	Name: "CLIENT", Arity: -2,
	Summary: "Looks at the connections of clients and governs them.",
	Since:   "2.4.0", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{{
		Name: "CACHING", Arity: 3, Session: clientCaching, Flags: ofClient,
		Summary: "Says whether the keys of the next command are tracked.",
		Since:   "6.0.0", Complexity: "O(1)",
		Syntax: "mode(YES | NO)",
	}, {
		Name: "GETNAME", Arity: 2, Session: clientGetName, Flags: ofSelf,
		Summary: "Answers the name of the connection.",
		Since:   "2.6.9", Complexity: "O(1)",
	}, {
		Name: "GETREDIR", Arity: 2, Session: clientGetRedir, Flags: ofSelf,
		Summary: "Answers which client gets the connection's invalidation messages.",
		Since:   "6.0.0", Complexity: "O(1)",
	}, {
		Name: "ID", Arity: 2, Session: clientID, Flags: ofSelf,
		Summary: "Answers the number of the connection.",
		Since:   "5.0.0", Complexity: "O(1)",
	}, {
		Name: "INFO", Arity: 2, Session: clientInfo, Flags: ofClient,
		Tips:    []string{"nondeterministic_output"},
		Summary: "Describes the connection in one line.",
		Since:   "6.2.0", Complexity: "O(1)",
	}, {
		Name: "KILL", Arity: -3, Session: clientKill, Flags: ofClient | engine.Admin,
		Summary: "Closes connections.",
		Since:   "2.4.0", Complexity: "O(N) with the number of connections",
		Syntax: "filter(addr | new-format(" + selectionSyntax + "))",
		History: []string{
			"2.8.12: Added the form with filters.",
			"2.8.12: Added the ID filter.",
			"3.2.0: The TYPE filter knows master.",
			"5.0.0: The TYPE filter knows replica, of which slave is the older name.",
			"6.2.0: Added the LADDR filter.",
			"7.4.0: Added the MAXAGE filter.",
			"8.0.0: The TYPE filter knows primary, of which master is the older name.",
			"9.0.0: Added further filters, and NOT- for the opposite of most.",
		},
	}, {
		Name: "LIST", Arity: -2, Session: clientList, Flags: ofClient | engine.Admin,
		Tips:    []string{"nondeterministic_output"},
		Summary: "Describes connections, one line for each.",
		Since:   "2.4.0", Complexity: "O(N) with the number of connections",
		Syntax: selectionSyntax,
		History: []string{
			"2.8.12: Added the field id.",
			"5.0.0: Added the TYPE filter.",
			"6.0.0: Added the field user.",
			"6.2.0: Added the fields argv-mem, tot-mem, laddr and redir, and the ID filter.",
			"7.0.0: Added the fields resp, multi-mem, rbs and rbp.",
			"7.0.3: Added the field ssub.",
			"7.2.0: Added the fields lib-name and lib-ver.",
			"7.4.0: Added the field watch.",
			"8.0.0: Added the fields tot-net-in, tot-net-out and tot-cmds.",
			"9.0.0: Added further filters, and NOT- for the opposite of most.",
		},
	}, {
		Name: "NO-EVICT", Arity: 3, Session: clientNoEvict, Flags: ofSelf | engine.Admin,
		Summary: "Exempts the connection from being closed to save memory.",
		Since:   "7.0.0", Complexity: "O(1)",
		Syntax: "enabled(ON | OFF)",
	}, {
		Name: "NO-TOUCH", Arity: 3, Session: clientNoTouch, Flags: ofClient,
		Summary: "Makes the connection's commands leave no trace on when keys were used.",
		Since:   "7.2.0", Complexity: "O(1)",
		Syntax: "enabled(ON | OFF)",
	}, {
		Name: "PAUSE", Arity: -3, Session: clientPause, Flags: ofClient | engine.Admin,
		Summary: "Makes the commands of all clients wait.",
		Since:   "3.0.0", Complexity: "O(1)",
		Syntax:  "timeout [mode(WRITE | ALL)]",
		History: []string{"6.2.0: Added the mode, and with it WRITE."},
	}, {
		Name: "REPLY", Arity: 3, Session: clientReply, Flags: ofSelf,
		Summary: "Says whether commands are answered.",
		Since:   "3.2.0", Complexity: "O(1)",
		Syntax: "action(ON | OFF | SKIP)",
	}, {
		Name: "SETINFO", Arity: 4, Session: clientSetInfo, Flags: ofSelf, Tips: everyNode,
		Summary: "Notes what the client's library is.",
		Since:   "7.2.0", Complexity: "O(1)",
		Syntax: "attr(LIB-NAME libname | LIB-VER libver)",
	}, {
		Name: "SETNAME", Arity: 3, Session: clientSetName, Flags: ofSelf, Tips: everyNode,
		Summary: "Names the connection.",
		Since:   "2.6.9", Complexity: "O(1)",
		Syntax: "connection-name",
	}, {
		Name: "TRACKING", Arity: -3, Session: clientTracking, Flags: ofClient,
		Summary: "Switches client side caching with the help of the server.",
		Since:   "6.0.0", Complexity: "O(1)",
		Syntax: "status(ON | OFF) [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
	}, {
		Name: "TRACKINGINFO", Arity: 2, Session: clientTrackingInfo, Flags: ofSelf,
		Summary: "Describes how far client side caching is in use.",
		Since:   "6.2.0", Complexity: "O(1)",
	}, {
		Name: "UNBLOCK", Arity: -3, Session: clientUnblock, Flags: ofClient | engine.Admin,
		Summary: "Ends the wait of a client in a blocking command.",
		Since:   "5.0.0", Complexity: "O(1)",
		Syntax: "client-id [unblock-type(TIMEOUT | ERROR)]",
	}, {
		Name: "UNPAUSE", Arity: 2, Session: clientUnpause, Flags: ofClient | engine.Admin,
		Summary: "Ends CLIENT PAUSE.",
		Since:   "6.2.0", Complexity: "O(N) with the number of clients that wait",
	}},
}

// CLIENT ID
func clientID(c *engine.Context) error { return c.Reply.Int(c.Session.ID()) }

const errClientName resp.Error = "ERR Client names cannot contain spaces, newlines or special characters."

// CLIENT SETNAME connection-name
//
// The empty name is no name.
func clientSetName(c *engine.Context) error {
	if !listable(c.Args[2]) {
		return errClientName
	}
	c.Session.SetName(string(c.Args[2]))
	return c.Reply.OK()
}

// CLIENT GETNAME
func clientGetName(c *engine.Context) error {
	if name := c.Session.Name(); name != "" {
		return c.Reply.BulkString(name)
	}
	return c.Reply.Null()
}

// CLIENT SETINFO LIB-NAME libname | LIB-VER libver
func clientSetInfo(c *engine.Context) error {
	attribute, value := c.Args[2], string(c.Args[3])
	name := resp.WordIs(attribute, "LIB-NAME")
	if !name && !resp.WordIs(attribute, "LIB-VER") {
		return resp.Error("ERR Unrecognized option '" + shown(attribute) + "'")
	}
	if !listable(c.Args[3]) {
		return resp.Error("ERR " + shown(attribute) + " cannot contain spaces, newlines or special characters.")
	}
	if name {
		c.Session.SetLibrary(&value, nil)
	} else {
		c.Session.SetLibrary(nil, &value)
	}
	return c.Reply.OK()
}

// CLIENT REPLY ON | OFF | SKIP
//
// Only ON is answered.
func clientReply(c *engine.Context) error {
	switch action := c.Args[2]; {
	case resp.WordIs(action, "ON"):
		c.Session.SetReply(true, false)
		return c.Reply.OK()
	case resp.WordIs(action, "OFF"):
		c.Session.SetReply(false, false)
	case resp.WordIs(action, "SKIP"):
		c.Session.SetReply(false, true)
	default:
		return resp.ErrSyntax
	}
	return nil
}

// CLIENT NO-EVICT ON | OFF
func clientNoEvict(c *engine.Context) error {
	on, err := onOff(c.Args[2])
	if err != nil {
		return err
	}
	c.Session.SetNoEvict(on)
	return c.Reply.OK()
}

// CLIENT NO-TOUCH ON | OFF
func clientNoTouch(c *engine.Context) error {
	on, err := onOff(c.Args[2])
	if err != nil {
		return err
	}
	c.Session.SetNoTouch(on)
	return c.Reply.OK()
}
