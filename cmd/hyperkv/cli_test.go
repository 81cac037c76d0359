package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hyperkv/engine"
	"hyperkv/internal/config"
)

// The settings of whoever runs the tests are not part of them; what steers tests is.
func init() {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if setting, ours := strings.CutPrefix(name, config.EnvPrefix); ours && !strings.HasPrefix(setting, "TEST_") && !strings.HasPrefix(setting, "REQUIRE_") {
			_ = os.Unsetenv(name)
		}
	}
}

// hyperkv runs the command line inside the test and returns what main would
// print.
func hyperkv(t *testing.T, args ...string) (stdout, stderr string, failed bool) {
	t.Helper()
	var out, errs bytes.Buffer
	root := newRootCommand()
	root.SetArgs(config.JoinSwitches(args))
	root.SetOut(&out)
	root.SetErr(&errs)
	if err := root.ExecuteContext(t.Context()); err != nil {
		report(&errs, err)
		failed = true
	}
	return out.String(), errs.String(), failed
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hyperkv.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommandLineMistakes(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		out, errs, failed := hyperkv(t, args...)
		if !failed || out != "" || errs != want {
			t.Errorf("%q: %v %q %q", args, failed, out, errs)
		}
	}
	f("hyperkv: unknown flag: --prot; did you mean --port?\n", "--prot", "1")
	f("hyperkv: unknown flag: --shrads; did you mean --shards?\n", "serve", "--shrads", "1")
	f("hyperkv: 1 mistake in the configuration\n  --daemon: "+config.DaemonRefused+"; remove the setting or set it to no\n", "--daemon")
	f("hyperkv: 2 mistakes in the configuration\n"+
		"  --port: want a whole number from 0 to 65535, not \"x\"\n"+
		"  --enable-clustering: clustering is not available in this version; remove the setting or set it to no\n",
		"serve", "-p", "x", "--enable-clustering")
	if !strings.Contains(config.DaemonRefused, "systemd") {
		t.Error("the refusal does not name systemd")
	}
}

func TestCheck(t *testing.T) {
	t.Setenv("HYPERKV_PORT", "not looked at")
	t.Setenv("CHECKED", "7000")
	good := write(t, "port: ${CHECKED}\ncluster_name: x\n")
	if out, errs, failed := hyperkv(t, "check", good); failed || errs != "" || !strings.HasSuffix(out, ": ok\n") || !strings.Contains(out, "note: cluster_name") {
		t.Errorf("%q %q", out, errs)
	}
	bad := write(t, "prot: 1\nport: x\n")
	out, errs, failed := hyperkv(t, "check", bad)
	want := "hyperkv: 2 mistakes in the configuration\n  " + bad + ":1: prot: unknown setting; did you mean port?\n  " +
		bad + ":2: port: want a whole number from 0 to 65535, not \"x\"\n"
	if !failed || out != "" || errs != want {
		t.Errorf("%v %q %q", failed, out, errs)
	}
}

func TestConfigShow(t *testing.T) {
	t.Setenv("HYPERKV_TIMEOUT", "5")
	t.Setenv(config.EnvFile, write(t, "port: 7000\nauth_password: hunter2\n"))
	out, errs, failed := hyperkv(t, "config", "show", "--origin", "--databases", "3")
	if failed {
		t.Fatal(errs)
	}
	for _, want := range []string{
		"port: 7000 .*# file .*hyperkv.yaml:1", "timeout: 5 .*# environment HYPERKV_TIMEOUT", "databases: 3 .*# flag --databases",
		"host: 127.0.0.1 .*# default", "# auth_password: set, not shown .*# file .*:2",
	} {
		before, after, _ := strings.Cut(want, " .*")
		found := false
		for _, line := range strings.Split(out, "\n") {
			if strings.HasPrefix(line, before+" ") {
				found = true
				for _, part := range strings.Split(after, ".*") {
					found = found && strings.Contains(line, part)
				}
			}
		}
		if !found {
			t.Errorf("no line %s in\n%s", want, out)
		}
	}
	if strings.Contains(out, "hunter2") {
		t.Error("the password is shown")
	}
	// What is shown is a configuration file.
	if _, errs, failed := hyperkv(t, "check", write(t, out)); failed {
		t.Error(errs)
	}
	all, _, _ := hyperkv(t, "config", "show", "--all")
	if !strings.Contains(all, "aof_load_truncated: yes\n") || strings.Contains(out, "aof_load_truncated") {
		t.Error("--all does not show all")
	}
}

func TestConfigDocs(t *testing.T) {
	if out, _, _ := hyperkv(t, "config", "docs"); out != config.Reference() {
		t.Error("config docs prints something else")
	}
}

func TestVersion(t *testing.T) {
	out, _, _ := hyperkv(t, "version", "--json")
	var v versionInfo
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Version != engine.Version || v.Go == "" {
		t.Errorf("%v %q", err, out)
	}
	if out, _, _ := hyperkv(t, "version"); !strings.HasPrefix(out, "hyperkv "+engine.Version) {
		t.Errorf("%q", out)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out, errs, failed := hyperkv(t, "completion", shell); failed || len(out) < 1000 {
			t.Errorf("%s: %s", shell, errs)
		}
	}
}

// answering listens and gives each line that is not a length its answer.
func answering(t *testing.T, network, address string, answers map[string]string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					if answer, ok := answers[lines.Text()]; ok {
						_, _ = conn.Write([]byte(answer))
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestHealth(t *testing.T) {
	f := func(wantOut, wantErr string, args ...string) {
		t.Helper()
		out, errs, failed := hyperkv(t, append([]string{"health", "--timeout", "5s"}, args...)...)
		if failed != (wantErr != "") || !strings.Contains(out, wantOut) || !strings.Contains(errs, wantErr) {
			t.Errorf("%q: %v %q %q", args, failed, out, errs)
		}
	}
	port := func(address string) string { _, port, _ := net.SplitHostPort(address); return port }

	open := port(answering(t, "tcp", "127.0.0.1:0", map[string]string{"PING": "+PONG\r\n"}))
	f("PONG in", "", "--port", open)
	f("PONG in", "", "--host", "127.0.0.1", "-p", open)
	t.Setenv("HYPERKV_PORT", open)
	t.Setenv("HYPERKV_HOST", "0.0.0.0")
	f("PONG in", "")

	locked := port(answering(t, "tcp", "127.0.0.1:0", map[string]string{"secret": "+OK\r\n", "PING": "+PONG\r\n", "wrong": "-WRONGPASS no\r\n"}))
	f("PONG in", "", "--port", locked, "--password", "secret")
	f("", "AUTH was answered with \"-WRONGPASS no\"", "--port", locked, "--password", "wrong")
	t.Setenv("HYPERKV_AUTH_PASSWORD", "secret")
	f("PONG in", "", "--port", locked)
	t.Setenv("HYPERKV_AUTH_PASSWORD", "")

	loading := port(answering(t, "tcp", "127.0.0.1:0", map[string]string{"PING": "-LOADING wait\r\n"}))
	f("", "PING was answered with \"-LOADING wait\"", "--port", loading)

	socket := filepath.Join(t.TempDir(), "s")
	answering(t, "unix", socket, map[string]string{"PING": "+PONG\r\n"})
	f("PONG in", "", "--unixsocket", socket)
	t.Setenv("HYPERKV_PORT", "0")
	t.Setenv("HYPERKV_UNIXSOCKET", socket)
	f("PONG in", "")
	t.Setenv("HYPERKV_UNIXSOCKET", "")
	f("", "neither a port nor a unixsocket")
	f("", "connect", "--unixsocket", socket+"-none")

	silent := port(answering(t, "tcp", "127.0.0.1:0", nil))
	if _, errs, failed := hyperkv(t, "health", "--timeout", "50ms", "--port", silent); !failed || !strings.Contains(errs, "no reply to PING") {
		t.Errorf("%q", errs)
	}
}
