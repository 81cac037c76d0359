package bench

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of a workload. They keep the buffers of a run within sensible memory;
// a workload beyond them is refused before anything is sent.
const (
	connectionsMax = 100_000
	pipelineMax    = 100_000
	threadsMax     = 256
	opsMax         = 64
	dataBytesMax   = 512 << 20
)

// Target is the server to load.
type Target struct {
	Network  string // "tcp" or "unix"
	Address  string
	Username string
	Password string
	DB       int
	Protocol int // 2 or 3; 0 sends no HELLO
}

// Op is one kind of request of a mix: a command template and its weight.
type Op struct {
	Name   string
	Weight int
	Args   []string
	Inline bool // sent as a line of text, not as an array
}

// Workload says what to send and for how long. A run is always bounded: by
// Requests, or else by Duration.
type Workload struct {
	Name        string
	Ops         []Op
	Connections int
	Pipeline    int // closed loop: burst size; open loop: most requests in flight per connection
	Threads     int
	Requests    int64
	Duration    time.Duration
	Warmup      time.Duration
	Rate        float64 // requests per second; 0 means closed loop
	Keys        Keys
	DataMin     int
	DataMax     int
	// ItemsPerKey puts this many running numbers under one key, for commands
	// that fill collections: __key__ shows the number divided by it.
	ItemsPerKey int
	Seed        uint64
	// Timeout is how long a run survives without a single reply while some
	// are outstanding.
	Timeout time.Duration
}

// withDefaults fills what was left at zero.
func (w Workload) withDefaults() Workload {
	if len(w.Ops) == 0 {
		w.Ops = []Op{mustOp("get", 1)}
	}
	if w.Connections == 0 {
		w.Connections = 50
	}
	if w.Pipeline == 0 {
		w.Pipeline = 1
	}
	if w.Threads == 0 {
		w.Threads = 1
	}
	w.Threads = min(w.Threads, w.Connections)
	if w.Requests == 0 && w.Duration == 0 {
		w.Requests = 100_000
	}
	w.Keys = w.Keys.withDefaults()
	if w.DataMin == 0 && w.DataMax == 0 {
		w.DataMin, w.DataMax = 32, 32
	}
	if w.ItemsPerKey == 0 {
		w.ItemsPerKey = 1
	}
	if w.Seed == 0 {
		w.Seed = 1
	}
	if w.Timeout == 0 {
		w.Timeout = 30 * time.Second
	}
	if w.Name == "" {
		w.Name = w.describe()
	}
	return w
}

// validate refuses a workload that could not be run as asked.
func (w Workload) validate() error {
	switch {
	case w.Connections < 1 || w.Connections > connectionsMax:
		return fmt.Errorf("connections must be 1 to %d", connectionsMax)
	case w.Pipeline < 1 || w.Pipeline > pipelineMax:
		return fmt.Errorf("pipeline must be 1 to %d", pipelineMax)
	case w.Threads < 1 || w.Threads > threadsMax:
		return fmt.Errorf("threads must be 1 to %d", threadsMax)
	case len(w.Ops) > opsMax:
		return fmt.Errorf("a mix holds at most %d commands", opsMax)
	case w.Requests < 0 || w.Duration < 0 || w.Warmup < 0 || w.Timeout < 0:
		return errors.New("counts and durations must not be negative")
	case w.Rate < 0:
		return errors.New("rate must not be negative")
	case w.DataMin < 0 || w.DataMax < w.DataMin || w.DataMax > dataBytesMax:
		return fmt.Errorf("data size must be a range within 0 to %d bytes", dataBytesMax)
	case w.ItemsPerKey < 1:
		return errors.New("items per key must be at least 1")
	}
	for _, op := range w.Ops {
		if op.Weight < 1 {
			return fmt.Errorf("weight of %s must be at least 1", op.Name)
		}
	}
	return w.Keys.validate()
}

func (w Workload) describe() string {
	names := make([]string, len(w.Ops))
	for i, op := range w.Ops {
		names[i] = op.Name
		if len(w.Ops) > 1 {
			names[i] += ":" + strconv.Itoa(op.Weight)
		}
	}
	return strings.Join(names, ",")
}

// builtins are the tests that can be asked for by name, each a template.
var builtins = map[string]string{
	"ping":       "PING",
	"ping_mbulk": "PING",
	"get":        "GET __key__",
	"set":        "SET __key__ __data__",
	"incr":       "INCR counter:__rand_int__",
	"mset":       "MSET" + strings.Repeat(" __key__ __data__", 10),
	"mget":       "MGET" + strings.Repeat(" __key__", 10),
	"del":        "DEL __key__",
	"exists":     "EXISTS __key__",
	"expire":     "EXPIRE __key__ 3600",
	"lpush":      "LPUSH mylist __data__",
	"rpush":      "RPUSH mylist __data__",
	"lpop":       "LPOP mylist",
	"rpop":       "RPOP mylist",
	"sadd":       "SADD myset element:__rand_int__",
	"spop":       "SPOP myset",
	"hset":       "HSET myhash element:__rand_int__ __data__",
	"hget":       "HGET myhash element:__rand_int__",
	"zadd":       "ZADD myzset __int__ element:__rand_int__",
	"zpopmin":    "ZPOPMIN myzset",
	"lrange_100": "LRANGE mylist 0 99",
	"lrange_300": "LRANGE mylist 0 299",
	"lrange_500": "LRANGE mylist 0 499",
	"lrange_600": "LRANGE mylist 0 599",
	"xadd":       "XADD mystream * myfield __data__",
}

// Builtin returns a named test with a weight.
func Builtin(name string, weight int) (Op, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "ping_inline" {
		return Op{Name: name, Weight: weight, Args: []string{"PING"}, Inline: true}, nil
	}
	template, ok := builtins[name]
	if !ok {
		return Op{}, fmt.Errorf("unknown test %q", name)
	}
	op, err := Template(template, weight)
	op.Name = name
	return op, err
}

func mustOp(name string, weight int) Op {
	op, err := Builtin(name, weight)
	if err != nil {
		panic(err)
	}
	return op
}

// Template returns an op for a command with placeholders. Its words are split
// at blanks; quotes keep blanks together.
func Template(command string, weight int) (Op, error) {
	args, err := splitWords(command)
	if err != nil {
		return Op{}, err
	}
	if len(args) == 0 {
		return Op{}, errors.New("empty command template")
	}
	return Op{Name: strings.ToLower(args[0]), Weight: weight, Args: args}, nil
}

// ParseMix reads "get:70,set:30". A name without a weight counts once.
func ParseMix(text string) ([]Op, error) {
	var ops []Op
	for item := range strings.SplitSeq(text, ",") {
		name, weightText, weighted := strings.Cut(item, ":")
		weight := 1
		if weighted {
			n, err := strconv.Atoi(strings.TrimSpace(weightText))
			if err != nil || n < 1 {
				return nil, fmt.Errorf("mix %q: %q is not a weight", text, weightText)
			}
			weight = n
		}
		op, err := Builtin(name, weight)
		if err != nil {
			return nil, fmt.Errorf("mix %q: %w", text, err)
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// ParseRange reads "32" or "10-100".
func ParseRange(text string) (low, high int, err error) {
	lowText, highText, ranged := strings.Cut(text, "-")
	if low, err = strconv.Atoi(strings.TrimSpace(lowText)); err != nil || low < 0 {
		return 0, 0, fmt.Errorf("%q is not a size or a range of sizes", text)
	}
	if !ranged {
		return low, low, nil
	}
	if high, err = strconv.Atoi(strings.TrimSpace(highText)); err != nil || high < low {
		return 0, 0, fmt.Errorf("%q is not a size or a range of sizes", text)
	}
	return low, high, nil
}

// splitWords splits at blanks outside quotes. A backslash inside double quotes
// takes the next byte as it is.
func splitWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == '"' && c == '\\' && i+1 < len(text):
			i++
			word.WriteByte(text[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, inWord = c, true
		case c == ' ' || c == '\t':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("unbalanced quotes in %q", text)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
