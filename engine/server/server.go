package server

import (
	"slices"

	"hyperkv/engine"
)

const familyName = "server"

// Family is the table of all commands of this package.
var Family = engine.Family{
	Name:   familyName,
	Group:  "server",
	Attach: attach,
	Commands: slices.Concat(
		[]engine.Command{info, configure, command, memory, slowlog, latency, debugging, acl, lolwut},
		lifecycle, persisting, replicationCommands, scripting, cluster,
	),
}
