package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// rewritten starts from a file, sets, rewrites, and returns the new text.
func rewritten(t testing.TB, text, set string, o Options) string {
	t.Helper()
	o.File = source(t, text)
	p := NewParams(load(t, o))
	if err := p.Set(pairs(set)); err != nil {
		t.Fatal(err)
	}
	if err := p.Rewrite(); err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(o.File)
	if err != nil {
		t.Fatal(err)
	}
	// What was set is what a restart finds.
	again := NewParams(load(t, o))
	for _, pair := range pairs(set) {
		if got, want := get(t, again, pair.Name), get(t, p, pair.Name); got != want {
			t.Errorf("%s was %q before the restart and is %q after it", pair.Name, want, got)
		}
	}
	return string(out)
}

func TestRewrite(t *testing.T) {
	f := func(text, set, want string) {
		t.Helper()
		if diff := cmp.Diff(want, rewritten(t, text, set, Options{Environ: []string{"X=1000"}})); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	// Only the value changes: comments, order, quotes of others and spaces stay.
	f("# head\n\nport: 7000   # the port\ntimeout:   5 # idle\nnode_id: 'x'\n", "timeout|9",
		"# head\n\nport: 7000   # the port\ntimeout:   9 # idle\nnode_id: 'x'\n")
	f("maxmemory: \"1gb\" # all\n", "maxmemory|10000001", "maxmemory: 10000001 # all\n")
	f("max_memory: '1gb'\r\nport: 1\r\n", "maxmemory|5", "max_memory: 5\r\nport: 1\r\n")
	f("max-memory: 1gb", "max_memory|5", "max-memory: 5")
	f("\"timeout\": 5\n", "timeout|6", "\"timeout\": 6\n")
	f("auth_password: \"a\\\"b\" # c\nport: 1\n", "requirepass|x # y", "auth_password: \"x # y\" # c\nport: 1\n")
	f("auth_password: 'a''b'\n", "requirepass|it's \"${X}\"", "auth_password: \"it's \\\"$${X}\\\"\"\n")
	f("node_id: ünï\ntimeout: 1\n", "timeout|2", "node_id: ünï\ntimeout: 2\n")
	f("auth_password: ünï # ü\n", "requirepass|", "auth_password: \"\" # ü\n")
	f("auth_password:\nport: 1\n", "requirepass|p", "auth_password: p\nport: 1\n")
	// What the file does not mention comes last, in the order of the reference.
	f("port: 1\n", "hz|20|timeout|7", "port: 1\n\n# Written by CONFIG REWRITE\ntimeout: 7\nhz: 20\n")
	f("port: 1", "timeout|7", "port: 1\n\n# Written by CONFIG REWRITE\ntimeout: 7\n")
	f("# nothing\n", "timeout|7", "# nothing\n\n# Written by CONFIG REWRITE\ntimeout: 7\n")
	// Values over several lines give way as a whole.
	f("client_output_buffer_limit:\n  - normal 1 2 3\n  - pubsub 1 2 3\n\n# next\nport: 1\n", "client-output-buffer-limit|normal 0 0 0 pubsub 0 0 0 replica 9 9 9",
		"client_output_buffer_limit: normal 0 0 0 slave 9 9 9 pubsub 0 0 0\n\n# next\nport: 1\n")
	f("auth_password: |-\n  two\n  lines\n", "requirepass|one", "auth_password: one\n")
	f("auth_password: |-\n  two\n  lines\nport: 1\n", "requirepass|one", "auth_password: one\nport: 1\n")
	f("{port: 1, timeout: 5}\n", "timeout|6", "{port: 1, timeout: 6}\n")
	// A reference stays one as long as nobody changed the value.
	f("max_memory: ${X}\ntimeout: 1\n", "timeout|2", "max_memory: ${X}\ntimeout: 2\n")
	f("max_memory: ${X}\n", "maxmemory|1000", "max_memory: ${X}\n")
	f("max_memory: ${X}\n", "maxmemory|2000", "max_memory: 2000\n")
	f("auth_password: a\n", "requirepass|\t\x01\u2028 ", "auth_password: \"\\t\\x01\\L \"\n")
	f("save: 1 2\n", "save|3600 1 300 100", "save: 3600 1 300 100\n")
	f("shutdown_on_sigterm: default\n", "shutdown-on-sigterm|nosave now", "shutdown_on_sigterm: nosave now\n")
	f("hash_max_ziplist_entries: 21\n", "hash-max-listpack-entries|100", "hash_max_ziplist_entries: 100\n")
}

// Setting back what was written before writes the old value again, and a value
// that never changed is not written at all.
func TestRewriteFollows(t *testing.T) {
	file := source(t, "port: 1\n")
	p := NewParams(load(t, Options{File: file}))
	step := func(set, want string) {
		t.Helper()
		if err := errors.Join(p.Set(pairs(set)), p.Rewrite()); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(file); string(got) != want {
			t.Errorf("%s: %q", set, got)
		}
	}
	step("timeout|0", "port: 1\n")
	step("timeout|5", "port: 1\n\n# Written by CONFIG REWRITE\ntimeout: 5\n")
	step("hz|20", "port: 1\n\n# Written by CONFIG REWRITE\ntimeout: 5\nhz: 20\n")
	step("timeout|0", "port: 1\n\n# Written by CONFIG REWRITE\ntimeout: 0\nhz: 20\n")
}

// What came from the environment or a flag is not copied into the file.
func TestRewriteKeepsOtherSourcesOut(t *testing.T) {
	got := rewritten(t, "port: 1\n", "timeout|3", Options{
		Environ: []string{"HYPERKV_AUTH_PASSWORD=secret"}, Flags: commandLine(t, "--databases", "3")})
	if want := "port: 1\n\n# Written by CONFIG REWRITE\ntimeout: 3\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestRewriteReplacesSecretFile(t *testing.T) {
	secret := source(t, "old\n")
	got := rewritten(t, "auth_password_file: "+secret+" # here\nport: 1\n", "requirepass|new", Options{})
	if !strings.HasPrefix(got, "auth_password: new\nport: 1") {
		t.Errorf("got %q", got)
	}
}

func TestRewriteFailures(t *testing.T) {
	if err := newParams(t, nil).Rewrite(); err == nil || err.Error() != "ERR The server is running without a config file" {
		t.Errorf("got %v", err)
	}
	file := source(t, "timeout: 1\n")
	p := NewParams(load(t, Options{File: file}))
	if err := p.Set(pairs("requirepass|\xff\xfe")); err != nil {
		t.Fatal(err)
	}
	if err := p.Rewrite(); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("got %v", err)
	}
	if got, _ := os.ReadFile(file); string(got) != "timeout: 1\n" {
		t.Errorf("a failure changed the file: %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := p.Rewrite(); err == nil || err.Error() != "ERR Rewriting config file: No such file or directory" {
		t.Errorf("got %v", err)
	}
}

// A link stays a link, the mode stays, and nothing is left beside the file.
func TestRewriteLeavesNoTrace(t *testing.T) {
	file := source(t, "timeout: 1\n")
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(file, link); err != nil {
		t.Skip(err)
	}
	p := NewParams(load(t, Options{File: link}))
	if err := errors.Join(p.Set(pairs("timeout|2")), p.Rewrite()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link is gone")
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// Whatever text a password is, and however the file quotes the old one, a
// restart finds it.
func TestRewriteRoundTrip(t *testing.T) {
	file := source(t, "")
	rapid.Check(t, func(r *rapid.T) {
		old := rapid.SampledFrom([]string{
			"auth_password: plain # c\n", "auth_password: 'a'\nport: 1\n", "auth_password: \"a\\\\\"\n", "port: 1\n", "",
			"auth_password: >-\n  x\n  y\nport: 1\n", "auth_password: a b\n  c\nport: 1\n", "# c\nauth_password:\n  x\nport: 1\n", "auth_password: &a x\nnode_id: *a\n",
			"auth_password: !!str 12\n", "{auth_password: x}\n", "%YAML 1.1\n---\nauth_password: x\n", "auth_password: x\n...\n",
		}).Draw(r, "file")
		if err := os.WriteFile(file, []byte(old), 0o600); err != nil {
			r.Fatal(err)
		}
		c, err := Load(Options{File: file})
		if err != nil {
			r.Fatal(err)
		}
		want := strings.ReplaceAll(rapid.OneOf(rapid.String(), rapid.StringMatching(`[-:# '"\\{}$,\[\]&*!|>%@a~0.]{0,12}`)).Draw(r, "password"), "\x00", "")
		p := NewParams(c)
		if err := p.Set([]Pair{{"requirepass", want}}); err != nil {
			r.Fatal(err)
		}
		if err := p.Rewrite(); err != nil {
			if strings.Contains(err.Error(), "by hand") { // forms that are left alone
				return
			}
			r.Fatal(err)
		}
		c, err = Load(Options{File: file})
		if err != nil {
			r.Fatal(err)
		}
		if c.AuthPassword != want {
			r.Fatalf("want %q, got %q", want, c.AuthPassword)
		}
	})
}
