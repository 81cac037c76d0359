package server

import (
	"strings"

	"hyperkv/engine"
	"hyperkv/resp"
)

// wordsOf are arguments in lower case.
func wordsOf(args [][]byte) []string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = strings.ToLower(string(arg))
	}
	return words
}

// subcommandSyntax is the answer to a subcommand with arguments that make no sense.
func subcommandSyntax(c *engine.Context) error {
	return resp.SubcommandSyntax(c.Command.Parent().FullName(), c.Args[1])
}

// unavailable is the answer to what this version cannot do yet.
func unavailable(what string) error {
	return resp.Error("ERR " + what + " not available in this version of HyperKV")
}

// helpRow is the row of HELP where the one that containers get by themselves
// would lack categories or name the wrong version.
func helpRow(categories, since string) engine.Command {
	return engine.Command{
		Name: "HELP", Arity: 2, Session: engine.Help, Categories: categories,
		Flags:   engine.Loading | engine.Stale | engine.Immediate,
		Summary: "Prints the subcommands and what they do.",
		Since:   since, Complexity: "O(1)",
	}
}
