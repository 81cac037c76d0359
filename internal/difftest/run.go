package difftest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	// episodeSteps is the length of an episode: long enough for states that take
	// many commands to reach, short enough to shrink in seconds.
	episodeSteps = 400

	// datasetEvery is how many steps go by between comparisons of the datasets.
	datasetEvery = 100
)

// Config says what to compare, and for how long.
type Config struct {
	HyperKV, Redis Endpoint

	// Seed is the seed of the first episode; the others count up from it.
	Seed uint64

	// Commands and Duration bound the run, whichever comes first; zero is no bound.
	Commands int
	Duration time.Duration

	// Findings is how many divergences to look for; 0 means one. Commands that were
	// found to differ are left out of the rest of the run.
	Findings int

	Families []Family // nil means Families
	Rules    []Rule   // in addition to Rules, and before them

	// Logf reports progress; nil is silent.
	Logf func(format string, args ...any)
}

// A Report says how much was compared.
type Report struct {
	Episodes int
	Commands int // whose replies were compared, also while shrinking
	Errors   int // of those, how many Redis answered with an error
	Datasets int
}

func (r Report) String() string {
	return fmt.Sprintf("%d commands in %d episodes, %d of them errors, %d datasets compared",
		r.Commands, r.Episodes, r.Errors, r.Datasets)
}

// Run plays episodes until the bounds are reached, the context ends, or the servers
// disagree: then the error is a *Divergence, as short as could be made, or several
// joined when cfg.Findings asks for more.
func Run(ctx context.Context, cfg Config) (Report, error) {
	report := Report{}
	if cfg.Commands <= 0 {
		cfg.Commands = math.MaxInt
	}
	families := cfg.Families
	if families == nil {
		families = Families
	}
	forms, err := compile(families)
	if err != nil {
		return report, err
	}
	r := &runner{cfg: &cfg, book: newRulebook(Rules, cfg.Rules), stats: &report}
	var findings []error
	differing := map[string]bool{}
	began, said := time.Now(), time.Now()
	for seed := cfg.Seed; ctx.Err() == nil; seed++ {
		if cfg.Duration > 0 && time.Since(began) >= cfg.Duration || report.Commands >= cfg.Commands {
			break
		}
		e := newGenerator(seed, forms, time.Now()).episode(seed, episodeSteps)
		e.steps = slices.DeleteFunc(e.steps, func(st Step) bool { return differing[nameOf(st.Args)] })
		m, _, err := r.try(e.steps, e.depth, false)
		report.Episodes++
		if err != nil {
			return report, errors.Join(append(findings, fmt.Errorf("seed %d: %w", seed, err))...)
		}
		if m != nil {
			d := r.shrink(ctx, e, m)
			findings = append(findings, d)
			differing[nameOf(d.Steps[len(d.Steps)-1].Args)] = true
			if len(findings) >= cfg.Findings {
				break
			}
		}
		if cfg.Logf != nil && time.Since(said) > 10*time.Second {
			said = time.Now()
			cfg.Logf("difftest: %v, now at seed %d", report, seed)
		}
	}
	return report, errors.Join(findings...)
}

// nameOf is the name of a command, with its subcommand when it has some.
func nameOf(args []string) string {
	name := strings.ToUpper(args[0])
	if (name == "CLIENT" || name == "OBJECT") && len(args) > 1 {
		name += " " + strings.ToUpper(args[1])
	}
	return name
}

// A runner plays sequences of steps, each on empty servers.
type runner struct {
	cfg   *Config
	book  rulebook
	stats *Report
}

func (r *runner) try(steps []Step, depth int, record bool) (*mismatch, []string, error) {
	p, err := connect(r.cfg, r.book, r.stats)
	if err != nil {
		return nil, nil, err
	}
	defer p.close()
	p.record = record
	m, err := p.play(steps, depth, datasetEvery)
	return m, p.replies, err
}

// A Divergence is a sequence of commands that the two servers answer differently.
type Divergence struct {
	Seed    uint64
	Steps   []Step // the last is the one that shows the difference
	Depth   int    // how many commands were sent at once
	Command string // "(dataset)" when no reply differs but what is stored does
	HyperKV string
	Redis   string

	// Reproducible is false when replays from empty servers agreed; the steps are
	// then the whole episode up to the difference.
	Reproducible bool

	// Gone is why a server could not be asked again: the last step may have ended
	// it. The steps are then as short as they were by that time.
	Gone error

	replies []string // of Redis, to the steps
}

func (d *Divergence) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HyperKV and Redis disagree about %s (HYPERKV_FUZZ_SEED=%d)\n", d.Command, d.Seed)
	switch {
	case d.Gone != nil:
		fmt.Fprintf(&b, "and then a server was gone: %v\n", d.Gone)
	case !d.Reproducible:
		fmt.Fprintf(&b, "not reproducible: replays of these %d commands agreed\n", len(d.Steps))
	}
	if d.Depth > 1 {
		fmt.Fprintf(&b, "sent in bursts of up to %d commands\n", d.Depth)
	}
	fmt.Fprintf(&b, "HyperKV: %s\nRedis:   %s\n\n", d.HyperKV, d.Redis)
	b.WriteString(d.Transcript())
	return b.String()
}
