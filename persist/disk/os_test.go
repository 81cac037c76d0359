package disk

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMakeDir(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(dir string, made bool) {
		t.Helper()
		err := OS{}.MakeDir(dir)
		if info, found := os.Stat(dir); made && (err != nil || found != nil || !info.IsDir()) || !made && err == nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	f(filepath.Join(root, "a", "b", "c"), true)
	f(filepath.Join(root, "a", "b", "c"), true)
	f(filepath.Join(root, "a", "x"), true)
	f("/", true)
	f(file, false)
	f(filepath.Join(file, "below"), false)
	t.Chdir(root)
	f("here", true)
	f("there/and/further", true)
}
