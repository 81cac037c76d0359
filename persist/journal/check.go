package journal

import (
	"errors"
	"path/filepath"

	"hyperkv/persist/disk"
	"hyperkv/persist/wal"
)

// CommitLog is the number that the commit log of a generation has in a LogReport.
const CommitLog = -1

// A LogReport is what Check has found in one log.
type LogReport struct {
	Generation, Log int
	Folder          string
	Found           wal.Recovery
	Units, Effects  uint64 // a unit of several shards counts in each of its logs
	// From is the first record that is played behind the snapshot of the options; 0 if none
	// is, because the snapshot holds all of the generation.
	From   uint64
	Damage *wal.DamageError // nil if the log can be read
	// Anew says that a repair lets the log begin anew with the record From, because what is
	// wrong, damage or that the log ends too soon, lies before it, where nothing matters.
	Anew bool
	// Lost is what a repair lets go, or has let go, of what would be played without the
	// damage and can be read.
	Lost   Loss
	behind Loss // all that can be read of it behind the damage
	// Refused says that the log will not be played whatever is in it: it is not repaired,
	// because that could only lose something.
	Refused bool
	// Repaired says that the log can be read now; what else is said is of before.
	Repaired bool
	ends     uint64 // the last record after the repair
}

// A Loss is a number of records with what is in them. Some say nothing about the data.
type Loss struct{ Records, Effects uint64 }

func (l Loss) without(kept Loss) Loss {
	return Loss{l.Records - kept.Records, l.Effects - kept.Effects}
}

// Check reads all logs of a journal that nobody uses. With repair, a log that cannot be
// read up to where it matters begins there; and where it is damaged behind that, it
// is cut off. It returns an error for what is no damage of a log.
func Check(o Options, repair bool) (reports []LogReport, err error) {
	m, err := readMeta(o.Disk, o.Dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{o: o}
	if j.identity, err = m.identity(); err != nil {
		return nil, err
	}
	shorter := false
	for _, g := range m.Generations {
		from, err := o.from(g)
		refused := err != nil || o.belongs(m) != nil
		if refused {
			from = g.beginning()
		}
		copies, err := j.copies(g)
		var damage *wal.DamageError
		if err != nil && !errors.As(err, &damage) {
			return reports, err
		}
		if damage != nil {
			r := LogReport{Generation: g.Number, Log: CommitLog, Folder: j.folder(g), Refused: refused}
			if from != nil {
				r.From = 1
			}
			if err := r.check(j.options(g, commitShard), repair); err != nil {
				return reports, err
			}
			reports = append(reports, r)
		}
		for i := range g.Shards {
			r := LogReport{Generation: g.Number, Log: i, Folder: j.folder(g), Refused: refused}
			if from != nil {
				r.From = from[i]
			}
			options := j.begun(g, i)
			options.Copies = copies[i]
			if err := r.check(options, repair); err != nil {
				return reports, err
			}
			reports = append(reports, r)
			if r.Repaired && options.Durable > r.ends {
				g.Ends[i], shorter = r.ends, true // which are m's
			}
		}
	}
	if shorter {
		return reports, m.write(o.Disk, o.Dir)
	}
	return reports, nil
}

// check reads the log and repairs it, if that is asked for, needed and of use.
func (r *LogReport) check(o wal.Options, repair bool) error {
	err := r.read(o)
	if err == nil && repair && !r.Refused && (r.Damage != nil || r.Anew) {
		err = r.repair(o)
	}
	return err
}

// read reads the log, and finds out what a repair would lose.
func (r *LogReport) read(o wal.Options) (err error) {
	var d recordDecoder
	next := r.From // as long as those behind the damage follow on each other from there
	var following Loss
	r.Found, err = wal.Check(o, func(record wal.Record) error {
		effects, err := d.effects(record)
		r.Units++
		r.Effects += effects
		return err
	}, func(record wal.Record) {
		effects, err := d.effects(record)
		if err != nil || r.From == 0 || record.LSN < r.From {
			return
		}
		r.behind = Loss{r.behind.Records + 1, r.behind.Effects + effects}
		if record.LSN == next {
			next++
			following = Loss{following.Records + 1, following.Effects + effects}
		}
	})
	if errors.As(err, &r.Damage) {
		err = nil
	}
	// What matters may also be whole where something else than a record is damaged before it.
	r.Anew = r.Log != CommitLog && (r.From > r.Found.Last+1 || r.Damage != nil && r.From == r.Found.Last+1 && following.Records > 0)
	switch {
	case r.Anew:
		r.Lost = r.behind.without(following)
	case r.Damage != nil:
		r.Lost = r.behind
	}
	return err
}

// repair makes the log one that can be read.
func (r *LogReport) repair(o wal.Options) error {
	if r.Anew {
		if err := wal.Rebase(o, r.From); err != nil {
			return err
		}
		after := LogReport{From: r.From}
		if err := after.read(o); err != nil {
			return err
		}
		r.Lost = r.behind.without(Loss{after.Found.Records, after.Effects})
	}
	l, _, err := wal.Open(o, true, nil)
	if err != nil {
		return err
	}
	l.Abandon()
	r.Repaired, r.ends = true, l.Appended()
	return nil
}

// recordDecoder counts what is in records.
type recordDecoder struct {
	space  []Effect
	places []place
}

func (c *recordDecoder) effects(record wal.Record) (count uint64, err error) {
	if record.Kind < wal.KindFirst { // one of the log's own
		return 0, nil
	}
	if record.Kind == kindCopy {
		err := wal.Records(record.Payload, func(r wal.Record) error {
			n, err := c.effects(r)
			count += n
			return err
		})
		return count, err
	}
	d := decoder{p: record.Payload}
	if record.Kind == kindShared {
		if _, c.places, err = d.shared(c.places); err != nil {
			return 0, err
		}
	}
	c.space, err = d.effects(c.space)
	return uint64(len(c.space)), err
}

// Files are the names of the files that a journal consists of, below its folder, and those
// of the folders they are in. There are none of a journal that is not there. What comes
// last says what there is.
func Files(d disk.Disk, dir string) (folders, files []string, err error) {
	there, err := After(d, dir)
	if err != nil || there == nil {
		return nil, nil, err
	}
	m, err := readMeta(d, dir)
	if err != nil {
		return nil, nil, err
	}
	for _, g := range m.Generations {
		names, err := d.List(filepath.Join(dir, g.folder()))
		if err != nil {
			return nil, nil, err
		}
		folders = append(folders, g.folder())
		for _, name := range names {
			if wal.IsSegment(name) {
				files = append(files, filepath.Join(g.folder(), name))
			}
		}
	}
	return folders, append(files, metaName), nil
}
