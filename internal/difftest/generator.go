package difftest

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// connections take turns within an episode; two are enough for WATCH.
	connections = 2

	// fuseMax is the longest time to live that the executor sits out. Whatever is
	// longer must be far longer than an episode.
	fuseMax = 12 * time.Millisecond

	// fuseMargin is added to a fuse, because a key lives through its last
	// millisecond, and the servers started to count at different moments.
	fuseMargin = 3 * time.Millisecond

	// nearMax is the distance from now within which a deadline would pass at some
	// unknown moment of an episode.
	nearMax = 1000 * time.Second
)

// A Step is one command on one connection.
type Step struct {
	Conn int
	Args []string

	// Fuse is how long to wait after the command took effect, because it set a
	// deadline that has passed by then on both servers. Zero means not at all.
	Fuse time.Duration
}

// An episode is a sequence of steps from empty servers on.
type episode struct {
	seed  uint64
	depth int // commands sent at once, at most
	steps []Step
}

// A generator makes the steps of one episode. Owned by one goroutine.
type generator struct {
	rand  *rand.Rand
	forms []form
	total int   // sum of the weights
	base  int64 // seconds since 1970 at which the episode began

	multi [connections]bool // whether the connection has opened a transaction
	own   []string          // keys that the family at hand mostly uses
}

func newGenerator(seed uint64, forms []form, base time.Time) *generator {
	g := &generator{rand: rand.New(rand.NewPCG(seed, 0)), forms: forms, base: base.Unix()}
	for _, f := range forms {
		g.total += f.weight
	}
	return g
}

// episode makes a whole one.
func (g *generator) episode(seed uint64, steps int) episode {
	e := episode{seed: seed, depth: pickInt(g, []int{1, 4, 32}), steps: make([]Step, 0, steps)}
	for conn := 0; len(e.steps) < steps; {
		if g.rand.IntN(6) == 0 {
			conn = g.rand.IntN(connections)
		}
		e.steps = append(e.steps, g.next(conn))
	}
	return e
}

// Steps makes the commands of one episode, for a property that needs no judge. The
// same arguments give the same steps.
func Steps(seed uint64, families []Family, now time.Time, n int) ([]Step, error) {
	forms, err := compile(families)
	if err != nil {
		return nil, err
	}
	return newGenerator(seed, forms, now).episode(seed, n).steps, nil
}

// next makes a step for a connection.
func (g *generator) next(conn int) Step {
	for {
		args := g.command(conn)
		fuse, ok := fuse(args, g.base)
		if !ok {
			continue
		}
		switch strings.ToUpper(args[0]) {
		case "MULTI":
			if g.multi[conn] && len(args) == 1 {
				continue // what becomes of the outer transaction differs between servers
			}
			g.multi[conn] = true
		case "EXEC":
			g.multi[conn] = false
		case "DISCARD", "RESET": // with too many arguments the transaction goes on
			g.multi[conn] = g.multi[conn] && len(args) > 1
		case "CLIENT":
			if len(args) > 3 && strings.EqualFold(args[1], "KILL") && strings.EqualFold(args[2], "NAME") {
				continue // a filter that the reference does not have yet, and it might hit us
			}
		case "XREAD":
			if waitsLong(args) {
				continue // nobody would end it
			}
		case "XSETID":
			if len(args) > 2 && strings.Trim(args[2], "0123456789-") == "" && !strings.HasPrefix(args[2], "99") {
				continue // the reference does not look yet whether it is below what was deleted
			}
		case "ZRANK", "ZREVRANK":
			if len(args) == 4 {
				continue // an option that the reference does not have yet, so it is another arity
			}
		}
		return Step{Conn: conn, Args: args, Fuse: fuse}
	}
}

// waitsLong says whether an XREAD, which was to wait for a millisecond, has become one that may
// wait for more than a second.
func waitsLong(args []string) bool {
	for i, arg := range args[:len(args)-1] {
		if strings.EqualFold(arg, "BLOCK") {
			if millis, err := strconv.ParseInt(args[i+1], 10, 64); err == nil && (millis == 0 || millis > 1000) {
				return true
			}
		}
	}
	return false
}

// command makes the arguments of a step: mostly from a form, sometimes damaged.
func (g *generator) command(conn int) []string {
	// Transactions would otherwise grow until everything is only queued.
	if g.multi[conn] && g.rand.IntN(5) == 0 {
		return []string{"EXEC"}
	}
	n := g.rand.IntN(g.total)
	var args []string
	for _, f := range g.forms {
		if n -= f.weight; n < 0 {
			g.own = f.own
			args = f.root.write(g, nil)
			break
		}
	}
	if g.rand.IntN(25) == 0 {
		args = g.damage(args)
	}
	if g.rand.IntN(20) == 0 {
		args[0] = strings.ToLower(args[0])
	}
	if g.rand.IntN(40) == 0 { // options are case-insensitive too; other words may change
		i := g.rand.IntN(len(args))
		args[i] = strings.ToLower(args[i])
	}
	return args
}

// damage makes arguments wrong: too few, too many, out of place or of the wrong
// kind. The name of the command stays.
func (g *generator) damage(args []string) []string {
	word := pick(g, words)
	if word == "*" && args[0] == "XADD" {
		word = "x" // an ID of the server's own would be its clock's
	}
	if len(args) == 1 {
		return append(args, word)
	}
	i := 1 + g.rand.IntN(len(args)-1)
	switch g.rand.IntN(5) {
	case 0:
		return args[:i]
	case 1:
		return append(args, word)
	case 2:
		return append(args, args[i])
	case 3:
		j := 1 + g.rand.IntN(len(args)-1)
		args[i], args[j] = args[j], args[i]
	default:
		args[i] = word
	}
	return args
}

// fuse says how long to sit out what a command does to a key's time to live. It
// refuses a command that could set a deadline which passes at some moment of the
// episode that we do not control: then the servers may differ and both be right.
//
// It looks at every argument that could be a time, because damaged and unusual
// calls put them anywhere.
func fuse(args []string, base int64) (wait time.Duration, ok bool) {
	var unit time.Duration
	absolute := false
	from := 1
	switch strings.ToUpper(args[0]) {
	case "EXPIRE", "SETEX":
		unit, from = time.Second, 2
	case "PEXPIRE", "PSETEX":
		unit, from = time.Millisecond, 2
	case "EXPIREAT":
		unit, from, absolute = time.Second, 2, true
	case "PEXPIREAT":
		unit, from, absolute = time.Millisecond, 2, true
	case "RESTORE":
		unit, from = time.Millisecond, 2
		absolute = slices.ContainsFunc(args, func(arg string) bool { return strings.EqualFold(arg, "ABSTTL") })
	case "SET", "GETEX":
		return fuseOfOptions(args, base)
	default:
		return 0, true
	}
	if len(args) <= from {
		return 0, true
	}
	return fuseOf(args[from], unit, absolute, base)
}

func fuseOfOptions(args []string, base int64) (time.Duration, bool) {
	longest := time.Duration(0)
	for i := 1; i+1 < len(args); i++ {
		var unit time.Duration
		absolute := false
		switch strings.ToUpper(args[i]) {
		case "EX":
			unit = time.Second
		case "PX":
			unit = time.Millisecond
		case "EXAT":
			unit, absolute = time.Second, true
		case "PXAT":
			unit, absolute = time.Millisecond, true
		default:
			continue
		}
		wait, ok := fuseOf(args[i+1], unit, absolute, base)
		if !ok {
			return 0, false
		}
		longest = max(longest, wait)
	}
	return longest, true
}

func fuseOf(arg string, unit time.Duration, absolute bool, base int64) (time.Duration, bool) {
	n, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return 0, true // an error for the servers too
	}
	near := int64(nearMax / unit)
	if absolute {
		now := base * int64(time.Second/unit)
		return 0, n < now-near || n > now+near
	}
	switch {
	case n <= 0 || n > near:
		return 0, true
	case n <= int64(fuseMax/unit):
		return time.Duration(n)*unit + fuseMargin, true
	default:
		return 0, false
	}
}
