package migrate

import (
	"bufio"
	"fmt"
	"io"

	"hyperkv/internal/rdb"
)

// RESP is a Target that writes the commands which make the dataset on an empty server, as
// redis-cli --pipe sends them.
type RESP struct {
	out      *bufio.Writer
	commands commander
	database int
}

// NewRESP writes to out.
func NewRESP(out io.Writer) *RESP {
	t := &RESP{out: bufio.NewWriterSize(out, writeBytes), database: -1}
	t.commands.emit = t.write
	return t
}

func (t *RESP) write(command []byte) error {
	_, err := t.out.Write(command)
	return err
}

// Key implements Target.
func (t *RESP) Key(k *rdb.Key, raw []byte) error {
	if k.Database != t.database {
		t.database = k.Database
		if err := t.write(encode([]byte("SELECT"), number(int64(k.Database)))); err != nil {
			return err
		}
	}
	if err := t.commands.value(k, raw); err != nil {
		return fmt.Errorf("the key %.64q: %w", k.Name, err)
	}
	return nil
}

// Library implements Target.
func (t *RESP) Library(source []byte) error {
	return t.write(encode([]byte("FUNCTION"), []byte("LOAD"), []byte("REPLACE"), source))
}

// End implements Target.
func (t *RESP) End() error { return t.out.Flush() }
