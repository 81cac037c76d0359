package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A wreck is something that may become of a file in a data directory.
type wreck struct {
	name string
	do   func(file string) error
}

// wrecksOf are the wrecks of a file of so many bytes, in a directory with others, beside one of
// somebody else.
func wrecksOf(name string, size int64, all []string, foreign string) []wreck {
	wrecks := []wreck{{"removed", os.Remove}, {"as in another directory", func(file string) error {
		text, err := os.ReadFile(filepath.Join(foreign, name))
		if err != nil {
			return nil // there is none
		}
		return os.WriteFile(file, text, 0o600)
	}}}
	for _, at := range []int64{0, 10, 64, 100, 1000, 3000, size / 2, size - 1} {
		if at >= size {
			continue
		}
		wrecks = append(wrecks,
			wreck{fmt.Sprintf("cut at %d", at), func(file string) error { return os.Truncate(file, at) }},
			wreck{fmt.Sprintf("zero from %d on", at), func(file string) error {
				return errors.Join(os.Truncate(file, at), os.Truncate(file, size))
			}},
			wreck{fmt.Sprintf("overwritten at %d", at), func(file string) error {
				f, err := os.OpenFile(file, os.O_RDWR, 0)
				if err != nil {
					return err
				}
				defer f.Close()
				_, err = f.WriteAt([]byte("wrecked!"), at)
				return err
			}})
	}
	for _, other := range all {
		if other != name && filepath.Ext(other) == filepath.Ext(name) {
			wrecks = append(wrecks, wreck{"as " + other, func(file string) error {
				text, err := os.ReadFile(filepath.Join(strings.TrimSuffix(file, name), other))
				if err != nil {
					return err
				}
				return os.WriteFile(file, text, 0o600)
			}})
		}
	}
	return wrecks
}

// place is what an error names.
var place = regexp.MustCompile(`wal-\d{4}-\d{20}\.log|journal|snapshot`)

// Whatever becomes of one file: either all that was promised is there, or the store is not
// opened, and the error names what is wrong.
func TestWrecked(t *testing.T) {
	for _, c := range []struct {
		policy            string
		snapshots, closed bool
	}{{"everysec", false, true}, {"always", false, false}, {"always", true, false}} {
		t.Run(fmt.Sprintf("%s snapshots %v closed %v", c.policy, c.snapshots, c.closed), func(t *testing.T) {
			t.Parallel()
			settings := map[string]string{"aof_fsync_policy": c.policy, "worker_threads": "2"}
			// used fills a directory in two lives, and copies it, after the last has ended or
			// as if it had been killed.
			used := func(owner string) (dir, digest string) {
				base := t.TempDir()
				live, dir := filepath.Join(base, "live"), filepath.Join(base, "used")
				for life := range 2 {
					kv := kept(t, live, settings)
					for i := range 60 {
						does(t, kv, fmt.Sprintf("SET key%d:%d %s", life, i, owner))
						does(t, kv, fmt.Sprintf("MSET a%d 1 b%d 2 c%d 3", i, i, i))
						if c.snapshots && i%25 == 24 {
							does(t, kv, "SAVE")
						}
					}
					digest = does(t, kv, "DEBUG DIGEST").Text()
					if life == 1 && !c.closed {
						copied(t, live, dir)
					}
					if err := kv.Close(); err != nil {
						t.Fatal(err)
					}
				}
				if c.closed {
					copied(t, live, dir)
				}
				return dir, digest
			}
			dir, digest := used("us")
			foreign, _ := used("them")
			all := filesBelow(t, dir)
			refused, whole := 0, 0
			for _, name := range all {
				info, err := os.Stat(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				for _, w := range wrecksOf(name, info.Size(), all, foreign) {
					wrecked := filepath.Join(t.TempDir(), "wrecked")
					copied(t, dir, wrecked)
					if err := w.do(filepath.Join(wrecked, name)); err != nil {
						t.Fatalf("%s %s: %v", name, w.name, err)
					}
					kv, err := OpenContext(t.Context(), Options{Settings: map[string]string{"data_dir": wrecked, "enable_debug_command": "yes"}})
					if err != nil {
						refused++
						if !place.MatchString(err.Error()) {
							t.Errorf("%s %s: the error does not say where: %v", name, w.name, err)
						}
						continue
					}
					whole++
					if got := does(t, kv, "DEBUG DIGEST").Text(); got != digest {
						t.Errorf("%s %s: something is missing, and nobody says so: there are %d keys", name, w.name, does(t, kv, "DBSIZE").Int)
					}
					if err := kv.Close(); err != nil {
						t.Errorf("%s %s: %v", name, w.name, err)
					}
					os.RemoveAll(wrecked)
				}
			}
			if refused == 0 || whole == 0 {
				t.Errorf("%d refused, %d whole", refused, whole)
			}
		})
	}
}

func copied(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// filesBelow are the names of the files in a data directory that have data in them.
func filesBelow(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path != "LOCK" {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
