package main

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// fill writes enough for a log to need more segments than the one it has and the spare, or
// as much as it can.
func fill(c *testkit.Conn) {
	value := strings.Repeat("x", 64<<10)
	for i := range 16 << 20 / len(value) {
		if v, err := c.Do("SET", "filler"+strconv.Itoa(i%100), value); err != nil || v.Err() != nil {
			return
		}
	}
}

// answers asks until the reply begins as wanted. Connections may break meanwhile.
func answers(t *testing.T, s *testkit.Server, want string, line ...string) {
	t.Helper()
	said := ""
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		c, err := testkit.Dial(s.Network, s.Addr)
		if err == nil {
			v, err := c.Do(line...)
			c.Close()
			if said = v.Text(); err == nil && strings.HasPrefix(said, want) {
				return
			}
		}
	}
	t.Fatalf("%q: %s, want %s\n%s", line, said, want, s.Log())
}

const misconf = "MISCONF Errors writing to the AOF file"

// What becomes of a server whose disk fails, and that nothing it has acknowledged is
// missing when it is started again on a disk that works.
func TestFaults(t *testing.T) {
	testkit.MayTrace(t)
	const (
		ends    = "ends"    // at once, and says so
		resumes = "resumes" // when the disk works again; writes are refused till then
		killed  = "killed"  // while it refuses writes
		refuses = "refuses" // writes, also when the disk works again
		serves  = "serves"  // as if nothing had happened
		tells   = "tells"   // serves, but says in the end that the disk has failed
	)
	for _, c := range []struct {
		policy, rule, outcome string
		fill                  bool // the rule is about new segments
	}{
		{"always", "pwrite64:error=ENOSPC", ends, false},
		{"always", "fdatasync:error=EIO", ends, false},
		{"always", "fsync:error=EIO", ends, true},
		{"always", "fallocate:error=ENOSPC", ends, true},
		{"always", "fdatasync:error=EINTR:when=1+2", serves, false},
		{"everysec", "pwrite64:error=ENOSPC", resumes, false},
		{"everysec", "pwrite64:error=EIO", killed, false},
		{"everysec", "fallocate:error=ENOSPC", resumes, true},
		{"everysec", "renameat:error=EIO", resumes, true},
		{"everysec", "fallocate:error=EOPNOTSUPP", serves, true},
		{"everysec", "fdatasync:error=EIO", refuses, false},
		{"everysec", "fsync:error=EIO", refuses, true},
		{"no", "pwrite64:error=ENOSPC", resumes, false},
		{"no", "pwrite64:error=ENOSPC", killed, false},
		{"no", "fallocate:error=ENOSPC", killed, true},
		{"no", "fdatasync:error=EIO", tells, false},
	} {
		t.Run(strings.Join([]string{c.policy, c.rule, c.outcome}, " "), func(t *testing.T) {
			t.Parallel()
			dir, all, shards := t.TempDir(), newWriters(), 2
			if c.fill {
				shards = 1
			}
			s := startDurable(t, dir, c.policy, shards)
			reader, filler := dial(t, s.Network, s.Addr), dial(t, s.Network, s.Addr)
			wait := all.write(t, s, 1)
			time.Sleep(100 * time.Millisecond)
			end := testkit.Inject(t, s.PID, c.rule)
			filled := make(chan struct{})
			go func() {
				defer close(filled)
				if c.fill {
					fill(filler)
				}
			}()
			switch c.outcome {
			case ends:
				exits(t, s, 1)
				if !strings.Contains(s.Log(), "stopping at once: aof_fsync_policy is always") {
					t.Errorf("it does not say why it has ended\n%s", s.Log())
				}
			case resumes, killed, refuses:
				answers(t, s, misconf, "SET", "probe", "x")
				wait()
				expect(t, reader, "(integer) 0", "EXISTS", "nothing")
				if info := ask(t, reader, "INFO", "persistence"); !strings.Contains(info, "aof_last_write_status:err") {
					t.Errorf("INFO: %s", info)
				}
				if c.outcome == killed {
					break
				}
				if c.outcome == resumes && !c.fill {
					time.Sleep(upkeepPatience) // it tries, and fails again
					answers(t, s, misconf, "SET", "probe", "x")
				}
				end()
				if c.outcome == refuses {
					time.Sleep(upkeepPatience)
					answers(t, s, misconf, "SET", "probe", "x")
					_ = s.Signal(syscall.SIGTERM)
					exits(t, s, 1)
					break
				}
				answers(t, s, "OK", "SET", "probe", "x")
				all.check(t, s)
				wait = all.write(t, s, 2)
				time.Sleep(50 * time.Millisecond)
			case serves, tells:
				<-filled
				time.Sleep(200 * time.Millisecond)
				expect(t, reader, "OK", "SET", "probe", "x")
				if c.outcome == tells {
					_ = s.Signal(syscall.SIGTERM)
					exits(t, s, 1)
				}
			}
			kill(t, s)
			wait()
			<-filled
			end()
			s = startDurable(t, dir, c.policy, shards)
			all.check(t, s)
			s.Stop()
			endsWell(t, s)
		})
	}
}

// upkeepPatience is how long what the journal does every second may take.
const upkeepPatience = 1200 * time.Millisecond

// exits waits for the process to end by itself.
func exits(t *testing.T, s *testkit.Server, code int) {
	t.Helper()
	if state, err := s.Wait(10 * time.Second); err != nil || state.ExitCode() != code {
		t.Fatalf("%v %v, want exit code %d\n%s", state, err, code, s.Log())
	}
}
