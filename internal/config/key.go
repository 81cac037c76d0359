package config

import (
	"slices"
	"strings"
	"sync"
)

// Effect says what a setting does in this version.
type Effect int

const (
	// Acts: the server behaves differently when the value changes.
	Acts Effect = iota
	// Stored: the value is checked, kept and reported, and nothing reads it.
	Stored
	// Unavailable: the value that means "off" is accepted; any other is refused
	// with the sentence of Key.Missing.
	Unavailable
)

func (e Effect) String() string {
	switch e {
	case Acts:
		return "acts"
	case Stored:
		return "accepted, no effect"
	default:
		return "not available yet"
	}
}

// Key is one setting: a row of the table. Immutable once the package is initialised.
type Key struct {
	// Name is the YAML key, in snake case.
	Name string
	// Redis lists Redis' names for it, the current one first and older ones
	// after it, separated by spaces. CONFIG GET lists all of them, as Redis does.
	// Empty when Redis has no such parameter; CONFIG then knows Name with dashes.
	Redis string
	// Also lists further spellings, separated by spaces, that are understood
	// everywhere and listed nowhere.
	Also string

	Section string
	Default string
	Meaning string
	Effect  Effect

	// Missing is what a value other than Default is answered with when Effect is
	// Unavailable: what it is that this version does not have.
	Missing string

	Immutable   bool // CONFIG SET may not change it
	Protected   bool // CONFIG SET needs enable_protected_configs
	Hidden      bool // only an exact name finds it
	Secret      bool // never shown; <name>_file reads it from a file
	Sensitive   bool // CONFIG SET's argument is kept out of slow log and MONITOR
	DenyLoading bool // CONFIG SET waits until the dataset is loaded
	Reload      bool // setting the same value again still notifies (files that may have changed)

	// Fixed is the answer of CONFIG SET to a change that nobody subscribed to,
	// for settings that take effect only if somebody does.
	Fixed string

	syntax syntax
	field  func(*Config) any
}

// Param is the name under which CONFIG knows the key.
func (k *Key) Param() string {
	if k.Redis == "" {
		return dashed(k.Name)
	}
	name, _, _ := strings.Cut(k.Redis, " ")
	return name
}

// redisNames are the names CONFIG GET lists.
func (k *Key) redisNames() []string {
	if k.Redis == "" {
		return []string{dashed(k.Name)}
	}
	return strings.Fields(k.Redis)
}

// spellings are all names in snake case, Name first.
func (k *Key) spellings() []string {
	names := []string{k.Name}
	for _, other := range strings.Fields(k.Redis + " " + k.Also) {
		if other = snake(other); !slices.Contains(names, other) {
			names = append(names, other)
		}
	}
	return names
}

// ours says that Redis has no such parameter.
func (k *Key) ours() bool { return k.Redis == "" }

// Env is the environment variable of the key.
func (k *Key) Env() string { return EnvPrefix + strings.ToUpper(k.Name) }

// Flag is the flag of the key, without dashes in front.
func (k *Key) Flag() string { return dashed(k.Name) }

// Type describes the values the key takes, for documentation.
func (k *Key) Type() string { return k.syntax.describe() }

// EnvPrefix begins the name of every environment variable that is a setting.
const EnvPrefix = "HYPERKV_"

func dashed(name string) string { return strings.ReplaceAll(name, "_", "-") }

func snake(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }

// table is the index over all rows. Immutable once built.
type table struct {
	keys   []*Key          // in the order of documentation
	byName map[string]*Key // every spelling, in snake case
}

var allKeys = sync.OnceValue(func() *table {
	t := &table{byName: map[string]*Key{}}
	add := func(rows []Key) {
		for i := range rows {
			k := &rows[i]
			t.keys = append(t.keys, k)
			for _, name := range k.spellings() {
				if t.byName[name] != nil {
					panic("config: two keys are named " + name)
				}
				t.byName[name] = k
			}
		}
	}
	add(ownKeys())
	add(redisKeys())
	slices.SortStableFunc(t.keys, func(a, b *Key) int {
		return slices.Index(sections, a.Section) - slices.Index(sections, b.Section)
	})
	return t
})

// Keys returns every setting in the order of the documentation.
func Keys() []*Key { return slices.Clone(allKeys().keys) }

// Lookup finds a setting by any of its names, with dashes or underscores.
func Lookup(name string) *Key { return allKeys().byName[snake(name)] }

// lookupSource is Lookup for the places a person writes to, where a secret can
// also be given as the name of a file that holds it.
func lookupSource(name string) (key *Key, fromFile bool) {
	if k := Lookup(name); k != nil {
		return k, false
	}
	if base, ok := strings.CutSuffix(snake(name), "_file"); ok {
		if k := Lookup(base); k != nil && k.Secret {
			return k, true
		}
	}
	return nil, false
}

// Suggest returns the known name nearest to a misspelt one, in snake case, or "".
func Suggest(name string) string {
	name = snake(name)
	if len(name) > 64 {
		return ""
	}
	best, bestDistance := "", max(2, len(name)/4)+1
	consider := func(candidate string) {
		d := distance(name, candidate)
		if d < bestDistance || d == bestDistance && best != "" && candidate < best {
			best, bestDistance = candidate, d
		}
	}
	t := allKeys()
	for _, k := range t.keys {
		if k.Hidden {
			continue
		}
		for _, spelling := range k.spellings() {
			consider(spelling)
		}
		if k.Secret {
			consider(k.Name + "_file")
		}
	}
	if best == "" { // metrics → metrics_port: the words are there, more of them are not
		for _, k := range t.keys {
			if k.Effect == Acts && len(name) > 3 && strings.Contains(k.Name, name) && (best == "" || len(k.Name) < len(best)) {
				best = k.Name
			}
		}
	}
	return best
}

// distance counts the edits between two names; swapping neighbours is one edit.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
