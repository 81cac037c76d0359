package difftest

import (
	"context"
	"slices"
	"strings"
	"time"

	"hyperkv/internal/testkit"
)

const (
	// shrinkFor bounds shrinking; what has been reached by then is reported.
	shrinkFor = 60 * time.Second

	// replays is how often a sequence may agree before it counts as harmless.
	replays = 3
)

// shrink makes a diverging episode shorter as long as the same command still shows
// a difference, each time from empty servers on.
func (r *runner) shrink(ctx context.Context, e episode, m *mismatch) *Divergence {
	s := &shrinker{
		runner: r, ctx: ctx, deadline: time.Now().Add(shrinkFor),
		command: m.command, depth: e.depth, steps: e.steps[:m.step+1], last: m,
	}
	d := &Divergence{Seed: e.seed, Command: m.command}
	for range replays {
		if s.accept(s.steps, s.depth) {
			d.Reproducible = true
			break
		}
	}
	if d.Reproducible {
		s.accept(s.steps, 1)
		s.dropSteps()
		s.joinConnections()
		s.dropArgs()
		s.dropSteps() // shorter arguments may have made more steps needless
	}
	d.Steps, d.Depth, d.Gone = s.steps, s.depth, s.gone
	d.HyperKV, d.Redis, d.replies = s.last.got[hyperkv], s.last.got[redis], s.replies
	return d
}

// A shrinker holds the shortest sequence known to diverge.
type shrinker struct {
	*runner
	ctx      context.Context
	deadline time.Time
	command  string

	steps   []Step
	depth   int
	last    *mismatch
	replies []string
	gone    error // why a server could not be asked again
}

// accept replays a candidate and keeps it when it still diverges.
func (s *shrinker) accept(steps []Step, depth int) bool {
	if len(steps) == 0 || nested(steps) || s.gone != nil || s.ctx.Err() != nil || time.Now().After(s.deadline) {
		return false
	}
	m, replies, err := s.try(steps, depth, true)
	s.gone = err
	if err != nil || m == nil || m.command != s.command {
		return false
	}
	s.steps, s.depth, s.last, s.replies = slices.Clone(steps[:m.step+1]), depth, m, replies
	return true
}

// nested tells whether a MULTI comes inside another, of which the generator makes
// none, because there the servers are known to disagree.
func nested(steps []Step) bool {
	var open [connections]bool
	for _, step := range steps {
		switch name := strings.ToUpper(step.Args[0]); {
		case name == "MULTI" && len(step.Args) == 1:
			if open[step.Conn] {
				return true
			}
			open[step.Conn] = true
		case name == "EXEC", (name == "DISCARD" || name == "RESET") && len(step.Args) == 1:
			open[step.Conn] = false
		}
	}
	return false
}

// dropSteps removes ever smaller runs of steps (delta debugging).
func (s *shrinker) dropSteps() {
	for size := (len(s.steps) + 1) / 2; size >= 1; size /= 2 {
		for again := true; again; {
			again = false
			for at := len(s.steps) - size; at >= 0; at -= size {
				if at+size > len(s.steps) {
					continue // an accepted candidate was cut further
				}
				candidate := slices.Concat(s.steps[:at], s.steps[at+size:])
				if s.accept(candidate, s.depth) {
					again = size == 1
				}
			}
		}
	}
}

// joinConnections tries to tell the story with one connection.
func (s *shrinker) joinConnections() {
	joined := slices.Clone(s.steps)
	for i := range joined {
		joined[i].Conn = 0
	}
	s.accept(joined, s.depth)
}

// dropArgs removes arguments that do not matter and makes others simple.
func (s *shrinker) dropArgs() {
	for i := len(s.steps) - 1; i >= 0; i-- {
		for j := len(s.steps[min(i, len(s.steps)-1)].Args) - 1; j >= 1; j-- {
			if i >= len(s.steps) || j >= len(s.steps[i].Args) {
				continue
			}
			shorter := s.with(i, slices.Delete(slices.Clone(s.steps[i].Args), j, j+1))
			if s.accept(shorter, s.depth) {
				continue
			}
			for _, simple := range []string{"a", "1"} {
				if len(s.steps[i].Args[j]) <= len(simple) {
					break
				}
				args := slices.Clone(s.steps[i].Args)
				args[j] = simple
				if s.accept(s.with(i, args), s.depth) {
					break
				}
			}
		}
	}
}

// with returns the steps with other arguments for one of them. Its fuse is worked
// out anew, and a candidate that nobody could wait for is not worth trying.
func (s *shrinker) with(i int, args []string) []Step {
	wait, ok := fuse(args, time.Now().Unix())
	if !ok {
		return nil
	}
	steps := slices.Clone(s.steps)
	steps[i].Args, steps[i].Fuse = args, wait
	return steps
}

// Transcript tells the sequence in the form of testkit's scripts, with the replies
// of Redis as what is expected.
func (d *Divergence) Transcript() string {
	var b strings.Builder
	for i := 0; i < len(d.Steps); {
		conn := d.Steps[i].Conn
		b.WriteString("client=" + string(rune('a'+conn)) + "\n")
		from := i
		for ; i < len(d.Steps) && d.Steps[i].Conn == conn; i++ {
			b.WriteString(testkit.Quote(d.Steps[i].Args...) + "\n")
			if wait := d.Steps[i].Fuse; wait > 0 {
				b.WriteString("sleep=" + wait.String() + "\n")
			}
		}
		b.WriteString("----\n")
		for _, reply := range d.replies[min(from, len(d.replies)):min(i, len(d.replies))] {
			b.WriteString(strings.TrimPrefix(reply, "+") + "\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}
