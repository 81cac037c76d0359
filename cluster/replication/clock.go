package replication

import "time"

// tick is the period of what is looked after by the clock.
const tick = 100 * time.Millisecond

// keepTime looks after what happens because time goes by.
func (n *Node) keepTime() {
	defer n.ended.Done()
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			n.failoverStep()
			if now.Sub(n.lastSecond) >= time.Second {
				n.lastSecond = now
				n.second(now)
			}
		case <-n.ctx.Done():
			return
		}
	}
}

// second is called every second.
func (n *Node) second(now time.Time) {
	settings := n.o.Settings
	n.countGood()
	patience := time.Duration(settings.Int("repl-timeout")) * time.Second
	any := false
	for _, r := range n.all() {
		s, there := r.is()
		if !there {
			continue
		}
		any = true
		switch {
		case s == waiting:
			r.say("\n") // it lives, and so do we
		case s == copying && r.stuck(now) > patience:
			n.log.Warn("a replica does not read its snapshot: disconnecting it", "replica", r.name())
			r.link.Disconnect()
			r.Gone()
		case s == online && r.wishes.Named && r.lag(now) > patience:
			n.log.Warn("a replica is silent: disconnecting it", "replica", r.name(), "seconds", r.lag(now).Seconds())
			r.link.Disconnect()
			r.Gone()
		}
	}
	host, _, _ := n.follows()
	if host != "" {
		return
	}
	if any {
		if period := time.Duration(settings.Int("repl-ping-replica-period")) * time.Second; now.Sub(n.lastPing) >= period && !n.failingOver() && !n.stopping.Load() {
			n.lastPing = now
			n.feed.ping()
		}
		return
	}
	n.mu.Lock()
	alone := now.Sub(n.alone)
	n.mu.Unlock()
	if ttl := settings.Int("repl-backlog-ttl"); ttl > 0 && alone > time.Duration(ttl)*time.Second {
		n.post(n.closeFeed)
	}
}

// closeFeed lets go of the backlog, if there are still no replicas. Whoever had the
// history does not any more. Only work calls it.
func (n *Node) closeFeed() {
	f := n.feed
	n.o.Host.Exclusive(func() {
		if len(n.all()) > 0 {
			return
		}
		f.mu.Lock()
		was := f.last != nil && !f.relayed
		if was {
			f.first, f.last = nil, nil
			f.history, f.old, f.oldEnd = newHistory(), noHistory, -1
		}
		f.mu.Unlock()
		if was {
			f.on.Store(false)
			n.o.Host.Record(false)
			n.o.Host.Undivided(false)
			n.log.Info("the backlog is gone: there were no replicas for long")
		}
	})
}

// countGood tells how many replicas are there and not too far behind.
func (n *Node) countGood() {
	most := time.Duration(n.o.Settings.Int("min-replicas-max-lag")) * time.Second
	now, good := time.Now(), 0
	for _, r := range n.all() {
		if s, there := r.is(); there && s == online && r.lag(now) <= most {
			good++
		}
	}
	n.o.Host.SetGoodReplicas(good)
}
