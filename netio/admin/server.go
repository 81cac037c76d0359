package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// Source is what the port reports on. Its methods are called from any goroutine,
// several at a time, and do not wait for an event loop.
type Source interface {
	// WriteMetrics writes the server's metrics in Prometheus' text format.
	WriteMetrics(w io.Writer)

	// Live, Ready and Started say nil, or what is missing. The text is shown to
	// whoever asks.
	Live() error
	Ready() error
	Started() error
}

// RedisSource is a Source that also knows redis_exporter's names.
type RedisSource interface {
	WriteRedisMetrics(w io.Writer)
}

// Options say where to listen and what to show. The zero value of a field means
// its default.
type Options struct {
	Host      string // default 127.0.0.1
	Port      int    // below 0 lets the system choose
	Profiling bool   // serve /debug/pprof/
	Log       *slog.Logger
}

// Bounds that keep a client of this port from holding on to memory or goroutines.
const (
	headerBytesMax    = 16 << 10
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second // a profile's own duration is added to it
	idleTimeout       = 2 * time.Minute
	scrapesMax        = 4 // at a time; more are told to come back
)

// Server is a running admin port. Safe for concurrent use.
type Server struct {
	http     *http.Server
	listener net.Listener
	served   chan struct{} // closed when the listener's goroutine has returned
}

// Serve listens and answers from src. It returns once the port is open, or with an
// error that names the address. ctx bounds the start only.
func Serve(ctx context.Context, src Source, o Options) (*Server, error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	host := o.Host
	if host == "*" {
		host = "0.0.0.0"
	}
	addr := net.JoinHostPort(host, strconv.Itoa(max(o.Port, 0)))
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("admin port on %s: %w", addr, bindReason(err))
	}
	s := &Server{
		listener: ln,
		served:   make(chan struct{}),
		http: &http.Server{
			Handler:           newHandler(src, o.Profiling),
			MaxHeaderBytes:    headerBytesMax,
			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
		},
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("admin port stopped", "addr", addr, "err", err)
		}
	}()
	return s, nil
}

// Addr is the address the port listens on, as the kernel knows it.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Shutdown closes the port, waits for the answers under way until ctx ends, and
// then cuts them off. It may be called again.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
	}
	<-s.served
	return err
}

// bindReason leaves the kernel's reason of a failed listen.
func bindReason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return err
}
