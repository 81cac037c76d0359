// Package embedded is HyperKV as a library: a whole server inside the process,
// without a socket.
//
//	kv, err := embedded.Open(map[string]string{"data_dir": "greetings"})
//	defer kv.Close()
//	kv.Set("greeting", []byte("hello"))
//
// Without data_dir the data is in memory only. With it, it is kept like a server's, in the same
// files: a method returns when what it has done is as safe as aof_fsync_policy says.
//
// A KV may be used by any number of goroutines; each of them that wants
// transactions of its own, or commands beside each other on several cores, opens
// a Client.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/engine"
	"hyperkv/engine/durable"
	"hyperkv/internal/config"
	"hyperkv/resp"
)

// KV is an open store. Safe for concurrent use.
type KV struct {
	engine *engine.Engine
	data   *durable.Data // nil: the data is in memory only
	// commits is held for reading by those who may use the log.
	commits sync.RWMutex
	lost    atomic.Bool // see ErrLost

	mu sync.Mutex // guards what follows
	// idle are sessions of the store's own that nobody uses at the moment. There
	// are as many as there were callers at one time.
	idle []*engine.Client
	// all are the sessions that Close has to end; those that have ended already
	// are looked for when there are sweepAt of them.
	all     []*engine.Client
	sweepAt int
	closed  bool
}

// sweepMin is the least number of sessions that are worth a sweep.
const sweepMin = 64

// ErrClosed is returned once the store was closed.
var ErrClosed = errors.New("the store is closed")

// Options are what a store is opened with.
type Options struct {
	// Settings are named as in the configuration file ("max_memory": "512MB"); those that are
	// not there have their defaults. The data is kept in data_dir, and in memory only if that
	// is not set. Settings of listeners, logs and metrics have no effect.
	Settings map[string]string
	Log      *slog.Logger // nil: discard
}

// Open is OpenContext with settings alone; nil means the defaults.
func Open(settings map[string]string) (*KV, error) {
	return OpenContext(context.Background(), Options{Settings: settings})
}

// OpenContext starts a store. If there is data in data_dir it is recovered first, unless ctx
// ends before. One store, or server, has a data_dir at a time: the error is about that, or says
// what is damaged and where. Close it when done.
func OpenContext(ctx context.Context, o Options) (*KV, error) {
	all := map[string]string{}
	for name, value := range o.Settings {
		if k := config.Lookup(name); k != nil {
			name = k.Name
		}
		all[name] = value
	}
	_, keep := all["data_dir"]
	if !keep {
		for _, name := range []string{"aof_enabled", "snapshot_enabled"} {
			if _, set := all[name]; !set {
				all[name] = "no"
			}
		}
	}
	cfg, err := config.FromMap(all)
	if err != nil {
		return nil, err
	}
	if !keep && (cfg.AOFEnabled || cfg.SnapshotEnabled) {
		return nil, errors.New("aof_enabled, snapshot_enabled: there is no data_dir to keep anything in")
	}
	e, err := engine.New(engine.Options{Config: cfg, Families: Families(), Log: o.Log})
	if err != nil {
		return nil, err
	}
	kv := &KV{engine: e}
	if keep {
		err = kv.keep(ctx, cfg, o.Log)
	} else {
		e.Params.OnChange("appendonly", onlyWithFolder)
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	return kv, nil
}

// Close stops the store and gives its memory back. What it keeps is durable then, whatever
// aof_fsync_policy says; an error is why it may not be.
func (kv *KV) Close() error {
	kv.mu.Lock()
	if kv.closed {
		kv.mu.Unlock()
		return nil
	}
	kv.closed = true
	all := kv.all
	kv.all, kv.idle = nil, nil
	kv.mu.Unlock()
	kv.disconnect() // whoever waits in a command, or blocks in one, is told
	for _, c := range all {
		c.Close()
	}
	if kv.data == nil {
		kv.engine.Close()
		return nil
	}
	err := kv.data.Settle()
	kv.engine.Close()
	return errors.Join(err, kv.data.Close())
}

// disconnect ends all sessions.
func (kv *KV) disconnect() {
	for _, s := range kv.engine.Clients() {
		s.Kill(nil)
	}
}

// Client opens a session of its own, for transactions or for a goroutine that
// sends many commands. Close it when done.
func (kv *KV) Client() (*engine.Client, error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if err := kv.over(); err != nil {
		return nil, err
	}
	c, err := kv.engine.NewClient()
	if err != nil {
		return nil, err
	}
	if kv.data != nil {
		c.Kept = kv.kept
	}
	if len(kv.all) >= max(kv.sweepAt, sweepMin) {
		kv.all = slices.DeleteFunc(kv.all, (*engine.Client).Closed)
		kv.sweepAt = 2 * len(kv.all)
	}
	kv.all = append(kv.all, c)
	return c, nil
}

// over is why nothing can be done with the store any more. mu is held.
func (kv *KV) over() error {
	switch {
	case kv.closed:
		return ErrClosed
	case kv.lost.Load():
		return ErrLost
	}
	return nil
}

// borrow returns a session for one command.
func (kv *KV) borrow() (*engine.Client, error) {
	kv.mu.Lock()
	for len(kv.idle) > 0 {
		c := kv.idle[len(kv.idle)-1]
		kv.idle = kv.idle[:len(kv.idle)-1]
		if !c.Closed() { // by CLIENT KILL, say
			kv.mu.Unlock()
			return c, nil
		}
	}
	kv.mu.Unlock()
	return kv.Client()
}

func (kv *KV) giveBack(c *engine.Client) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if !kv.closed {
		kv.idle = append(kv.idle, c)
	}
}

// Do runs any command and returns its reply; an error reply is returned as a
// resp.Error. What a command does to its session (SELECT, MULTI, WATCH) ends with
// it: use a Client for that.
func (kv *KV) Do(args ...string) (resp.Value, error) {
	return kv.do(func(c *engine.Client) (resp.Value, error) { return c.Do(args...) })
}

func (kv *KV) do(run func(c *engine.Client) (resp.Value, error)) (resp.Value, error) {
	c, err := kv.borrow()
	if err != nil {
		return resp.Value{}, err
	}
	v, err := run(c)
	if err == nil {
		err = v.Err()
	}
	if errors.Is(err, engine.ErrClosed) {
		kv.mu.Lock()
		defer kv.mu.Unlock()
		if over := kv.over(); over != nil {
			err = over
		}
		return v, err
	}
	if c.Fresh() {
		kv.giveBack(c)
	} else {
		c.Close()
	}
	return v, err
}

func (kv *KV) doBytes(args ...[]byte) (resp.Value, error) {
	return kv.do(func(c *engine.Client) (resp.Value, error) { return c.DoBytes(args...) })
}

// Set stores a value under key, for good.
func (kv *KV) Set(key string, value []byte) error {
	_, err := kv.doBytes([]byte("SET"), []byte(key), value)
	return err
}

// SetFor stores a value under key that expires after ttl, which is rounded up to
// a millisecond.
func (kv *KV) SetFor(key string, value []byte, ttl time.Duration) error {
	_, err := kv.doBytes([]byte("SET"), []byte(key), value, []byte("PX"), millis(ttl))
	return err
}

// Get returns the value of key; found is false when there is none.
func (kv *KV) Get(key string) (value []byte, found bool, err error) {
	v, err := kv.doBytes([]byte("GET"), []byte(key))
	if err != nil || v.Null {
		return nil, false, err
	}
	return v.Str, true, nil
}

// Delete removes keys and returns how many there were.
func (kv *KV) Delete(keys ...string) (int, error) { return kv.count("DEL", keys) }

// Exists returns how many of the keys there are.
func (kv *KV) Exists(keys ...string) (int, error) { return kv.count("EXISTS", keys) }

func (kv *KV) count(command string, keys []string) (int, error) {
	v, err := kv.Do(append([]string{command}, keys...)...)
	return int(v.Int), err
}

// Expire makes key expire after ttl; it returns false when there is no such key.
func (kv *KV) Expire(key string, ttl time.Duration) (bool, error) {
	v, err := kv.doBytes([]byte("PEXPIRE"), []byte(key), millis(ttl))
	return v.Int == 1, err
}

// Persist takes key's expiry away; it returns false when there was none.
func (kv *KV) Persist(key string) (bool, error) {
	v, err := kv.Do("PERSIST", key)
	return v.Int == 1, err
}

// NoExpiry is what TTL returns for a key that stays for good.
const NoExpiry time.Duration = -1

// TTL returns how long key has left; found is false when there is no such key.
func (kv *KV) TTL(key string) (ttl time.Duration, found bool, err error) {
	v, err := kv.Do("PTTL", key)
	switch {
	case err != nil || v.Int == -2:
		return 0, false, err
	case v.Int == -1:
		return NoExpiry, true, nil
	}
	return time.Duration(v.Int) * time.Millisecond, true, nil
}

// Scan visits every key that matches the glob-style pattern; "" means all. A key
// that comes or goes meanwhile may or may not be visited, any other at least once.
// It stops when visit returns false.
func (kv *KV) Scan(pattern string, visit func(key string) bool) error {
	args := []string{"SCAN", "0", "COUNT", "1000"}
	if pattern != "" {
		args = append(args, "MATCH", pattern)
	}
	for {
		v, err := kv.Do(args...)
		if err != nil {
			return err
		}
		if len(v.Elems) != 2 {
			return fmt.Errorf("unexpected reply to SCAN: %s", v)
		}
		for _, key := range v.Elems[1].Elems {
			if !visit(string(key.Str)) {
				return nil
			}
		}
		if args[1] = string(v.Elems[0].Str); args[1] == "0" {
			return nil
		}
	}
}

func millis(d time.Duration) []byte {
	return strconv.AppendInt(nil, int64((d+time.Millisecond-1)/time.Millisecond), 10)
}
