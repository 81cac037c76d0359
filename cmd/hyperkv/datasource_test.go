package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A data directory of a server that was killed is exported as the server would have it, in
// every format, and imported; nothing in it changes.
func TestExportOfDataDirectory(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "everysec", 3, "--enable-debug-command", "yes")
	fillDatabases(t, s)
	c := dial(t, s.Network, s.Addr)
	expect(t, c, "OK", "SAVE")
	expect(t, c, "OK", "SET", "behind the snapshot", "1")
	want := digest(t, s)
	expect(t, c, "OK", "SET", "soon gone", "1", "PX", "1")
	if _, errs, failed := hyperkv(t, "export", dir, "--format", "jsonl"); !failed || !strings.Contains(errs, "or export a backup of it") {
		t.Errorf("a directory in use: %s", errs)
	}
	kill(t, s)
	before, err := filesOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dump.rdb")
	if _, errs, failed := hyperkv(t, "export", dir, "-o", file); failed {
		t.Fatal(errs)
	}
	lines, errs, failed := hyperkv(t, "export", dir, "--format", "jsonl")
	if failed || strings.Count(lines, "\n") < 100 || strings.Contains(lines, "soon gone") || !strings.Contains(lines, "behind the snapshot") {
		t.Errorf("%s\n%.1000s", errs, lines)
	}
	for _, source := range []string{file, dir} {
		to := ours(t, 2)
		if _, errs, failed := hyperkv(t, "import", source, "--to", to.Addr); failed {
			t.Fatal(errs)
		}
		if have := digest(t, to); have != want {
			t.Errorf("of %s the digest is %s, want %s", source, have, want)
		}
	}
	if after, err := filesOf(dir); err != nil || after != before {
		t.Errorf("the export has changed the directory: %v", err)
	}

	// A damaged snapshot is passed over, and said to be.
	s = startDurable(t, dir, "everysec", 3)
	c = dial(t, s.Network, s.Addr)
	expect(t, c, "OK", "SAVE")
	kill(t, s)
	newest := files(t, dir, "snapshots/snapshot-*-0000.hks")
	if err := os.Truncate(newest[len(newest)-1], 100); err != nil {
		t.Fatal(err)
	}
	again, errs, failed := hyperkv(t, "export", dir, "--format", "jsonl")
	if failed || !strings.Contains(errs, "passed over") || strings.Count(again, "\n") != strings.Count(lines, "\n") {
		t.Errorf("behind a damaged snapshot: %s", errs)
	}
}
