package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hyperkv/internal/config"
	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
	snapshots "hyperkv/persist/snapshot"
)

func newBackupCommand() *cobra.Command {
	var password string
	cmd := &cobra.Command{
		Use: "backup DIR DEST", Args: cobra.ExactArgs(2),
		Short: "Copy the data of a data directory, also while a server uses it",
		Long: `Copy the data in the data directory DIR to DEST, which is not there, or empty.

A server that uses DIR is asked for a snapshot (SAVE), which other clients need not wait for;
that is what is copied. It has to run on this machine, and its password, if it has one, comes
from --password, from HYPERKV_AUTH_PASSWORD, or from the configuration file. Without a server,
all snapshots and the log are copied.

DEST is a data directory by itself: check reads it, restore copies it back, and a server could
be started on it. It gets its name when all of it is written, durable, and has been read again.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("password") {
				c, err := config.Load(configOptions(cmd.Flags(), false))
				if err != nil {
					return err
				}
				password = c.AuthPassword
			}
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			return backup(ctx, cmd.OutOrStdout(), args[0], args[1], password)
		},
	}
	cmd.Flags().StringP("config", "c", "", "Configuration file, for the password. Default: what "+config.EnvFile+" names, or none.")
	cmd.Flags().StringVar(&password, "password", "", "Password of the default user of the server.")
	return cmd
}

// backup copies the data in a data directory. What was not completed is not there.
func backup(ctx context.Context, out io.Writer, dir, dest, password string) (err error) {
	if info, err := os.Stat(dir); err != nil {
		return fmt.Errorf("backup: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("backup: %s is not a directory", dir)
	}
	if dest, err = vacant(dest); err != nil {
		return err
	}
	if err := apart(dir, dest); err != nil {
		return err
	}
	lock, server, err := occupy(ctx, dir)
	if err != nil {
		return err
	}
	if lock != nil {
		defer lock.Release()
	}
	d, err := beginDraft(dest, "backup")
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() {
		if err != nil {
			d.discard()
			err = fmt.Errorf("backup: %w; there is no %s", err, dest)
		}
	}()
	c := copying{ctx: ctx, link: true}
	if server != nil {
		err = c.running(dir, d.path, server, password)
	} else {
		err = c.all(dir, d.path)
	}
	if err != nil {
		return err
	}
	start, err := verify(out, d.path)
	if err != nil {
		return err
	}
	what := contents(d.path, start)
	if err := d.publish(); err != nil {
		return err
	}
	if c.linked > 0 {
		what += "\nits snapshots are hard links of those in " + dir + ": against the loss of the disk, copy it to another"
	}
	fmt.Fprintf(out, "%s: %s\n", dest, what)
	return nil
}

// vacant returns the name of a folder that is not there, or is empty and can be replaced.
func vacant(dest string) (string, error) {
	dest, err := filepath.Abs(dest)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dest); err == nil {
		dest = real
	}
	entries, err := os.ReadDir(dest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dest, nil
	case err != nil:
		return "", err
	case len(entries) > 0:
		return "", fmt.Errorf("%s is not empty", dest)
	case isMountPoint(dest):
		return "", fmt.Errorf("%s is where a file system begins: name a folder in it", dest)
	}
	return dest, nil
}

// occupyPatience is how long a backup waits for a server that is starting.
const occupyPatience = 10 * time.Second

// occupy takes a data directory, or returns the server that uses it.
func occupy(ctx context.Context, dir string) (*datadir.Lock, *datadir.Holder, error) {
	_, err := os.Stat(filepath.Join(dir, datadir.LockName))
	if !datadir.HoldsData(dir) && err != nil {
		return nil, nil, fmt.Errorf("there is no data in %s, and no server that would keep any there", dir)
	}
	for deadline := time.Now().Add(occupyPatience); ; {
		lock, err := take(dir, "backup")
		var used *datadir.InUseError
		switch {
		case err == nil && !datadir.HoldsData(dir):
			lock.Release()
			return nil, nil, fmt.Errorf("there is no data in %s, and no server that would keep any there", dir)
		case err == nil:
			return lock, nil, nil
		case !errors.As(err, &used):
			return nil, nil, err
		case used.Holder != nil && len(used.Holder.Addresses) > 0:
			return nil, used.Holder, nil
		case used.Holder != nil && used.Holder.PID != 0 && used.Holder.Command != "serve", time.Now().After(deadline):
			return nil, nil, err
		}
		select { // it is starting, or about to say who it is
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// replyPatience is how long a server may take to answer what takes no time.
const replyPatience = 10 * time.Second

// running asks the server that uses a data directory for a snapshot, and copies that.
func (c *copying) running(dir, to string, server *datadir.Holder, password string) error {
	source := filepath.Join(dir, datadir.Snapshots)
	all, damaged, err := snapshots.List(disk.Reading{}, source)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // one may go while it is read
		return err
	}
	before := snapshots.NewestNumber(all, damaged)
	r, err := c.reach(server, password)
	if err != nil {
		return err
	}
	defer r.close()
	if err := c.save(r); err != nil {
		return err
	}
	return c.newest(source, filepath.Join(to, datadir.Snapshots), before)
}

// reach connects to a server, and makes sure that it is the one.
func (c *copying) reach(server *datadir.Holder, password string) (*remote, error) {
	var errs []error
	for _, a := range server.Addresses {
		r, err := dialRemote(c.ctx, a.Network, a.Address, password, time.Now().Add(replyPatience))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a.Address, err))
			continue
		}
		reply, err := r.ask("INFO", "server")
		switch {
		case err != nil:
		case reply.Err() != nil:
			err = fmt.Errorf("INFO was answered with %q", replyLine(reply))
			if strings.HasPrefix(reply.Text(), "NOAUTH") {
				err = errors.New("the server wants a password: use --password or HYPERKV_AUTH_PASSWORD")
			}
		case runID(reply.Text()) != server.RunID:
			err = errors.New("another server answers there")
		default:
			return r, nil
		}
		r.close()
		errs = append(errs, fmt.Errorf("%s: %w", a.Address, err))
	}
	return nil, fmt.Errorf("the server (%s) was not reached: %w", server, errors.Join(errs...))
}

// runID is what INFO says of it.
func runID(info string) string {
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if id, found := strings.CutPrefix(lines.Text(), "run_id:"); found {
			return strings.TrimSpace(id)
		}
	}
	return ""
}

// save asks for a snapshot of what is there now, and returns when it is written. A server
// that is loading is waited for, and so is a snapshot that is being taken.
func (c *copying) save(r *remote) error {
	if err := r.patient(c.ctx); err != nil {
		return err
	}
	for {
		reply, err := r.ask("SAVE")
		switch {
		case err != nil:
			return errors.Join(c.ctx.Err(), err)
		case replyLine(reply) == "+OK":
			return nil
		case replyLine(reply) != "-ERR Background save already in progress" && !strings.HasPrefix(replyLine(reply), "-LOADING "):
			return fmt.Errorf("SAVE was answered with %q: the server's log says more", replyLine(reply))
		}
		select { // the one under way began before, or not all of the data is there yet
		case <-c.ctx.Done():
			return c.ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// newestAttempts is how often a snapshot may be replaced while it is copied.
const newestAttempts = 20

// newest copies the newest snapshot, which has to be newer than one with a number, as one
// that stands for itself.
func (c *copying) newest(from, to string, before uint64) (err error) {
	for range newestAttempts {
		if err := errors.Join(os.RemoveAll(to), os.Mkdir(to, 0o750)); err != nil {
			return err
		}
		var all []snapshots.Manifest
		if all, _, err = snapshots.List(disk.Reading{}, from); err == nil {
			if len(all) == 0 || all[0].Number <= before {
				return fmt.Errorf("the server has written a snapshot, and not to %s", from)
			}
			m := all[0]
			m.Journal = nil
			c.linked = 0
			err = c.snapshot(&m, from, to)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}
