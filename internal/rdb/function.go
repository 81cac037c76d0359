package rdb

import (
	"bytes"
	"encoding/binary"
)

// EachFunction shows the libraries in a payload of FUNCTION DUMP.
func EachFunction(payload []byte, visit func(source []byte) error) error {
	end := len(payload) - footerBytes
	if end < 0 || binary.LittleEndian.Uint16(payload[end:]) > Version ||
		Checksum(0, payload[:end+2]) != binary.LittleEndian.Uint64(payload[end+2:]) {
		return ErrChecksum
	}
	b := Body{Reader: NewBytesReader(payload[:end]), Function: visit}
	k, err := b.Next()
	if k != nil {
		err = corrupt("a key among libraries")
	}
	return err
}

// FunctionName is the name that a library gives itself in its first line, which is
// "#!engine name=NAME".
func FunctionName(source []byte) (string, bool) {
	line, _, _ := bytes.Cut(source, []byte("\n"))
	if !bytes.HasPrefix(line, []byte("#!")) {
		return "", false
	}
	for _, word := range bytes.Fields(line) {
		if name, ok := bytes.CutPrefix(word, []byte("name=")); ok && len(name) > 0 {
			return string(name), true
		}
	}
	return "", false
}
