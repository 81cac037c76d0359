package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hyperkv/internal/testkit"
)

// The servers of a comparison keep their files where --dir says, be it named from here, and
// take them with them; --big-keys is heard by all that is done with many keys.
func TestComparisonHearsItsFlags(t *testing.T) {
	binary := testkit.Binary(t)
	t.Chdir(t.TempDir())
	if err := os.Mkdir("disk", 0o700); err != nil {
		t.Fatal(err)
	}
	f := func(want float64, args ...string) {
		t.Helper()
		args = append([]string{"bench", "--compare", "--subject", binary, "--no-peers", "--sections", "startup", "--dir", "disk", "--raw", "raw.json"}, args...)
		if _, errs, failed := hyperkv(t, args...); failed {
			t.Fatal(errs)
		}
		text, err := os.ReadFile("raw.json")
		if err != nil {
			t.Fatal(err)
		}
		var raw struct {
			Settings map[string]float64 `json:"settings"`
		}
		if err := json.Unmarshal(text, &raw); err != nil || raw.Settings["snapshot_keys"] != want {
			t.Errorf("%v keys in snapshots, want %v (%v)", raw.Settings["snapshot_keys"], want, err)
		}
		if left, _ := filepath.Glob("disk/*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	f(5_000_000)
	f(3000, "--big-keys", "3000")
	f(0, "--big-keys", "0")

	if _, errs, failed := hyperkv(t, "bench", "--compare", "--subject", binary, "--no-peers", "--sections", "startup", "--dir", "elsewhere"); !failed || !strings.Contains(errs, "elsewhere") {
		t.Errorf("a disk that is not there: %v %q", failed, errs)
	}
}
