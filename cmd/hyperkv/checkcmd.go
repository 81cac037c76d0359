package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"hyperkv/engine"
	"hyperkv/internal/config"
	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
)

func newCheckCommand() *cobra.Command {
	var repair bool
	cmd := &cobra.Command{
		Use: "check PATH", Args: cobra.ExactArgs(1),
		Short: "Check a configuration file, or the data in a data directory",
		Long: `Check a configuration file and list all its mistakes, or read everything in a data
directory that no server uses: every snapshot and every log, contents included. It says what
is there, what is damaged, and what a start would load and repeat, or why it would be refused.

The exit code is 1 when a start would be refused, or when something is damaged and was not
repaired. Keep a copy of the directory before you use --repair.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
				return checkData(cmd.OutOrStdout(), args[0], repair)
			}
			if repair {
				return errors.New("--repair is for a data directory")
			}
			return checkConfig(cmd, args[0])
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "Cut logs off where they are damaged, unless a snapshot holds what is damaged; remove snapshots that "+
		"cannot be read and that a start can do without; detach the newest from a log that is gone. It says what is lost.")
	return cmd
}

// checkConfig looks at the file only. ${VAR} in it still needs the environment, HYPERKV_*
// in the environment does not matter.
func checkConfig(cmd *cobra.Command, path string) error {
	c, err := config.Load(config.Options{File: path, Environ: withoutSettings(configOptions(cmd.Flags(), false).Environ)})
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	for _, warning := range c.Warnings {
		fmt.Fprintf(out, "%s: note: %s\n", path, warning)
	}
	_, err = fmt.Fprintf(out, "%s: ok\n", path)
	return err
}

var (
	errDamaged = errors.New("the data is damaged: see above")
	errRefused = errors.New("a start would be refused: see above")
)

// take takes a data directory for a command.
func take(dir, command string) (*datadir.Lock, error) {
	return datadir.Take(dir, datadir.Holder{PID: os.Getpid(), Version: engine.Version, Command: command})
}

// lockUnused takes a data directory that no server uses for a command; one that only reads
// needs no right to write there.
func lockUnused(dir, command string, reads bool) (*datadir.Lock, error) {
	lock, err := take(dir, command)
	var used *datadir.InUseError
	if err != nil && !errors.As(err, &used) && reads {
		lock, err = datadir.TakeToRead(dir)
	}
	if errors.As(err, &used) {
		return nil, fmt.Errorf("%w: stop it first, or %s a backup of it", err, command)
	}
	return lock, err
}

// checkData reads everything in a data directory that no server uses, says what is there
// and what a start would do, and with repair mends what is damaged.
func checkData(out io.Writer, dir string, repair bool) error {
	if !datadir.HoldsData(dir) {
		_, err := fmt.Fprintf(out, "%s: there is no data here, and a start would begin with nothing\n", dir)
		return err
	}
	lock, err := lockUnused(dir, "check", !repair)
	if err != nil {
		return err
	}
	defer lock.Release()
	c := checkup{out: out, dir: dir, disk: disk.Reading{}, repair: repair}
	if repair {
		c.disk = disk.OS{}
	}
	switch start := c.run(); {
	case c.left > 0:
		return errDamaged
	case start.err != nil:
		return errRefused
	}
	_, err = fmt.Fprintf(out, "%s: ok\n", dir)
	return err
}
