package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// bulky fills a server with what takes some room in a snapshot, however that is stored.
func bulky(t *testing.T, c *testkit.Conn, count int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 10_000)
	for i := range value {
		value[i] = byte(r.Uint32())
	}
	load(t, c, count, func(i int) []string {
		return []string{"SET", "bulk:" + strconv.Itoa(i), strconv.Itoa(i) + string(value)}
	})
}

// Where there is no room for it, nothing is left that looks like a backup.
func TestBackupToFullDisk(t *testing.T) {
	small := ownDisk(t, "4m")
	dir := t.TempDir()
	s := startDurable(t, dir, "everysec", 2, "--snapshot-compression", "no")
	c := dial(t, s.Network, s.Addr)
	bulky(t, c, 800)
	dest := filepath.Join(small, "backup")
	fails(t, "where a file system begins", "backup", dir, small)
	fails(t, "no space left on device", "backup", dir, dest)
	gone(t, dest)
	kill(t, s)
	fails(t, "no space left on device", "backup", dir, dest)
	gone(t, dest)
	fails(t, "no space left on device", "restore", dir, filepath.Join(small, "data"))
	gone(t, filepath.Join(small, "data"))
	fails(t, "no space left on device", "restore", dir, small)
	gone(t, filepath.Join(small, "snapshots"))
	gone(t, filepath.Join(small, "restore.partial"))
}

// A backup that is killed leaves nothing under its name, and the next one takes over what it
// has left.
func TestBackupKilled(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "everysec", 2, "--snapshot-compression", "no")
	c := dial(t, s.Network, s.Addr)
	bulky(t, c, 5000)
	dest := filepath.Join(t.TempDir(), "backup")
	killed := 0
	for try := 0; try < 20 && killed < 3; try++ {
		cmd := exec.Command(testkit.Binary(t), "backup", dir, dest)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for len(files(t, dest+draftSuffix, "snapshots/*.hks")) <= try%3 {
			if _, err := os.Stat(dest); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if _, err := os.Stat(dest); err == nil { // it was faster
			checks(t, 0, dest, false)
			if err := os.RemoveAll(dest); err != nil {
				t.Fatal(err)
			}
			continue
		}
		killed++
		fails(t, "is a backup that was not completed", "restore", dest+draftSuffix, dir+"-other")
	}
	if killed == 0 {
		t.Fatal("none was killed in time")
	}
	succeeds(t, "backup", dir, dest)
	if names := files(t, filepath.Dir(dest), "*"); len(names) != 1 {
		t.Errorf("there is %q", names)
	}
	expect(t, restored(t, dest, 3), "(integer) 5000", "DBSIZE")
	expect(t, c, "(integer) 5000", "DBSIZE")
}

// What is in the way is not touched.
func TestBackupMistakes(t *testing.T) {
	dir := saved(t, 2)
	there := t.TempDir()
	if err := os.WriteFile(filepath.Join(there, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(reason string, args ...string) { t.Helper(); fails(t, reason, args...) }
	f("no such file or directory", "backup", dir+"-none", filepath.Join(there, "x"))
	f(there+" is not empty", "backup", dir, there)
	f("not a directory", "backup", dir, filepath.Join(there, "mine"))
	f("have to be apart", "backup", dir, filepath.Join(dir, "backup"))
	f("no such file or directory", "backup", dir, filepath.Join(there, "no", "such"))
	f("there is no data in "+there, "backup", there, filepath.Join(t.TempDir(), "x"))
	f("have to be apart", "restore", dir, dir)
	f("there is no backup in "+there, "restore", there, filepath.Join(t.TempDir(), "x"))
	f(there+" is not empty: --force moves what is there aside", "restore", dir, there)
	occupied := filepath.Join(t.TempDir(), "x")
	if err := os.MkdirAll(filepath.Join(occupied+draftSuffix, "photos"), 0o700); err != nil {
		t.Fatal(err)
	}
	f("is in the way, and is nothing that an interrupted backup has left: photos is in it", "backup", dir, occupied)
	if names := files(t, occupied+draftSuffix, "*"); len(names) != 1 {
		t.Errorf("there is %q", names)
	}
	if names := files(t, there, "*"); len(names) != 1 {
		t.Errorf("there is %q", names)
	}
	// An empty folder is as good as none, and stays who it is.
	empty := t.TempDir()
	if err := os.Chmod(empty, 0o711); err != nil {
		t.Fatal(err)
	}
	succeeds(t, "restore", dir, empty)
	if info, err := os.Stat(empty); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("%v %v", info, err)
	}
	checks(t, 0, empty, false, "a start would load snapshot 2 (1000 keys), and repeat 500 effects")
	succeeds(t, "backup", dir, t.TempDir())
}
