package migrate

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"

	"hyperkv/internal/rdb"
)

// RDB is an RDB file as a Source.
type RDB struct {
	Path string
	// Wrap, if set, comes between the file and its reader, to see how far it is.
	Wrap func(io.Reader) io.Reader
}

// Copy implements Source.
func (s RDB) Copy(ctx context.Context, t Target) error {
	file, err := os.Open(s.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	var src io.Reader = file
	if s.Wrap != nil {
		src = s.Wrap(src)
	}
	if err := CopyRDB(ctx, src, t); err != nil {
		return fmt.Errorf("%s: %w", s.Path, err)
	}
	return nil
}

// versionUsual is that of Redis 7.0.
const versionUsual = 10

// Version finds the version that an RDB file has to be of for what a source has, by
// looking through all of it.
func Version(ctx context.Context, s Source) (int, error) {
	v := &versions{w: rdb.NewWriter(io.Discard, versionUsual), most: versionUsual}
	err := s.Copy(ctx, v)
	return v.most, err
}

type versions struct {
	Nowhere
	w    *rdb.Writer
	most int
}

func (v *versions) Key(k *rdb.Key, raw []byte) error {
	if k.Type.Version() <= versionUsual {
		return nil
	}
	if err := v.w.Value(k.Type, raw); err != nil {
		return fmt.Errorf("the key %.64q: %w", k.Name, err)
	}
	v.most = max(v.most, v.w.Version())
	return nil
}

// RDBFile is a Target that writes an RDB file. Values that readers of its version do not
// know are written in an older form.
type RDBFile struct {
	out      *bufio.Writer
	file     *rdb.FileWriter
	database int
}

// NewRDBFile begins a file of a version, with what it says of itself: names and values.
func NewRDBFile(out io.Writer, version int, aux ...[2]string) *RDBFile {
	t := &RDBFile{out: bufio.NewWriterSize(out, writeBytes), database: -1}
	t.file = rdb.NewFileWriter(t.out, version)
	for _, field := range aux {
		t.file.Aux(field[0], field[1])
	}
	return t
}

// writeBytes is how much is collected before it is written.
const writeBytes = 256 << 10

// Key implements Target.
func (t *RDBFile) Key(k *rdb.Key, raw []byte) error {
	if k.Database != t.database {
		t.database = k.Database
		t.file.SelectDB(k.Database)
	}
	t.file.Usage(k.Idle, k.Frequency)
	t.file.Key(k.Name, k.Deadline)
	if err := t.file.Value(k.Type, raw); err != nil {
		return fmt.Errorf("the key %.64q: %w", k.Name, err)
	}
	return nil
}

// Library implements Target.
func (t *RDBFile) Library(source []byte) error {
	t.file.Function(source)
	return nil
}

// End implements Target.
func (t *RDBFile) End() error {
	if err := t.file.End(); err != nil {
		return err
	}
	return t.out.Flush()
}
