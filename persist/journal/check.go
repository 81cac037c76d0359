package journal

import (
	"errors"
	"path/filepath"

	"hyperkv/persist/wal"
)

// A LogReport is what Check has found in one log.
type LogReport struct {
	Generation, Log int
	Folder          string
	Found           wal.Recovery
	Units, Effects  uint64           // a unit of several shards counts in each of its logs
	Damage          *wal.DamageError // nil if the log can be read
	Repaired        bool             // the damage was cut off, and all that was behind it
}

// Check reads all logs of a journal that nobody uses. With repair, a damaged log is cut off
// where it is damaged: everything behind that is lost. It returns an error for what is
// no damage of a log.
func Check(o Options, repair bool) (reports []LogReport, err error) {
	f, err := o.Disk.Open(filepath.Join(o.Dir, metaName)) // readMeta would begin a journal
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	m, err := readMeta(o.Disk, o.Dir)
	if err != nil {
		return nil, err
	}
	identity, err := m.identity()
	if err != nil {
		return nil, err
	}
	j := &Journal{o: o}
	for _, g := range m.Generations {
		for i := range g.Shards {
			r := LogReport{Generation: g.Number, Log: i, Folder: j.folder(g)}
			options := j.options(g, identity, i)
			var space []Effect
			var places []place
			r.Found, err = wal.Check(options, func(record wal.Record) (err error) {
				d := decoder{p: record.Payload}
				if record.Kind == kindShared {
					if _, places, err = d.shared(places); err != nil {
						return err
					}
				}
				if space, err = d.effects(space); err == nil {
					r.Units++
					r.Effects += uint64(len(space))
				}
				return err
			})
			if errors.As(err, &r.Damage) {
				err = nil
				if repair {
					var l *wal.Log
					if l, _, err = wal.Open(options, true, nil); err == nil {
						l.Abandon()
						r.Repaired = true
					}
				}
			}
			if err != nil {
				return reports, err
			}
			reports = append(reports, r)
		}
	}
	return reports, nil
}
