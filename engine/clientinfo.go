package engine

import "time"

// A ClientInfo is one client as CLIENT LIST describes it.
type ClientInfo struct {
	ID                        int64
	Addr, LocalAddr           string
	FD                        int
	Name, LibName, LibVersion string
	Age, Idle                 time.Duration
	DB, Proto                 int
	Multi                     int // queued commands, -1 outside MULTI
	Watching                  int
	InputBytes, InputFree     int64
	OutputBytes, ArgvBytes    int64
	BytesIn, BytesOut         uint64
	Commands                  uint64
	Command                   string // full name of the last command, "" before the first
	Blocked, Monitor, Closing bool
	NoEvict, NoTouch, Unix    bool
	Replica, Primary          bool
	DirtyWatch, InMulti       bool
}

// Info describes the client. Safe for concurrent use.
func (s *Session) Info() ClientInfo {
	i := &s.info
	flags := i.flags.Load()
	now := time.Now()
	info := ClientInfo{
		ID: i.id, Addr: i.conn.RemoteAddr, LocalAddr: i.conn.LocalAddr, FD: int(i.fd.Load()),
		Name: *i.name.Load(), LibName: *i.libName.Load(), LibVersion: *i.libVersion.Load(),
		Age: now.Sub(i.created), Idle: max(0, time.Duration(now.UnixMilli()-i.lastActive.Load())*time.Millisecond),
		DB: int(i.db.Load()), Proto: int(i.proto.Load()), Multi: int(i.multi.Load()), Watching: int(i.watching.Load()),
		InputBytes: i.inputBytes.Load(), InputFree: i.inputFree.Load(), OutputBytes: i.outputBytes.Load(), ArgvBytes: i.argvBytes.Load(),
		BytesIn: i.bytesIn.Load(), BytesOut: i.bytesOut.Load(), Commands: i.commands.Load(),
		Blocked: flags&flagBlocked != 0, Monitor: flags&flagMonitor != 0, Closing: flags&flagCloseAfterReply != 0,
		NoEvict: flags&flagNoEvict != 0, NoTouch: flags&flagNoTouch != 0, Unix: flags&flagUnix != 0,
		InMulti: flags&flagMulti != 0,
		Replica: flags&flagReplica != 0, Primary: flags&flagPrimary != 0,
	}
	if w := i.watch.Load(); w != nil {
		info.DirtyWatch = w.Dirty()
	}
	if c := i.command.Load(); c != nil {
		info.Command = c.fullName
	}
	return info
}
