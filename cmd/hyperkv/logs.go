package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"hyperkv/internal/config"
)

// logs is where the process logs to. Safe for concurrent use.
type logs struct {
	*slog.Logger
	level slog.LevelVar
	file  *logFile // nil when logs go to standard error
}

func openLogs(c *config.Config, stderr io.Writer) (*logs, error) {
	l := &logs{}
	l.level.Set(config.SlogLevel(c.LogLevel))
	out := stderr
	if c.LogFile != "" {
		l.file = &logFile{path: c.LogFile}
		if err := l.file.reopen(); err != nil {
			return nil, fmt.Errorf("log_file: %w", err)
		}
		out = l.file
	}
	options := &slog.HandlerOptions{Level: &l.level, ReplaceAttr: renameFields}
	if c.LogFormat == "json" {
		l.Logger = slog.New(slog.NewJSONHandler(out, options))
	} else {
		l.Logger = slog.New(slog.NewTextHandler(out, options))
	}
	return l, nil
}

// renameFields gives the fields of a line the names that log pipelines expect,
// and levels between slog's their own word.
func renameFields(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		a.Key = "ts"
	case slog.LevelKey:
		if a.Value.Any() == config.SlogLevel("verbose") {
			a.Value = slog.StringValue("VERBOSE")
		}
	}
	return a
}

func (l *logs) setLevel(level string) error {
	l.level.Set(config.SlogLevel(level))
	return nil
}

// reopen follows a log file that was moved away.
func (l *logs) reopen() {
	if l.file == nil {
		return
	}
	if err := l.file.reopen(); err != nil {
		l.Error("the log file stays the old one", "err", err)
		return
	}
	l.Info("log file reopened")
}

func (l *logs) close() {
	if l.file != nil {
		l.file.close()
	}
}

// logFile is a file that can be opened anew while it is written to. mu guards
// file.
type logFile struct {
	path string
	mu   sync.Mutex
	file *os.File
}

func (f *logFile) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Write(line)
}

// reopen keeps the old file when the new one cannot be opened.
func (f *logFile) reopen() error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.file
	f.file = file
	if old != nil {
		return old.Close()
	}
	return nil
}

func (f *logFile) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.file.Close()
}
