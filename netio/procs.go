package netio

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Processors follows the load with GOMAXPROCS: as few as the work needs, all of
// them when they are needed.
//
// Event loops that have little to do are expensive on many processors. Each round
// of a loop ends with a yield, and a yield wakes a thread for every idle processor,
// which looks for work, finds the loop that has just yielded, and carries it over to
// another core; each wait for events gives a processor back and fights for it
// afterwards. On one processor the loops take turns instead, each finds more events
// per round, and the same replies leave for about half of the scheduling
// (testdata/pingd is the measure). A saturated processor shows within two samples.
//
// Saturation alone does not mean that more would help: a client that waits for
// each reply keeps one processor busy whatever it gets. So all processors are
// handed out on trial, and stay only if the work grows in proportion; and fewer
// are tried when the work might be done with them.
//
// There is one GOMAXPROCS in a process, so there should be one Processors. It is
// for a server that has the process to itself; an embedded one leaves it alone.
type Processors struct {
	most int
	used func() time.Duration   // processor time of this process so far
	work func() uint64          // what the process has done so far, say in commands
	set  func(procs, loops int) // what else is to know
	need atomic.Bool
	wake chan struct{}
	stop chan struct{}
	done chan struct{}
}

const (
	procsSampleBusy = 20 * time.Millisecond
	procsSampleIdle = 100 * time.Millisecond

	// A processor used more than procsFull of the time is saturated. Work that
	// would fill less than procsFits of one processor fewer may be given one fewer.
	procsFull = 0.85
	procsFits = 0.75

	// procsCalm is how long the work must have been so little.
	procsCalm = time.Second

	// A trial lasts procsTrial after procsSettle. More processors stay when the
	// work has grown by procsGain at least, and by procsWorth of what they cost
	// beyond those before. Fewer stay when procsKeep of the work is still done, or
	// when less than procsWorth of what they save is lost: loops that all want the
	// same shard do more in each other's way, but pay for it. They are tried when the load is below procsLoose of them, which includes
	// what the surplus ones waste. After a trial that failed the next waits, twice
	// as long each time.
	procsSettle        = 40 * time.Millisecond
	procsTrial         = 160 * time.Millisecond
	procsGain          = 0.1
	procsWorth         = 0.5
	procsKeep          = 0.95
	procsLoose         = 1.35
	procsRetry         = time.Second
	procsRetryMax      = 4 * time.Second
	procsRetryFewerMax = 30 * time.Second

	// procsNeeded is how long all processors stay after Need.
	procsNeeded = 200 * time.Millisecond
)

// GovernProcessors starts following the load with between 1 and most processors.
// work tells how much the process has done since its start; only its growth
// matters. set is told each number of processors before it comes into force, and how many
// event loops have work for one: no more of them for the sake of something long.
func GovernProcessors(most int, work func() uint64, set func(procs, loops int)) *Processors {
	return governProcessors(most, cpuTime, work, set)
}

func governProcessors(most int, used func() time.Duration, work func() uint64, set func(procs, loops int)) *Processors {
	p := &Processors{most: max(most, 1), used: used, work: work, set: set,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

// Stop ends it, and hands out all processors. It is called once.
func (p *Processors) Stop() {
	close(p.stop)
	<-p.done
	p.use(p.most, p.most)
}

func (p *Processors) use(procs, loops int) {
	p.set(procs, loops)
	if procs != runtime.GOMAXPROCS(0) { // which stops the world
		runtime.GOMAXPROCS(procs)
	}
}

// Need hands out all processors at once, because something long is about to run
// beside the event loops. Any goroutine may call it; it does not block.
func (p *Processors) Need() {
	if !p.need.Load() && !p.need.Swap(true) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

func (p *Processors) run() {
	defer close(p.done)
	g := governor{most: p.most, procs: 1, loops: 1}
	p.use(g.procs, g.loops)
	timer := time.NewTimer(procsSampleIdle)
	defer timer.Stop()
	lastUsed, lastWork, lastAt := p.used(), p.work(), time.Now()
	for {
		select {
		case <-p.stop:
			return
		case <-p.wake:
		case <-timer.C:
		}
		procs, loops := g.procs, g.loops
		if p.need.Swap(false) {
			g.demand()
		}
		used, work, now := p.used(), p.work(), time.Now()
		took := now.Sub(lastAt)
		load := float64(used-lastUsed) / float64(took)
		if took >= procsSampleBusy/2 {
			g.sample(load, float64(work-lastWork)/took.Seconds(), took)
			lastUsed, lastWork, lastAt = used, work, now
		}
		if g.procs != procs || g.loops != loops {
			p.use(g.procs, g.loops)
		}
		if load < 0.05 {
			timer.Reset(procsSampleIdle)
		} else {
			timer.Reset(procsSampleBusy)
		}
	}
}

// governor decides from samples how many processors to use. A sample is the load
// in processors, the work done per second, and how long it took.
type governor struct {
	most, procs int
	loops       int           // event loops that have work for a processor
	narrow      time.Duration // how long they have been saturated
	quiet       time.Duration // how long the load would have fitted one fewer
	loose       time.Duration // how long the load might have fitted one fewer
	full        int           // samples in a row that were saturated
	needed      time.Duration // how long all must stay
	before      average       // while full or loose: what a trial is compared with

	trial     time.Duration // how long the trial has lasted, 0 for none
	trialFrom int           // processors before it
	loopsFrom int           // loops before it
	during    average       // since procsSettle
	more      patience      // for trials of all processors
	fewer     patience      // for trials of one fewer
}

// average is the mean of some samples.
type average struct {
	load, work float64 // times seconds
	took       time.Duration
}

func (a *average) add(load, rate float64, took time.Duration) {
	a.load += load * took.Seconds()
	a.work += rate * took.Seconds()
	a.took += took
}

func (a *average) mean() (load, rate float64) {
	seconds := max(a.took.Seconds(), 1e-9)
	return a.load / seconds, a.work / seconds
}

// patience is how long to wait after a trial that failed.
type patience struct{ wait, last time.Duration }

func (p *patience) failed(most time.Duration) {
	p.last = min(max(2*p.last, procsRetry), most)
	p.wait = p.last
}

func (p *patience) pass(took time.Duration) { p.wait = max(p.wait-took, 0) }

// demand is Processors.Need.
func (g *governor) demand() {
	if g.trial > 0 {
		g.trial, g.before, g.during = 0, average{}, average{}
	}
	g.procs = g.most
	g.needed = procsNeeded
}

func (g *governor) sample(load, rate float64, took time.Duration) {
	g.more.pass(took)
	g.fewer.pass(took)
	if g.trial > 0 {
		g.judge(load, rate, took)
		return
	}
	if g.needed = max(g.needed-took, 0); g.needed > 0 {
		return
	}
	if g.loops == g.procs || load < procsFull*float64(g.loops) {
		g.narrow = 0
	} else if g.narrow += took; g.narrow >= procsCalm { // not only something long is at work
		g.loops, g.narrow = g.procs, 0
	}
	fewer := float64(g.procs - 1)
	switch {
	case load >= procsFull*float64(g.procs) && g.procs < g.most:
		g.quiet, g.loose = 0, 0
		if g.full++; g.full == 1 {
			g.before = average{}
		}
		g.before.add(load, rate, took)
		if g.full >= 2 && g.more.wait == 0 {
			g.try(g.most)
		}
		return
	case g.procs > 1 && load < procsFits*fewer:
		g.full, g.loose = 0, 0
		if g.quiet += took; g.quiet >= procsCalm {
			g.quiet = 0
			g.procs--
			g.loops = min(g.loops, g.procs)
		}
		return
	case g.procs > 1 && load < procsLoose*fewer && load < procsFull*float64(g.procs):
		g.full, g.quiet = 0, 0
		if g.loose == 0 {
			g.before = average{}
		}
		g.before.add(load, rate, took)
		if g.loose += took; g.loose >= procsCalm/2 && g.fewer.wait == 0 {
			g.try(g.procs - 1)
		}
		return
	}
	g.full, g.quiet, g.loose = 0, 0, 0
}

// try begins a trial.
func (g *governor) try(procs int) {
	g.trial, g.trialFrom, g.during = 1, g.procs, average{}
	g.loopsFrom = g.loops
	if g.loops = min(g.loops, procs); procs > g.procs {
		g.loops = procs
	}
	g.procs = procs
}

// judge ends a trial once it has lasted long enough, one of fewer processors as
// soon as it shows that they do not suffice.
func (g *governor) judge(load, rate float64, took time.Duration) {
	if g.trial += took; g.trial <= procsSettle {
		return
	}
	g.during.add(load, rate, took)
	loadBefore, rateBefore := g.before.mean()
	loadNow, rateNow := g.during.mean()
	if g.procs < g.trialFrom {
		lost := 1 - rateNow/max(rateBefore, 1)
		saved := 1 - loadNow/max(loadBefore, 1e-9)
		if lost > max(1-procsKeep, procsWorth*saved) {
			g.end(false, &g.fewer, procsRetryFewerMax)
		} else if g.during.took >= procsTrial {
			g.end(true, &g.fewer, 0)
			g.more.failed(procsRetryMax) // which was as good as tried
		}
		return
	}
	if g.during.took < procsTrial {
		return
	}
	gained := rateNow/max(rateBefore, 1) - 1
	cost := loadNow/max(loadBefore, 1e-9) - 1
	g.end(gained >= procsGain && gained >= procsWorth*cost, &g.more, procsRetryMax)
}

func (g *governor) end(good bool, p *patience, most time.Duration) {
	g.trial, g.full, g.quiet, g.loose = 0, 0, 0, 0
	if good {
		*p = patience{}
		return
	}
	g.procs, g.loops = g.trialFrom, g.loopsFrom
	p.failed(most)
}

// cpuTime is what the process has used so far.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
