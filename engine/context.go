package engine

import "hyperkv/resp"

// A Context is one command that belongs to the session or the server and not to
// a key, and all that its body sees. It runs on the session's loop, or inside
// EXEC on whatever goroutine runs the transaction while the session waits; both
// may touch the session. It must not block.
type Context struct {
	Engine  *Engine
	Session *Session
	// Args is the command as it was sent, the name first; borrowed until the
	// body returns.
	Args  [][]byte
	Reply *resp.Writer
	// Command is the table's row, of a subcommand its own.
	Command *Command
	// InTransaction says that EXEC runs the command.
	InTransaction bool
}
