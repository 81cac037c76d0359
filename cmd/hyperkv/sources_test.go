package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hyperkv/internal/config"
	"hyperkv/internal/rdb"
	"hyperkv/migrate"
)

// Which data it is that a Redis would load, and of which form.
func TestSourceOfConf(t *testing.T) {
	const rdbFile, logFile = "REDIS0003\xff", "*1\r\n$4\r\nPING\r\n"
	const lonely = "file appendonly.aof seq 1 type b\n"
	f := func(conf string, files map[string]string, want string) {
		t.Helper()
		dir := t.TempDir()
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, "redis.conf")
		if err := os.WriteFile(path, []byte("dir "+dir+"\n"+conf), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.ReadRedisConf(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := sourceOfConf(c, reading{progress: &progress{}})
		have := ""
		switch s := s.(type) {
		case *fileSource:
			have = "rdb " + s.file.Path
		case *logSource:
			have = fmt.Sprintf("log %s %v", s.log.Name, s.truncated)
		default:
			have = fmt.Sprint(err)
		}
		if have = strings.ReplaceAll(have, dir, "DIR"); !strings.HasPrefix(have, want) {
			t.Errorf("%q with %v: %s, want %s", conf, files, have, want)
		}
	}
	both := map[string]string{"dump.rdb": rdbFile, "other.rdb": rdbFile, "appendonly.aof": logFile}
	f("", both, "rdb DIR/dump.rdb")
	f("dbfilename other.rdb\nappendonly no\n", both, "rdb DIR/other.rdb")
	f("appendonly yes\n", both, "log DIR/appendonly.aof true")
	f("appendonly yes\naof-load-truncated no\n", both, "log DIR/appendonly.aof false")
	f("appendonly yes\nappendfilename none.aof\n", both, "appendonly is yes, and there is neither DIR/appendonlydir/none.aof.manifest nor DIR/none.aof")
	f("appendonly yes\n", map[string]string{"appendonlydir/appendonly.aof.manifest": lonely, "appendonlydir/appendonly.aof": logFile, "appendonly.aof": logFile},
		"log DIR/appendonlydir/appendonly.aof.manifest true")
	f("appendonly yes\n", map[string]string{"appendonlydir/appendonly.aof.manifest": lonely, "appendonly.aof": logFile}, "log DIR/appendonly.aof true")
	f("appendonly yes\n", map[string]string{"appendonlydir/appendonly.aof.manifest": lonely}, "DIR/appendonlydir/appendonly.aof.manifest names a file that cannot be read")
	f("appendonly yes\n", map[string]string{"appendonlydir/appendonly.aof.manifest": "file x seq 1 type b\n", "appendonly.aof": logFile},
		"DIR/appendonlydir/appendonly.aof.manifest names a file that cannot be read")
	f("appendonly yes\nappenddirname a\nappendfilename b\n", map[string]string{"a/b.manifest": "file x seq 1 type i\n", "a/x": ""}, "log DIR/a/b.manifest true")
	// An RDB file that says of itself that commands follow is a log.
	f("", map[string]string{"dump.rdb": "REDIS0009\xfa\x0caof-preamble\xc0\x01\xff\x00\x00\x00\x00\x00\x00\x00\x00" + logFile}, "log DIR/dump.rdb true")
	f("", map[string]string{"dump.rdb": "REDIS0009\xfa\x0caof-preamble\xc0\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00"}, "rdb DIR/dump.rdb")
}

// syncBuffer is a buffer that several may write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Progress says what has moved, how fast, and how long it will take.
func TestProgress(t *testing.T) {
	out := &syncBuffer{}
	p := startProgress(out, 5*time.Millisecond)
	p.total.Add(4 << 20)
	if _, err := io.Copy(io.Discard, p.wrap(bytes.NewReader(make([]byte, 1<<20)))); err != nil {
		t.Fatal(err)
	}
	target := p.count(migrate.Nowhere{})
	for range 3 {
		if err := target.Key(&rdb.Key{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	p.start = time.Now().Add(-10 * time.Second)
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(out.String(), "3 keys (0 a second), 1 MiB of 4 MiB read, about 30s left\n"); {
		if time.Now().After(deadline) {
			t.Fatal(out.String())
		}
		time.Sleep(time.Millisecond)
	}
	if summary := p.stop(); !strings.HasPrefix(summary, "3 keys (0 a second), 1 MiB read, in 10.") {
		t.Error(summary)
	}
	terminal := &syncBuffer{}
	p = &progress{out: terminal, live: true, start: time.Now(), quit: make(chan struct{})}
	p.show()
	p.stop()
	if have := terminal.String(); !strings.HasPrefix(have, "\r0 keys") || !strings.HasSuffix(have, "\r\x1b[K") || strings.Contains(have, "\n") {
		t.Errorf("%q", have)
	}
	if isTerminal(out) {
		t.Error("a buffer is a terminal")
	}
}
