package object

// A Type is what kind of value a key holds.
type Type uint8

// The numbers are part of the record format; at most 16.
const (
	None Type = iota // no such key
	String
	List
	Set
	ZSet
	Hash
	Stream
)

var typeNames = [...]string{"none", "string", "list", "set", "zset", "hash", "stream"}

// String returns the name that TYPE answers.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

// An Encoding is how a value is represented in memory.
type Encoding uint8

// The numbers are part of the record format; at most 16.
const (
	Int    Encoding = iota // a string that is a 64-bit integer, stored as one
	Embstr                 // a string of at most EmbstrBytesMax bytes
	Raw                    // any other string
	Listpack
	Quicklist
	Intset
	Hashtable
	Skiplist
	StreamTree
	ListpackEx // a hash that is packed, with deadlines of fields
)

var encodingNames = [...]string{"int", "embstr", "raw", "listpack", "quicklist", "intset", "hashtable", "skiplist", "stream", "listpackex"}

// String returns the name that OBJECT ENCODING answers.
func (e Encoding) String() string {
	if int(e) < len(encodingNames) {
		return encodingNames[e]
	}
	return "unknown"
}

// EmbstrBytesMax is the length of the longest string that is called embstr.
// Clients and tests of Redis know the number; here both are stored alike.
const EmbstrBytesMax = 44
