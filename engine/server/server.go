package server

import (
	"slices"

	"hyperkv/engine"
)

// Family is the table of all commands of this package.
var Family = engine.Family{
	Name:  "server",
	Group: "server",
	Commands: slices.Concat(
		[]engine.Command{info, configure, command, memory, slowlog, latency, debugging, acl, lolwut},
		lifecycle, scripting,
	),
}
