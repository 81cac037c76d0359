package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/aof"
	"hyperkv/internal/config"
	"hyperkv/internal/rdb"
	"hyperkv/migrate"
	"hyperkv/persist/datadir"
)

// reading is what somebody who reads a source tells the user.
type reading struct {
	progress *progress
	note     func(format string, args ...any) // what the user should know
}

// An rdbSource can write its dataset as an RDB file better than by handing over key by key.
type rdbSource interface {
	writeRDB(ctx context.Context, out io.Writer) error
}

// openSource finds out what is at a path: an RDB file or an append-only file of a Redis, or a
// data directory of ours.
func openSource(path string, r reading) (migrate.Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() && datadir.HoldsData(path) {
		return &dataSource{path, r}, nil
	}
	if info.IsDir() || strings.HasSuffix(path, ".manifest") {
		return openLog(path, true, r)
	}
	start, err := firstBytes(path)
	if err != nil {
		return nil, err
	}
	switch {
	case rdb.IsFile(start):
		log, err := beginsLog(path)
		if err != nil {
			return nil, err
		}
		if log {
			return openLog(path, true, r)
		}
		return &fileSource{migrate.RDB{Path: path, Wrap: r.progress.wrap}, info.Size(), r}, nil
	case bytes.HasPrefix(start, []byte("*")) || bytes.HasPrefix(start, []byte("#TS:")) || strings.HasSuffix(path, ".aof"):
		return openLog(path, true, r)
	}
	return nil, fmt.Errorf("%s is neither an RDB file nor an append-only file: it begins with %q", path, start)
}

func firstBytes(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	start := make([]byte, 9)
	n, err := io.ReadFull(file, start)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return start[:n], err
}

// beginsLog says whether an RDB file says of itself that commands may follow it.
func beginsLog(path string) (log bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	f, err := rdb.OpenFile(file)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	f.Aux = func(name, value string) error {
		log = log || (name == "aof-preamble" || name == "aof-base") && value == "1"
		return nil
	}
	_, _ = f.Next() // what is wrong with it will be found again, and told
	return log, nil
}

// sourceOfConf is the data that a Redis with this configuration would load when it starts.
func sourceOfConf(c *config.RedisConf, r reading) (migrate.Source, error) {
	dir := c.Value("dir", ".")
	if c.Value("appendonly", "no") != "yes" {
		return openSource(filepath.Join(dir, c.Value("dbfilename", "dump.rdb")), r)
	}
	truncated := c.Value("aof-load-truncated", "yes") == "yes"
	name := c.Value("appendfilename", "appendonly.aof")
	folder, single := filepath.Join(dir, c.Value("appenddirname", "appendonlydir")), filepath.Join(dir, name)
	manifest := filepath.Join(folder, name+".manifest")
	_, noManifest := os.Stat(manifest)
	_, noSingle := os.Stat(single)
	switch {
	case noManifest == nil:
		s, err := openLog(manifest, truncated, r)
		if err != nil && noSingle == nil && onlyBase(manifest, name) {
			return openLog(single, truncated, r) // it was about to be moved there
		}
		return s, err
	case noSingle == nil: // from before Redis 7
		return openLog(single, truncated, r)
	}
	return nil, fmt.Errorf("appendonly is yes, and there is neither %s nor %s: a Redis would start empty; name the file that is to be taken",
		manifest, single)
}

// onlyBase says that a manifest names nothing but a file of that name, which is missing.
func onlyBase(manifest, name string) bool {
	names, err := aof.Names(manifest)
	if err != nil || len(names) != 1 || names[0] != name {
		return false
	}
	_, err = os.Stat(filepath.Join(filepath.Dir(manifest), name))
	return os.IsNotExist(err)
}

// A fileSource is an RDB file.
type fileSource struct {
	file migrate.RDB
	size int64
	r    reading
}

// Copy implements migrate.Source.
func (s *fileSource) Copy(ctx context.Context, t migrate.Target) error {
	s.r.progress.total.Add(s.size)
	return s.file.Copy(ctx, t)
}

// writeRDB implements rdbSource: the file is read twice, because the version comes first.
func (s *fileSource) writeRDB(ctx context.Context, out io.Writer) error {
	s.r.progress.total.Add(s.size)
	version, err := migrate.Version(ctx, s.file)
	if err != nil {
		return err
	}
	t := migrate.NewRDBFile(out, version, [2]string{"redis-ver", engine.RedisVersion}, [2]string{"redis-bits", "64"},
		[2]string{"ctime", fmt.Sprint(time.Now().Unix())}, [2]string{"hyperkv-ver", engine.Version})
	if err := s.Copy(ctx, s.r.progress.count(t)); err != nil {
		return err
	}
	return t.End()
}
