package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A syncKind is a form of snapshot. One is taken for all replicas that wait for one of its
// kind.
//
//	without a file   $EOF:mark │ header … pieces … checksum │ mark      as they come
//	with one         $length   │ header … pieces … checksum             when it is whole
type syncKind struct {
	disk, native, withoutKeys bool
}

// kind is what a replica waits for.
func (n *Node) kind(r *Replica) syncKind {
	return syncKind{
		disk:   !r.wishes.EOF || !n.o.Settings.Bool("repl-diskless-sync"),
		native: r.wishes.Native, withoutKeys: r.wishes.WithoutKeys,
	}
}

// waitingFor lists the replicas that wait for a snapshot of a kind.
func (n *Node) waitingFor(k syncKind) (all []*Replica) {
	for _, r := range n.all() {
		if s, there := r.is(); there && s == waiting && n.kind(r) == k {
			all = append(all, r)
		}
	}
	return all
}

// next is the replica that has waited longest for a snapshot.
func (n *Node) next() (first *Replica) {
	for _, r := range n.all() {
		if s, there := r.is(); there && s == waiting && (first == nil || r.since.Before(first.since)) {
			first = r
		}
	}
	return first
}

// lookAgain is how often it is looked whether a snapshot is to begin that waits for
// more replicas.
const lookAgain = 20 * time.Millisecond

// snapshots takes one snapshot after the other as long as replicas wait for them.
func (n *Node) snapshots() {
	defer n.ended.Done()
	for {
		r := n.next()
		if r == nil {
			select {
			case <-n.kick:
				continue
			case <-n.ctx.Done():
				return
			}
		}
		k := n.kind(r)
		if !k.disk && !n.due(r, k) {
			select {
			case <-time.After(lookAgain):
				continue
			case <-n.ctx.Done():
				return
			}
		}
		n.sync(k)
	}
}

// due says whether the snapshot that a replica waits for is to begin without waiting
// for more replicas.
func (n *Node) due(r *Replica, k syncKind) bool {
	delay := time.Duration(n.o.Settings.Int("repl-diskless-sync-delay")) * time.Second
	if r.wishes.SnapshotOnly || time.Since(r.since) >= delay {
		return true
	}
	enough := int(n.o.Settings.Int("repl-diskless-sync-max-replicas"))
	return enough > 0 && len(n.waitingFor(k)) >= enough
}

// sync takes a snapshot for all replicas that wait for one of a kind.
func (n *Node) sync(k syncKind) {
	s := &snapshot{node: n, kind: k, replicas: n.waitingFor(k)}
	began := time.Now()
	err := s.take(n.ctx)
	for _, r := range s.replicas {
		if _, there := r.is(); !there {
			continue
		}
		if err != nil {
			n.log.Error("a snapshot for a replica has failed", "replica", r.name(), "err", err)
			r.link.Disconnect()
			r.Gone()
			continue
		}
		n.log.Info("a snapshot was sent to a replica", "replica", r.name(), "bytes", s.bytes, "seconds", time.Since(began).Seconds())
	}
}

// snapshot is one that is taken for some replicas.
type snapshot struct {
	node     *Node
	kind     syncKind
	replicas []*Replica
	mark     string // behind one without a length

	mu       sync.Mutex // pieces come from several goroutines
	file     *os.File   // nil without one
	begun    bool
	history  string
	position int64
	database int
	bytes    int64
	sum      uint64
	err      error
}

var errNobody = errors.New("all replicas that wanted it have gone")

func (s *snapshot) take(ctx context.Context) (err error) {
	n := s.node
	if host, _, state := n.follows(); host != "" && state != linkConnected {
		return ErrNoPrimary
	}
	if s.kind.disk {
		if s.file, err = temporary(n.o.Folder()); err != nil {
			return err
		}
		defer s.file.Close()
	} else {
		s.mark = newHistory()
	}
	if s.kind.withoutKeys {
		n.o.Host.Exclusive(s.cut)
	} else {
		n.o.Host.Undivided(true)
		if err = n.o.Host.Snapshot(ctx, s.kind.native, s.cut, s.write); err != nil {
			return err
		}
	}
	if err = s.write(nil); err != nil { // there may have been no keys
		return err
	}
	s.put(fileEnd(s.sum))
	if s.err != nil {
		return s.err
	}
	if !s.kind.disk {
		s.each([]byte(s.mark))
		for _, r := range s.replicas {
			r.copied(true)
		}
		return s.err
	}
	return s.sendFile()
}

// cut is called at the moment of the snapshot.
func (s *snapshot) cut() {
	n, f := s.node, s.node.feed
	more := slices.ContainsFunc(s.replicas, func(r *Replica) bool { return !r.wishes.SnapshotOnly })
	f.mu.Lock()
	if more && !f.relayed && !f.on.Load() {
		f.on.Store(true)
		n.o.Host.Record(true)
	}
	if !f.relayed {
		f.database = -1 // so that the stream says which one
	}
	s.history, s.position, s.database = f.history, f.position, max(f.database, 0)
	for _, r := range s.replicas {
		if !r.wishes.SnapshotOnly {
			r.cursor = f.tail()
		}
	}
	f.mu.Unlock()
	for _, r := range s.replicas {
		words := ""
		if r.wishes.Named {
			words = fmt.Sprintf("+FULLRESYNC %s %d\r\n", s.history, s.position)
		}
		r.begin(copying, words)
		r.wake()
	}
}

// write adds a piece of the body.
func (s *snapshot) write(piece []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.begun = true
		if s.mark != "" {
			s.each([]byte("$EOF:" + s.mark + "\r\n"))
		}
		s.put(fileBegin(s.kind.native, s.history, s.position, s.database))
	}
	s.put(piece)
	return s.err
}

// put adds bytes of the file.
func (s *snapshot) put(p []byte) {
	if s.err != nil {
		return
	}
	s.sum = checksum(s.sum, p)
	s.bytes += int64(len(p))
	if s.file != nil {
		_, s.err = s.file.Write(p)
		return
	}
	s.each(p)
}

// each sends bytes to all replicas that are still there.
func (s *snapshot) each(p []byte) {
	there := false
	for _, r := range s.replicas {
		there = r.send(p) || there
	}
	if !there && s.err == nil {
		s.err = errNobody
	}
}

// sendFile sends the file to all replicas, to each as fast as it reads.
func (s *snapshot) sendFile() error {
	var sending sync.WaitGroup
	errs := make([]error, len(s.replicas))
	for i, r := range s.replicas {
		sending.Add(1)
		go func() {
			defer sending.Done()
			if errs[i] = s.sendTo(r); errs[i] == nil {
				r.copied(false)
			}
		}()
	}
	sending.Wait()
	failed := slices.IndexFunc(errs, func(err error) bool { return err != nil && !errors.Is(err, errNobody) })
	if failed >= 0 {
		return errs[failed]
	}
	return nil
}

func (s *snapshot) sendTo(r *Replica) error {
	r.send([]byte("$" + strconv.FormatInt(s.bytes, 10) + "\r\n"))
	for at := int64(0); at < s.bytes; {
		p := make([]byte, min(blockBytesMax, s.bytes-at))
		if _, err := s.file.ReadAt(p, at); err != nil && err != io.EOF {
			return err
		}
		if !r.send(p) {
			return errNobody
		}
		at += int64(len(p))
	}
	return nil
}

// temporary makes a file that is gone when it is closed.
func temporary(folder string) (*os.File, error) {
	f, err := os.CreateTemp(folder, "replication-*.rdb")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // the file stays as long as it is open
	return f, nil
}
