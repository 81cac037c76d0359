package testkit

import (
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"hyperkv/internal/invariant"
)

// ServerOptions say how a HyperKV under test is to be started.
type ServerOptions struct {
	Shards int
	Inline bool              // whether a loop may run another shard's batch itself
	Flags  map[string]string // more settings by flag name, without dashes
}

// A Starter starts a HyperKV for a test and returns where it listens. The server
// ends with the test.
type Starter func(t testing.TB, opts ServerOptions) (network, addr string)

// Matrix starts a HyperKV for every arrangement in which transcripts must agree:
// 1, 2 and 7 shards, each with and without inline runs, and 7 once more with every
// block sent as one burst.
func Matrix(t testing.TB, start Starter) []Target {
	t.Helper()
	var targets []Target
	for _, shards := range []int{1, 2, 7} {
		for _, inline := range []bool{true, false} {
			name := fmt.Sprintf("%d shards", shards)
			if !inline {
				name += ", no inline"
			}
			network, addr := start(t, ServerOptions{Shards: shards, Inline: inline})
			targets = append(targets, Address(name, network, addr))
			if inline && shards > 2 {
				targets = append(targets, Burst(targets[len(targets)-1]))
			}
		}
	}
	return targets
}

// BinaryStarter starts the real binary, as an operator would.
func BinaryStarter(t testing.TB, opts ServerOptions) (network, addr string) {
	t.Helper()
	flags := []string{
		"--worker-threads", strconv.Itoa(opts.Shards),
		"--shard-inline=" + strconv.FormatBool(opts.Inline),
	}
	for name, value := range opts.Flags {
		flags = append(flags, "--"+name+"="+value)
	}
	s := StartBinary(t, flags...)
	return s.Network, s.Addr
}

// StartBinary builds HyperKV once, starts it on a free loopback port with an empty
// data directory and no admin port, and waits until it answers PING. Later flags
// win over these.
func StartBinary(t testing.TB, flags ...string) *Server {
	t.Helper()
	s, err := LaunchBinary(t, nil, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// LaunchBinary is StartBinary for a server that may end before it answers, which is
// an error then. The words of under come before its command line: those of a program
// that replaces itself by the server, such as a tracer's.
func LaunchBinary(t testing.TB, under []string, flags ...string) (*Server, error) {
	t.Helper()
	path := Binary(t)
	dir := t.TempDir()
	s, err := launch(func(port int) *exec.Cmd {
		args := append(slices.Clone(under), path,
			"serve", "--host", "127.0.0.1", "--port", strconv.Itoa(port),
			"--metrics-port", "0", "--data-dir", dir)
		args = append(args, flags...)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		return cmd
	})
	if err != nil {
		return nil, err
	}
	t.Cleanup(s.Stop)
	return s, nil
}

var builtBinary struct {
	once sync.Once
	path string
	err  error
}

// Binary builds cmd/hyperkv once per test process and returns its path. The binary
// watches for races and checks invariants when the test does.
//
// The file lies in a directory of this user under the system's temporary one and
// is replaced by rename, so that packages tested at the same time can share it:
// the name always leads to a whole binary built from this tree.
func Binary(t testing.TB) string {
	t.Helper()
	builtBinary.once.Do(func() { builtBinary.path, builtBinary.err = buildBinary() })
	if builtBinary.err != nil {
		t.Fatal(builtBinary.err)
	}
	return builtBinary.path
}

func buildBinary() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("hyperkv-testkit-%d", os.Getuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", err
	}
	// Others may write to the temporary directory too: what is run must be ours.
	if info, err := os.Lstat(dir); err != nil {
		return "", err
	} else if !info.IsDir() || info.Mode().Perm() != 0o700 || !ownedByUs(info) {
		return "", fmt.Errorf("%s is not a private directory of this user", dir)
	}
	fresh, err := os.CreateTemp(dir, "build-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(fresh.Name()) // gone already when the rename below went well
	if err := fresh.Close(); err != nil {
		return "", err
	}
	// Several working trees may be tested at the same time.
	tree, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	id := fnv.New32a()
	id.Write(tree)
	args, tags := []string{"build", "-o", fresh.Name()}, "poll_opt" // as the Makefile builds it
	if raceEnabled {
		tags = "" // gnet's poller would fail the checks of pointers that come with it
	}
	name := fmt.Sprintf("hyperkv-%08x", id.Sum32())
	if raceEnabled {
		args, name = append(args, "-race"), name+"-race"
	}
	if invariant.Enabled {
		tags, name = tags+",invariants", name+"-invariants"
	}
	args = append(args, "-tags", tags)
	out, err := exec.Command("go", append(args, "hyperkv/cmd/hyperkv")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build hyperkv: %w\n%s", err, out)
	}
	path := filepath.Join(dir, name)
	return path, os.Rename(fresh.Name(), path)
}
