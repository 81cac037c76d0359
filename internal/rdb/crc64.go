package rdb

import "hash/crc64"

// jones is the polynomial of Redis' checksums, reflected.
var jones = crc64.MakeTable(0x95ac9329ac4bc9b5)

// Checksum continues the CRC-64 of Redis over more bytes; it starts with 0. Redis
// leaves out the inversions of Go's.
func Checksum(sum uint64, more []byte) uint64 { return ^crc64.Update(^sum, jones, more) }
