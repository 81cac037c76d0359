package server

import (
	"slices"
	"strings"

	"hyperkv/engine"
)

// aclCategories are all of Redis' categories, in the order of its replies.
var aclCategories = []string{
	"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo",
	"stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
}

// Categories returns the ACL categories of a command, without the @: those that
// its flags imply, that of its family, and those its row names.
func Categories(c *engine.Command) []string {
	container := len(c.Subcommands) > 0 && c.Session == nil && c.Run == nil
	has := func(name string) bool {
		switch name {
		case "write":
			if c.Is(engine.Write) {
				return true
			}
		case "read":
			if c.Is(engine.Read) && !inCategories(c, "scripting") {
				return true
			}
		case "admin", "dangerous":
			if c.Is(engine.Admin) || name == "dangerous" && c.Is(engine.Dangerous) {
				return true
			}
		case "pubsub":
			if c.Is(engine.PubSub) {
				return true
			}
		case "fast":
			return c.Is(engine.Fast)
		case "slow":
			return !c.Is(engine.Fast)
		case "blocking":
			if c.Is(engine.Blocking) {
				return true
			}
		}
		return name == c.Family() && !container || inCategories(c, name)
	}
	var in []string
	for _, name := range aclCategories {
		if has(name) {
			in = append(in, name)
		}
	}
	return in
}

func inCategories(c *engine.Command, name string) bool {
	return slices.Contains(strings.Fields(c.Categories), name)
}
