// Pingd answers +PONG to every command it is sent, over package netio: what is left
// of a server when everything but its sockets is taken away. Its CPU time for each
// request is compared with that of redis-server's PING.
package main

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"hyperkv/netio"
)

var pings atomic.Uint64

type backend struct{}

func (backend) NewLoop(int, func()) netio.Loop { return loop{} }

type loop struct{}

func (loop) Open(c *netio.Conn) (netio.Session, error) { return &session{c: c}, nil }
func (loop) Commit(bool) netio.Ticket                  { return netio.Now }
func (loop) Committed(t netio.Ticket) netio.Ticket     { return t }
func (loop) Woken()                                    {}
func (loop) Leave(netio.Session, netio.Loop) bool      { return true }
func (loop) Arrive(netio.Session, *netio.Conn)         {}
func (loop) Tick(time.Time)                            {}

type session struct {
	c   *netio.Conn
	out []byte
}

func (s *session) Feed(data []byte) {
	n := bytes.Count(data, []byte("*"))
	pings.Add(uint64(n))
	if bytes.Contains(data, []byte("CONFIG")) {
		s.c.Write([]byte("-ERR unknown command\r\n"))
		return
	}
	s.out = s.out[:0]
	for range n {
		s.out = append(s.out, "+PONG\r\n"...)
	}
	s.c.Write(s.out)
}

func (s *session) Closed(error) {}

func main() {
	port := flag.Int("port", 0, "TCP port")
	loops := flag.Int("loops", 1, "event loops")
	procs := flag.Int("procs", 0, "GOMAXPROCS, if above 0")
	govern := flag.Bool("govern", false, "let GOMAXPROCS follow the load")
	profile := flag.String("profile", "", "write a CPU profile to this file")
	flag.Parse()
	debug.SetGCPercent(400)
	if *procs > 0 {
		runtime.GOMAXPROCS(*procs)
	}
	if *govern {
		defer netio.GovernProcessors(runtime.GOMAXPROCS(0), pings.Load, func(int, int) {}).Stop()
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			panic(err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			panic(err)
		}
		defer pprof.StopCPUProfile()
	}
	s, err := netio.Serve(context.Background(), backend{}, netio.Options{Loops: *loops, Port: *port, KeepAliveSeconds: 300})
	if err != nil {
		slog.Error("serve", "err", err)
		os.Exit(1)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	<-stop
	_ = s.Shutdown(context.Background())
}
