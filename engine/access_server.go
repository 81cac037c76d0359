package engine

// What package server needs to see of the engine's insides.

// Engine is the server that the session belongs to.
func (s *Session) Engine() *Engine { return s.engine }

// Local says whether the client is on the same machine. Safe for concurrent use.
func (s *Session) Local() bool { return s.local() }

// ClientUsage is what all clients together occupy and wait for.
type ClientUsage struct {
	Watching    int   // clients that watch keys
	WatchedKeys int   // keys they watch, each as often as it is watched
	Bytes       int64 // their input and output buffers and queued commands
}

// ClientUsage adds up what the clients have published. It costs a few loads for
// each of them.
func (e *Engine) ClientUsage() (u ClientUsage) {
	e.clients.mu.Lock()
	defer e.clients.mu.Unlock()
	for _, s := range e.clients.sessions {
		if n := int(s.info.watching.Load()); n > 0 {
			u.Watching++
			u.WatchedKeys += n
		}
		u.Bytes += s.info.inputBytes.Load() + s.info.inputFree.Load() + s.info.outputBytes.Load() + s.info.argvBytes.Load()
	}
	return u
}

// Help is the body of a HELP subcommand that a family declares itself, for the
// sake of its categories.
func Help(c *Context) error { return help(c) }

// MaxMemory is the limit on memory, 0 for none.
func (e *Engine) MaxMemory() int64 { return e.limits.maxMemory.Load() }

// Positions returns where the keys of args are that the specification covers. It
// tolerates any arguments.
func (k *KeySpec) Positions(args [][]byte) []int { return k.positions(args, nil) }
