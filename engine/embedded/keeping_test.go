package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/testkit"
	"hyperkv/persist/datadir"
	"hyperkv/persist/wal"
	"hyperkv/resp"
)

// kept opens a store on a directory.
func kept(t testing.TB, dir string, settings map[string]string) *KV {
	t.Helper()
	all := map[string]string{"data_dir": dir, "enable_debug_command": "yes"}
	maps.Copy(all, settings)
	return open(t, all)
}

// does runs a command that must not fail.
func does(t testing.TB, kv *KV, line string) resp.Value {
	t.Helper()
	v, err := kv.Do(strings.Fields(line)...)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return v
}

// What was done is there again, whatever was switched on and off meanwhile, on any number of
// shards, and in whichever way it is kept.
func TestKept(t *testing.T) {
	for name, settings := range map[string]map[string]string{
		"log and snapshots": nil,
		"always":            {"aof_fsync_policy": "always"},
		"log":               {"snapshot_enabled": "no"},
		"snapshots":         {"aof_enabled": "no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "new", "folder")
			digest := ""
			for life, threads := range []string{"1", "3", "2"} {
				all := map[string]string{"worker_threads": threads}
				maps.Copy(all, settings)
				kv := kept(t, dir, all)
				if got := does(t, kv, "DEBUG DIGEST").Text(); life > 0 && got != digest {
					t.Fatalf("life %d begins with %s, and the one before ended with %s", life, got, digest)
				}
				for i := range 100 {
					for _, line := range []string{
						"INCR counter", "SET k# v", "HSET hash f# v", "RPUSH list #", "ZADD zset # m#", "XADD stream * f #",
						"SADD set# a b c", "EXPIRE k# 1000", "MSET a# 1 b# 2 c# 3",
					} {
						does(t, kv, strings.ReplaceAll(line, "#", strconv.Itoa(i*(life+1))))
					}
					switch i {
					case 30:
						does(t, kv, "SAVE")
					case 60:
						if name == "log" {
							does(t, kv, "CONFIG SET appendonly no")
						}
					case 80:
						if name == "log" {
							does(t, kv, "CONFIG SET appendonly yes")
						}
					}
				}
				digest = does(t, kv, "DEBUG DIGEST").Text()
				if err := kv.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A directory belongs to one store at a time, and can be had again after everything that may
// go wrong with one.
func TestKeptByOne(t *testing.T) {
	dir := t.TempDir()
	kv := kept(t, dir, nil)
	does(t, kv, "SET a 1")
	var used *datadir.InUseError
	if _, err := Open(map[string]string{"data_dir": dir}); !errors.As(err, &used) || used.Holder.Command != "embedded" || used.Holder.PID != os.Getpid() {
		t.Errorf("a second store: %v", err)
	}
	if err := kv.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenContext(ctx, Options{Settings: map[string]string{"data_dir": dir}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a start that nobody waits for: %v", err)
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "journal", "*", "wal-*.log"))
	whole := map[string][]byte{}
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		whole[name] = text
		if err := os.WriteFile(name, []byte("this is not a log"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var damage *wal.DamageError
	if _, err := Open(map[string]string{"data_dir": dir}); !errors.As(err, &damage) {
		t.Errorf("damaged logs: %v", err)
	}
	for name, text := range whole {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if v := does(t, kept(t, dir, nil), "GET a"); v.Text() != "1" {
		t.Errorf("a is %s", v)
	}
}

// Without a directory nothing is kept, and nothing is said to be.
func TestNotKept(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"appendonly", "aof_enabled", "snapshot_enabled"} {
		if _, err := Open(map[string]string{name: "yes"}); err == nil || !strings.Contains(err.Error(), "there is no data_dir") {
			t.Errorf("%s: %v", name, err)
		}
	}
	kv := open(t, nil)
	does(t, kv, "SET a 1")
	for _, line := range []string{"CONFIG SET appendonly yes", "SAVE"} {
		if _, err := kv.Do(strings.Fields(line)...); err == nil {
			t.Errorf("%s is OK", line)
		}
	}
	if err := kv.Close(); err != nil {
		t.Error(err)
	}
	if names, _ := filepath.Glob("*"); names != nil {
		t.Errorf("there are files: %q", names)
	}
}

// The log may be switched while goroutines are in the middle of commands.
func TestKeptWhileSwitched(t *testing.T) {
	dir := t.TempDir()
	for life, policy := range []string{"always", "everysec"} {
		kv := kept(t, dir, map[string]string{"aof_fsync_policy": policy, "worker_threads": strconv.Itoa(life + 2)})
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for i := range 8 {
			wg.Go(func() {
				for n := 1; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					if v, err := kv.Do("INCR", fmt.Sprint(life, ":", i)); err != nil || v.Int != int64(n) {
						t.Errorf("%v %v, want %d", v, err, n)
						return
					}
				}
			})
		}
		for range 6 {
			for _, on := range []string{"no", "yes"} {
				does(t, kv, "CONFIG SET appendonly "+on)
				time.Sleep(20 * time.Millisecond)
			}
		}
		close(stop)
		wg.Wait()
		digest := does(t, kv, "DEBUG DIGEST").Text()
		if err := kv.Close(); err != nil {
			t.Fatal(err)
		}
		kv = kept(t, dir, nil)
		if got := does(t, kv, "DEBUG DIGEST").Text(); got != digest {
			t.Errorf("%s: the digest is %s, and was %s", policy, got, digest)
		}
		if err := kv.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A log that has just been switched on is completed before the end.
func TestKeptWhenSwitchedOnLast(t *testing.T) {
	for _, pause := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond} {
		dir := t.TempDir()
		without := map[string]string{"aof_enabled": "no", "snapshot_enabled": "no"}
		kv := kept(t, dir, without)
		for i := range 20_000 {
			does(t, kv, "SET key"+strconv.Itoa(i)+" value")
		}
		does(t, kv, "CONFIG SET appendonly yes")
		time.Sleep(pause)
		if err := kv.Close(); err != nil {
			t.Fatal(err)
		}
		kv = kept(t, dir, without)
		if n := does(t, kv, "DBSIZE").Int; n != 20_000 {
			t.Errorf("closed after %v: %d keys", pause, n)
		}
		if err := kv.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What makes this test binary a program that uses a store.
const (
	childDir    = "HYPERKV_TEST_EMBEDDED_DIR"
	childPolicy = "HYPERKV_TEST_EMBEDDED_POLICY"
	childTasks  = 8
)

// child counts until it is killed or the store fails. It says what it has been told:
// "task count" for each command that was done, and "error text" in the end.
func child(dir, policy string) (code int) {
	kv, err := Open(map[string]string{"data_dir": dir, "aof_fsync_policy": policy})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("open")
	failures := make(chan error)
	for task := range childTasks {
		go func() { failures <- count(kv, task) }()
	}
	err = <-failures
	_, again := kv.Do("GET", "counter:0")
	_, client := kv.Client()
	fmt.Printf("error %v; %v; %v; %v\n", err, again, client, kv.Close())
	return 0
}

// count does the same number of things in several shards, as one transaction.
func count(kv *KV, task int) error {
	c, err := kv.Client()
	if err != nil {
		return err
	}
	for {
		for _, line := range []string{"MULTI", "INCR counter:#", "RPUSH list:# x", "HINCRBY hash:# f 1", "EXEC"} {
			v, err := c.Do(strings.Fields(strings.ReplaceAll(line, "#", strconv.Itoa(task)))...)
			if err == nil {
				err = v.Err()
			}
			if err != nil {
				return err
			}
			if line == "EXEC" {
				fmt.Println(task, v.Elems[0].Int)
			}
		}
	}
}

// A parent knows what its children have been told, and what they say in the end.
type parent struct {
	acked [childTasks]int64
	said  string
}

// runs runs a child until it ends, and calls opened meanwhile.
func (p *parent) runs(t *testing.T, dir, policy string, opened func(pid int)) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), childDir+"="+dir, childPolicy+"="+policy)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	p.said = ""
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err != nil { // what is not whole was not said
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		var task int
		var count int64
		switch n, _ := fmt.Sscan(line, &task, &count); {
		case n == 2:
			p.acked[task] = count
		case line == "open\n":
			go opened(cmd.Process.Pid)
		default:
			p.said += line
		}
	}
	_ = cmd.Wait()
}

// check opens the store and looks whether all is there that a child was told.
func (p *parent) check(t *testing.T, dir string) {
	t.Helper()
	kv := kept(t, dir, nil)
	for task := range childTasks {
		var counts [3]int64
		for i, line := range []string{"INCRBY counter:%d 0", "LLEN list:%d", "HINCRBY hash:%d f 0"} {
			counts[i] = does(t, kv, fmt.Sprintf(line, task)).Int
		}
		if n := counts[0]; counts != [3]int64{n, n, n} || n < p.acked[task] || n > p.acked[task]+1 {
			t.Errorf("task %d has %v, and was told of %d", task, counts, p.acked[task])
		}
		p.acked[task] = counts[0]
	}
	if err := kv.Close(); err != nil {
		t.Error(err)
	}
}

// A program that is killed has lost nothing that it was told was done.
func TestKeptWhenKilled(t *testing.T) {
	for _, policy := range []string{"always", "everysec", "no"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			dir, p := t.TempDir(), parent{}
			random := rand.New(rand.NewPCG(testkit.Seed(t), 0))
			for range 4 {
				p.runs(t, dir, policy, func(pid int) {
					time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
					_ = syscall.Kill(pid, syscall.SIGKILL)
				})
				p.check(t, dir)
			}
			total := int64(0)
			for _, n := range p.acked {
				total += n
			}
			if total == 0 || p.said != "" {
				t.Errorf("%d commands were done, and it was said: %s", total, p.said)
			}
		})
	}
}

// When the disk fails, a command says so whose promise cannot be kept; with always the store
// ends. What was promised before is there.
func TestKeptWhenDiskFails(t *testing.T) {
	testkit.MayTrace(t)
	for _, c := range []struct{ policy, rule, want string }{
		{"always", "fdatasync:error=EIO", fmt.Sprintf("error %v; %v; %v; ", ErrLost, ErrLost, ErrLost)},
		{"everysec", "pwrite64:error=ENOSPC", fmt.Sprintf("error %v; <nil>; <nil>; ", ErrNotKept)},
	} {
		t.Run(c.policy, func(t *testing.T) {
			t.Parallel()
			dir, p := t.TempDir(), parent{}
			p.runs(t, dir, c.policy, func(pid int) { testkit.Inject(t, pid, c.rule) })
			if said, _ := strings.CutPrefix(p.said, strings.Split(c.want, ";")[0]); !strings.HasPrefix(p.said, c.want) || said == "" {
				t.Errorf("it was said: %swant %s…", p.said, c.want)
			}
			p.check(t, dir)
		})
	}
}

// One who waits in a command is told that the store has ended.
func TestLostWhileBlocked(t *testing.T) {
	kv := kept(t, t.TempDir(), map[string]string{"aof_fsync_policy": "always"})
	c, err := kv.Client()
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 2)
	go func() { _, err := c.Do("BLPOP", "nothing", "0"); over <- err }()
	go func() { _, err := kv.Do("BLPOP", "nothing", "0"); over <- err }()
	for len(kv.engine.Clients()) < 2 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	kv.lose(errors.New("test"))
	for range 2 {
		if err := <-over; err != ErrLost && err != engine.ErrClosed {
			t.Error(err)
		}
	}
	if _, err := kv.Do("PING"); err != ErrLost {
		t.Error(err)
	}
}
