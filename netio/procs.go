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
// handed out on trial, and stay only if more work gets done.
//
// There is one GOMAXPROCS in a process, so there should be one Processors. It is
// for a server that has the process to itself; an embedded one leaves it alone.
type Processors struct {
	most int
	used func() time.Duration // processor time of this process so far
	work func() uint64        // what the process has done so far, say in commands
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

	// A trial lasts procsTrial after procsSettle, and succeeds when the work has
	// grown by the factor procsGain. After one that failed the next waits, twice
	// as long each time up to procsRetryMax.
	procsSettle   = 40 * time.Millisecond
	procsTrial    = 160 * time.Millisecond
	procsGain     = 1.1
	procsRetry    = time.Second
	procsRetryMax = 4 * time.Second

	// procsNeeded is how long all processors stay after Need.
	procsNeeded = 200 * time.Millisecond
)

// GovernProcessors starts following the load with between 1 and most processors.
// work tells how much the process has done since its start; only its growth
// matters.
func GovernProcessors(most int, work func() uint64) *Processors {
	return governProcessors(most, cpuTime, work)
}

func governProcessors(most int, used func() time.Duration, work func() uint64) *Processors {
	p := &Processors{most: max(most, 1), used: used, work: work,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

// Stop ends it, and hands out all processors. It is called once.
func (p *Processors) Stop() {
	close(p.stop)
	<-p.done
	runtime.GOMAXPROCS(p.most)
}

// Need hands out all processors at once, because something long is about to run
// beside the event loops. Any goroutine may call it; it does not block.
func (p *Processors) Need() {
	if !p.need.Swap(true) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

func (p *Processors) run() {
	defer close(p.done)
	g := governor{most: p.most, procs: 1}
	runtime.GOMAXPROCS(g.procs)
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
		before := g.procs
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
		if g.procs != before {
			runtime.GOMAXPROCS(g.procs)
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
	quiet       time.Duration // how long the load would have fitted one fewer
	full        int           // samples in a row that were saturated
	rate        float64       // mean work per second while saturated

	trial    time.Duration // how long the trial has lasted, 0 for none
	trialFor int           // processors before it
	tried    float64       // work done in it, after procsSettle
	triedFor time.Duration // in how much time
	wait     time.Duration // until the next trial
	retry    time.Duration // what wait was last
	needed   time.Duration // how long all must stay
}

// demand is Processors.Need.
func (g *governor) demand() {
	if g.trial == 0 {
		g.procs = g.most
	}
	g.needed = procsNeeded
}

func (g *governor) sample(load, rate float64, took time.Duration) {
	g.wait = max(g.wait-took, 0)
	if g.trial > 0 {
		g.judge(rate, took)
		return
	}
	if g.needed = max(g.needed-took, 0); g.needed > 0 {
		return
	}
	if load >= procsFull*float64(g.procs) && g.procs < g.most {
		g.quiet = 0
		if g.full++; g.full == 1 {
			g.rate = rate
		}
		g.rate += (rate - g.rate) / 4
		if g.full >= 2 && g.wait == 0 {
			g.trial, g.trialFor, g.tried, g.triedFor = 1, g.procs, 0, 0
			g.procs = g.most
		}
		return
	}
	g.full = 0
	if g.procs == 1 || load >= procsFits*float64(g.procs-1) {
		g.quiet = 0
		return
	}
	if g.quiet += took; g.quiet >= procsCalm {
		g.quiet = 0
		g.procs--
	}
}

// judge ends a trial once it has lasted long enough.
func (g *governor) judge(rate float64, took time.Duration) {
	if g.trial += took; g.trial > procsSettle {
		g.tried += rate * took.Seconds()
		g.triedFor += took
	}
	if g.triedFor < procsTrial {
		return
	}
	gained := g.tried/g.triedFor.Seconds() >= procsGain*g.rate
	g.trial, g.full, g.quiet = 0, 0, 0
	if gained {
		g.retry = 0
		return
	}
	g.procs = g.trialFor
	g.retry = min(max(2*g.retry, procsRetry), procsRetryMax)
	g.wait = g.retry
}

// cpuTime is what the process has used so far.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
