package testkit

import (
	"context"
	"fmt"
	"strconv"
)

// Counter lets all clients count on few keys by reading under WATCH and writing the
// successor of what they read, and checks that no count is lost.
//
// Every EXEC that succeeds has counted once on each of its keys, so in the end the
// counters add up to what the clients believe.
func (w Workload) Counter(ctx context.Context) (Tally, error) {
	w = w.withDefaults("counter:")
	w.Keys = min(w.Keys, 3) // or nobody meets
	keys := w.keys()
	if _, err := w.once(append([]string{"DEL"}, keys...)); err != nil {
		return Tally{}, err
	}
	tally, err := w.run(ctx, (*hand).count)
	if err != nil {
		return tally, err
	}
	last, err := w.once(append([]string{"MGET"}, keys...))
	if err == nil && sum(last) != int64(tally.Read) {
		err = fmt.Errorf("counters add up to %d (%v), but the clients counted %d times", sum(last), last, tally.Read)
	}
	return tally, err
}

// count counts on one key, or on two at once; the tally's Read says how often.
func (h *hand) count() error {
	i := h.rand.IntN(h.w.Keys)
	keys := []string{h.w.key(i)}
	if h.w.Keys > 1 && h.rand.IntN(2) == 0 {
		keys = append(keys, h.w.key((i+1)%h.w.Keys))
	}
	if _, err := h.must(append([]string{"WATCH"}, keys...)...); err != nil {
		return err
	}
	v, err := h.must(append([]string{"MGET"}, keys...)...)
	if err != nil {
		return err
	}
	have, err := integers(v)
	if err != nil {
		return err
	}
	var sets [][]string
	for i, key := range keys {
		sets = append(sets, []string{"SET", key, strconv.FormatInt(have[i]+1, 10)})
	}
	v, err = h.transact(sets...)
	if err != nil {
		return err
	}
	if v.Null {
		h.tally.Aborted++
		return nil
	}
	h.tally.Done++
	h.tally.Read += len(keys)
	return nil
}
