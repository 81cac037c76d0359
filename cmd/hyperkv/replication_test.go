package main

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A replica has what its primary has, whoever of the two is a Redis, while clients
// write everything there is and the link is cut in the middle; and it goes on where it
// was if the backlog allows it.
func TestReplication(t *testing.T) {
	f := func(name, from, to string, flags ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary := startNode(t, from, append([]string{"--repl-backlog-size", "8mb"}, flags...)...)
			replica := startNode(t, to)
			link := startProxy(t, primary.Addr)
			primary.do(t, "DEBUG", "POPULATE", "2000", "many", "200")
			forms := known
			if from != "redis" && to != "redis" {
				forms = beyond
			}
			l := startTraffic(t, primary.Addr, 3, forms...)
			replica.follow(t, link.addr())
			eventually(t, "the link is up", func() bool { return replica.info(t, "master_link_status") == "up" })
			// FLUSHALL ends a snapshot of Redis, so that there may have been several.
			before := primary.number(t, "sync_full")
			r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
			rounds, written := 3, int64(0)
			if long() {
				rounds = 40
			}
			for range rounds {
				for range 1 + r.IntN(3) {
					time.Sleep(time.Duration(r.IntN(150)) * time.Millisecond)
					link.cut()
				}
				time.Sleep(100 * time.Millisecond)
				l.end()
				written += l.count.Load()
				equal(t, primary, replica)
				l = startTraffic(t, primary.Addr, 3, forms...)
			}
			l.end()
			equal(t, primary, replica)
			full, partial := primary.number(t, "sync_full")-before, primary.number(t, "sync_partial_ok")
			t.Logf("%d full syncs, %d partial", full, partial)
			if full > 0 || partial < rounds {
				t.Errorf("%d full syncs and %d partial ones, of %d rounds", full, partial, rounds)
			}
			if written < 500 {
				t.Errorf("only %d commands", written)
			}
		})
	}
	f("redis to hyperkv", "redis", "hyperkv2")
	f("redis to hyperkv, by disk", "redis", "hyperkv3", "--repl-diskless-sync", "no")
	f("hyperkv1 to redis", "hyperkv1", "redis")
	f("hyperkv2 to redis", "hyperkv2", "redis")
	f("hyperkv3 to redis, by disk", "hyperkv3", "redis", "--repl-diskless-sync", "no")
	f("hyperkv to hyperkv", "hyperkv2", "hyperkv3")
}
