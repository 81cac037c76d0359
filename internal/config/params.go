package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/internal/glob"
	"hyperkv/resp"
)

// Pair is a parameter and its value.
type Pair struct{ Name, Value string }

// Caller is what CONFIG SET has to know about the client.
type Caller struct {
	// Local: connected over loopback or a Unix socket.
	Local bool
	// Loading: the dataset is still being loaded.
	Loading bool
}

// Params are the settings of a running server: what CONFIG GET, SET and REWRITE
// work on. Safe for concurrent use. Reads take no lock; mu puts changes in a row.
type Params struct {
	config  *Config
	entries map[*Key]*entry
	listed  []listedName // sorted

	mu sync.Mutex
}

// entry is the live value of a setting. A reader may see a new number beside an
// old text for a moment; neither is ever torn.
type entry struct {
	key  *Key
	text atomic.Pointer[string]
	num  atomic.Int64

	// Guarded by Params.mu.
	subscribers []func(string) error
	changed     bool // by CONFIG SET
}

func (e *entry) value() value { return value{*e.text.Load(), e.num.Load()} }

func (e *entry) store(v value) {
	e.num.Store(v.num)
	e.text.Store(&v.text)
}

// shown is what CONFIG GET answers.
func (e *entry) shown() string {
	text := *e.text.Load()
	if e.key.Param() == "dir" {
		return absolute(text)
	}
	return text
}

type listedName struct {
	name  string
	entry *entry
}

// NewParams starts from a configuration, which it does not change.
func NewParams(c *Config) *Params {
	p := &Params{config: c, entries: map[*Key]*entry{}}
	for _, k := range allKeys().keys {
		e := &entry{key: k}
		e.store(c.settings[k].value)
		p.entries[k] = e
		if k.Hidden {
			continue
		}
		for _, name := range k.redisNames() {
			p.listed = append(p.listed, listedName{name, e})
		}
	}
	slices.SortFunc(p.listed, func(a, b listedName) int { return strings.Compare(a.name, b.name) })
	return p
}

func (p *Params) find(name string) *entry {
	k := Lookup(name)
	if k == nil {
		return nil
	}
	return p.entries[k]
}

// must finds a setting that the program itself asks for.
func (p *Params) must(name string) *entry {
	e := p.find(name)
	if e == nil {
		panic("config: there is no parameter " + name)
	}
	return e
}

// Get answers CONFIG GET: each name that a pattern matches, once, sorted. A
// name without wildcards finds every spelling, and is answered as it was asked.
func (p *Params) Get(patterns ...string) []Pair {
	var out []Pair
	seen := map[string]bool{}
	add := func(name string, e *entry) {
		if lower := strings.ToLower(name); !seen[lower] {
			seen[lower] = true
			out = append(out, Pair{name, e.shown()})
		}
	}
	for _, pattern := range patterns {
		if !strings.ContainsAny(pattern, "[*?") {
			if e := p.find(pattern); e != nil {
				add(pattern, e)
			}
			continue
		}
		asked, withDashes := []byte(pattern), []byte(dashed(pattern))
		for _, l := range p.listed {
			if name := []byte(l.name); glob.MatchFold(asked, name) || glob.MatchFold(withDashes, name) {
				add(l.name, l.entry)
			}
		}
	}
	slices.SortFunc(out, func(a, b Pair) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// change is one setting that a CONFIG SET is about to change.
type change struct {
	entry *entry
	name  string // as Redis would name it in an error
	old   value
	next  value
}

// Set is SetFrom for a client that is not local, on a server that has loaded.
func (p *Params) Set(pairs []Pair) error { return p.SetFrom(Caller{}, pairs) }

// SetFrom answers CONFIG SET: every pair or none. Its error is the whole line
// for the client, in Redis' words.
func (p *Params) SetFrom(caller Caller, pairs []Pair) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	changes, err := p.resolve(caller, pairs)
	if err != nil {
		return err
	}
	for i := range changes {
		c := &changes[i]
		k := c.entry.key
		for j := range changes[:i] { // two names of one parameter: the later one wins
			if changes[j].entry == c.entry {
				c.old = changes[j].next
			}
		}
		next, err := k.syntax.parse(input{text: pairs[i].Value, old: c.old, strict: !k.ours(), memory: p.config.memory})
		if err != nil {
			return setFailed(c.name, err)
		}
		if err := p.permitted(k, c.old, next); err != nil {
			return setFailed(pairs[i].Name, err)
		}
		c.next = next
	}
	return p.apply(changes)
}

// resolve finds what the names stand for and refuses what must not be set. As
// in Redis, the first mistake is the one that is reported.
func (p *Params) resolve(caller Caller, pairs []Pair) ([]change, error) {
	changes := make([]change, 0, len(pairs))
	for i, pair := range pairs {
		e := p.find(pair.Name)
		if e == nil {
			return nil, fmt.Errorf("ERR Unknown option or number of arguments for CONFIG SET - '%s'", oneLine(pair.Name))
		}
		k := e.key
		switch {
		case k.Immutable && !k.ours():
			return nil, setFailed(pair.Name, errImmutable)
		case k.Protected && !p.protectedAllowed(caller):
			return nil, setFailed(pair.Name, errors.New("can't set protected config"))
		case k.DenyLoading && caller.Loading:
			return nil, resp.ErrLoading
		}
		for _, before := range pairs[:i] {
			if strings.EqualFold(before.Name, pair.Name) {
				return nil, setFailed(pair.Name, errors.New("duplicate parameter"))
			}
		}
		changes = append(changes, change{entry: e, name: strings.ToLower(pair.Name), old: e.value()})
	}
	return changes, nil
}

var errImmutable = errors.New("can't set immutable config")

// permitted refuses values that cannot come into force. A setting of ours that
// cannot change may be set to what it is, so that a client can write back
// everything it has read.
func (p *Params) permitted(k *Key, old, next value) error {
	if k.Immutable && next != old {
		return errImmutable
	}
	if k.Effect == Unavailable {
		if preset, err := k.preset(); err == nil && next.text != preset.text {
			return errors.New(k.Missing)
		}
	}
	return nil
}

func (p *Params) protectedAllowed(caller Caller) bool {
	switch p.config.EnableProtectedConfigs {
	case "yes":
		return true
	case "local":
		return caller.Local
	}
	return false
}

// apply tells the subscribers, takes everything back when one refuses, and
// stores the values only when all agreed.
func (p *Params) apply(changes []change) error {
	type told struct {
		subscriber func(string) error
		old        string
	}
	var done []told
	for _, c := range changes {
		if c.next == c.old && !c.entry.key.Reload {
			continue
		}
		err := error(nil)
		if len(c.entry.subscribers) == 0 && c.entry.key.Fixed != "" {
			err = errors.New(c.entry.key.Fixed)
		}
		for _, subscriber := range c.entry.subscribers {
			if err = subscriber(c.next.text); err != nil {
				break
			}
			done = append(done, told{subscriber, c.old.text})
		}
		if err != nil {
			for _, t := range slices.Backward(done) {
				_ = t.subscriber(t.old) // it was in force a moment ago
			}
			return setFailed(c.name, err)
		}
	}
	for _, c := range changes {
		c.entry.store(c.next)
		c.entry.changed = true
	}
	return nil
}

func setFailed(name string, err error) error {
	return fmt.Errorf("ERR CONFIG SET failed (possibly related to argument '%s') - %s", oneLine(name), oneLine(err.Error()))
}

// OnChange subscribes to a setting. f gets the new value as CONFIG GET will show
// it, before it is in force; its error refuses the whole CONFIG SET and becomes
// the reason in the reply. It may be called again with the old value. It runs
// while changes are locked, so it must not call Set, Rewrite or OnChange.
func (p *Params) OnChange(name string, f func(newValue string) error) {
	e := p.must(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	e.subscribers = append(e.subscribers, f)
}

// Note changes a setting that clients cannot change this way, because the server itself
// has changed what it stands for. A value that the setting cannot have is ignored.
func (p *Params) Note(name, text string) {
	e := p.must(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if next, err := e.key.syntax.parse(input{text: text, old: e.value(), memory: p.config.memory}); err == nil && next != e.value() {
		e.store(next)
		e.changed = true
	}
}

// Int64 is the number behind a setting, live: bytes of a size, 1 or 0 for yes or
// no, the place in the list for a choice of words, and time in the unit CONFIG
// GET shows, except that seconds with a fraction count milliseconds and parts
// of one count millionths. A percentage of maxmemory-clients is negative.
func (p *Params) Int64(name string) *atomic.Int64 { return &p.must(name).num }

// Int is the number of Int64 now.
func (p *Params) Int(name string) int64 { return p.must(name).num.Load() }

// Bool is a yes or no now.
func (p *Params) Bool(name string) bool { return p.Int(name) != 0 }

// String is the value now, as CONFIG GET shows it.
func (p *Params) String(name string) string { return p.must(name).shown() }

// Duration is a span of time now.
func (p *Params) Duration(name string) time.Duration {
	e := p.must(name)
	s, ok := e.key.syntax.(duration)
	if !ok {
		panic("config: " + name + " is not a duration")
	}
	return s.span(e.num.Load())
}

// OutputLimits is client-output-buffer-limit now.
func (p *Params) OutputLimits() OutputLimits {
	limits, _ := ParseOutputLimits(p.String("client-output-buffer-limit"), OutputLimits{})
	return limits
}

// Percentiles is latency-tracking-info-percentiles now.
func (p *Params) Percentiles() []float64 {
	return parsePercentiles(p.String("latency-tracking-info-percentiles"))
}

// Sensitive says that the value of this name must not get into the slow log or
// to MONITOR.
func (p *Params) Sensitive(name string) bool {
	k := Lookup(name)
	return k != nil && k.Sensitive
}

// ParamDoc describes a parameter.
type ParamDoc struct {
	Name      string   // as CONFIG knows it
	Aliases   []string // its other names
	Key       string   // YAML key
	Type      string
	Default   string
	Effect    string
	Immutable bool
	Section   string
	Meaning   string
}

// Docs describes every parameter, in the order of the documentation.
func (p *Params) Docs() []ParamDoc {
	var out []ParamDoc
	for _, k := range allKeys().keys {
		d := ParamDoc{
			Name: k.Param(), Key: k.Name, Type: k.Type(), Default: k.Default,
			Effect: k.Effect.String(), Immutable: k.Immutable, Section: k.Section, Meaning: k.Meaning,
		}
		for _, name := range k.spellings()[1:] {
			if name != snake(d.Name) {
				d.Aliases = append(d.Aliases, dashed(name))
			}
		}
		out = append(out, d)
	}
	return out
}
