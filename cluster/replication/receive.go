package replication

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// copy receives a snapshot and loads it. Until all of it has come, and is right, what is
// here stays.
func (l *link) copy(ctx context.Context, full *fullSync) error {
	n := l.node
	n.log.Info("the primary sends everything", "primary", address(l.host, l.port), "history", full.history, "position", full.position)
	head, err := l.line()
	if err != nil {
		return err
	}
	if head[0] == '-' {
		return fmt.Errorf("the primary has no snapshot: %q", head)
	}
	file, err := temporary(n.o.Folder())
	if err != nil {
		return err
	}
	defer file.Close()
	var size int64
	if mark, ok := strings.CutPrefix(head, "$EOF:"); ok && len(mark) == len(noHistory) {
		size, err = l.receiveMarked(file, []byte(mark))
	} else if size, err = strconv.ParseInt(strings.TrimPrefix(head, "$"), 10, 64); head[0] == '$' && err == nil && size >= 0 {
		err = l.receive(file, size)
	} else {
		return fmt.Errorf("the primary announces its snapshot as %q", head)
	}
	if err != nil {
		return err
	}
	if err := verify(file, size); err != nil {
		return err
	}
	n.disconnect("the dataset is replaced")
	n.feed.abandon()
	began := time.Now()
	stop := l.every(time.Second, func() { _ = l.write([]byte("\n")) })
	_, err = file.Seek(0, io.SeekStart)
	if err == nil {
		err = n.o.Host.Load(ctx, file, size)
	}
	stop()
	if err != nil {
		return fmt.Errorf("%w: %w", errNotLoaded, err)
	}
	l.database = streamDatabase(file)
	n.feed.begin(full.history, full.position, l.database)
	n.o.Host.Commit()
	n.log.Info("the primary's snapshot is loaded", "bytes", size, "seconds", time.Since(began).Seconds())
	return nil
}

// errNotLoaded says that a snapshot is whole and could not be loaded.
var errNotLoaded = errors.New("the primary's snapshot cannot be loaded")

// progress notes how much of the snapshot has come.
func (l *link) progress(total, read int64) {
	l.node.mu.Lock()
	l.node.primary.sync = syncProgress{total, read}
	l.node.mu.Unlock()
}

// receive reads so many bytes into a file.
func (l *link) receive(file io.Writer, size int64) error {
	for got := int64(0); got < size; {
		l.progress(size, got)
		if l.at == len(l.buf) {
			if err := l.fill(0); err != nil {
				return err
			}
		}
		p := l.buf[l.at:]
		p = p[:min(int64(len(p)), size-got)]
		if _, err := file.Write(p); err != nil {
			return err
		}
		got += int64(len(p))
		l.at += len(p)
	}
	l.progress(size, size)
	return nil
}

// receiveMarked reads up to a mark into a file. The primary sends nothing behind the mark
// until it was told that the mark has been seen.
func (l *link) receiveMarked(file io.Writer, mark []byte) (size int64, err error) {
	for {
		l.progress(-1, size)
		p := l.buf[l.at:]
		if bytes.HasSuffix(p, mark) {
			_, err := file.Write(p[:len(p)-len(mark)])
			l.at = len(l.buf)
			return size + int64(len(p)-len(mark)), err
		}
		// The end may be the beginning of the mark.
		if sure := len(p) - len(mark); sure > 0 {
			if _, err := file.Write(p[:sure]); err != nil {
				return size, err
			}
			size += int64(sure)
			l.at += sure
		}
		if err := l.fill(0); err != nil {
			return size, err
		}
	}
}
