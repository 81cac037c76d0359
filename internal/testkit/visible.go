package testkit

import (
	"context"
	"fmt"
	"strconv"
)

// Visible lets clients write one value to all keys at once, by MSET, MSETNX after
// DEL, or SETs in MULTI/EXEC, and checks that nobody who reads all keys at once
// sees such a write half.
func (w Workload) Visible(ctx context.Context) (Tally, error) {
	w = w.withDefaults("visible:")
	if _, err := w.once(w.setAll("MSET", "0")); err != nil {
		return Tally{}, err
	}
	return w.run(ctx, func(h *hand) error {
		if h.n%2 == 1 {
			return h.readWhole()
		}
		return h.writeWhole()
	})
}

func (w Workload) setAll(command, value string) []string {
	args := []string{command}
	for _, key := range w.keys() {
		args = append(args, key, value)
	}
	return args
}

func (h *hand) writeWhole() error {
	value := strconv.Itoa(h.n*1_000_000_000 + h.tally.Done)
	h.tally.Done++
	switch h.rand.IntN(4) {
	case 0:
		var sets [][]string
		for _, key := range h.w.keys() {
			sets = append(sets, []string{"SET", key, value})
		}
		_, err := h.transact(sets...)
		return err
	case 1:
		_, err := h.transact(append([]string{"DEL"}, h.w.keys()...), h.w.setAll("MSETNX", value))
		return err
	default:
		_, err := h.must(h.w.setAll("MSET", value)...)
		return err
	}
}

func (h *hand) readWhole() error {
	v, err := h.must(append([]string{"MGET"}, h.w.keys()...)...)
	if err != nil {
		return err
	}
	h.tally.Read++
	for _, e := range v.Elems {
		if e.Null || string(e.Str) != string(v.Elems[0].Str) {
			return fmt.Errorf("a write was seen half:\n%s", v)
		}
	}
	return nil
}

// Forward lets one client per key count upward, by SET, INCR or MULTI/EXEC, while
// the others read, and checks that what one reader sees of a key never goes back,
// whichever command it reads with.
func (w Workload) Forward(ctx context.Context) (Tally, error) {
	w = w.withDefaults("forward:")
	w.Keys = max(1, w.Clients/2)
	if _, err := w.once(w.setAll("MSET", "0")); err != nil {
		return Tally{}, err
	}
	seen := make([][]int64, w.Clients) // each row is touched by its client only
	for i := range seen {
		seen[i] = make([]int64, w.Keys)
	}
	return w.run(ctx, func(h *hand) error {
		if h.n < h.w.Keys {
			return h.countUp(seen[h.n])
		}
		return h.readForward(seen[h.n])
	})
}

// countUp writes the next number to the client's own key and reads it back.
func (h *hand) countUp(seen []int64) error {
	key := h.w.key(h.n)
	h.tally.Done++
	next := seen[h.n] + 1
	seen[h.n] = next
	var err error
	switch h.rand.IntN(3) {
	case 0:
		_, err = h.must("SET", key, strconv.FormatInt(next, 10))
	case 1:
		_, err = h.must("INCR", key)
	default:
		_, err = h.transact([]string{"INCRBY", key, "1"})
	}
	if err != nil {
		return err
	}
	v, err := h.must("GET", key)
	if err != nil {
		return err
	}
	have, err := integer(v)
	if err == nil && have != next {
		err = fmt.Errorf("%s: wrote %d, the same client read %d", key, next, have)
	}
	return err
}

func (h *hand) readForward(seen []int64) error {
	check := func(i int, n int64, how string) error {
		if n < seen[i] {
			return fmt.Errorf("%s went back: %s saw %d after %d", h.w.key(i), how, n, seen[i])
		}
		seen[i] = n
		return nil
	}
	h.tally.Read++
	if i := h.rand.IntN(h.w.Keys); h.rand.IntN(2) == 0 {
		v, err := h.must("GET", h.w.key(i))
		if err != nil {
			return err
		}
		n, err := integer(v)
		if err != nil {
			return err
		}
		return check(i, n, "GET")
	}
	v, err := h.must(append([]string{"MGET"}, h.w.keys()...)...)
	if err != nil {
		return err
	}
	all, err := integers(v)
	if err != nil {
		return err
	}
	for i, n := range all {
		if err := check(i, n, "MGET"); err != nil {
			return err
		}
	}
	return nil
}
