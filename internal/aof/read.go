package aof

import (
	"context"
	"fmt"
	"io"
	"os"

	"hyperkv/internal/rdb"
	"hyperkv/resp"
)

// A Visitor is shown what is in the files.
type Visitor interface {
	// RDB is handed the RDB file that a file begins with, and reads it to its end.
	RDB(f *rdb.File) error
	// Command is shown a command, or one of a transaction; SELECT, MULTI and EXEC are not
	// shown. It is borrowed.
	Command(c *Command) error
}

// A Command is one of a file.
type Command struct {
	Database int
	Args     [][]byte // at least one
	File     string
	Offset   int64 // where it begins
}

// Options say how files are read.
type Options struct {
	// Truncated lets the last file end in the middle of a command, as Redis' setting
	// aof-load-truncated does.
	Truncated bool
	// Wrap, if set, comes between a file and its reader, to see how far it is.
	Wrap func(io.Reader) io.Reader
}

// A Cut is where the last file ends in the middle of a command or of a transaction.
type Cut struct {
	File   string
	Offset int64 // up to which it was read
	Left   int64 // how many bytes behind that were not
	// Transaction says that commands of a transaction without its end were left out.
	Transaction bool
}

func (c *Cut) String() string {
	what := "a command"
	if c.Transaction {
		what = "a transaction"
	}
	return fmt.Sprintf("%s ends in the middle of %s: its last %d bytes, from byte %d on, were left out", c.File, what, c.Left, c.Offset)
}

// An Error is what is wrong with a file, and where.
type Error struct {
	File   string
	Offset int64
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: at byte %d: %v", e.File, e.Offset, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Read shows everything to v. It returns where the last file was cut off, nil if it was not.
func (l *Log) Read(ctx context.Context, o Options, v Visitor) (*Cut, error) {
	for i, f := range l.Files {
		cut, err := readFile(ctx, f, o, v)
		switch {
		case err != nil:
			return nil, err
		case cut == nil:
		case i < len(l.Files)-1:
			return nil, &Error{f.Path, cut.Offset, fmt.Errorf("it ends in the middle of a command, and is not the last file")}
		case !o.Truncated:
			return nil, &Error{f.Path, cut.Offset, fmt.Errorf("it ends in the middle of a command")}
		default:
			return cut, nil
		}
	}
	return nil, nil
}

func readFile(ctx context.Context, f File, o Options, v Visitor) (*Cut, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var src io.Reader = file
	if o.Wrap != nil {
		src = o.Wrap(src)
	}
	r := newReader(src)
	if start, err := r.src.Peek(rdbStartBytes); err == nil && rdb.IsFile(start) {
		if r, err = readRDB(r, v); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	u := unit{file: f.Path, v: v}
	done := r.at
	for ctx.Err() == nil {
		err := r.next(&u.words)
		switch {
		case err == io.EOF && !u.open:
			return nil, nil
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return &Cut{f.Path, done, r.at - done, u.open}, nil
		case err != nil:
			return nil, &Error{f.Path, r.begin, err}
		}
		if err := u.add(r.begin); err != nil {
			return nil, err
		}
		if !u.open {
			done = r.at
		}
	}
	return nil, context.Cause(ctx)
}

// rdbStartBytes is how much of a file tells whether it begins with an RDB file.
const rdbStartBytes = 9

// readRDB shows the RDB file at the beginning, and returns a reader of what is behind it.
func readRDB(r *reader, v Visitor) (*reader, error) {
	f, err := rdb.OpenFile(r.src)
	if err != nil {
		return nil, err
	}
	if err := v.RDB(f); err != nil {
		return nil, err
	}
	if k, err := f.Next(); k != nil || err != nil {
		return nil, fmt.Errorf("it was not read to its end: %w", err)
	}
	behind := newReader(f.Rest())
	behind.at = f.Offset()
	return behind, nil
}

// A unit collects a command, or all of a transaction, and shows it when it is whole.
type unit struct {
	file  string
	v     Visitor
	words words
	open  bool // in a transaction

	database int // selected by what was shown
	inside   int // by what was collected

	commands []place
	command  Command
}

// A place is a command among the words of a unit.
type place struct {
	from, to int
	database int
	offset   int64
}

// add takes in the command that was read last.
func (u *unit) add(offset int64) error {
	from, to := u.words.last()
	name := u.words.word(from)
	wrong := func(format string, args ...any) error { return &Error{u.file, offset, fmt.Errorf(format, args...)} }
	switch {
	case resp.WordIs(name, "MULTI"):
		if u.open {
			return wrong("a transaction begins within another")
		}
		u.open, u.inside = true, u.database
		return nil
	case resp.WordIs(name, "EXEC"):
		if !u.open {
			return wrong("a transaction ends that has not begun")
		}
		u.open, u.database = false, u.inside
		return u.show()
	case resp.WordIs(name, "SELECT"):
		if to-from != 2 {
			return wrong("SELECT with %d arguments", to-from-1)
		}
		n, ok := resp.ParseInt(u.words.word(from + 1))
		if !ok || n < 0 || n > databasesMax {
			return wrong("SELECT %.40q", u.words.word(from+1))
		}
		u.inside = int(n)
		if !u.open {
			u.database = u.inside
			return u.show()
		}
		return nil
	}
	if !u.open {
		u.inside = u.database
	}
	u.commands = append(u.commands, place{from, to, u.inside, offset})
	if u.open {
		return nil
	}
	return u.show()
}

// databasesMax bounds the number of a database.
const databasesMax = 1 << 20

// show shows the commands that were collected.
func (u *unit) show() error {
	c := &u.command
	for _, p := range u.commands {
		c.Database, c.File, c.Offset = p.database, u.file, p.offset
		c.Args = c.Args[:0]
		for i := p.from; i < p.to; i++ {
			c.Args = append(c.Args, u.words.word(i))
		}
		if err := u.v.Command(c); err != nil {
			return &Error{u.file, p.offset, err}
		}
	}
	u.commands = u.commands[:0]
	u.words.reset()
	return nil
}
