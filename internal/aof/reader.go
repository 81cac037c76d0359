package aof

import (
	"bufio"
	"fmt"
	"io"
	"slices"
)

const (
	// lineBytesMax is the longest line that is no argument: an annotation may be so long.
	lineBytesMax = 1 << 10
	// argBytesMax is the longest argument.
	argBytesMax = 512 << 20
	// argsMax is how many a command may have: as many as a client may send, and the name.
	argsMax = 1<<20 + 1
	// aheadBytes is how much room is made on the word of a file.
	aheadBytes = 64 << 10
	// roomBytesMax is how much room is kept for the next command.
	roomBytesMax = 1 << 20
)

// A reader reads commands of a file one after the other.
type reader struct {
	src   *bufio.Reader
	at    int64 // how much was read
	begin int64 // where the command at hand begins
}

func newReader(src io.Reader) *reader { return &reader{src: bufio.NewReaderSize(src, 256<<10)} }

// next adds the next command to w. It returns io.EOF at the end, and io.ErrUnexpectedEOF if
// that comes within a command.
func (r *reader) next(w *words) error {
	count := 0
	for {
		r.begin = r.at
		c, err := r.src.Peek(1)
		if err != nil {
			return err
		}
		if c[0] != '#' && c[0] != '*' {
			return fmt.Errorf("no command begins with %q", c)
		}
		if c[0] == '#' {
			if _, err := r.line(); err == io.ErrUnexpectedEOF {
				return io.EOF // nothing is missing
			} else if err != nil {
				return err
			}
			continue
		}
		n, err := r.number('*')
		if err != nil {
			return err
		}
		if n < 1 || n > argsMax {
			return fmt.Errorf("a command of %d words", n)
		}
		count = n
		break
	}
	w.begin()
	for range count {
		if err := r.argument(w); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// line reads a line, without its end. It is borrowed until the next is read.
func (r *reader) line() ([]byte, error) {
	line, err := r.src.ReadSlice('\n')
	r.at += int64(len(line))
	switch {
	case err == io.EOF:
		return nil, io.ErrUnexpectedEOF
	case err == bufio.ErrBufferFull || err == nil && len(line) > lineBytesMax:
		return nil, fmt.Errorf("a line that has no end")
	case err != nil:
		return nil, err
	case len(line) < 2 || line[len(line)-2] != '\r':
		return nil, fmt.Errorf("the line %.40q does not end in CR LF", line)
	}
	return line[:len(line)-2], nil
}

// number reads a line with a number behind a mark.
func (r *reader) number(mark byte) (int, error) {
	line, err := r.line()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, c := range line[1:] {
		if c < '0' || c > '9' || n > argBytesMax {
			return 0, fmt.Errorf("%.40q is no number behind %q", line[1:], mark)
		}
		n = n*10 + int(c-'0')
	}
	if len(line) == 1 {
		return 0, fmt.Errorf("no number behind %q", mark)
	}
	return n, nil
}

// argument adds an argument to w.
func (r *reader) argument(w *words) error {
	c, err := r.src.Peek(1)
	if err != nil {
		return err
	}
	if c[0] != '$' {
		return fmt.Errorf("no argument begins with %q", c)
	}
	n, err := r.number('$')
	if err != nil {
		return err
	}
	if n > argBytesMax {
		return fmt.Errorf("an argument of %d bytes", n)
	}
	for left := n + 2; left > 0; {
		step := min(left, max(aheadBytes, len(w.bytes)))
		w.bytes = slices.Grow(w.bytes, step)
		got, err := io.ReadFull(r.src, w.bytes[len(w.bytes):len(w.bytes)+step])
		w.bytes = w.bytes[:len(w.bytes)+got]
		r.at += int64(got)
		if err != nil {
			return err
		}
		left -= step
	}
	end := len(w.bytes) - 2
	if string(w.bytes[end:]) != "\r\n" {
		return fmt.Errorf("an argument does not end where it says")
	}
	w.bytes = w.bytes[:end]
	w.ends = append(w.ends, end)
	return nil
}

// words are the arguments of commands, one behind the other.
type words struct {
	bytes []byte
	ends  []int
	from  int // the first word of the last command
}

// begin begins a command.
func (w *words) begin() {
	w.bytes = w.bytes[:w.end()] // some of one that was cut off may be there
	w.from = len(w.ends)
}

func (w *words) end() int {
	if len(w.ends) == 0 {
		return 0
	}
	return w.ends[len(w.ends)-1]
}

// last says which words are those of the last command.
func (w *words) last() (from, to int) { return w.from, len(w.ends) }

func (w *words) word(i int) []byte {
	start := 0
	if i > 0 {
		start = w.ends[i-1]
	}
	return w.bytes[start:w.ends[i]:w.ends[i]]
}

func (w *words) reset() {
	if cap(w.bytes) > roomBytesMax {
		w.bytes = nil
	}
	w.bytes, w.ends = w.bytes[:0], w.ends[:0]
}
