package netio

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// gnetLog passes gnet's own messages on, one level lower than gnet thinks of them:
// what matters to an operator is logged by this package where it happens.
type gnetLog struct{ log *slog.Logger }

func (g gnetLog) Debugf(format string, args ...any) { g.at(slog.LevelDebug, format, args) }
func (g gnetLog) Infof(format string, args ...any)  { g.at(slog.LevelDebug, format, args) }
func (g gnetLog) Warnf(format string, args ...any)  { g.at(slog.LevelDebug, format, args) }
func (g gnetLog) Errorf(format string, args ...any) { g.at(slog.LevelWarn, format, args) }
func (g gnetLog) Fatalf(format string, args ...any) { g.at(slog.LevelError, format, args) }

func (g gnetLog) at(level slog.Level, format string, args []any) {
	if g.log.Enabled(context.Background(), level) {
		g.log.Log(context.Background(), level, "gnet: "+fmt.Sprintf(format, args...))
	}
}

// onceASecond lets one of many equal messages through each second and counts the
// others. Safe for concurrent use.
type onceASecond struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

// warn logs msg with err, or counts it.
func (o *onceASecond) warn(log *slog.Logger, msg string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if now.Sub(o.last) < time.Second {
		o.skipped++
		return
	}
	o.last = now
	log.Warn(msg, "err", err, "repeated", o.skipped)
	o.skipped = 0
}
