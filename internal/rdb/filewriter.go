package rdb

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A FileWriter writes an RDB file: its Writer's SelectDB, Key and what belongs to a value
// make the body.
type FileWriter struct {
	*Writer
	version int
}

// NewFileWriter begins a file of a version: that of the oldest reader that knows all which
// is going to be written, of 10 at least.
func NewFileWriter(out io.Writer, version int) *FileWriter {
	w := &FileWriter{NewWriter(out, version), max(version, versionListpacks)}
	w.buf = fmt.Appendf(w.buf, "%s%04d", magicRedis, w.version)
	return w
}

// Aux writes what the file says of itself.
func (w *FileWriter) Aux(name, value string) {
	w.buf = append(w.buf, opAux)
	w.Text([]byte(name))
	w.Text([]byte(value))
}

// Function writes the source of a library.
func (w *FileWriter) Function(source []byte) {
	w.buf = append(w.buf, opFunction)
	w.Text(source)
}

// ResizeDB says how many keys the selected database has in the file, and how many of them
// expire.
func (w *FileWriter) ResizeDB(keys, volatile uint64) {
	w.buf = append(w.buf, opResizeDB)
	w.Length(keys)
	w.Length(volatile)
}

// Usage says of the next key for how many seconds it was not used, or how often it was;
// -1 for what is not known.
func (w *FileWriter) Usage(idle int64, frequency int) {
	switch {
	case frequency >= 0:
		w.buf = append(w.buf, opFrequency, byte(frequency))
	case idle >= 0:
		w.buf = append(w.buf, opIdle)
		w.Length(uint64(idle))
	}
}

// Block writes a piece of a body as it is: whole keys behind the number of their database,
// of a version up to the file's.
func (w *FileWriter) Block(b []byte) error {
	if err := w.Flush(); err != nil {
		return err
	}
	w.sum = Checksum(w.sum, b)
	w.past += int64(len(b))
	_, w.err = w.out.Write(b)
	return w.err
}

// End completes the file.
func (w *FileWriter) End() error {
	if w.needed > w.version {
		return fmt.Errorf("what was written needs version %d, and the file is of %d", w.needed, w.version)
	}
	w.buf = append(w.buf, opEnd)
	if err := w.Flush(); err != nil {
		return err
	}
	w.buf = binary.LittleEndian.AppendUint64(w.buf, w.sum)
	return w.Flush()
}
