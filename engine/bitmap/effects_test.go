package bitmap

import (
	"slices"
	"strings"
	"testing"

	"hyperkv/internal/familykit"
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
		h := handlers(t, familykit.Options{Record: true})
		c := h.Client(t)
		if test.before != "" {
			c.Must(strings.Fields(test.before)...)
			h.Take()
		}
		c.Must(strings.Fields(test.command)...)
		told := h.Take()
		if !slices.Equal(told.Effects, test.effects) {
			t.Errorf("%s; %s: effects %q, want %q", test.before, test.command, told.Effects, test.effects)
		}
		if !slices.Equal(told.Events, test.events) {
			t.Errorf("%s; %s: events %q, want %q", test.before, test.command, told.Events, test.events)
		}
	}
}
