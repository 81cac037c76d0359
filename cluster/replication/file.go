package replication

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"hyperkv/internal/rdb"
)

// What stands around the keys of an RDB file.

const (
	opAux = 250
	opEnd = 255
)

// fileBegin is the beginning of a file that stands for a position of the stream.
func fileBegin(native bool, history string, position int64, database int) []byte {
	version := 10
	if native {
		version = rdb.Version
	}
	w := rdb.NewPlainWriter(version)
	for i := range fileMagicBytes {
		w.Byte(fmt.Sprintf("REDIS%04d", version)[i])
	}
	aux := func(name, value string) {
		w.Byte(opAux)
		w.Text([]byte(name))
		w.Text([]byte(value))
	}
	aux("redis-ver", "7.0.0")
	aux("redis-bits", "64")
	aux("ctime", strconv.FormatInt(time.Now().Unix(), 10))
	aux("repl-stream-db", strconv.Itoa(database))
	aux("repl-id", history)
	aux("repl-offset", strconv.FormatInt(position, 10))
	return w.Take(nil)
}

const fileMagicBytes = len("REDIS0000")

// fileEnd is the end of a file with the given checksum so far.
func fileEnd(sum uint64) []byte {
	b := []byte{opEnd}
	return binary.LittleEndian.AppendUint64(b, checksum(sum, b))
}

func checksum(sum uint64, p []byte) uint64 { return rdb.Checksum(sum, p) }

// ErrDamaged says that a snapshot is not what the primary has sent.
var ErrDamaged = errors.New("the snapshot is damaged")

// verify reads a file of so many bytes and compares it with its checksum. 0 stands for
// none. The end has to be there as well: of some files the checksum is right when the last
// byte is missing.
func verify(f *os.File, bytes int64) error {
	if bytes < int64(fileMagicBytes)+1+8 {
		return fmt.Errorf("%w: it has %d bytes", ErrDamaged, bytes)
	}
	var sum uint64
	buf := make([]byte, 256<<10)
	for at := int64(0); at < bytes-8; {
		p := buf[:min(int64(len(buf)), bytes-8-at)]
		if _, err := f.ReadAt(p, at); err != nil && err != io.EOF {
			return err
		}
		sum = checksum(sum, p)
		at += int64(len(p))
		if last := p[len(p)-1]; at == bytes-8 && last != opEnd {
			return fmt.Errorf("%w: it ends with %#x", ErrDamaged, last)
		}
	}
	if _, err := f.ReadAt(buf[:8], bytes-8); err != nil && err != io.EOF {
		return err
	}
	if want := binary.LittleEndian.Uint64(buf); want != 0 && want != sum {
		return fmt.Errorf("%w: its checksum is %#x and should be %#x", ErrDamaged, sum, want)
	}
	return nil
}

// streamDatabase is the database that the stream is in behind a file, as its beginning
// says.
func streamDatabase(f *os.File) int {
	database := 0
	body := rdb.Body{Reader: rdb.NewReader(io.NewSectionReader(f, int64(fileMagicBytes), 1<<40))}
	body.Aux = func(name, value string) error {
		if name == "repl-stream-db" {
			if n, err := strconv.Atoi(value); err == nil && n >= 0 {
				database = n
			}
		}
		return nil
	}
	_, _ = body.Next() // whoever loads it will say what is wrong
	return database
}
