package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hyperkv/persist/datadir"
)

// Whatever is wrong with a backup, it is refused, and nothing is made of it.
func TestRestoreOfDamagedBackup(t *testing.T) {
	dir := saved(t, 2)
	dest := filepath.Join(t.TempDir(), "backup")
	succeeds(t, "backup", dir, dest)
	target := filepath.Join(t.TempDir(), "data")
	snapshot, log := files(t, dest, "snapshots/*2-0001.hks")[0], files(t, dest, "journal/000001/wal-0000-*.log")[0]
	for what, change := range map[string]func(text []byte) []byte{
		snapshot + " is damaged at byte ":                        func(p []byte) []byte { p[len(p)/2] ^= 1; return p },
		snapshot + " is damaged at byte 0: it has":               func(p []byte) []byte { return p[:len(p)-1] },
		snapshot + " is damaged at byte 0: it is missing":        nil,
		filepath.Join(dest, "snapshots", "snapshot-000001.json"): func(p []byte) []byte { p[len(p)/2] ^= 1; return p },
		log + " is damaged at byte ":                             func(p []byte) []byte { p[500] ^= 1; return p },
		log + " is damaged at byte 0: it is missing":             nil,
	} {
		path := snapshot
		switch {
		case strings.HasPrefix(what, log):
			path = log
		case strings.HasSuffix(what, ".json"):
			path = what
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// A copy, because the file may be one with that of the original.
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			if err := os.WriteFile(path, change([]byte(string(whole))), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out := fails(t, dest+" is damaged: see above", "restore", dest, target)
		if !strings.Contains(out, what) {
			t.Errorf("it does not say %q:\n%s", what, out)
		}
		gone(t, target)
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	succeeds(t, "restore", dest, target)
	serves(t, target, map[string]int{"b": 500, "c": 500})
	// Nor is a backup made of what is damaged.
	flip(t, files(t, dir, "snapshots/*1-0000.hks")[0], 70)
	fails(t, "is damaged: see above", "backup", dir, dest+"2")
	gone(t, dest+"2")
}

// With --force, what is there is moved aside and stays what it was; a directory that a server
// uses is not touched.
func TestRestoreForce(t *testing.T) {
	from, dir := saved(t, 2), filepath.Join(t.TempDir(), "data")
	s := startDurable(t, dir, "everysec", 3)
	c := dial(t, s.Network, s.Addr)
	rewrite(t, c, 1000, "old")
	fails(t, "another process uses it (hyperkv serve, pid ", "restore", from, dir, "--force")
	fails(t, dir+" is not empty", "restore", from, dir)
	fails(t, "another process uses it (hyperkv serve, pid ", "restore", dir, from+"-other")
	rewrite(t, c, 500, "older")
	kill(t, s)
	out := succeeds(t, "restore", from, dir, "--force")
	names := files(t, filepath.Dir(dir), "*")
	if len(names) != 2 || !strings.HasPrefix(names[1], dir+".before-restore-") {
		t.Fatalf("there is %q", names)
	}
	if !strings.Contains(out, "\nwhat was there before is in "+names[1]+"\n") {
		t.Errorf("restore says %s", out)
	}
	serves(t, dir, map[string]int{"b": 500, "c": 500})
	serves(t, names[1], map[string]int{"older": 500, "old": 500})
	// A restore that fails leaves everything in its place.
	flip(t, files(t, from, "snapshots/*2-0000.hks")[0], 70)
	fails(t, "is damaged", "restore", from, dir, "--force")
	if names := files(t, filepath.Dir(dir), "*"); len(names) != 2 {
		t.Fatalf("there is %q", names)
	}
	serves(t, dir, map[string]int{"b": 500, "c": 500})
}

// A backup on a medium that cannot be written is as good as any.
func TestRestoreFromReadOnlyDisk(t *testing.T) {
	medium := ownDisk(t, "64m")
	dest := filepath.Join(medium, "backup")
	succeeds(t, "backup", saved(t, 2), dest)
	if err := os.WriteFile(filepath.Join(dest, datadir.LockName), nil, 0o600); err != nil { // as if it had been checked
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "remount,ro", medium).CombinedOutput(); err != nil {
		t.Skipf("mount: %v %s", err, out)
	}
	checks(t, 0, dest, false, "a start would load snapshot 2 (1000 keys), and repeat 500 effects")
	checks(t, 1, dest, true, "read-only file system")
	target := filepath.Join(t.TempDir(), "deep", "data")
	succeeds(t, "restore", dest, target)
	serves(t, target, map[string]int{"b": 500, "c": 500})
}
