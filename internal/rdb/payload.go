package rdb

import "encoding/binary"

// A Payload is what DUMP answers, with a checksum that is right.
type Payload struct {
	Type Type
	body []byte // without the type and the footer
}

const footerBytes = 2 + 8

// OpenPayload looks at the version and the checksum of a payload, and at the type
// of its value. The bytes are borrowed.
func OpenPayload(b []byte) (Payload, error) {
	end := len(b) - footerBytes
	if end < 0 {
		return Payload{}, ErrChecksum
	}
	version := binary.LittleEndian.Uint16(b[end:])
	sum := binary.LittleEndian.Uint64(b[end+2:])
	if version > Version || Checksum(0, b[:end+2]) != sum {
		return Payload{}, ErrChecksum
	}
	if end == 0 {
		return Payload{}, corrupt("a payload without a value")
	}
	if Type(b[0]) == TypeHashValkey {
		return Payload{}, unsupported("type %d", b[0])
	}
	return Payload{Type: Type(b[0]), body: b[1:end]}, nil
}

// RawPayload is the payload of a value that was read by Body.Raw. The bytes are borrowed.
func RawPayload(t Type, raw []byte) Payload { return Payload{Type: t, body: raw} }

// Visit shows the value to v. What is behind it does not matter.
func (p Payload) Visit(v Visitor) error { return NewBytesReader(p.body).Value(p.Type, v) }
