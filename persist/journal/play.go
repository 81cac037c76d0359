package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"

	"hyperkv/persist/wal"
)

// A Recovery says what Open has played.
type Recovery struct {
	Generations int
	Units       uint64 // those of several shards counted once
	Effects     uint64
	Bytes       int64
	// Cut are the logs that ended in something that nobody was promised.
	Cut []wal.Recovery
	// Completed is how many units of several shards were played although a log had lost
	// them, LeftOut how many were not, because it had lost more than those.
	Completed, LeftOut int
	// Restored is how many records logs had lost and the commit log had kept.
	Restored int
}

// Open plays everything that a journal holds and opens it for more; one that is not
// there is begun. A *wal.DamageError says that something is missing that was promised.
func Open(o Options) (*Journal, Recovery, error) {
	var found Recovery
	j, m, err := prepare(o, true)
	if err != nil {
		return nil, found, err
	}
	if err := o.belongs(m); err != nil {
		return nil, found, err
	}
	played, whole := false, false // the last generation
	for i, g := range m.Generations {
		last := i == len(m.Generations)-1
		if played, whole, err = j.play(g, last, &found); err != nil {
			j.abandon()
			return nil, found, err
		}
		found.Generations++
		if last && played {
			m = j.ended(m)
		}
	}
	if !whole || m.last().Shards != o.Shards {
		// What was cut off or left out stays so for ever if nothing is added to it.
		j.abandon()
		if err := j.begin(m, played); err != nil {
			j.abandon()
			return nil, found, err
		}
	}
	j.run(m)
	return j, found, nil
}

// Replay plays what a journal holds as Open does, and neither opens nor changes anything:
// somebody else may be using it.
func Replay(o Options) (found Recovery, err error) {
	j, m, err := prepare(o, false)
	if err != nil {
		return found, err
	}
	if err := o.belongs(m); err != nil {
		return found, err
	}
	for _, g := range m.Generations {
		if _, _, err := j.play(g, false, &found); err != nil {
			return found, err
		}
		found.Generations++
	}
	return found, nil
}

// belongs says whether the snapshot is one of this journal.
func (o *Options) belongs(m *meta) error {
	if o.From != nil && o.From.Identity != m.Identity {
		return &MissingError{fmt.Sprintf("the snapshot belongs to the journal %s, and %s is %s", o.From.Identity, o.Dir, m.Identity)}
	}
	return nil
}

// prepare makes a journal without its logs; with begin, also on the disk if it is not there.
func prepare(o Options, begin bool) (j *Journal, m *meta, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Shards < 1 || o.Shards > shardsMax {
		return nil, nil, fmt.Errorf("a journal of %d shards", o.Shards)
	}
	j = &Journal{o: o, stop: make(chan struct{}), done: make(chan struct{})}
	j.policy.Store(int32(o.Policy))
	if begin {
		if err := o.Disk.MakeDir(o.Dir); err != nil {
			return nil, nil, fmt.Errorf("open the journal: %w", err)
		}
	}
	if m, err = readMeta(o.Disk, o.Dir); err != nil {
		return nil, nil, err
	}
	if begin && len(m.Generations) == 0 { // logs that are there without it would be nobody's
		if err := m.write(o.Disk, o.Dir); err != nil {
			return nil, nil, err
		}
	}
	j.identity, err = m.identity()
	return j, m, err
}

// run starts what a journal does by itself.
func (j *Journal) run(m *meta) {
	j.meta.Store(m)
	j.rounds.asked = make(chan struct{}, 1)
	j.rounds.changed = sync.NewCond(&j.rounds.mu)
	var running sync.WaitGroup
	running.Add(2)
	go func() { defer running.Done(); j.keep() }()
	go func() { defer running.Done(); j.sync() }()
	go func() { running.Wait(); close(j.done) }()
}

// abandon closes the logs of a journal that could not be opened.
func (j *Journal) abandon() {
	for _, l := range j.logs {
		if l != nil {
			l.Abandon()
		}
	}
	j.logs = nil
}

// begin begins a generation and lists it.
func (j *Journal) begin(m *meta, continues bool) error {
	g, err := j.create(m)
	if err != nil {
		return err
	}
	if !continues {
		g.Base = j.o.Loaded
	}
	m.Generations = append(m.Generations, g)
	return m.write(j.o.Disk, j.o.Dir)
}

// create creates the logs of the next generation.
func (j *Journal) create(m *meta) (generation, error) {
	g := generation{Number: m.next(), Shards: j.o.Shards}
	if j.o.From != nil {
		g.Number = max(g.Number, j.o.From.Generation+1)
	}
	// What an unfinished beginning has left is nobody's.
	if err := removeFolder(j.o.Disk, j.folder(g)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return g, err
	}
	j.logs = make([]*shardLog, g.Shards)
	err := each(g.Shards, func(i int) error {
		l, _, err := wal.Open(j.options(g, i), false, nil)
		if err == nil {
			j.logs[i] = newShardLog(i, l)
		}
		return err
	})
	if err == nil {
		err = j.o.Disk.SyncDir(j.o.Dir)
	}
	return g, err
}

// Begin begins a journal behind a snapshot that is about to be taken, and whatever there
// was before it: from its cut on it records. Once the snapshot is as good as complete,
// Enlist makes it what is played after that snapshot.
func Begin(o Options, snapshot uint64) (*Journal, error) {
	j, m, err := prepare(o, true)
	if err != nil {
		return nil, err
	}
	g, err := j.create(m)
	if err != nil {
		j.abandon()
		return nil, err
	}
	g.Base, g.Pending = snapshot, true
	j.unlisted.Store(true)
	m.Generations = append(m.Generations, g)
	j.run(m)
	return j, nil
}

// Enlist makes durable that there is what Begin has begun.
func (j *Journal) Enlist() error {
	err := j.meta.Load().write(j.o.Disk, j.o.Dir)
	if err == nil {
		j.unlisted.Store(false)
	}
	return err
}

func (j *Journal) options(g generation, log int) wal.Options {
	return wal.Options{Disk: j.o.Disk, Dir: j.folder(g), Shard: log, Identity: j.identity, SegmentBytes: j.o.SegmentBytes}
}

// begun are the options of a log that a generation has.
func (j *Journal) begun(g generation, log int) wal.Options {
	o := j.options(g, log)
	o.Begun = true
	if len(g.Ends) > 0 {
		o.Durable = g.Ends[log]
	}
	return o
}

// ended notes where the logs of the generation in use end, all of which is durable. If it
// cannot be written down, whoever reads them next only knows less.
func (j *Journal) ended(m *meta) *meta {
	ends := make([]uint64, len(j.logs))
	for i, l := range j.logs {
		ends[i] = l.Appended()
	}
	if slices.Equal(ends, m.last().Ends) {
		return m
	}
	changed := m.ending(ends)
	if err := changed.write(j.o.Disk, j.o.Dir); err != nil {
		j.o.Log.Warn("where the log ends could not be written down", "err", err)
		return m
	}
	return changed
}

// play plays a generation, and opens its logs if that is asked for. It says whether it was
// not left out, and whether all logs were whole.
func (j *Journal) play(g generation, open bool, found *Recovery) (played, whole bool, err error) {
	from, err := j.o.from(g)
	if err != nil || from == nil {
		return false, false, err
	}
	copies, err := j.copies(g)
	if err != nil {
		return true, false, err
	}
	meet := newMeeting(g.Shards)
	logs := make([]*shardLog, g.Shards)
	cut := len(found.Cut)
	var mu sync.Mutex
	err = each(g.Shards, func(i int) error {
		p := &part{log: i, from: from[i], progress: j.o.Progress, meet: meet, player: j.o.Player(i, g.Shards)}
		o := j.begun(g, i)
		o.Copies = copies[i]
		var read wal.Recovery
		var err error
		if open {
			var l *wal.Log
			if l, read, err = wal.Open(o, false, p.replay); err == nil {
				logs[i] = newShardLog(i, l)
			}
		} else {
			read, err = wal.Check(o, p.replay, nil)
		}
		if err == nil {
			err = covers(g, i, from[i], &read)
		}
		meet.leave(i, read.Last, err)
		mu.Lock()
		defer mu.Unlock()
		found.Units += p.units
		found.Effects += p.effects
		found.Bytes += read.Bytes
		found.Restored += read.Restored
		if read.CutPath != "" {
			found.Cut = append(found.Cut, read)
		}
		return err
	})
	if open {
		j.logs = logs
	}
	if err != nil {
		return true, false, meet.reason(err)
	}
	if open { // from here on the logs hold all of it
		if err := j.removeCommitLog(g); err != nil {
			return true, false, err
		}
	}
	j.units.Store(max(j.units.Load(), meet.last))
	found.Completed += meet.completed
	found.LeftOut += meet.leftOut
	return true, len(found.Cut) == cut && meet.completed == 0 && meet.leftOut == 0, nil
}

// part plays one log.
type part struct {
	log      int
	from     uint64 // what was recorded before is left out
	read     int    // bytes since the last report
	progress func(bytes int) error
	meet     *meeting
	player   Player
	space    []Effect
	places   []place
	units    uint64
	effects  uint64
}

// progressBytes is how much is played between two reports.
const progressBytes = 256 << 10

func (p *part) replay(r wal.Record) (err error) {
	if p.read += len(r.Payload); p.read >= progressBytes && p.progress != nil {
		if err := p.progress(p.read); err != nil {
			return err
		}
		p.read = 0
	}
	d := decoder{p: r.Payload}
	if r.LSN < p.from {
		if r.Kind == kindShared { // no other unit may get its number
			var number uint64
			if number, p.places, err = d.shared(p.places); err == nil {
				p.meet.note(number)
			}
		}
		return err
	}
	switch r.Kind {
	case kindUnit:
		return p.play(&d, false)
	case kindShared:
		var number uint64
		if number, p.places, err = d.shared(p.places); err != nil {
			return err
		}
		for _, at := range p.places {
			if at.log >= len(p.meet.over) {
				return errFormat
			}
		}
		if !slices.ContainsFunc(p.places, func(at place) bool { return at.log == p.log }) {
			return errFormat
		}
		return p.meet.arrive(p.log, number, p.places, func() error { return p.play(&d, true) })
	}
	return fmt.Errorf("%w: kind %d", errFormat, r.Kind)
}

func (p *part) play(d *decoder, shared bool) (err error) {
	if p.space, err = d.effects(p.space); err != nil {
		return err
	}
	p.units++
	p.effects += uint64(len(p.space))
	return p.player.Play(p.space, shared)
}

// A meeting is where the logs of a generation wait for each other. Safe for
// concurrent use.
type meeting struct {
	mu      sync.Mutex
	changed *sync.Cond
	running int      // logs that neither wait nor have ended
	over    []bool   // logs that have ended
	end     []uint64 // LSN with which they have, those that were completed included
	err     error    // why all have to stop
	units   map[uint64]*sharedUnit
	last    uint64 // greatest number of a unit

	completed, leftOut int
}

// sharedUnit is a unit of several shards that some have come to.
type sharedUnit struct {
	places        []place
	here          []int // logs
	playing, done bool
}

var errStopped = errors.New("another log could not be played")

func newMeeting(logs int) *meeting {
	m := &meeting{running: logs, over: make([]bool, logs), end: make([]uint64, logs), units: map[uint64]*sharedUnit{}}
	m.changed = sync.NewCond(&m.mu)
	return m
}

// arrive returns once it is settled what becomes of the unit, which this log plays, or
// another. It is played as soon as every log of it has come to it, or has ended right
// before it: then that has lost it, and is as if it had it. Two logs meet their common
// units in the same order, so as long as nothing is lost they never wait in vain. When all
// wait, something is: the first of the units is left out. None of this depends on
// who is faster, so it ends in the same way each time.
func (m *meeting) arrive(log int, number uint64, places []place, play func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = max(m.last, number)
	u := m.units[number]
	if u == nil {
		u = &sharedUnit{places: slices.Clone(places)}
		m.units[number] = u
	}
	u.here = append(u.here, log)
	m.running--
	m.changed.Broadcast()
	for m.err == nil && !u.done {
		switch {
		case !u.playing && m.playable(u):
			if len(u.here) < len(u.places) {
				m.completed++
			}
			u.playing = true
			m.running++
			m.mu.Unlock()
			err := play()
			m.mu.Lock()
			m.running--
			if err != nil && m.err == nil {
				m.err = err
			}
			for _, at := range u.places { // only now may what came behind it be played
				if m.over[at.log] {
					m.end[at.log] = at.lsn
				}
			}
		case !u.playing && m.stuck() == number:
			m.leftOut++
		default:
			m.changed.Wait()
			continue
		}
		u.done = true
		m.changed.Broadcast()
	}
	m.running++
	if m.err != nil {
		return errStopped
	}
	if u.here = slices.DeleteFunc(u.here, func(l int) bool { return l == log }); len(u.here) == 0 {
		delete(m.units, number)
	}
	return nil
}

// note takes notice of the number of a unit that is left out.
func (m *meeting) note(number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = max(m.last, number)
}

// playable says that every log of a unit has come to it, or has ended right before it.
func (m *meeting) playable(u *sharedUnit) bool {
	for _, at := range u.places {
		if !slices.Contains(u.here, at.log) && (!m.over[at.log] || m.end[at.log]+1 != at.lsn) {
			return false
		}
	}
	return true
}

// stuck is the first unit that is waited for, if all logs wait or have ended, and
// none of the units can be played; otherwise 0.
func (m *meeting) stuck() (first uint64) {
	if m.running > 0 {
		return 0
	}
	for number, u := range m.units {
		if u.done || u.playing || m.playable(u) {
			return 0
		}
		if first == 0 || number < first {
			first = number
		}
	}
	return first
}

// leave says that a log has ended, with which LSN, and why.
func (m *meeting) leave(log int, last uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over[log], m.end[log] = true, last
	m.running--
	if err != nil && m.err == nil {
		m.err = err
	}
	m.changed.Broadcast()
}

// reason is why the logs could not be played, given the errors of all of them.
func (m *meeting) reason(all error) error {
	if m.err != nil && !errors.Is(m.err, errStopped) {
		return m.err
	}
	return all
}
