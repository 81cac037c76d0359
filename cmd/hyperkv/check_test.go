package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"hyperkv/persist/disk"
	snapshots "hyperkv/persist/snapshot"
)

// checks runs "hyperkv check", wants an exit code, and each of some texts in what it says.
func checks(t *testing.T, code int, dir string, repair bool, texts ...string) string {
	t.Helper()
	args := []string{"check", dir}
	if repair {
		args = append(args, "--repair")
	}
	out, got := run(t, args...)
	if got != code || strings.Contains(out, "goroutine ") {
		t.Fatalf("%q: exit code %d, want %d\n%s", args, got, code, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("%q does not say %q:\n%s", args, text, out)
		}
	}
	return out
}

// refuses wants a start to be refused, for a reason.
func refuses(t *testing.T, dir, reason string) {
	t.Helper()
	out, code := run(t, "serve", "--port", "0", "--unixsocket", filepath.Join(t.TempDir(), "s"), "--metrics-port", "0", "--data-dir", dir)
	if code == 0 || !strings.Contains(out, "recovery: ") || !strings.Contains(out, reason) {
		t.Errorf("a start ended with %d and not because of %q:\n%s", code, reason, out)
	}
}

// flip changes a bit of a file.
func flip(t *testing.T, path string, at int) {
	t.Helper()
	p, err := os.ReadFile(path)
	if err == nil {
		p[at] ^= 1
		err = os.WriteFile(path, p, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// number is what the only group of a pattern has found in a text.
func number(t *testing.T, pattern, text string) int {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// saved makes a data directory with two snapshots of 1000 keys, "a" in the first and "b" in
// the second, and half of them "c" in the log behind.
func saved(t *testing.T, shards int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := startDurable(t, dir, "everysec", shards)
	c := dial(t, s.Network, s.Addr)
	for _, round := range []string{"a", "b"} {
		rewrite(t, c, 1000, round)
		expect(t, c, "OK", "SAVE")
	}
	rewrite(t, c, 500, "c")
	kill(t, s)
	return dir
}

// serves starts a server on what saved has made, and compares.
func serves(t *testing.T, dir string, want map[string]int) {
	t.Helper()
	s := startDurable(t, dir, "everysec", 2)
	got := rounds(t, dial(t, s.Network, s.Addr), 1000)
	if len(got) != len(want) {
		t.Errorf("%v, want %v", got, want)
	}
	for round, count := range want {
		if got[round] != count {
			t.Errorf("%v, want %v", got, want)
			break
		}
	}
	s.Stop()
}

// What is there, and what a start does with it, is what check has said; a snapshot that is
// damaged is named with the place, and removed if a start can do without it.
func TestCheckSnapshots(t *testing.T) {
	dir := saved(t, 2)
	out := checks(t, 0, dir, false, "snapshot 2, of 20", " by HyperKV ", ": 2 shards, 1000 keys, ", "; the log is repeated from records ",
		"snapshot 1, of 20", "journal/000001, log 1: 1 segment, ", "a start would load snapshot 2 (1000 keys), and repeat 500 effects of the log, from records ",
		" of generation 1 on\n")
	if !strings.HasSuffix(out, dir+": ok\n") {
		t.Errorf("it ends otherwise:\n%s", out)
	}
	path := damage(t, dir, "2")
	checks(t, 1, dir, false, path+" is damaged at byte ", "a start would load snapshot 1 (1000 keys), and repeat 1500 effects of the log",
		"the data is damaged: see above")
	checks(t, 0, dir, true, "snapshot 2 was removed: it cannot be read, and a start does without it", "a start would load snapshot 1")
	if names := files(t, dir, "snapshots/*2*"); len(names) > 0 {
		t.Errorf("%q is still there", names)
	}
	checks(t, 0, dir, false, "a start would load snapshot 1")

	// A manifest that cannot be read, and nothing but the log.
	manifest := filepath.Join(dir, "snapshots", "snapshot-000001.json")
	flip(t, manifest, 20)
	checks(t, 1, dir, false, "snapshot 1 cannot be read: "+manifest+" is damaged at byte 0: ", "a start would repeat 2500 effects of the log, from its beginning on")
	checks(t, 0, dir, true, "snapshot 1 was removed")
	serves(t, dir, map[string]int{"b": 500, "c": 500})
}

// A log that is gone, or was cut, is missed although there is no snapshot yet. A repair takes
// what is left.
func TestCheckMissingLog(t *testing.T) {
	for name, c := range map[string]struct {
		wreck          func(path string) error
		reason, mended string
	}{
		"gone": {os.Remove, " is damaged at byte 0: it is missing (record 1): ", "begin it anew"},
		"cut":  {func(path string) error { return os.Truncate(path, 100) }, ", and record ", "cut it off there"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := startDurable(t, dir, "everysec", 2)
			rewrite(t, dial(t, s.Network, s.Addr), 1000, "a")
			s.Stop()
			path := files(t, dir, "journal/000001/wal-0001-*.log")[0]
			if err := c.wreck(path); err != nil {
				t.Fatal(err)
			}
			checks(t, 1, dir, false, path+" is damaged at byte ", c.reason, "--repair would "+c.mended, "a start would be refused: ")
			refuses(t, dir, path+" is damaged at byte ")
			checks(t, 0, dir, true, path+" is damaged at byte ", "a start would repeat ")
			out := checks(t, 0, dir, false, "a start would repeat ")
			left := number(t, `a start would repeat (\d+) effects`, out)
			if left == 0 || left >= 1000 {
				t.Errorf("%d effects are left", left)
			}
			serves(t, dir, map[string]int{"a": left, "": 1000 - left})
		})
	}
}

// Contents that are not what a snapshot holds are found although all checksums are right,
// by a check and by a start.
func TestCheckContents(t *testing.T) {
	dir := saved(t, 2)
	store, err := snapshots.Open(snapshots.Options{Disk: disk.OS{}, Dir: filepath.Join(dir, "snapshots")})
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := snapshots.List(disk.OS{}, filepath.Join(dir, "snapshots"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(shards int, block string, keys int) {
		t.Helper()
		w, err := store.Begin(shards)
		if err == nil {
			err = w.Write(shards-1, []byte(block), keys)
		}
		if err == nil {
			_, err = w.Commit("a test", 0, all[0].Journal)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(2, "\x00\x03key", 1)        // a key without a value
	put(1, "\x00\x03key\x01x", 2)   // there is one key, and not two
	put(64, "\x00\x03key\x01x", 1)  // a key of another shard
	put(1, "\x04\x01h\x01\x01f", 1) // half a hash
	out := checks(t, 1, dir, false, "a start would load snapshot 2 (1000 keys)", "there are 1 keys in a block that should have 2", `the key "key" is not one of shard 63`)
	for _, name := range []string{"3-0001", "4-0000", "5-0063", "6-0000"} {
		if !strings.Contains(out, "snapshot-00000"+name+".hks is damaged at byte 64: ") {
			t.Errorf("%s is not named:\n%s", name, out)
		}
	}
	serves(t, dir, map[string]int{"b": 500, "c": 500})
	checks(t, 0, dir, true, "snapshot 3 was removed", "snapshot 6 was removed")
}

// A log that is damaged where a snapshot holds it is mended without loss, and no start was
// possible before.
func TestCheckLogBeforeSnapshot(t *testing.T) {
	dir := saved(t, 2)
	log := files(t, dir, "journal/000001/wal-0000-*.log")[0]
	flip(t, log, 500)
	refuses(t, dir, log+" is damaged at byte ")
	checks(t, 1, dir, false, log+" is damaged at byte ", ", in what snapshot 2 holds: --repair would begin the log anew with record ", ", and lose nothing that can be read\n",
		"a start would be refused: "+log+" is damaged")
	checks(t, 0, dir, true, ", in what snapshot 2 holds: the log was begun anew with record ", "a start would load snapshot 2 (1000 keys), and repeat 500 effects")
	serves(t, dir, map[string]int{"b": 500, "c": 500})
}

// What a repair says to be lost behind a snapshot is what is lost.
func TestCheckLogBehindSnapshot(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "always", 1)
	c := dial(t, s.Network, s.Addr)
	rewrite(t, c, 100, "a")
	expect(t, c, "OK", "SAVE")
	for i := range 200 { // one record after the other, with marks between
		expect(t, c, "OK", "SET", "later:"+strconv.Itoa(i), strings.Repeat("x", 100))
	}
	kill(t, s)
	log := files(t, dir, "journal/000001/wal-0000-*.log")[0]
	p, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, log, strings.Index(string(p), "later:120"))
	out := checks(t, 1, dir, false, log+" is damaged at byte ", "a start would be refused: ")
	said := number(t, `--repair would cut it off there, and lose \d+ records with (\d+) effects behind it\n`, out)
	out = checks(t, 0, dir, true, "a start would load snapshot 1 (100 keys), and repeat 120 effects of the log, from records ")
	if lost := number(t, `it was cut off there, which lost \d+ records with (\d+) effects behind it\n`, out); lost != 79 || said != 79 {
		t.Errorf("lost are %d effects, and %d were to be:\n%s", lost, said, out)
	}
	s = startDurable(t, dir, "always", 3)
	c = dial(t, s.Network, s.Addr)
	expect(t, c, "(integer) 220", "DBSIZE")
	expect(t, c, "(integer) 0", "EXISTS", "later:120")
}

// A directory whose log is lost can be started again, with what the snapshot has; one of
// which only the list of the logs is lost is left as it is.
func TestCheckLostJournal(t *testing.T) {
	dir := saved(t, 2)
	list := filepath.Join(dir, "journal", "journal.json")
	if err := os.Rename(list, list+".away"); err != nil {
		t.Fatal(err)
	}
	checks(t, 1, dir, true, "journal is incomplete: "+list+" is missing", "a start would be refused: ")
	refuses(t, dir, "is missing, and snapshot 2 says that there is more in it")
	if err := os.Rename(list+".away", list); err != nil {
		t.Fatal(err)
	}
	checks(t, 0, dir, false)

	if err := os.RemoveAll(filepath.Join(dir, "journal")); err != nil {
		t.Fatal(err)
	}
	refuses(t, dir, "is missing, and snapshot 2 says that there is more in it")
	checks(t, 1, dir, false, "journal is gone, and snapshot 2 says that there was more in it: --repair would detach the snapshot, and lose what was there",
		"a start would be refused: ")
	checks(t, 0, dir, true, "journal is gone: snapshot 2 was detached from it, and what was recorded behind it is lost",
		"a start would load snapshot 2 (1000 keys); there is no log to repeat")
	serves(t, dir, map[string]int{"b": 1000})
	checks(t, 0, dir, false)
}

// When nothing can be loaded, nothing is removed either.
func TestCheckKeepsWhatIsNeeded(t *testing.T) {
	dir := saved(t, 2)
	damage(t, dir, "1")
	damage(t, dir, "2")
	if err := os.RemoveAll(filepath.Join(dir, "journal")); err != nil {
		t.Fatal(err)
	}
	refuses(t, dir, "no snapshot can be read")
	checks(t, 1, dir, true, "a start would be refused: no snapshot can be read: ")
	if names := files(t, dir, "snapshots/*.json"); len(names) != 2 {
		t.Errorf("there is only %q", names)
	}
}

// A directory that is in use is not checked, and check says by whom it is used; one without
// data is left as it is.
func TestCheckInUse(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "everysec", 2)
	checks(t, 1, dir, false, "data_dir "+dir+": another process uses it (hyperkv serve, pid "+strconv.Itoa(s.PID)+", "+s.Addr+"): stop it first, or check a backup of it")
	s.Stop()
	checks(t, 0, dir, false, "a start would repeat 0 effects of the log")

	empty := t.TempDir()
	checks(t, 0, empty, true, "there is no data here, and a start would begin with nothing")
	if names := files(t, empty, "*"); len(names) > 0 {
		t.Errorf("now there is %q", names)
	}
}

// Where a start would be refused for another reason, a log is not cut off: that could only
// lose something.
func TestCheckSparesLogs(t *testing.T) {
	dir := saved(t, 2)
	log := files(t, dir, "journal/000001/wal-0000-*.log")[0]
	flip(t, log, 500)
	before := read(t, log)
	folder := filepath.Join(dir, "snapshots")
	all, _, err := snapshots.List(disk.OS{}, folder)
	if err != nil {
		t.Fatal(err)
	}
	spared := func(m snapshots.Manifest, reason string) {
		t.Helper()
		if err := m.Write(disk.OS{}, folder); err != nil {
			t.Fatal(err)
		}
		checks(t, 1, dir, true, log+" is damaged at byte ", ": a start would be refused in any case, so --repair leaves it as it is",
			"a start would be refused: "+reason)
		if read(t, log) != before {
			t.Error("the log was changed")
		}
	}
	newer := all[0]
	newer.Version = 2
	spared(newer, filepath.Join(folder, "snapshot-000002.json")+" has version 2 of the snapshot's format")
	other := all[0]
	other.Journal = &snapshots.Position{Identity: "0123456789abcdef", Generation: 1, Next: []uint64{1, 1}}
	spared(other, "the snapshot belongs to the journal 0123456789abcdef")
	if err := all[0].Write(disk.OS{}, folder); err != nil {
		t.Fatal(err)
	}
	checks(t, 0, dir, true, "the log was begun anew with record ")
	serves(t, dir, map[string]int{"b": 500, "c": 500})
}
