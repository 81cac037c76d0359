package journal

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"hyperkv/persist/disk"
)

// meta says what there is in a journal's folder. It is replaced as a whole.
type meta struct {
	Version     int          `json:"version"`
	Identity    string       `json:"identity"` // 16 hexadecimal digits
	Generations []generation `json:"generations"`
	// Next is the number of the next generation, while there is none.
	Next int `json:"next,omitempty"`
}

// generation is one folder of logs.
type generation struct {
	Number int `json:"number"`
	Shards int `json:"shards"`
	// Base is the snapshot that it began behind, if that was not where the generation
	// before it has ended; 0 if there was none.
	Base uint64 `json:"base,omitempty"`
	// Pending says that the snapshot was only being taken then: without it nothing of the
	// generation was promised to anybody.
	Pending bool `json:"pending,omitempty"`
	// Ends are the records up to which its logs are durable for certain: where they ended when
	// they were opened or closed last. There are none if that could not be written down.
	Ends []uint64 `json:"ends,omitempty"`
}

const (
	metaName    = "journal.json"
	metaVersion = 1
	metaMax     = 16 << 20
)

func (g generation) folder() string { return fmt.Sprintf("%06d", g.Number) }

// last is the generation in use.
func (m *meta) last() generation { return m.Generations[len(m.Generations)-1] }

// ending is the same with other ends of the generation in use.
func (m *meta) ending(ends []uint64) *meta {
	changed := *m
	changed.Generations = slices.Clone(m.Generations)
	changed.Generations[len(m.Generations)-1].Ends = ends
	return &changed
}

// next is the number of the next generation.
func (m *meta) next() int {
	if len(m.Generations) == 0 {
		return max(m.Next, 1)
	}
	return m.last().Number + 1
}

// first is the number of the first generation.
func (m *meta) first() int {
	if len(m.Generations) == 0 {
		return m.next()
	}
	return m.Generations[0].Number
}

// without is what is left without the generations before one; m itself if there are none.
func (m *meta) without(before int) *meta {
	n := 0
	for n < len(m.Generations) && m.Generations[n].Number < before {
		n++
	}
	if n == 0 {
		return m
	}
	left := *m
	left.Generations = m.Generations[n:]
	if len(left.Generations) == 0 {
		left.Next = m.next()
	}
	return &left
}

func (m *meta) identity() (id uint64, err error) {
	if _, err := fmt.Sscanf(m.Identity, "%016x", &id); err != nil {
		return 0, fmt.Errorf("identity %q: %w", m.Identity, err)
	}
	return id, nil
}

// readMeta reads what there is. A journal that is not there is one of nothing, with a new
// identity.
func readMeta(d disk.Disk, dir string) (*meta, error) {
	path := filepath.Join(dir, metaName)
	text, err := disk.ReadStart(d, path, metaMax)
	if errors.Is(err, fs.ErrNotExist) {
		return newMeta(d, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	m := &meta{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if m.Version > metaVersion {
		return nil, fmt.Errorf("%s has version %d, and this HyperKV knows versions up to %d: start the newer HyperKV that wrote it",
			path, m.Version, metaVersion)
	}
	if _, err := m.identity(); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	for i, g := range m.Generations {
		if g.Shards < 1 || g.Shards > shardsMax || len(g.Ends) != 0 && len(g.Ends) != g.Shards || i > 0 && g.Number <= m.Generations[i-1].Number {
			return nil, fmt.Errorf("%s is damaged: generation %d of %d shards with %d ends", path, g.Number, g.Shards, len(g.Ends))
		}
	}
	return m, nil
}

// newMeta makes a journal of nothing. Logs without their meta are not adopted.
func newMeta(d disk.Disk, dir string) (*meta, error) {
	names, err := d.List(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("begin the journal: %w", err)
	}
	for _, name := range names {
		if len(name) == 6 && name[0] == '0' {
			return nil, fmt.Errorf("%s is missing, and %s is there: the journal cannot be read without it",
				filepath.Join(dir, metaName), filepath.Join(dir, name))
		}
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	return &meta{Version: metaVersion, Identity: fmt.Sprintf("%016x", binary.LittleEndian.Uint64(id[:]))}, nil
}

// write makes it what is on the disk, whole or not at all.
func (m *meta) write(d disk.Disk, dir string) error {
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, metaName)
	if err := disk.Replace(d, path, append(text, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
