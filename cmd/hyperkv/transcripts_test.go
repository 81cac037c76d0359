package main

import (
	"path/filepath"
	"testing"

	"hyperkv/internal/testkit"
)

// What the families promise holds on the whole server, over sockets, however
// many shards there are and whoever runs them. The judge hears the same stories.
func TestTranscripts(t *testing.T) {
	targets := append([]testkit.Target{testkit.Redis(t, "--enable-debug-command", "yes")},
		testkit.Matrix(t, func(t testing.TB, opts testkit.ServerOptions) (string, string) {
			opts.Flags = map[string]string{"enable_debug_command": "yes"}
			return inProcess(t, opts)
		})...)
	for _, family := range families(t) {
		t.Run(filepath.Base(filepath.Dir(family)), func(t *testing.T) {
			testkit.RunTranscripts(t, filepath.Join(family, "*.txt"), targets...)
		})
	}
}

// families lists the folders with transcripts of commands.
func families(t *testing.T) (folders []string) {
	t.Helper()
	for _, pattern := range []string{"../../engine/testdata", "../../engine/*/testdata"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range found {
			if scripts, _ := filepath.Glob(filepath.Join(folder, "*.txt")); len(scripts) > 0 {
				folders = append(folders, folder)
			}
		}
	}
	if len(folders) < 4 {
		t.Fatalf("only %q have transcripts", folders)
	}
	return folders
}
