package aof

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hyperkv/resp"
)

// A Log is the files of an append-only file, in the order in which they are read.
type Log struct {
	// Name is the manifest, or the single file.
	Name  string
	Files []File
}

// A File is one of them.
type File struct {
	Path string
	Size int64
}

// Size is that of all files.
func (l *Log) Size() (sum int64) {
	for _, f := range l.Files {
		sum += f.Size
	}
	return sum
}

const (
	manifestSuffix = ".manifest"
	// manifestTemp begins the name of a manifest that was not completed.
	manifestTemp = "temp-"
	// manifestBytesMax bounds a manifest.
	manifestBytesMax = 16 << 20
)

// Open finds the files: path is a directory with a manifest, the manifest itself, or a
// single file.
func Open(path string) (*Log, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		manifest, err := FindManifest(path)
		if err != nil {
			return nil, err
		}
		return openManifest(manifest)
	case strings.HasSuffix(path, manifestSuffix):
		return openManifest(path)
	}
	return &Log{Name: path, Files: []File{{path, info.Size()}}}, nil
}

// FindManifest is the path of the manifest in a directory.
func FindManifest(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var found []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, manifestSuffix) && !strings.HasPrefix(name, manifestTemp) {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%s has no manifest (a file *%s): it is no directory of append-only files", dir, manifestSuffix)
	case 1:
		return filepath.Join(dir, found[0]), nil
	}
	return "", fmt.Errorf("%s has several manifests (%s): name one of them", dir, strings.Join(found, ", "))
}

// Names are the names of the files that a manifest lists to be read, in their order.
func Names(manifest string) ([]string, error) {
	info, err := os.Stat(manifest)
	if err != nil {
		return nil, err
	}
	if info.Size() > manifestBytesMax {
		return nil, fmt.Errorf("%s is too large for a manifest", manifest)
	}
	text, err := os.ReadFile(manifest)
	if err != nil {
		return nil, err
	}
	names, err := parseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifest, err)
	}
	return names, nil
}

func openManifest(path string) (*Log, error) {
	names, err := Names(path)
	if err != nil {
		return nil, err
	}
	l := &Log{Name: path}
	for _, name := range names {
		file := filepath.Join(filepath.Dir(path), name)
		info, err := os.Stat(file)
		if err != nil {
			return nil, fmt.Errorf("%s names a file that cannot be read: %w", path, err)
		}
		l.Files = append(l.Files, File{file, info.Size()})
	}
	return l, nil
}

// The types of files in a manifest.
const (
	typeBase        = 'b'
	typeIncremental = 'i'
	typeHistory     = 'h' // what a rewrite has made superfluous
)

// parseManifest returns the names of the base and the incremental files. Its lines are
//
//	file NAME seq NUMBER type LETTER
//
// with what later versions may add as further pairs.
func parseManifest(text []byte) (names []string, err error) {
	base, lines, last := "", 0, uint64(0)
	var incremental []string
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		lines++
		if len(line) == 0 && lines > bytes.Count(text, []byte("\n")) {
			break // behind the last line end
		}
		if len(line) > 0 && line[0] == '#' {
			continue
		}
		entry, err := parseEntry(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", lines, err)
		}
		switch entry.kind {
		case typeBase:
			if base != "" {
				return nil, fmt.Errorf("line %d: a second base file", lines)
			}
			base = entry.name
		case typeIncremental:
			if entry.seq <= last {
				return nil, fmt.Errorf("line %d: the numbers of files do not ascend", lines)
			}
			last = entry.seq
			incremental = append(incremental, entry.name)
		case typeHistory:
		default:
			return nil, fmt.Errorf("line %d: the unknown type %q", lines, entry.kind)
		}
	}
	if base != "" {
		names = append(names, base)
	}
	if names = append(names, incremental...); len(names) == 0 {
		return nil, fmt.Errorf("it names no files")
	}
	return names, nil
}

type entry struct {
	name string
	seq  uint64
	kind byte
}

func parseEntry(line []byte) (e entry, err error) {
	words, ok := resp.SplitArgs(bytes.Clone(line), nil)
	if !ok || len(words) < 6 || len(words)%2 != 0 {
		return e, fmt.Errorf("%.100q is not \"file NAME seq NUMBER type LETTER\"", line)
	}
	for i := 0; i < len(words); i += 2 {
		switch value := string(words[i+1]); strings.ToLower(string(words[i])) {
		case "file":
			if value == "." || value == ".." || strings.ContainsAny(value, `/\`) {
				return e, fmt.Errorf("the file %q is not one of the directory", value)
			}
			e.name = value
		case "seq":
			if e.seq, err = strconv.ParseUint(value, 10, 63); err != nil {
				return e, fmt.Errorf("the number %q", value)
			}
		case "type":
			if value != "" {
				e.kind = value[0]
			}
		}
	}
	if e.name == "" || e.seq == 0 || e.kind == 0 {
		return e, fmt.Errorf("%.100q does not say file, seq and type", line)
	}
	return e, nil
}
