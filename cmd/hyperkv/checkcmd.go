package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"hyperkv/internal/config"
	"hyperkv/persist/disk"
	"hyperkv/persist/journal"
)

func newCheckCommand() *cobra.Command {
	var repair bool
	cmd := &cobra.Command{
		Use: "check PATH", Args: cobra.ExactArgs(1),
		Short: "Check a configuration file, or the data in a data directory",
		Long: `Check a configuration file and list all its mistakes, or read everything in a data
directory that no server uses and say what is there and what is damaged.`,
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
	cmd.Flags().BoolVar(&repair, "repair", false, "Cut damaged logs off where they are damaged. What is behind that is lost.")
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

var errDamaged = errors.New("the data is damaged: see above")

// checkData reads everything in a data directory that no server uses, says what is
// there, and with repair cuts off what is damaged.
func checkData(out io.Writer, dir string, repair bool) error {
	lock, err := lockFolder(dir, "check")
	if err != nil {
		return err
	}
	defer lock.release()
	reports, err := journal.Check(journal.Options{Disk: disk.OS{}, Dir: filepath.Join(dir, "journal")}, repair)
	damaged := 0
	for _, r := range reports {
		f := r.Found
		fmt.Fprintf(out, "%s, log %d: %d segments, %s, records %d to %d (synced up to %d), %d units, %d effects\n", r.Folder, r.Log,
			f.Segments, bytesText(f.Bytes), f.First, f.Last, f.Durable, r.Units, r.Effects)
		switch {
		case r.Damage != nil && r.Repaired:
			fmt.Fprintf(out, "  %v: it was cut off there, and %d records behind it with it\n", r.Damage, r.Damage.Lost)
		case r.Damage != nil:
			damaged++
			fmt.Fprintf(out, "  %v: --repair would cut it off there, and lose the %d records that can be read behind it\n", r.Damage, r.Damage.Lost)
		case f.CutPath != "":
			fmt.Fprintf(out, "  %s ends at byte %d in the middle of a record, as after a loss of power; nobody was promised what is missing\n",
				f.CutPath, f.CutOffset)
		}
	}
	if err != nil {
		return err
	}
	if damaged > 0 {
		return errDamaged
	}
	_, err = fmt.Fprintf(out, "%s: ok\n", dir)
	return err
}
