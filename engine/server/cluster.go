package server

import (
	"hyperkv/engine"
	"hyperkv/resp"
)

// This server is no member of a cluster, and says so to whoever asks: clients
// and tools find out by the error that they talk to a single node.
var cluster = []engine.Command{{
	Name: "CLUSTER", Arity: -2, Group: "cluster",
	Summary: "Looks at the cluster and governs it.",
	Since:   "3.0.0", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{
		changesCluster("ADDSLOTS", -3, "3.0.0", "O(N) with the number of slots", "slot:integer [slot ...]",
			"Gives slots to the node."),
		changesCluster("ADDSLOTSRANGE", -4, "7.0.0", "O(N) with the number of slots",
			"start-slot_end-slot(start-slot:integer end-slot:integer) [start-slot end-slot ...]", "Gives ranges of slots to the node."),
		unsteady(changesCluster("BUMPEPOCH", 2, "3.0.0", "O(1)", "", "Advances the epoch of the cluster's configuration.")),
		unsteady(governsCluster("COUNT-FAILURE-REPORTS", 3, "3.0.0", "O(N) with the number of reports", "node-id",
			"Answers how many nodes report that a node has failed.")),
		looksAtCluster("COUNTKEYSINSLOT", 3, "3.0.0", "O(1)", "slot:integer", "Answers how many keys a slot has."),
		changesCluster("DELSLOTS", -3, "3.0.0", "O(N) with the number of slots", "slot:integer [slot ...]",
			"Makes the node forget who serves slots."),
		changesCluster("DELSLOTSRANGE", -4, "7.0.0", "O(N) with the number of slots",
			"start-slot_end-slot(start-slot:integer end-slot:integer) [start-slot end-slot ...]",
			"Makes the node forget who serves ranges of slots."),
		changesCluster("FAILOVER", -2, "3.0.0", "O(1)", "options[FORCE | TAKEOVER]", "Makes a replica take the place of its primary."),
		changesCluster("FLUSHSLOTS", 2, "3.0.0", "O(1)", "", "Takes all slots from the node."),
		changesCluster("FORGET", 3, "3.0.0", "O(1)", "node-id", "Removes a node from those that are known."),
		unsteady(looksAtCluster("GETKEYSINSLOT", 4, "3.0.0", "O(N) with the number of keys asked for", "slot:integer count:integer",
			"Lists keys of a slot.")),
		unsteady(looksAtCluster("INFO", 2, "3.0.0", "O(1)", "", "Describes the state of the cluster.")),
		looksAtCluster("KEYSLOT", 3, "3.0.0", "O(N) with the length of the key", "key:string", "Answers which slot a key belongs to."),
		unsteady(looksAtCluster("LINKS", 2, "7.0.0", "O(N) with the number of nodes", "", "Lists the connections between the nodes.")),
		{
			Name: "MEET", Arity: -4, Session: noCluster, Flags: engine.Admin | engine.Stale | engine.NoAsyncLoading,
			Summary: "Introduces a node to the cluster.",
			Since:   "3.0.0", Complexity: "O(1)",
			Syntax:  "ip port:integer [cluster_bus_port:integer]",
			History: []string{"4.0.0: Added the port of the cluster bus."},
		},
		looksAtCluster("MYID", 2, "3.0.0", "O(1)", "", "Answers the identifier of the node."),
		unsteady(looksAtCluster("NODES", 2, "3.0.0", "O(N) with the number of nodes", "", "Describes the nodes, one line for each.")),
		unsteady(governsCluster("REPLICAS", 3, "5.0.0", "O(N) with the number of replicas", "node-id", "Describes the replicas of a primary.")),
		changesCluster("REPLICATE", 3, "3.0.0", "O(1)", "node-id", "Makes the node a replica of another one."),
		{
			Name: "RESET", Arity: -2, Session: noCluster, Flags: engine.Admin | engine.NoScript | engine.Stale,
			Summary: "Makes the node forget the cluster.",
			Since:   "3.0.0", Complexity: "O(N) with the number of nodes",
			Syntax: "hard_soft[HARD | SOFT]",
		},
		changesCluster("SAVECONFIG", 2, "3.0.0", "O(1)", "", "Writes what the node knows of the cluster to its file."),
		changesCluster("SET-CONFIG-EPOCH", 3, "3.0.0", "O(1)", "config-epoch:integer", "Sets the epoch of a new node."),
		changesCluster("SETSLOT", -4, "3.0.0", "O(1)",
			"slot:integer subcommand(IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE)", "Says who serves a slot, or will."),
		unsteady(looksAtCluster("SHARDS", 2, "7.0.0", "O(N) with the number of nodes", "", "Lists the shards of the cluster, with their slots and nodes.")),
		{
			Name: "SLAVES", Arity: 3, Session: noCluster, Flags: engine.Admin | engine.Stale,
			Tips:    []string{"nondeterministic_output"},
			Summary: "Describes the replicas of a primary.",
			Since:   "3.0.0", Complexity: "O(N) with the number of replicas",
			Syntax:     "node-id",
			Deprecated: "5.0.0", Replacement: "`CLUSTER REPLICAS`",
		}, {
			Name: "SLOTS", Arity: 2, Session: noCluster, Flags: engine.Stale,
			Tips:    []string{"nondeterministic_output"},
			Summary: "Lists which nodes serve which slots.",
			Since:   "3.0.0", Complexity: "O(N) with the number of nodes",
			History: []string{
				"4.0.0: Added the identifiers of the nodes.",
				"7.0.0: Added what else is known about their addresses.",
			},
			Deprecated: "7.0.0", Replacement: "`CLUSTER SHARDS`",
		}, {
			Name: "HELP", Arity: 2, Session: noCluster, Flags: engine.Loading | engine.Stale,
			Summary: "Prints the subcommands and what they do.",
			Since:   "5.0.0", Complexity: "O(1)",
		},
	},
}, {
	Name: "ASKING", Arity: 1, Session: noCluster, Group: "cluster", Categories: "connection",
	Flags:   engine.Fast,
	Summary: "Announces that the next command follows an ASK redirection.",
	Since:   "3.0.0", Complexity: "O(1)",
}, {
	Name: "READONLY", Arity: 1, Session: noCluster, Group: "cluster", Categories: "connection",
	Flags:   engine.Fast | engine.Loading | engine.Stale,
	Summary: "Allows the connection to read from a replica in a cluster.",
	Since:   "3.0.0", Complexity: "O(1)",
}, {
	Name: "READWRITE", Arity: 1, Session: noCluster, Group: "cluster", Categories: "connection",
	Flags:   engine.Fast | engine.Loading | engine.Stale,
	Summary: "Ends what READONLY began.",
	Since:   "3.0.0", Complexity: "O(1)",
}}

func looksAtCluster(name string, arity int, since, complexity, syntax, summary string) engine.Command {
	return engine.Command{
		Name: name, Arity: arity, Session: noCluster, Flags: engine.Stale,
		Summary: summary, Since: since, Complexity: complexity, Syntax: syntax,
	}
}

func governsCluster(name string, arity int, since, complexity, syntax, summary string) engine.Command {
	c := looksAtCluster(name, arity, since, complexity, syntax, summary)
	c.Flags |= engine.Admin
	return c
}

func changesCluster(name string, arity int, since, complexity, syntax, summary string) engine.Command {
	c := governsCluster(name, arity, since, complexity, syntax, summary)
	c.Flags |= engine.NoAsyncLoading
	return c
}

func unsteady(c engine.Command) engine.Command {
	c.Tips = []string{"nondeterministic_output"}
	return c
}

func noCluster(*engine.Context) error { return resp.ErrNoCluster }
