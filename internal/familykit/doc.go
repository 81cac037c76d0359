// Package familykit runs families of commands inside the test that is about them.
//
// A family is tested twice over: its handlers alone, where nothing else can be
// wrong, and with the sessions of an engine around them, where those are the point.
// Both are targets of package testkit, so the transcripts beside a family need not
// know which of them they talk to.
//
//	NewHandlers(t, Options, families...) ─► Client ─► shard.Call ─► handler
//	Serve(t, settings, families...) ─► socket ─► engine.Loop, Session ─► the same
//
// Handlers find a command in the real table and run its body under the turns of all
// shards it may touch. What a session adds is left out: MULTI, waiting, permissions,
// and commands that concern the session alone. With Options.Record they keep what
// the outside world would be told: effects and keyspace events.
//
// A test hands in the families that it needs, and imports those that are not its own:
// a family may not know another, but its tests may. So a script says SET and means it.
//
// Start with NewHandlers in handlers.go; serve.go is the other one.
package familykit
