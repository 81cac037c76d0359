package server

import (
	"hyperkv/engine"
	"hyperkv/engine/snapshot"
	"hyperkv/resp"
	"hyperkv/shard"
)

// DEBUG RELOAD [NOFLUSH] [MERGE]
//
// The options are accepted: what is loaded is what was there.
func debugReload(s *engine.Session, c *engine.Command, args [][]byte) bool {
	for _, arg := range args[2:] {
		switch {
		case resp.WordIs(arg, "NOFLUSH"), resp.WordIs(arg, "MERGE"):
		case resp.WordIs(arg, "NOSAVE"):
			s.Refuse(c, unavailable("DEBUG RELOAD NOSAVE is"))
			return true
		default:
			s.Refuse(c, resp.Error("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."))
			return true
		}
	}
	e := s.Engine()
	s.Aside(c, func(w *resp.Writer) (err error) {
		e.Shards.NewExclusive().Run(true, func(call *shard.Call) {
			err = snapshot.Replace(call, e, snapshot.Copy(call))
		})
		if err != nil {
			e.Log.Error("DEBUG RELOAD has lost data", "err", err)
			return resp.Error("ERR Error trying to load the RDB dump, check server logs.")
		}
		return w.OK()
	})
	return true
}

// DEBUG LOADAOF
func debugLoadAOF(s *engine.Session, c *engine.Command, _ [][]byte) bool {
	e := s.Engine()
	s.Aside(c, func(w *resp.Writer) error {
		d := e.Durability()
		if d == nil || !d.State().Log {
			return unavailable("DEBUG LOADAOF needs the log, which is")
		}
		if err := d.Reload(); err != nil {
			e.Log.Error("DEBUG LOADAOF has failed", "err", err)
			return resp.Error("ERR Error trying to load the AOF files, check server logs.")
		}
		return w.OK()
	})
	return true
}
