package rdb

import (
	"errors"
	"fmt"
)

// A Type is the first byte of a value: what it is, and in which form.
type Type byte

// The types of Redis 7.4. What is missing between them are modules' and opcodes.
const (
	TypeString              Type = 0
	TypeList                Type = 1
	TypeSet                 Type = 2
	TypeZSet                Type = 3 // scores as texts
	TypeHash                Type = 4
	TypeZSet2               Type = 5 // scores as doubles
	TypeModule              Type = 6
	TypeModule2             Type = 7
	TypeHashZipmap          Type = 9
	TypeListZiplist         Type = 10
	TypeSetIntset           Type = 11
	TypeZSetZiplist         Type = 12
	TypeHashZiplist         Type = 13
	TypeListQuicklist       Type = 14 // of ziplists
	TypeStream              Type = 15
	TypeHashListpack        Type = 16
	TypeZSetListpack        Type = 17
	TypeListQuicklist2      Type = 18 // of listpacks and large elements
	TypeStream2             Type = 19 // with first, deleted and added
	TypeSetListpack         Type = 20
	TypeStream3             Type = 21 // with when a consumer was active
	TypeHashMetadataPreGA   Type = 22 // fields with deadlines
	TypeHashListpackExPreGA Type = 23
	TypeHashMetadata        Type = 24 // with the first deadline in front
	TypeHashListpackEx      Type = 25

	// TypeSetMetadata is a set whose members have deadlines, as the fields of
	// TypeHashMetadata. No Redis knows it: it is for snapshots of HyperKV.
	TypeSetMetadata Type = 200
	// TypeHashValkey is a hash as Valkey 9 writes one with deadlines: there it has the
	// number of TypeHashMetadataPreGA. It is never written, and no byte stands for it.
	TypeHashValkey Type = 201
)

// A Kind is what a value is for those who use it.
type Kind uint8

// The kinds of values.
const (
	Unknown Kind = iota
	String
	List
	Set
	ZSet
	Hash
	Stream
)

// forms says for each type its kind, and the RDB version that brought it.
var forms = [...]struct {
	kind    Kind
	version int
}{
	TypeString: {String, versionOldest}, TypeList: {List, versionOldest}, TypeSet: {Set, versionOldest},
	TypeZSet: {ZSet, versionOldest}, TypeHash: {Hash, versionOldest}, TypeZSet2: {ZSet, 8},
	TypeHashZipmap: {Hash, versionOldest}, TypeListZiplist: {List, versionOldest}, TypeSetIntset: {Set, versionOldest},
	TypeZSetZiplist: {ZSet, versionOldest}, TypeHashZiplist: {Hash, versionOldest},
	TypeListQuicklist: {List, 7}, TypeStream: {Stream, 9},
	TypeHashListpack: {Hash, 10}, TypeZSetListpack: {ZSet, 10}, TypeListQuicklist2: {List, 10}, TypeStream2: {Stream, 10},
	TypeSetListpack: {Set, 11}, TypeStream3: {Stream, 11},
	TypeHashMetadataPreGA: {Hash, 12}, TypeHashListpackExPreGA: {Hash, 12},
	TypeHashMetadata: {Hash, 12}, TypeHashListpackEx: {Hash, 12},
	TypeSetMetadata: {Set, Version}, TypeHashValkey: {Hash, Version},
}

const (
	// Version is the newest RDB version that is understood: that of Redis 7.4.
	Version = 12
	// versionOldest is that of Redis 2.6, which brought DUMP.
	versionOldest = 6
)

// Kind is Unknown for modules and for what is no type.
func (t Type) Kind() Kind {
	if int(t) < len(forms) {
		return forms[t].kind
	}
	return Unknown
}

// Version is the RDB version that brought the type.
func (t Type) Version() int { return forms[t].version }

// written is the type that a byte stands for.
func written(b byte) (Type, bool) {
	t := Type(b)
	return t, t.Kind() != Unknown && t != TypeHashValkey
}

var (
	// ErrChecksum says that a payload is of a newer version or damaged.
	ErrChecksum = errors.New("version or checksum are wrong")
	// ErrEmpty says that a collection is empty, which no key may hold. All of it was
	// read.
	ErrEmpty = errors.New("a collection without elements")
	// ErrDuplicate says that a collection has an element twice.
	ErrDuplicate = errors.New("a duplicate element")
	// ErrUnsupported says that a value is a module's, or of an unknown type.
	ErrUnsupported = errors.New("an unsupported type")
	// ErrCorrupt says that the bytes are not what Redis would have written.
	ErrCorrupt = errors.New("corrupt")
)

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// A StreamID names an entry of a stream.
type StreamID struct{ Ms, Seq uint64 }

func (id StreamID) less(other StreamID) bool {
	return id.Ms < other.Ms || id.Ms == other.Ms && id.Seq < other.Seq
}

// StreamState is what a stream knows beside its entries.
type StreamState struct {
	Last       StreamID // the last that was given to an entry
	MaxDeleted StreamID
	Added      int64 // entries ever
}

// A StreamGroup is a consumer group without its consumers.
type StreamGroup struct {
	Name []byte
	Last StreamID // the last that was delivered
	// Read is how many entries the group has read in all, -1 when it is not known.
	Read int64
}

// A StreamConsumer is a consumer without what is pending. Times are in Unix
// milliseconds; Active is -1 for a consumer that never got anything.
type StreamConsumer struct {
	Name         []byte
	Seen, Active int64
}

// A StreamPending is an entry that was delivered and not acknowledged.
type StreamPending struct {
	ID        StreamID
	Consumer  int // which of the group's, in the order in which they were shown
	Delivered int64
	Count     int64 // of deliveries
}
