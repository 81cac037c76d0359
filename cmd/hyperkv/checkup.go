package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hyperkv/engine/durable"
	"hyperkv/engine/snapshot"
	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
	"hyperkv/persist/journal"
	snapshots "hyperkv/persist/snapshot"
)

// A checkup reads everything in a data directory that nobody uses, says what is there, and
// finds out what a start would make of it, with the code of a start.
type checkup struct {
	out    io.Writer
	dir    string
	disk   disk.Disk
	repair bool

	// wrong is what keeps a snapshot from being loaded, by number. Those whose manifests are
	// damaged are among them.
	wrong map[uint64]error
	// left counts what is damaged and was not repaired.
	left int
	// newest is the newest snapshot that can be read, nil if there is none.
	newest *snapshots.Manifest
}

// An outcome is what a start would do.
type outcome struct {
	basis    durable.Basis
	repeated journal.Recovery
	err      error // why it would be refused
}

func (c *checkup) say(format string, args ...any) { fmt.Fprintf(c.out, format+"\n", args...) }

func (c *checkup) folder(name string) string { return filepath.Join(c.dir, name) }

// run reads, and repairs if that is wanted.
func (c *checkup) run() outcome {
	c.wrong = map[uint64]error{}
	c.readSnapshots()
	b, err := durable.ChooseBasis(c.disk, c.dir, c.remembered)
	c.newest = b.Loaded
	o := c.journalOptions()
	if err == nil {
		_, err = b.Journal(&o)
	}
	var lost *durable.LostJournalError
	if errors.As(err, &lost) {
		c.detach(b.Loaded)
	}
	c.readJournal(o, err != nil)
	start := c.rehearse()
	if c.repair && start.err == nil && c.removeDamaged() {
		start = c.rehearse()
	}
	c.say("%s", start)
	return start
}

// readSnapshots reads every byte of every snapshot.
func (c *checkup) readSnapshots() {
	dir := c.folder(datadir.Snapshots)
	all, damaged, err := snapshots.List(c.disk, dir)
	if err != nil {
		return // which a start does not survive either
	}
	for i := range all {
		m := &all[i]
		c.say("snapshot %d, of %s by %s: %s, %s, %s; %s", m.Number, time.UnixMilli(m.Created).UTC().Format("2006-01-02T15:04:05.000Z"), m.By,
			quantity(uint64(m.Shards), "shard"), quantity(m.Keys, "key"), bytesText(m.Bytes), behind((*journal.Position)(m.Journal)))
		err := durable.ReadSnapshot(c.disk, dir, m, func(shard int) func([]byte, int, int64) error {
			return func(block []byte, keys int, _ int64) error { return snapshot.CheckBlock(block, keys, shard, m.Shards) }
		})
		if err != nil {
			c.wrong[m.Number] = err
			c.left++
			c.say("  %v", err)
		}
	}
	for _, err := range damaged {
		var damage *snapshots.DamageError
		if errors.As(err, &damage) {
			c.wrong[snapshots.NumberOf(damage.Path)] = err
			c.left++
			c.say("snapshot %d cannot be read: %v", snapshots.NumberOf(damage.Path), err)
		}
	}
	unfinished, err := snapshots.Unfinished(c.disk, dir)
	if err == nil && len(unfinished) > 0 {
		c.say("%s of a snapshot that was not completed: the next one removes what it has left", quantity(uint64(len(unfinished)), "file"))
	}
}

// remembered says what readSnapshots has found.
func (c *checkup) remembered(m *snapshots.Manifest) error { return c.wrong[m.Number] }

// behind says what of the log is repeated behind a snapshot.
func behind(p *journal.Position) string {
	switch {
	case p == nil:
		return "there was no log"
	case len(p.Next) == 0:
		return fmt.Sprintf("the log is repeated from generation %d on, which was yet to begin", p.Generation)
	}
	return "the log is repeated from " + positionText(p) + " on"
}

func positionText(p *journal.Position) string {
	if len(p.Next) == 0 {
		return fmt.Sprintf("the beginning of generation %d", p.Generation)
	}
	numbers := strings.ReplaceAll(strings.Trim(fmt.Sprint(p.Next), "[]"), " ", ", ")
	return fmt.Sprintf("records %s of generation %d", numbers, p.Generation)
}

func (c *checkup) journalOptions() journal.Options {
	return journal.Options{Disk: c.disk, Dir: c.folder(datadir.Journal), Shards: 1,
		Player: func(int, int) journal.Player { return onlooker{} }}
}

// onlooker is a journal.Player that does nothing: the journal counts.
type onlooker struct{}

func (onlooker) Play([]journal.Effect, bool) error { return nil }

// detach lets a snapshot be what a start begins with although the journal is gone that it
// names. Without that it would be refused for ever.
func (c *checkup) detach(m *snapshots.Manifest) {
	dir := c.folder(datadir.Journal)
	if _, err := journal.Replay(c.journalOptions()); err != nil {
		c.say("%s is incomplete: %v", dir, err)
		return
	}
	if !c.repair {
		c.say("%s is gone, and snapshot %d says that there was more in it: --repair would detach the snapshot, and lose what was there", dir, m.Number)
		return
	}
	detached := *m
	detached.Journal = nil
	if err := detached.Write(c.disk, c.folder(datadir.Snapshots)); err != nil {
		c.say("snapshot %d cannot be detached: %v", m.Number, err)
		return
	}
	c.say("%s is gone: snapshot %d was detached from it, and what was recorded behind it is lost", dir, m.Number)
}

// readJournal reads all logs. It repairs none if a start is refused before it comes to them:
// nobody knows then what of them matters.
func (c *checkup) readJournal(o journal.Options, refused bool) {
	reports, err := journal.Check(o, c.repair && !refused)
	for i := range reports {
		r := &reports[i]
		r.Refused = r.Refused || refused
		f := &r.Found
		name := fmt.Sprintf("log %d", r.Log)
		if r.Log == journal.CommitLog {
			name = "the commit log"
		}
		c.say("%s, %s: %s, %s, records %d to %d (synced up to %d), %s, %s", r.Folder, name, quantity(uint64(f.Segments), "segment"),
			bytesText(f.Bytes), f.First, f.Last, f.Durable, quantity(r.Units, "unit"), quantity(r.Effects, "effect"))
		if r.Damage == nil && !r.Anew {
			if f.Restored > 0 {
				c.say("  %s behind its end are in the commit log", quantity(uint64(f.Restored), "record"))
			} else if f.CutPath != "" {
				c.say("  %s ends at byte %d in the middle of a record, as after a loss of power; nobody was promised what is missing", f.CutPath, f.CutOffset)
			}
			continue
		}
		c.say("  %s", c.wrongLog(r))
		if !r.Repaired {
			c.left++
		}
	}
	if err != nil {
		c.left++
		c.say("%s cannot be read on: %v", o.Dir, err)
	}
}

// wrongLog says what is wrong with a log, and what a repair does to it.
func (c *checkup) wrongLog(r *journal.LogReport) string {
	loss := "nothing that can be read"
	if r.Lost.Records > 0 {
		loss = fmt.Sprintf("%s with %s behind it", quantity(r.Lost.Records, "record"), quantity(r.Lost.Effects, "effect"))
	}
	what := fmt.Sprintf("it ends with record %d", r.Found.Last)
	if r.Damage != nil {
		what = r.Damage.Error()
	}
	mend, mended := "cut it off there", "it was cut off there"
	if r.Found.Segments == 0 {
		mend, mended = "begin it anew", "it was begun anew"
	}
	switch {
	case r.Refused:
		return what + ": a start would be refused in any case, so --repair leaves it as it is"
	case r.From == 0 && r.Repaired:
		return what + ": " + mended + "; a start needs nothing of this log"
	case r.From == 0:
		return what + ": a start needs nothing of this log; --repair would " + mend
	case r.Anew:
		if c.newest != nil {
			what += fmt.Sprintf(", in what snapshot %d holds", c.newest.Number)
		}
		if r.Repaired {
			return fmt.Sprintf("%s: the log was begun anew with record %d, which lost %s", what, r.From, loss)
		}
		return fmt.Sprintf("%s: --repair would begin the log anew with record %d, and lose %s", what, r.From, loss)
	case r.Repaired:
		return what + ": " + mended + ", which lost " + loss
	}
	return what + ": --repair would " + mend + ", and lose " + loss
}

// rehearse finds out what a start would do.
func (c *checkup) rehearse() (start outcome) {
	if start.basis, start.err = durable.ChooseBasis(c.disk, c.dir, c.remembered); start.err != nil {
		return start
	}
	o := c.journalOptions()
	if _, start.err = start.basis.Journal(&o); start.err == nil {
		start.repeated, start.err = journal.Replay(o)
	}
	return start
}

// removeDamaged removes the snapshots that cannot be read: a start does without them.
func (c *checkup) removeDamaged() (removed bool) {
	for _, number := range slices.Sorted(maps.Keys(c.wrong)) {
		var damage *snapshots.DamageError
		if !errors.As(c.wrong[number], &damage) {
			continue // nothing is known to be wrong with it
		}
		if err := snapshots.Remove(c.disk, c.folder(datadir.Snapshots), number); err != nil {
			c.say("%v", err)
			continue
		}
		c.say("snapshot %d was removed: it cannot be read, and a start does without it", number)
		delete(c.wrong, number)
		c.left--
		removed = true
	}
	return removed
}

// String says what a start would do.
func (o outcome) String() string {
	if o.err != nil {
		return "a start would be refused: " + o.err.Error()
	}
	s := "a start would "
	from := "its beginning"
	loaded := o.basis.Loaded
	if loaded != nil {
		s += fmt.Sprintf("load snapshot %d (%s)", loaded.Number, quantity(loaded.Keys, "key"))
		if loaded.Journal != nil {
			from = positionText((*journal.Position)(loaded.Journal))
		}
	}
	switch {
	case o.repeated.Generations > 0:
		if loaded != nil {
			s += ", and "
		}
		s += fmt.Sprintf("repeat %s of the log, from %s on", quantity(o.repeated.Effects, "effect"), from)
	case loaded != nil:
		s += "; there is no log to repeat"
	default:
		s += "begin with nothing"
	}
	if lost := o.repeated.Completed + o.repeated.LeftOut; lost > 0 {
		s += fmt.Sprintf("; of %s over several shards that some logs have lost, %d would be repeated and %d left out",
			quantity(uint64(lost), "command"), o.repeated.Completed, o.repeated.LeftOut)
	}
	return s
}

// quantity is a number of things.
func quantity(n uint64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
