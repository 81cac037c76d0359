package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hyperkv/persist/disk"
)

// A manifest may be written anew, a snapshot removed, and what is of none is named.
func TestManage(t *testing.T) {
	dir := t.TempDir()
	d := disk.OS{}
	if err := Remove(d, filepath.Join(dir, "nothing"), 1); err == nil {
		t.Error("a snapshot that is not there was removed")
	}
	if files, err := Unfinished(d, filepath.Join(dir, "nothing")); err != nil || len(files) > 0 {
		t.Errorf("%q %v", files, err)
	}
	s := newStore(t, d, dir, false)
	for range 3 {
		if _, err := write(s, content{{[]byte("a")}, {[]byte("b")}}, &Position{Identity: "id", Generation: 1}); err != nil {
			t.Fatal(err)
		}
	}
	w, err := s.Begin(2) // and never ended
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := List(d, dir)
	if err != nil || len(all) != 3 {
		t.Fatalf("%v %v", all, err)
	}
	m := all[0]
	m.Journal = nil
	if err := os.WriteFile(filepath.Join(dir, manifestName(3)+".tmp"), []byte("left by one that was killed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Write(d, dir); err != nil {
		t.Fatal(err)
	}
	if err := Remove(d, dir, 2); err != nil {
		t.Fatal(err)
	}
	all, damaged, err := List(d, dir)
	if err != nil || len(damaged) > 0 || len(all) != 2 || all[0].Number != 3 || all[0].Journal != nil || all[1].Number != 1 || all[1].Journal == nil {
		t.Errorf("%+v %v %v", all, damaged, err)
	}
	if _, err := read(d, dir, &all[0]); err != nil {
		t.Error(err)
	}
	if files, err := Unfinished(d, dir); err != nil || fmt.Sprint(files) != "[snapshot-000004-0000.hks snapshot-000004-0001.hks]" {
		t.Errorf("%q %v", files, err)
	}
	if names, _ := d.List(dir); len(names) != 8 {
		t.Errorf("there is %q", names)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
}
