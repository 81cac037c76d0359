package migrate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"hyperkv/resp"
)

// Sync is a running server as a Source: it is asked for its dataset as replicas ask, by SYNC.
type Sync struct {
	Address Address
	// Wrap, if set, comes between the stream and its reader; size is how much will come, 0
	// if the server has not said so.
	Wrap func(src io.Reader, size int64) io.Reader
}

// Copy implements Source.
func (s Sync) Copy(ctx context.Context, t Target) error {
	return s.stream(ctx, func(src io.Reader) error { return CopyRDB(ctx, src, t) })
}

// Save writes the RDB file that the server sends as it is, and looks whether it is whole.
func (s Sync) Save(ctx context.Context, out io.Writer, t Target) error {
	return s.stream(ctx, func(src io.Reader) error { return CopyRDB(ctx, io.TeeReader(src, out), t) })
}

func (s Sync) stream(ctx context.Context, read func(src io.Reader) error) error {
	c, err := dial(ctx, s.Address)
	if err != nil {
		return err
	}
	defer c.close()
	src, size, err := c.sync()
	if err == nil {
		if s.Wrap != nil {
			src = s.Wrap(src, size)
		}
		err = read(src)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.Address.Host, silent(err))
	}
	return nil
}

// markBytes is the length of the mark that ends a stream of unknown length.
const markBytes = 40

// sync asks for the dataset, and returns the stream that it comes in.
func (c *client) sync() (src io.Reader, size int64, err error) {
	// Who sends from memory asks for a mark, and who sends nothing behind the file saves
	// the trouble of collecting it. Old servers do not know the second.
	for _, option := range [][]string{{"REPLCONF", "capa", "eof"}, {"REPLCONF", "rdb-only", "1"}} {
		var refused resp.Error
		if _, err := c.do(option...); err != nil && !errors.As(err, &refused) {
			return nil, 0, err
		}
	}
	if _, err := c.out.WriteString("SYNC\r\n"); err != nil {
		return nil, 0, err
	}
	if err := c.out.Flush(); err != nil {
		return nil, 0, err
	}
	line := ""
	for line == "" { // while it prepares it sends line ends
		if line, err = c.in.ReadString('\n'); err != nil {
			return nil, 0, err
		}
		line = strings.TrimRight(line, "\r\n")
	}
	if line[0] == '-' {
		return nil, 0, fmt.Errorf("SYNC: %s", line[1:])
	}
	if mark, ok := strings.CutPrefix(line, "$EOF:"); ok && len(mark) == markBytes {
		return &untilMark{src: c.in, mark: []byte(mark)}, 0, nil
	}
	if digits, ok := strings.CutPrefix(line, "$"); ok {
		if size, err := strconv.ParseInt(digits, 10, 64); err == nil && size > 0 {
			return &exactly{src: c.in, left: size}, size, nil
		}
	}
	return nil, 0, fmt.Errorf("SYNC was answered with %.60q", line)
}

// exactly reads so many bytes.
type exactly struct {
	src  io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.src.Read(p[:min(int64(len(p)), e.left)])
	if e.left -= int64(n); err == io.EOF && e.left > 0 {
		err = errBroken
	}
	return n, err
}

var errBroken = errors.New("the server has closed the connection before all was there")

// untilMark reads up to a mark, which is nowhere before the end.
type untilMark struct {
	src  *bufio.Reader
	mark []byte
	over bool
}

func (u *untilMark) Read(p []byte) (int, error) {
	if u.over || len(p) == 0 {
		return 0, io.EOF
	}
	some, err := u.src.Peek(len(u.mark))
	if err != nil {
		if err == io.EOF {
			err = errBroken
		}
		return 0, err
	}
	some, _ = u.src.Peek(u.src.Buffered())
	n := len(some) - len(u.mark) + 1 // of which no mark can begin behind
	if at := bytes.Index(some, u.mark); at >= 0 {
		n = at
		if n == 0 {
			u.over = true
			_, _ = u.src.Discard(len(u.mark))
			return 0, io.EOF
		}
	}
	n = copy(p, some[:n])
	_, _ = u.src.Discard(n)
	return n, nil
}
