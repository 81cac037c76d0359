package server

import (
	"strings"

	"hyperkv/engine"
	"hyperkv/resp"
)

// accessNames are the words of key specifications, in the order of COMMAND INFO.
var accessNames = []string{"RW", "RO", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags"}

// accessWords puts the words of an access into that order.
func accessWords(access string) []string {
	given := strings.Fields(access)
	var words []string
	for _, name := range accessNames {
		for _, word := range given {
			if word == name {
				words = append(words, name)
			}
		}
	}
	return words
}

// writeKeySpec writes a key specification: where to begin, and how to go on.
func writeKeySpec(w *resp.Writer, k *engine.KeySpec) {
	if k.Notes == "" {
		w.Map(3)
	} else {
		w.Map(4)
		w.BulkString("notes")
		w.BulkString(k.Notes)
	}
	w.BulkString("flags")
	simpleSet(w, "", accessWords(k.Access))
	if k.Unknown {
		for _, part := range []string{"begin_search", "find_keys"} {
			w.BulkString(part)
			w.Map(2)
			w.BulkString("type")
			w.BulkString("unknown")
			w.BulkString("spec")
			w.Map(0)
		}
		return
	}

	w.BulkString("begin_search")
	w.Map(2)
	w.BulkString("type")
	if k.Keyword != "" {
		w.BulkString("keyword")
		w.BulkString("spec")
		w.Map(2)
		w.BulkString("keyword")
		w.BulkString(k.Keyword)
		w.BulkString("startfrom")
		w.Int(int64(k.From))
	} else {
		w.BulkString("index")
		w.BulkString("spec")
		w.Map(1)
		w.BulkString("index")
		w.Int(int64(k.First))
	}

	w.BulkString("find_keys")
	w.Map(2)
	w.BulkString("type")
	if k.Counted {
		w.BulkString("keynum")
		w.BulkString("spec")
		w.Map(3)
		w.BulkString("keynumidx")
		w.Int(int64(k.KeyNum))
		w.BulkString("firstkey")
		w.Int(int64(k.FirstKey))
		w.BulkString("keystep")
		w.Int(int64(k.Step))
		return
	}
	w.BulkString("range")
	w.BulkString("spec")
	w.Map(3)
	w.BulkString("lastkey")
	w.Int(int64(k.Last))
	w.BulkString("keystep")
	w.Int(int64(k.Step))
	w.BulkString("limit")
	w.Int(int64(k.Limit))
}

// plainRange says that a specification is no more than positions.
func plainRange(k *engine.KeySpec) bool { return k.Keyword == "" && !k.Counted && !k.Unknown }

// movableKeys says that positions alone do not tell where the keys are.
func movableKeys(c *engine.Command) bool {
	if c.Find != nil {
		return true
	}
	for i := range c.Keys {
		if !plainRange(&c.Keys[i]) || strings.Contains(c.Keys[i].Access, "incomplete") {
			return true
		}
	}
	return false
}

// legacyKeys are the three numbers by which old clients find keys: those of the
// only specification, or of several that follow one another without a gap.
func legacyKeys(c *engine.Command) (first, last, step int) {
	fromEnd := false
	for i := range c.Keys {
		k := &c.Keys[i]
		if !plainRange(k) {
			continue
		}
		end := k.Last
		if end >= 0 {
			end += k.First
		}
		if len(c.Keys) == 1 {
			return k.First, end, k.Step
		}
		if k.Step != 1 || fromEnd || last != 0 && last != k.First-1 {
			return 0, 0, 0
		}
		if first == 0 {
			first = k.First
		}
		last, step = end, 1
		fromEnd = end < 0
	}
	return first, last, step
}

// keysOptional are the commands with counted keys that may count none.
var keysOptional = map[string]bool{"eval": true, "eval_ro": true, "evalsha": true, "evalsha_ro": true, "fcall": true, "fcall_ro": true}

// foundKey is a key among the arguments of a command.
type foundKey struct {
	position int
	access   string
}

// variableAccess says what happens to the key of a command whose options decide.
var variableAccess = map[string]func(args [][]byte) string{
	"set": func(args [][]byte) string {
		for _, arg := range args[3:] {
			if resp.WordIs(arg, "GET") {
				return "RW access update"
			}
		}
		return "OW update"
	},
	"bitfield": func(args [][]byte) string {
		for i := 2; i < len(args); i++ {
			if resp.WordIs(args[i], "SET") || resp.WordIs(args[i], "INCRBY") {
				return "RW access update"
			}
		}
		return "RO access"
	},
}

// keysOf finds the keys of a command and what happens to them.
func keysOf(c *engine.Command, args [][]byte) (keys []foundKey, err error) {
	if c.Find != nil {
		positions, err := c.Find(args)
		if err != nil {
			return nil, resp.Error("ERR Invalid arguments specified for command")
		}
		for _, at := range positions {
			keys = append(keys, foundKey{at, accessAt(c, args, at)})
		}
	} else {
		for i := range c.Keys {
			for _, at := range c.Keys[i].Positions(args) {
				keys = append(keys, foundKey{at, c.Keys[i].Access})
			}
		}
	}
	if len(keys) == 0 && !keysOptional[c.FullName()] {
		return nil, resp.Error("ERR Invalid arguments specified for command")
	}
	for i := range keys {
		if of := variableAccess[c.FullName()]; of != nil {
			keys[i].access = of(args)
		}
		keys[i].access = strings.TrimSpace(strings.ReplaceAll(keys[i].access, "variable_flags", ""))
	}
	return keys, nil
}

// accessAt is the access of the specification that covers a position; that of
// the last one if none does.
func accessAt(c *engine.Command, args [][]byte, at int) string {
	access := ""
	for i := range c.Keys {
		access = c.Keys[i].Access
		for _, covered := range c.Keys[i].Positions(args) {
			if covered == at {
				return access
			}
		}
	}
	return access
}
