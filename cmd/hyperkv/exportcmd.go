package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"hyperkv/migrate"
)

// exportFlags are the flags of "hyperkv export".
type exportFlags struct {
	serverFlags
	from, format, out string
}

func newExportCommand() *cobra.Command {
	f := &exportFlags{}
	cmd := &cobra.Command{
		Use: "export [SOURCE]", Args: cobra.MaximumNArgs(1),
		Short: "Write data as an RDB file, as commands or as JSON",
		Long: `Write the dataset of an RDB file, of an append-only file (see "hyperkv import --help"), of a
data directory of HyperKV that no server uses, or a backup of one, or of a running Redis or
HyperKV, which is asked for it as replicas ask (SYNC).

The formats are
  rdb    an RDB file: of a running server as it is sent, of a file in the oldest version
         that has room for all of it, so that older servers can load it
  resp   the commands that make the data, for "redis-cli --pipe"
  jsonl  a JSON object per key and line, described in docs/migration.md`,
		Example: `  hyperkv export --from 127.0.0.1:6379 -o dump.rdb
  hyperkv export dump.rdb --format resp | redis-cli --pipe
  hyperkv export dump.rdb --format jsonl | jq .key`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			return interrupted(ctx, f.run(ctx, cmd, args))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.from, "from", "", "HOST:PORT of a running server, or the path of its Unix socket")
	f.add(cmd)
	flags.StringVar(&f.format, "format", "rdb", "rdb, resp or jsonl")
	flags.StringVarP(&f.out, "output", "o", "", "file to write, once all of it is there; default: standard output")
	return cmd
}

func (f *exportFlags) run(ctx context.Context, cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 && f.from == "":
		return errors.New("export what? Name a SOURCE or --from HOST:PORT")
	case len(args) > 0 && f.from != "":
		return errors.New("a SOURCE and --from exclude each other")
	case f.format != "rdb" && f.format != "resp" && f.format != "jsonl":
		return fmt.Errorf("the format %q is none of rdb, resp, jsonl", f.format)
	case f.out == "" && f.format == "rdb" && isTerminal(cmd.OutOrStdout()):
		return errors.New("an RDB file is nothing for a terminal: name a file with -o")
	}
	errs := cmd.ErrOrStderr()
	r := reading{progress: startProgress(errs, lineEvery), note: func(format string, args ...any) {
		fmt.Fprintf(errs, "note: "+format+"\n", args...)
	}}
	done := false
	defer func() {
		if summary := r.progress.stop(); done {
			fmt.Fprintln(errs, "exported "+summary)
		}
	}()
	var source migrate.Source
	if f.from != "" {
		source = &syncSource{migrate.Sync{Address: f.address(f.from), Wrap: func(src io.Reader, size int64) io.Reader {
			r.progress.total.Add(size)
			return r.progress.wrap(src)
		}}, r}
	} else {
		var err error
		if source, err = openSource(args[0], r); err != nil {
			return err
		}
	}
	err := writeWhole(f.out, cmd.OutOrStdout(), func(out io.Writer) error { return f.write(ctx, source, out, r) })
	done = err == nil
	return err
}

func (f *exportFlags) write(ctx context.Context, source migrate.Source, out io.Writer, r reading) error {
	if s, ok := source.(rdbSource); ok && f.format == "rdb" {
		return s.writeRDB(ctx, out)
	}
	var t migrate.Target
	switch f.format {
	case "resp":
		t = migrate.NewRESP(out)
	case "jsonl":
		t = migrate.NewJSON(out)
	default:
		return errors.New("this source cannot be written as an RDB file")
	}
	if err := source.Copy(ctx, r.progress.count(t)); err != nil {
		return err
	}
	return t.End()
}

// A syncSource is a running server.
type syncSource struct {
	migrate.Sync
	r reading
}

// writeRDB implements rdbSource: what the server sends is written as it is.
func (s *syncSource) writeRDB(ctx context.Context, out io.Writer) error {
	return s.Save(ctx, out, s.r.progress.count(migrate.Nowhere{}))
}

// writeWhole writes a file that is there when all of it is, or, without a path, to out.
func writeWhole(path string, out io.Writer, write func(io.Writer) error) error {
	if path == "" {
		buffered := bufio.NewWriterSize(out, 256<<10)
		if err := write(buffered); err != nil {
			return err
		}
		return buffered.Flush()
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // such as /dev/stdout
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(writeWhole("", file, write), file.Close())
	}
	temp, err := os.OpenFile(fmt.Sprintf("%s.%d.tmp", path, os.Getpid()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // gone already when all went well
	err = write(temp)
	if err == nil {
		err = temp.Sync()
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
