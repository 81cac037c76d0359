package netio

import (
	"runtime"
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
// (testdata/pingd is the measure). A saturated processor shows within two samples,
// and then all of them are handed out.
//
// There is one GOMAXPROCS in a process, so there should be one Processors. It is
// for a server that has the process to itself; an embedded one leaves it alone.
type Processors struct {
	most int
	used func() time.Duration // processor time of this process so far
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

	// procsCalm is how long the work must have been so little, and doubles up to
	// procsCalmMax whenever giving up a processor turns out to have been wrong.
	procsCalm    = time.Second
	procsCalmMax = time.Minute
)

// GovernProcessors starts following the load with between 1 and most processors.
func GovernProcessors(most int) *Processors {
	return governProcessors(most, cpuTime)
}

func governProcessors(most int, used func() time.Duration) *Processors {
	p := &Processors{most: max(most, 1), used: used, stop: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

// Stop ends it, and hands out all processors. It is called once.
func (p *Processors) Stop() {
	close(p.stop)
	<-p.done
	runtime.GOMAXPROCS(p.most)
}

func (p *Processors) run() {
	defer close(p.done)
	g := governor{most: p.most, procs: 1, calm: procsCalm}
	runtime.GOMAXPROCS(g.procs)
	timer := time.NewTimer(procsSampleIdle)
	defer timer.Stop()
	lastUsed, lastAt := p.used(), time.Now()
	for {
		select {
		case <-p.stop:
			return
		case <-timer.C:
		}
		used, now := p.used(), time.Now()
		before := g.procs
		load := float64(used-lastUsed) / float64(now.Sub(lastAt))
		if g.sample(load, now.Sub(lastAt)); g.procs != before {
			runtime.GOMAXPROCS(g.procs)
		}
		lastUsed, lastAt = used, now
		if load < 0.05 {
			timer.Reset(procsSampleIdle)
		} else {
			timer.Reset(procsSampleBusy)
		}
	}
}

// governor decides from samples of the load, in processors, how many to use.
type governor struct {
	most, procs int
	calm        time.Duration // what quiet must reach before one is given up
	quiet       time.Duration // how long the load would have fitted one fewer
	sinceLower  time.Duration // since one was given up
	full        int           // samples in a row that were saturated
}

func (g *governor) sample(load float64, took time.Duration) {
	g.sinceLower += took
	if load >= procsFull*float64(g.procs) && g.procs < g.most {
		g.quiet = 0
		if g.full++; g.full < 2 {
			return
		}
		g.full = 0
		if g.sinceLower < 2*g.calm {
			g.calm = min(2*g.calm, procsCalmMax)
		} else {
			g.calm = procsCalm
		}
		g.procs = g.most
		return
	}
	g.full = 0
	if g.procs == 1 || load >= procsFits*float64(g.procs-1) {
		g.quiet = 0
		return
	}
	if g.quiet += took; g.quiet >= g.calm {
		g.quiet, g.sinceLower = 0, 0
		g.procs--
	}
}

// cpuTime is what the process has used so far.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
