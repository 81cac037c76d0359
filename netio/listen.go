package netio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listen opens every listener that o asks for, or none.
//
// Nothing here sets SO_REUSEPORT: a second server on the same port must fail to
// start instead of taking half of the connections. The spreading over loops is
// done by the acceptor, and more evenly than the kernel's hashing would.
func listen(ctx context.Context, o Options) (lns []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, ln := range lns {
				ln.Close()
			}
			lns = nil
		}
	}()
	if o.Port != 0 {
		for _, host := range o.Hosts {
			host, optional := strings.CutPrefix(host, "-")
			ln, err := listenTCP(ctx, host, o)
			if err != nil {
				if optional && absent(err) {
					o.Log.Warn("optional address is not available", "host", host, "err", err)
					continue
				}
				return lns, err
			}
			lns = append(lns, ln)
		}
	}
	if o.UnixSocket != "" {
		ln, err := listenUnix(ctx, o)
		if err != nil {
			return lns, err
		}
		lns = append(lns, ln)
	}
	return lns, nil
}

// absent tells an address that this machine does not have from one that is taken.
func absent(err error) bool {
	return errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) ||
		errors.Is(err, unix.EPROTONOSUPPORT)
}

func listenTCP(ctx context.Context, host string, o Options) (net.Listener, error) {
	network := "tcp"
	switch {
	case host == "*":
		network, host = "tcp4", "0.0.0.0"
	case host == "::*":
		network, host = "tcp6", "::"
	default:
		if ip := net.ParseIP(host); ip != nil && ip.To4() != nil {
			network = "tcp4"
		} else if ip != nil {
			network = "tcp6"
		}
	}
	addr := net.JoinHostPort(host, strconv.Itoa(max(o.Port, 0)))
	lc := net.ListenConfig{
		KeepAlive: -1, // accepted sockets inherit ours
		Control: func(_, _ string, rc syscall.RawConn) error {
			if o.KeepAliveSeconds <= 0 {
				return nil
			}
			var err error
			cerr := rc.Control(func(fd uintptr) { err = setKeepAlive(int(fd), o.KeepAliveSeconds) })
			return errors.Join(cerr, err)
		},
	}
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(ctx, network, addr)
	if err != nil {
		return nil, bindError(addr, err)
	}
	if err := setBacklog(ln.(*net.TCPListener), o.Backlog); err != nil {
		ln.Close()
		return nil, fmt.Errorf("listen on %s: backlog: %w", addr, err)
	}
	return ln, nil
}

func listenUnix(ctx context.Context, o Options) (net.Listener, error) {
	path := o.UnixSocket
	if err := removeStale(ctx, path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		if o.UnixSocketPerm == 0 {
			return nil
		}
		// Before bind, so that the file is never there with wider permissions.
		var err error
		cerr := rc.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), uint32(o.UnixSocketPerm.Perm())) })
		return errors.Join(cerr, err)
	}}
	ln, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, bindError(path, err)
	}
	if o.UnixSocketPerm != 0 {
		err = os.Chmod(path, o.UnixSocketPerm.Perm()) // bits that the umask took
	}
	if err == nil {
		err = setBacklog(ln.(*net.UnixListener), o.Backlog)
	}
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return ln, nil
}

// removeStale removes a socket file that nobody listens on. Anything else at that
// path is left alone.
func removeStale(ctx context.Context, path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode()&fs.ModeSocket == 0 {
		return errors.New("the path exists and is not a socket")
	}
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		c.Close()
		return unix.EADDRINUSE
	}
	if errors.Is(err, unix.ECONNREFUSED) {
		return os.Remove(path)
	}
	return err
}

// bindError names the address once and gives the kernel's reason.
func bindError(addr string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return fmt.Errorf("listen on %s: %w", addr, err)
}

// setBacklog replaces the backlog that package net chose: listen may be called
// again on a listening socket.
func setBacklog(ln syscall.Conn, backlog int) error {
	rc, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	cerr := rc.Control(func(fd uintptr) { err = unix.Listen(int(fd), backlog) })
	return errors.Join(cerr, err)
}
