package config

import (
	"fmt"
	"slices"
	"strings"
)

// Layer is a source of settings; a later one wins.
type Layer int

const (
	LayerDefault Layer = iota
	LayerFile
	LayerEnvironment
	LayerFlag
	LayerSettings // FromMap
	LayerSystem   // Adjust
	LayerRuntime  // CONFIG SET
)

var layerNames = [...]string{"default", "file", "environment", "flag", "program", "system", "CONFIG SET"}

func (l Layer) String() string { return layerNames[l] }

// Origin says where a value came from.
type Origin struct {
	Layer Layer
	Where string // the file, the variable, the flag, or the reason
	Line  int    // of the file
}

func (o Origin) String() string {
	switch {
	case o.Line > 0:
		return fmt.Sprintf("%s:%d", o.Where, o.Line)
	case o.Where != "":
		return o.Where
	}
	return o.Layer.String()
}

// Mistake is one thing that is wrong with a configuration.
type Mistake struct {
	Origin Origin
	Key    string // as it was written, "" when it is not about a key
	Text   string
}

func (m Mistake) String() string {
	if m.Origin.Line > 0 && m.Key != "" {
		return fmt.Sprintf("%s: %s: %s", m.Origin, m.Key, m.Text)
	}
	return fmt.Sprintf("%s: %s", m.Origin, m.Text) // the variable or flag names the key
}

// Mistakes is everything that is wrong with a configuration, in the order of
// the sources and their lines.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, mistake := range m {
		lines[i] = mistake.String()
	}
	return strings.Join(lines, "\n")
}

func (m Mistakes) sort() {
	slices.SortStableFunc(m, func(a, b Mistake) int {
		if a.Origin.Layer != b.Origin.Layer {
			return int(a.Origin.Layer - b.Origin.Layer)
		}
		return a.Origin.Line - b.Origin.Line
	})
}
