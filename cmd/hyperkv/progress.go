package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/internal/rdb"
	"hyperkv/migrate"
)

// progress counts what has moved, and says so from time to time. Safe for concurrent use.
type progress struct {
	keys, bytes, total atomic.Int64

	out   io.Writer
	live  bool // one line that changes, on a terminal
	start time.Time
	quit  chan struct{}
	over  sync.WaitGroup
}

// How often progress is shown, on a terminal and elsewhere.
const (
	liveEvery = 200 * time.Millisecond
	lineEvery = 5 * time.Second
)

// startProgress shows progress on out until stop.
func startProgress(out io.Writer, every time.Duration) *progress {
	p := &progress{out: out, live: isTerminal(out), start: time.Now(), quit: make(chan struct{})}
	if p.live {
		every = liveEvery
	}
	p.over.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.show()
			case <-p.quit:
				return
			}
		}
	})
	return p
}

// isTerminal says that somebody looks at what is written.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// wrap counts what is read of src.
func (p *progress) wrap(src io.Reader) io.Reader {
	return &countedReader{src, func(n int) { p.bytes.Add(int64(n)) }}
}

// A countedReader tells how much each Read has read.
type countedReader struct {
	io.Reader
	tell func(n int)
}

func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.tell(n)
	return n, err
}

// count counts the keys that t takes.
func (p *progress) count(t migrate.Target) migrate.Target { return &countedTarget{t, p} }

type countedTarget struct {
	migrate.Target
	p *progress
}

func (c *countedTarget) Key(k *rdb.Key, raw []byte) error {
	c.p.keys.Add(1)
	return c.Target.Key(k, raw)
}

func (p *progress) show() {
	took := time.Since(p.start)
	text := p.text(took)
	if bytes, total := p.bytes.Load(), p.total.Load(); bytes > 0 && bytes < total {
		left := time.Duration(float64(took) / float64(bytes) * float64(total-bytes))
		text += fmt.Sprintf(" of %s read, about %s left", bytesText(total), left.Round(time.Second))
	}
	if p.live {
		fmt.Fprintf(p.out, "\r%s\x1b[K", text)
	} else {
		fmt.Fprintln(p.out, text)
	}
}

func (p *progress) text(took time.Duration) string {
	keys := p.keys.Load()
	return fmt.Sprintf("%d keys (%.0f a second), %s", keys, float64(keys)/max(took.Seconds(), 1e-3), bytesText(p.bytes.Load()))
}

// stop ends the showing, and says what there was in all.
func (p *progress) stop() string {
	close(p.quit)
	p.over.Wait()
	if p.live {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	took := time.Since(p.start)
	return fmt.Sprintf("%s read, in %s", p.text(took), took.Round(time.Millisecond))
}
