package server

import (
	"hyperkv/engine"
	"hyperkv/resp"
)

// DEBUG PROTOCOL type
//
// The values are Redis', by which client libraries test themselves.
func debugProtocol(c *engine.Context) error {
	w := c.Reply
	switch kind := c.Args[2]; {
	case resp.WordIs(kind, "STRING"):
		return w.BulkString("Hello World")
	case resp.WordIs(kind, "INTEGER"):
		return w.Int(12345)
	case resp.WordIs(kind, "DOUBLE"):
		return w.Double(3.141)
	case resp.WordIs(kind, "BIGNUM"):
		return w.BigNumber("1234567999999999999999999999999999999")
	case resp.WordIs(kind, "NULL"):
		return w.Null()
	case resp.WordIs(kind, "ARRAY"):
		w.Array(3)
		return zeroOneTwo(w)
	case resp.WordIs(kind, "SET"):
		w.Set(3)
		return zeroOneTwo(w)
	case resp.WordIs(kind, "MAP"):
		w.Map(3)
		for i := range 3 {
			w.Int(int64(i))
			w.Bool(i == 1)
		}
		return nil
	case resp.WordIs(kind, "ATTRIB"):
		if w.Proto == 3 {
			w.Attribute(1)
			w.BulkString("key-popularity")
			w.Array(2)
			w.BulkString("key:123")
			w.Int(90)
		}
		return w.BulkString("Some real reply following the attribute")
	case resp.WordIs(kind, "PUSH"):
		if w.Proto != 3 {
			return resp.Error("ERR RESP2 is not supported by this command")
		}
		w.Push(2)
		w.BulkString("server-cpu-usage")
		w.Int(42)
		// The push is not the reply, so there must be one.
		return w.BulkString("Some real reply following the push reply")
	case resp.WordIs(kind, "TRUE"):
		return w.Bool(true)
	case resp.WordIs(kind, "FALSE"):
		return w.Bool(false)
	case resp.WordIs(kind, "VERBATIM"):
		return w.Verbatim("txt", "This is a verbatim\nstring")
	}
	return resp.Error("ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
}

func zeroOneTwo(w *resp.Writer) error {
	for i := range 3 {
		w.Int(int64(i))
	}
	return nil
}
