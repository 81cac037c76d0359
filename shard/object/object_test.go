package object

import "testing"

func TestNames(t *testing.T) {
	for typ, want := range map[Type]string{None: "none", String: "string", List: "list", Set: "set",
		ZSet: "zset", Hash: "hash", Stream: "stream", Type(200): "unknown"} {
		if got := typ.String(); got != want {
			t.Errorf("type %d is called %q, want %q", typ, got, want)
		}
	}
	for enc, want := range map[Encoding]string{Int: "int", Embstr: "embstr", Raw: "raw", Listpack: "listpack",
		Quicklist: "quicklist", Intset: "intset", Hashtable: "hashtable", Skiplist: "skiplist",
		StreamTree: "stream", Encoding(200): "unknown"} {
		if got := enc.String(); got != want {
			t.Errorf("encoding %d is called %q, want %q", enc, got, want)
		}
	}
}
