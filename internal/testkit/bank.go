package testkit

import (
	"context"
	"fmt"
	"strconv"
)

// accountOpening is what every account of Bank holds in the beginning.
const accountOpening = 1000

// Bank moves money between accounts on all shards and checks that none is ever made
// or lost, as far as any client can see.
//
// Half of the clients transfer: by INCRBY and DECRBY in a plain MULTI/EXEC, or by
// reading under WATCH and writing the new balances. The others read all accounts:
// by MGET, by GETs in MULTI/EXEC, or as somebody who transfers nothing.
func (w Workload) Bank(ctx context.Context) (Tally, error) {
	w = w.withDefaults("bank:")
	open := []string{"MSET"}
	for _, key := range w.keys() {
		open = append(open, key, strconv.Itoa(accountOpening))
	}
	total := int64(w.Keys) * accountOpening
	if _, err := w.once(open); err != nil {
		return Tally{}, err
	}
	tally, err := w.run(ctx, func(h *hand) error {
		switch {
		case h.n%2 == 1:
			return h.audit(total)
		case h.rand.IntN(2) == 0:
			return h.transferPlain()
		default:
			return h.transferWatching()
		}
	})
	if err != nil {
		return tally, err
	}
	last, err := w.once(append([]string{"MGET"}, w.keys()...))
	if err == nil && sum(last) != total {
		err = fmt.Errorf("%d in all accounts in the end, want %d", sum(last), total)
	}
	return tally, err
}

// two returns two different keys and an amount.
func (h *hand) two() (from, to string, amount int64) {
	i := h.rand.IntN(h.w.Keys)
	j := (i + 1 + h.rand.IntN(h.w.Keys-1)) % h.w.Keys
	return h.w.key(i), h.w.key(j), 1 + h.rand.Int64N(50)
}

func (h *hand) transferPlain() error {
	from, to, amount := h.two()
	by := strconv.FormatInt(amount, 10)
	v, err := h.transact([]string{"DECRBY", from, by}, []string{"INCRBY", to, by})
	if err == nil && v.Null {
		err = fmt.Errorf("EXEC without WATCH was aborted")
	}
	h.tally.Done++
	return err
}

func (h *hand) transferWatching() error {
	from, to, amount := h.two()
	if _, err := h.must("WATCH", from, to); err != nil {
		return err
	}
	v, err := h.must("MGET", from, to)
	if err != nil {
		return err
	}
	have, err := integers(v)
	if err != nil {
		return err
	}
	v, err = h.transact(
		[]string{"SET", from, strconv.FormatInt(have[0]-amount, 10)},
		[]string{"SET", to, strconv.FormatInt(have[1]+amount, 10)},
	)
	if err != nil {
		return err
	}
	if v.Null {
		h.tally.Aborted++
	} else {
		h.tally.Done++
	}
	return nil
}

// audit reads all accounts at once and adds them up.
func (h *hand) audit(want int64) error {
	keys := h.w.keys()
	h.rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	how := "MGET"
	var balances []int64
	var err error
	if h.rand.IntN(3) == 0 {
		how = "EXEC of GETs"
		gets := make([][]string, len(keys))
		for i, key := range keys {
			gets[i] = []string{"GET", key}
		}
		v, failed := h.transact(gets...)
		if failed != nil {
			return failed
		}
		balances, err = integers(v)
	} else {
		v, failed := h.must(append([]string{"MGET"}, keys...)...)
		if failed != nil {
			return failed
		}
		balances, err = integers(v)
	}
	if err != nil {
		return err
	}
	h.tally.Read++
	if sum(balances) != want {
		return fmt.Errorf("%s saw %d in all accounts, want %d: %v", how, sum(balances), want, balances)
	}
	return nil
}
