package bitmap

import (
	"slices"
	"testing"

	"hyperkv/internal/clock"
	"hyperkv/internal/testkit"
)

// What is told of a command: nothing when nothing changed.
func TestEffectsAndEvents(t *testing.T) {
	for _, test := range []struct {
		before, command string
		effects, events []string
	}{
		{"", "SETBIT k 0 0", []string{"SETBIT k 0 0"}, []string{"$ setbit k"}},
		{"SETBIT k 0 0", "SETBIT k 7 0", nil, nil},
		{"SETBIT k 0 0", "SETBIT k 7 1", []string{"SETBIT k 7 1"}, []string{"$ setbit k"}},
		{"SETBIT k 0 0", "SETBIT k 8 0", []string{"SETBIT k 8 0"}, []string{"$ setbit k"}},
		{"SETBIT k 0 0", "BITFIELD k SET u8 0 0", nil, nil},
		{"SETBIT k 0 0", "BITFIELD k GET u8 0", nil, nil},
		{"SETBIT k 0 0", "BITFIELD k SET u8 0 1", []string{"BITFIELD k SET u8 0 1"}, []string{"$ setbit k"}},
		{"", "BITFIELD k OVERFLOW FAIL SET u8 0 -1", []string{"BITFIELD k OVERFLOW FAIL SET u8 0 -1"}, nil},
		{"SET a x", "BITOP NOT k a", []string{"BITOP NOT k a"}, []string{"$ set k"}},
		{"SET k x", "BITOP NOT k a", []string{"BITOP NOT k a"}, []string{"g del k"}},
		{"", "BITOP NOT k a", nil, nil},
	} {
		h := newHandlers(t, 1, clock.NewManual(1_000_000))
		c := &client{h: h}
		for _, line := range []string{test.before, test.command} {
			h.effects, h.events = nil, nil
			if line == "" {
				continue
			}
			words, err := testkit.Split(line)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := c.Do(words...); err != nil || v.Err() != nil {
				t.Fatalf("%s: %v %v", line, v, err)
			}
		}
		if !slices.Equal(h.effects, test.effects) {
			t.Errorf("%s; %s: effects %q, want %q", test.before, test.command, h.effects, test.effects)
		}
		if !slices.Equal(h.events, test.events) {
			t.Errorf("%s; %s: events %q, want %q", test.before, test.command, h.events, test.events)
		}
	}
}
