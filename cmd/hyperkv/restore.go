package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hyperkv/persist/datadir"
)

func newRestoreCommand() *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use: "restore BACKUP DIR", Args: cobra.ExactArgs(2),
		Short: "Make a data directory of a backup",
		Long: `Copy BACKUP, which "hyperkv backup" has written, to DIR, which is not there, or empty.
All of it is read before, and again when it was copied. No server may use either.

Run it as the user that runs the server. Any number of shards may be configured then.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			return restore(ctx, cmd.OutOrStdout(), args[0], args[1], force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "Move what is in DIR aside, to DIR.before-restore-<time>. Nothing is deleted.")
	return cmd
}

// restore makes a data directory of a backup. What was not completed is not there, and DIR is
// as it was.
func restore(ctx context.Context, out io.Writer, from, dir string, force bool) error {
	from = filepath.Clean(from)
	if strings.HasSuffix(from, draftSuffix) {
		return fmt.Errorf("%s is a backup that was not completed", from)
	}
	if err := apart(from, dir); err != nil {
		return err
	}
	if !datadir.HoldsData(from) {
		return fmt.Errorf("there is no backup in %s", from)
	}
	lock, err := datadir.TakeToRead(from)
	if err != nil {
		return err
	}
	defer lock.Release()
	if _, err := verify(out, from); err != nil {
		return err
	}
	t, err := newTarget(dir, force)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	what, err := t.fill(ctx, out, from)
	if err != nil {
		t.draft.discard()
		err = fmt.Errorf("restore: %w; %s is as it was", err, t.dir)
	}
	t.release()
	if err != nil {
		return err
	}
	if t.aside != "" {
		what += "\nwhat was there before is in " + t.aside
	}
	fmt.Fprintf(out, "%s: %s\nstart it with: hyperkv serve --data-dir %s\n", t.dir, what, t.dir)
	return nil
}

// A restoreTarget is the directory that is to be made of a backup.
type restoreTarget struct {
	dir   string
	draft *draft
	lock  *datadir.Lock // of what is there; nil if nothing is
	aside string        // where that is moved, empty if it is not
}

func newTarget(dir string, force bool) (*restoreTarget, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	t := &restoreTarget{dir: dir}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
			return nil, err
		}
		t.draft, err = beginDraft(dir, "restore")
		return t, err
	}
	if err != nil {
		return nil, err
	}
	occupied := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() != datadir.LockName && e.Name() != insideName })
	if occupied && !force {
		return nil, fmt.Errorf("%s is not empty: --force moves what is there aside", dir)
	}
	if occupied && isMountPoint(dir) {
		return nil, fmt.Errorf("%s is where a file system begins and cannot be moved aside: empty it, or restore to a folder in it", dir)
	}
	if t.lock, err = take(dir, "restore"); err != nil {
		return nil, err
	}
	if occupied {
		t.aside = dir + ".before-restore-" + time.Now().UTC().Format("20060102-150405")
		t.draft, err = beginDraft(dir, "restore")
	} else {
		t.draft, err = beginInside(dir, "restore")
	}
	if err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

func (t *restoreTarget) release() {
	if t.lock != nil {
		t.lock.Release()
	}
}

// fill copies the backup, reads it again, and puts it where it belongs.
func (t *restoreTarget) fill(ctx context.Context, out io.Writer, from string) (what string, err error) {
	c := copying{ctx: ctx}
	if err := c.all(from, t.draft.path); err != nil {
		return "", err
	}
	start, err := verify(out, t.draft.path)
	if err != nil {
		return "", err
	}
	what = contents(t.draft.path, start)
	if t.aside == "" {
		return what, t.draft.publish()
	}
	if _, err := os.Lstat(t.aside); err == nil {
		return "", fmt.Errorf("%s is there already", t.aside)
	}
	if err := os.Rename(t.dir, t.aside); err != nil {
		return "", err
	}
	if err := t.draft.publish(); err != nil {
		return "", errors.Join(err, os.Rename(t.aside, t.dir))
	}
	return what, nil
}
