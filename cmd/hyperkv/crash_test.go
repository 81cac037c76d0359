package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// startDurable starts a server that keeps its data in dir.
func startDurable(t *testing.T, dir, policy string, shards int, more ...string) *testkit.Server {
	t.Helper()
	return testkit.StartBinary(t, append(durableFlags(dir, policy, shards), more...)...)
}

func durableFlags(dir, policy string, shards int) []string {
	return []string{"--data-dir", dir, "--aof-fsync-policy", policy, "--worker-threads", strconv.Itoa(shards)}
}

// ownDisk is a folder with a file system of its own, of a size as mount has it.
func ownDisk(t *testing.T, size string) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("a small file system has to be mounted")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("mount: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
}

// kill ends a server at once, if it has not ended.
func kill(t *testing.T, s *testkit.Server) *os.ProcessState {
	t.Helper()
	if err := s.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	state, err := s.Wait(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// writers are those of all lives of a server.
type writers []writer

func newWriters() writers {
	all := make(writers, 8)
	for i := range all {
		all[i].name = "w" + strconv.Itoa(i)
		all[i].deadline.began = time.Now()
	}
	return all
}

// check holds what a server has against what was promised, and starts anew from that.
func (all writers) check(t *testing.T, s *testkit.Server) {
	t.Helper()
	c := dial(t, s.Network, s.Addr)
	for i := range all {
		all[i].check(t, c)
	}
}

// write lets all write at once until wait is called, which returns when the connections
// have broken and says how much was acknowledged.
func (all writers) write(t *testing.T, s *testkit.Server, seed uint64) (wait func() int) {
	t.Helper()
	before := all.acked()
	var wg sync.WaitGroup
	for i := range all {
		conn := dialMortal(t, s)
		if conn == nil {
			break
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			all[i].write(conn, seed+uint64(i)<<32)
		}()
	}
	return func() int {
		wg.Wait()
		return all.acked() - before
	}
}

// dialMortal connects with a server that may end at any moment; nil if it has.
func dialMortal(t *testing.T, s *testkit.Server) *testkit.Conn {
	t.Helper()
	c, err := testkit.Dial(s.Network, s.Addr)
	if err != nil {
		if _, alive := s.Wait(10 * time.Second); alive != nil {
			t.Fatalf("the server is there, and cannot be reached: %v", err)
		}
		return nil
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// saveUntilItEnds takes snapshots all the while, behind which the log is cut.
func saveUntilItEnds(t *testing.T, s *testkit.Server) {
	t.Helper()
	c := dialMortal(t, s)
	if c == nil {
		return
	}
	go func() {
		for {
			if _, err := c.Do("BGSAVE"); err != nil {
				return
			}
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		}
	}()
}

func (all writers) acked() (n int) {
	for i := range all {
		for _, acked := range all[i].acked {
			n += acked
		}
	}
	return n
}

// lives is how often servers end in each of these tests: a few times, or as often as
// HYPERKV_TEST_LIVES says.
func lives(t *testing.T) int {
	t.Helper()
	text := os.Getenv("HYPERKV_TEST_LIVES")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("HYPERKV_TEST_LIVES=%s is no number of lives", text)
	}
	return n
}

// A server that is killed in the middle of anything comes back with all that it has
// acknowledged, whatever the policy, and also with another number of shards.
func TestKilled(t *testing.T) {
	for _, policy := range []string{"always", "everysec", "no"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			dir, all, acked := t.TempDir(), newWriters(), 0
			limit := lives(t)
			shards := 2
			for life := range limit {
				s := startDurable(t, dir, policy, shards)
				all.check(t, s)
				if t.Failed() {
					t.Fatalf("life %d of %d\n%s", life, limit, s.Log())
				}
				wait := all.write(t, s, uint64(life))
				saveUntilItEnds(t, s)
				time.Sleep(time.Duration(30+rand.IntN(400)) * time.Millisecond)
				kill(t, s)
				acked += wait()
				if life%2 == 1 {
					shards = 1 + rand.IntN(4)
				}
			}
			s := startDurable(t, dir, policy, shards)
			all.check(t, s)
			s.Stop()
			endsWell(t, s)
			t.Logf("%d lives, %d writes acknowledged", limit, acked)
			if acked < 100*limit {
				t.Error("that proves little")
			}
		})
	}
}

// The same for servers that end on entering a system call, be it while they start: with
// what came before it done, and nothing of what comes after.
func TestKilledAtCalls(t *testing.T) {
	testkit.MayTrace(t)
	const short, long = 200 * time.Millisecond, 10 * time.Second
	calls := []struct {
		name     string
		max      int           // the one that is a thread's last, at most
		patience time.Duration // for that to come about
	}{
		{"mkdirat", 1, short}, // while it starts
		{"renameat", 2, short},
		{"fsync", 4, short},
		{"fallocate", 2, short},
		{"unlinkat", 2, short},
		{"fdatasync", 40, short},
		{"pwrite64", 40, long}, // while it serves
		{"sendto", 40, long},
	}
	for _, policy := range []string{"always", "everysec"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			dir, all, shards := t.TempDir(), newWriters(), 0
			starting, serving, late := 0, 0, 0
			limit := max(lives(t), len(calls))
			for life := range limit {
				call := calls[life%len(calls)]
				rule := fmt.Sprintf("inject=%s:signal=KILL:when=%d", call.name, 1+rand.IntN(call.max))
				shards = 1 + shards%3 // another number than before, so that it begins new logs
				s, err := testkit.LaunchBinary(t, testkit.Straced(os.DevNull, "-e", "trace="+call.name, "-e", rule), durableFlags(dir, policy, shards)...)
				if err != nil {
					starting++
				} else {
					wait := all.write(t, s, uint64(life))
					saveUntilItEnds(t, s)
					if _, err := s.Wait(call.patience); err == nil {
						serving++
					} else {
						late++
					}
					if state := kill(t, s); !state.Sys().(syscall.WaitStatus).Signaled() {
						t.Fatalf("%s: %v\n%s", rule, state, s.Log())
					}
					wait()
				}
				if rand.IntN(2) == 0 {
					shards = 1 + rand.IntN(3)
				}
				s = startDurable(t, dir, policy, shards)
				all.check(t, s)
				if t.Failed() {
					t.Fatalf("life %d of %d: %s, %v\n%s", life, limit, rule, err, s.Log())
				}
				kill(t, s)
			}
			t.Logf("%d lives ended while the server started, %d while it served, %d later", starting, serving, late)
			if starting == 0 || serving == 0 {
				t.Error("that proves little")
			}
		})
	}
}
