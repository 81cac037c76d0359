package testkit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"hyperkv/resp"
)

const (
	// linearKeys are few, so that operations meet; a state holds them all.
	linearKeys = 4

	// roundOps is how many operations a client does in one history. The search for
	// an order grows with it, and a short history in many rounds finds as much.
	roundOps = 25

	// orderPatience bounds the search for an order of one history.
	orderPatience = 10 * time.Second
)

var errNotLinearizable = errors.New("no order of these operations explains their replies")

// Linear records short histories of commands and transactions on a few keys and
// searches for an order in which a single map would have given the same replies, no
// operation being before its call or after its return.
//
// An operation is one command, a MULTI/EXEC, or what a successful EXEC under WATCH
// stands for: the reads since WATCH and its writes, all at the moment of EXEC.
func (w Workload) Linear(ctx context.Context) (Tally, error) {
	if w.Clients == 0 {
		w.Clients = 5 // the search grows with how many overlap
	}
	w.Keys = linearKeys
	w = w.withDefaults("linear:")
	conns := make([]*Conn, w.Clients)
	for i := range conns {
		c, err := Dial(w.Network, w.Addr)
		if err != nil {
			return Tally{}, err
		}
		defer c.Close()
		conns[i] = c
	}
	var tally Tally
	undecided := 0
	began := time.Now()
	for round := uint64(0); time.Since(began) < w.Duration && ctx.Err() == nil; round++ {
		history, aborted, err := w.history(conns, round)
		if err != nil {
			return tally, err
		}
		tally.Done += len(history)
		tally.Aborted += aborted
		switch porcupine.CheckOperationsTimeout(linearModel, history, orderPatience) {
		case porcupine.Ok:
			tally.Read++
		case porcupine.Unknown:
			undecided++
		case porcupine.Illegal:
			return tally, fmt.Errorf("round %d: %w:\n%s", round, errNotLinearizable, describe(history))
		}
	}
	if undecided > tally.Read {
		return tally, fmt.Errorf("%d of %d histories could not be decided in %v each",
			undecided, undecided+tally.Read, orderPatience)
	}
	return tally, nil
}

// history lets all clients work at once on empty keys.
func (w Workload) history(conns []*Conn, round uint64) (all []porcupine.Operation, aborted int, err error) {
	if _, err := w.once(append([]string{"DEL"}, w.keys()...)); err != nil {
		return nil, 0, err
	}
	var mu sync.Mutex // guards what the clients leave behind
	var wg sync.WaitGroup
	began := time.Now()
	for n, conn := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := &recorder{
				Conn: conn, w: w, client: n, began: began,
				rand: rand.New(rand.NewPCG(w.Seed+round, uint64(n))),
			}
			failed := error(nil)
			for range roundOps {
				if failed = r.act(); failed != nil {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, r.ops...)
			aborted += r.aborted
			if failed != nil && err == nil {
				err = failed
			}
		}()
	}
	wg.Wait()
	return all, aborted, err
}

// A recorder is one client that writes down what it did and saw. Owned by its
// goroutine.
type recorder struct {
	*Conn
	w       Workload
	client  int
	began   time.Time
	rand    *rand.Rand
	ops     []porcupine.Operation
	aborted int
}

// An atom is an operation: commands that happen at once.
type atom [][]string

func (r *recorder) act() error {
	switch r.rand.IntN(6) {
	case 0, 1:
		return r.transaction(nil, nil)
	case 2:
		return r.watching()
	default:
		command := r.command()
		call := r.now()
		v, err := r.Do(command...)
		if err != nil {
			return err
		}
		r.note(call, atom{command}, []string{v.String()})
		return nil
	}
}

// transaction does one to three commands in MULTI/EXEC. What was read under WATCH
// before is part of the operation.
func (r *recorder) transaction(reads atom, seen []string) error {
	commands := make(atom, 1+r.rand.IntN(3))
	wire := resp.AppendCommandString(nil, "MULTI")
	for i := range commands {
		commands[i] = r.command()
		wire = resp.AppendCommandString(wire, commands[i]...)
	}
	if err := r.Write(wire); err != nil {
		return err
	}
	for range len(commands) + 1 {
		v, err := r.Receive(replyPatience)
		if err == nil {
			err = v.Err()
		}
		if err != nil {
			return err
		}
	}
	call := r.now()
	v, err := r.Do("EXEC")
	if err == nil {
		err = v.Err()
	}
	switch {
	case err != nil:
		return err
	case v.Null && reads == nil:
		return errors.New("EXEC without WATCH was aborted")
	case v.Null:
		r.aborted++
		return nil
	}
	replies := slices.Clone(seen)
	for _, e := range v.Elems {
		replies = append(replies, e.String())
	}
	r.note(call, slices.Concat(reads, commands), replies)
	return nil
}

// watching reads one or two keys under WATCH and goes on with a transaction.
func (r *recorder) watching() error {
	keys := []string{r.key()}
	if r.rand.IntN(2) == 0 {
		keys = append(keys, r.key())
	}
	if _, err := r.must(append([]string{"WATCH"}, keys...)...); err != nil {
		return err
	}
	var reads atom
	var seen []string
	for _, key := range keys {
		command := []string{"GET", key}
		call := r.now()
		v, err := r.Do(command...)
		if err != nil {
			return err
		}
		reply := v.String()
		r.note(call, atom{command}, []string{reply})
		reads, seen = append(reads, command), append(seen, reply)
	}
	return r.transaction(reads, seen)
}

func (r *recorder) now() int64 { return int64(time.Since(r.began)) }

func (r *recorder) note(call int64, what atom, replies []string) {
	r.ops = append(r.ops, porcupine.Operation{
		ClientId: r.client, Input: what, Call: call, Output: replies, Return: r.now(),
	})
}

func (r *recorder) key() string { return r.w.key(r.rand.IntN(linearKeys)) }

// command makes a random command that apply knows.
func (r *recorder) command() []string {
	value := func() string { return strconv.Itoa(r.rand.IntN(1000)) }
	switch r.rand.IntN(10) {
	case 0, 1:
		return []string{"GET", r.key()}
	case 2:
		return append([]string{"MGET"}, r.w.keys()...)
	case 3:
		return []string{"SET", r.key(), value()}
	case 4:
		return []string{"GETSET", r.key(), value()}
	case 5:
		return []string{"INCRBY", r.key(), value()}
	case 6:
		return []string{"MSET", r.key(), value(), r.key(), value()}
	case 7:
		return []string{"MSETNX", r.key(), value(), r.key(), value()}
	case 8:
		return []string{"RENAME", r.key(), r.key()}
	default:
		return []string{"DEL", r.key(), r.key()}
	}
}

// A linearState is the value of each key, "" being absent.
type linearState [linearKeys]string

var linearModel = porcupine.Model{
	Init: func() any { return linearState{} },
	Step: func(state, input, output any) (bool, any) {
		s := state.(linearState)
		replies := output.([]string)
		for i, command := range input.(atom) {
			if s.apply(command) != replies[i] {
				return false, state
			}
		}
		return true, s
	},
}

// apply runs a command on the slow, obvious map and returns its reply as redis-cli
// shows it. Keys end in their number.
func (s *linearState) apply(args []string) string {
	at := func(i int) *string { return &s[args[i][len(args[i])-1]-'0'] }
	show := func(value string) string {
		if value == "" {
			return "(nil)"
		}
		return `"` + value + `"`
	}
	switch args[0] {
	case "GET":
		return show(*at(1))
	case "MGET":
		var lines []string
		for i := range args[1:] {
			lines = append(lines, fmt.Sprintf("%d) %s", i+1, show(*at(i + 1))))
		}
		return strings.Join(lines, "\n")
	case "SET":
		*at(1) = args[2]
		return "OK"
	case "GETSET":
		old := *at(1)
		*at(1) = args[2]
		return show(old)
	case "INCRBY":
		have, _ := strconv.ParseInt("0"+*at(1), 10, 64) // values are never negative
		by, _ := strconv.ParseInt(args[2], 10, 64)
		*at(1) = strconv.FormatInt(have+by, 10)
		return "(integer) " + *at(1)
	case "MSET", "MSETNX":
		if args[0] == "MSETNX" && (*at(1) != "" || *at(3) != "") {
			return "(integer) 0"
		}
		*at(1) = args[2]
		*at(3) = args[4]
		if args[0] == "MSETNX" {
			return "(integer) 1"
		}
		return "OK"
	case "RENAME":
		value := *at(1)
		if value == "" {
			return "(error) ERR no such key"
		}
		*at(1) = ""
		*at(2) = value
		return "OK"
	case "DEL":
		n := 0
		for i := range args[1:] {
			if *at(i + 1) != "" {
				*at(i + 1) = ""
				n++
			}
		}
		return "(integer) " + strconv.Itoa(n)
	default:
		return "(no such command in the model)"
	}
}

// describe tells a history in the order of its calls.
func describe(history []porcupine.Operation) string {
	history = slices.Clone(history)
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range history {
		fmt.Fprintf(&b, "%9.3f..%9.3f ms  client %d", float64(op.Call)/1e6, float64(op.Return)/1e6, op.ClientId)
		for i, command := range op.Input.(atom) {
			reply := strings.ReplaceAll(op.Output.([]string)[i], "\n", " ")
			fmt.Fprintf(&b, "  %s -> %s;", Quote(command...), reply)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
