package main

import (
	"context"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// With the log synced for every reply, connections move from loop to loop as the number of
// processors changes: histories are what they should be while that happens all the time, and
// clients are found wherever they are.
func TestHistoriesWhileConnectionsMove(t *testing.T) {
	s := open(t, testkit.ServerOptions{Shards: 4, Inline: true, Flags: map[string]string{"aof_fsync_policy": "always"}})
	s.processors.Stop() // the test takes its place
	close(s.resting)
	s.processors = nil
	stop, stopped := make(chan bool), make(chan bool)
	defer func() { close(stop); <-stopped }()
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(15 * time.Millisecond):
				s.net.ShareProcessors(4, 1+rand.IntN(4))
			}
		}
	}()
	w := testkit.Workload{Network: "tcp", Addr: s.net.Addr()[0], Duration: time.Second, Seed: 1}
	for _, kind := range []struct {
		name string
		run  func(testkit.Workload, context.Context) (testkit.Tally, error)
	}{
		{"bank", testkit.Workload.Bank}, {"linear", testkit.Workload.Linear}, {"counter", testkit.Workload.Counter},
		{"visible", testkit.Workload.Visible}, {"forward", testkit.Workload.Forward},
	} {
		t.Run(kind.name, func(t *testing.T) {
			over := make(chan bool)
			go func() {
				defer close(over)
				tally, err := kind.run(w, t.Context())
				t.Log(tally)
				if err != nil {
					t.Error(err)
				}
			}()
			hunt(t, s, over)
		})
	}
}

var (
	clientID = regexp.MustCompile(`id=(\d+) `)
	clientFD = regexp.MustCompile(` fd=(\d+) `)
)

// hunt has clients come, move, block, and be killed by others, until it is over.
func hunt(t *testing.T, s *server, over chan bool) {
	killer := dial(t, "tcp", s.net.Addr()[0])
	moves := 0
	for round := 0; ; round++ {
		select {
		case <-over:
			if moves == 0 {
				t.Errorf("in %d rounds no client moved, which proves little", round)
			}
			return
		default:
		}
		victim := dial(t, "tcp", s.net.Addr()[0])
		about := ask(t, victim, "CLIENT", "INFO")
		id, fd := clientID.FindStringSubmatch(about)[1], clientFD.FindStringSubmatch(about)[1]
		for range 60 {
			expect(t, victim, "OK", "SET", "victim", strconv.Itoa(round))
		}
		if clientFD.FindStringSubmatch(ask(t, victim, "CLIENT", "INFO"))[1] != fd {
			moves++
		}
		if round%2 == 0 {
			if err := victim.Send("BLPOP", "nothing", "0"); err != nil {
				t.Error(err)
			}
		}
		expect(t, killer, "(integer) 1", "CLIENT", "KILL", "ID", id)
		if _, err := victim.Receive(5 * time.Second); err == nil {
			t.Error("a client that was killed got a reply")
		}
		victim.Close()
	}
}
