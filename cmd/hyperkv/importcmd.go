package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hyperkv/internal/config"
	"hyperkv/migrate"
)

// serverFlags say where a server is and who asks it.
type serverFlags struct {
	user, password string
	timeout        time.Duration
}

func (f *serverFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.user, "user", "", "user name for the password")
	flags.StringVarP(&f.password, "password", "a", "", "password; REDISCLI_AUTH keeps it off the command line")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "give up when the server is silent for so long")
}

func (f *serverFlags) address(host string) migrate.Address {
	a := migrate.Address{Host: host, User: f.user, Password: f.password, Patience: f.timeout}
	if a.Password == "" {
		a.Password = os.Getenv("REDISCLI_AUTH")
	}
	return a
}

// importFlags are the flags of "hyperkv import".
type importFlags struct {
	serverFlags
	to             string
	replace, flush bool
}

func newImportCommand() *cobra.Command {
	f := &importFlags{}
	cmd := &cobra.Command{
		Use: "import SOURCE...", Args: cobra.MinimumNArgs(1),
		Short: "Load the data of a Redis into a running server",
		Long: `Load the data that a Redis has left on disk into a running HyperKV, or Redis.

SOURCE is an RDB file (dump.rdb), the directory of an append-only file (appendonlydir)
or its manifest, an append-only file of before Redis 7 (appendonly.aof), or a redis.conf:
then the data is what such a Redis would load when it starts, and the settings are
printed as a configuration of HyperKV; without --to only the settings are printed. Or it
is a data directory of HyperKV that no server uses, or a backup of one.

Keys keep their databases and their deadlines. A key that is there already is an error,
unless it is to be replaced. Commands of an append-only file are run in this process,
so that it needs memory for the keys that they concern.`,
		Example: `  hyperkv import /var/lib/redis/dump.rdb --to 127.0.0.1:6379
  hyperkv import /var/lib/redis/appendonlydir --to 127.0.0.1:6379 --replace
  hyperkv import /etc/redis/redis.conf > hyperkv.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			return interrupted(ctx, f.run(ctx, cmd, args))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.to, "to", "", "HOST:PORT of the server, or the path of its Unix socket")
	f.add(cmd)
	flags.BoolVar(&f.replace, "replace", false, "replace keys that are there already")
	flags.BoolVar(&f.flush, "flush", false, "delete everything on the server before")
	return cmd
}

// importConnections is over how many connections keys go to the server, if it has cores for
// as many.
const importConnections = 4

// interrupted says of an error that somebody wanted it.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted: some of it may have been done")
	}
	return err
}

func (f *importFlags) run(ctx context.Context, cmd *cobra.Command, paths []string) error {
	errs := cmd.ErrOrStderr()
	r := reading{progress: startProgress(errs, lineEvery), note: func(format string, args ...any) {
		fmt.Fprintf(errs, "note: "+format+"\n", args...)
	}}
	done := false
	defer func() {
		if summary := r.progress.stop(); done {
			fmt.Fprintln(errs, "imported "+summary)
		}
	}()
	sources, err := f.sources(cmd, paths, r)
	if err != nil || len(sources) == 0 {
		return err
	}
	if f.to == "" {
		return errors.New("--to HOST:PORT is missing: where should the data go?")
	}
	server, err := migrate.NewSpread(ctx, f.address(f.to), migrate.ServerOptions{Replace: f.replace, Flush: f.flush}, importConnections)
	if err != nil {
		return err
	}
	defer server.Close()
	target := r.progress.count(server)
	for _, s := range sources {
		if err := s.Copy(ctx, target); err != nil {
			return err
		}
	}
	if err := target.End(); err != nil {
		return err
	}
	if n := server.LibrariesLeft(); n > 0 {
		r.note("%d libraries of functions were left out: %s has no functions", n, f.to)
	}
	done = true
	return nil
}

// sources finds out what the paths are, before anything is done. Of a redis.conf the settings are
// printed; without a server that is all.
func (f *importFlags) sources(cmd *cobra.Command, paths []string, r reading) (sources []migrate.Source, err error) {
	for _, path := range paths {
		if !strings.HasSuffix(path, ".conf") {
			s, err := openSource(path, r)
			if err != nil {
				return nil, err
			}
			sources = append(sources, s)
			continue
		}
		conf, err := config.ReadRedisConf(path)
		if err != nil {
			return nil, err
		}
		text, notes := conf.YAML()
		for _, note := range notes {
			r.note("%s", note)
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "# Made from %s by \"hyperkv import\".\n\n%s", path, text); err != nil {
			return nil, err
		}
		if f.to == "" {
			continue
		}
		s, err := sourceOfConf(conf, r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		sources = append(sources, s)
	}
	return sources, nil
}
