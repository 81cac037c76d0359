package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"hyperkv/cluster/replication"
	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
)

// A standing is what a clean stop leaves in the data directory: where the dataset stands
// in the history of replication, so that replicas, or this server as one, need not be sent
// everything again. In Redis it is a part of the RDB file.
//
//	stop   everything durable, nothing happens any more ─► written, whole
//	start  read and deleted, durably ─► recovery ─► taken up, if all of it is as it was
//
// So whoever finds it knows that nobody has used the directory since, as far as they know of
// it; Files is for the others.
type standing struct {
	Version  int    `json:"version"`
	History  string `json:"history"`
	Position int64  `json:"position"`
	Database int    `json:"database"`
	// Files stands for all files in which the data is: their names, lengths, and when they
	// were changed last.
	Files string `json:"files"`
}

const (
	standingName    = "replication.json"
	standingVersion = 1
	standingMax     = 4 << 10
	historyLength   = 40
)

// filesOf sums up the files of the data in a directory.
func filesOf(dir string) (string, error) {
	sum := sha256.New()
	for _, folder := range []string{datadir.Journal, datadir.Snapshots} {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			name, err := filepath.Rel(dir, path)
			fmt.Fprintf(sum, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// takeStanding takes what the last stop has left out of a data directory, before anything
// is changed there. It is nil if there is nothing, or nothing that can be relied on.
func takeStanding(d disk.Disk, dir string) (*standing, error) {
	name := filepath.Join(dir, standingName)
	text, err := disk.ReadStart(d, name, standingMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	// Whatever it is, it is out of date from now on.
	if removed := errors.Join(d.Remove(name), d.SyncDir(dir)); err == nil {
		err = removed
	}
	if err != nil {
		return nil, err
	}
	s := &standing{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if _, err := hex.DecodeString(s.History); err != nil || s.Version != standingVersion || len(s.History) != historyLength ||
		s.Position < 0 || s.Database < -1 {
		return nil, fmt.Errorf("%s: it says %+v", name, *s)
	}
	now, err := filesOf(dir)
	if err == nil && now != s.Files {
		err = fmt.Errorf("%s: the data was changed since the server has stopped", name)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// takeStanding is where the dataset stands that is about to be recovered, nil if that is not
// certain.
func (r *replicating) takeStanding() *standing {
	if !r.data.Keeps() {
		return nil
	}
	s, err := takeStanding(disk.OS{}, r.config.DataDir)
	if err != nil {
		r.log.Warn("the place in the history of replication cannot be used: replicas get a snapshot", "err", err)
	}
	return s
}

// takeUp goes on from where the dataset stands, which was recovered. Nothing happens to it
// yet.
func (r *replicating) takeUp(s *standing) {
	switch {
	case s == nil:
		return
	case !r.data.Intact():
		r.log.Warn("the recovery did not find everything as it was left: replicas get a snapshot")
		return
	case s.Database >= int(r.engine.Params.Int("databases")):
		r.log.Warn("the stream of replication is in a database that there is not any more: replicas get a snapshot", "database", s.Database)
		return
	}
	_, _, follows := r.primary()
	r.node.TakeUp(replication.Standing{History: s.History, Position: s.Position, Database: s.Database}, !follows)
	if now, ok := r.node.Standing(); ok {
		r.data.SetMarked(now) // what is on disk is what there is
	}
	r.log.Info("the history of replication goes on", "history", s.History, "position", s.Position)
}

// leave closes the log, and leaves in the data directory where the dataset stands, if that
// is what a start will find. Nothing happens any more.
func (r *replicating) leave() error {
	if r.engine.Durability() == nil || !r.data.Keeps() {
		return nil // it was still loading, or keeps nothing
	}
	now, ok := r.node.Standing()
	logged, whole, err := r.data.CloseLog()
	if err != nil {
		return err
	}
	if !logged { // the last snapshot must be of this moment
		held, there := r.data.Marked().(replication.Standing)
		whole = there && held.History == now.History && held.Changed == now.Changed
	}
	ok = ok && whole
	if !ok {
		return nil
	}
	sum, err := filesOf(r.config.DataDir)
	if err == nil {
		var text []byte
		text, err = json.Marshal(standing{standingVersion, now.History, now.Position, now.Database, sum})
		if err == nil {
			err = disk.Replace(disk.OS{}, filepath.Join(r.config.DataDir, standingName), append(text, '\n'))
		}
	}
	if err != nil {
		r.log.Warn("the place in the history of replication could not be kept: replicas will get a snapshot", "err", err)
	}
	return nil
}

// drain lets the replicas come to where the server stops, unless SHUTDOWN NOW was said. It
// leaves a quarter of the time for the connections of clients.
func (r *replicating) drain(ctx context.Context) {
	if r.engine.StopsNow.Load() {
		return
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)*3/4)
		defer cancel()
	}
	r.node.Drain(ctx)
}
