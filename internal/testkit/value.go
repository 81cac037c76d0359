package testkit

import (
	"bytes"
	"slices"
	"sort"

	"hyperkv/resp"
)

// answersCommand reports whether a value is the reply to a command. Under RESP3
// the acknowledgement of a subscription is a push message, and still a reply.
func answersCommand(v resp.Value) bool {
	if v.Kind != resp.KindPush {
		return true
	}
	return len(v.Elems) > 0 && bytes.HasSuffix(v.Elems[0].Str, []byte("subscribe"))
}

// sorted returns an aggregate with its elements in the order of their text.
func sorted(v resp.Value) resp.Value {
	width := 1
	if v.Kind == resp.KindMap {
		width = 2
	}
	groups := slices.Collect(slices.Chunk(v.Elems, width))
	sort.SliceStable(groups, func(i, j int) bool { return groups[i][0].String() < groups[j][0].String() })
	v.Elems = slices.Concat(groups...)
	return v
}
