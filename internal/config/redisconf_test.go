package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// conf writes files, given as name and text in turn, and returns the path of the first.
func conf(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		text := strings.ReplaceAll(files[i+1], "DIR", dir)
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, files[0])
}

func TestRedisConf(t *testing.T) {
	path := conf(t, "redis.conf", `# a comment
port 7000
BIND 127.0.0.1 -::1
syslog-enabled yes
daemonize yes
dir /var/lib/redis
maxmemory 2gb
jemalloc-bg-thread yes
requirepass "pass \"word\" ${HOME}"
save 900 1
save 300 10
client-output-buffer-limit normal 0 0 0
client-output-buffer-limit replica 512mb 64mb 60
client-output-buffer-limit pubsub 32mb 8mb 60
hash-max-ziplist-entries 128
appendonly no
appendfsync everysec
always-show-logo yes
set-proc-title yes
rename-command CONFIG ""
user alice on
slowlog-max-len many
include DIR/more/*.conf
include DIR/other.conf
`, "other.conf", "appendonly yes\r\nappenddirname \"my log\"\n")
	c, err := ReadRedisConf(path)
	if err != nil {
		t.Fatal(err)
	}
	f := func(name, want string) {
		t.Helper()
		if have := c.Value(name, "preset"); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	f("dir", "/var/lib/redis")
	f("appendonly", "yes")
	f("appenddirname", "my log")
	f("dbfilename", "preset")
	f("hash-max-listpack-entries", "128")
	text, notes := c.YAML()
	for _, line := range []string{
		"port: 7000", `host: "127.0.0.1 -::1"`, "#! syslog_enabled: yes", "#! daemonize: yes", "#! data_dir: /var/lib/redis",
		"max_memory: 2147483648", `auth_password: "pass \"word\" $${HOME}"`,
		"save: 900 1 300 10",
		"client_output_buffer_limit: normal 0 0 0 slave 536870912 67108864 60 pubsub 33554432 8388608 60",
		"hash_max_listpack_entries: 128", "aof_enabled: yes", "aof_fsync_policy: everysec", "#! slowlog_max_len: many",
		"always_show_logo: yes # has no effect in this version", "appenddirname: my log # has no effect in this version",
	} {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
	if strings.Contains(text, "jemalloc") || strings.Contains(text, "set_proc_title") {
		t.Error("what makes no difference is written")
	}
	all := strings.Join(notes, "\n")
	for _, note := range []string{
		path + ":20: rename-command has no counterpart", path + ":21: user has no counterpart", path + ":4: syslog_enabled: ", path + ":5: daemonize: ",
		path + ":6: data_dir: ", path + ":22: slowlog_max_len: want a whole number",
	} {
		if !strings.Contains(all, note) {
			t.Errorf("no note %q in\n%s", note, all)
		}
	}
	if len(notes) != 6 {
		t.Errorf("%d notes:\n%s", len(notes), all)
	}
	// What was made of it is a configuration, with the same values.
	yaml := conf(t, "hyperkv.yaml", text)
	loaded, err := Load(Options{File: yaml})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if loaded.Port != 7000 || loaded.AuthPassword != `pass "word" ${HOME}` || loaded.MaxMemory != 2<<30 || !loaded.AOFEnabled {
		t.Errorf("%+v", loaded)
	}
}

// The file that Redis is shipped with becomes a configuration that can be loaded.
func TestRedisConfShipped(t *testing.T) {
	const shipped = "/etc/redis/redis.conf"
	c, err := ReadRedisConf(shipped)
	if err != nil {
		t.Skip(err)
	}
	text, notes := c.YAML()
	if _, err := Load(Options{File: conf(t, "hyperkv.yaml", text)}); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	for _, note := range notes {
		if strings.Contains(note, "no counterpart") {
			t.Error(note)
		}
	}
}

func TestRedisConfRefused(t *testing.T) {
	f := func(words string, files ...string) {
		t.Helper()
		path := conf(t, files...)
		if _, err := ReadRedisConf(path); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v, want %q", files, err, words)
		}
	}
	f("redis.conf:2: unbalanced quotes", "redis.conf", "port 1\nrequirepass \"x\n")
	f("redis.conf:1: include: ", "redis.conf", "include DIR/nonesuch.conf\n")
	f("more than 100 files", "redis.conf", "include DIR/redis.conf\n")
	f("larger than", "redis.conf", strings.Repeat("# a comment\n", 100_000))
	if _, err := ReadRedisConf(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Error(err)
	}
}
