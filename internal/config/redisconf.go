package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"hyperkv/resp"
)

// RedisConf is a configuration file of Redis, with the files that it includes.
type RedisConf struct {
	directives []directive
}

// A directive is a line of the file.
type directive struct {
	name  string // in lower case
	args  []string
	place string // file and line
}

// includesMax bounds how many files one file may lead to.
const includesMax = 100

// ReadRedisConf reads a file. What is included is looked for where Redis does, from the
// working directory on.
func ReadRedisConf(path string) (*RedisConf, error) {
	c, files := &RedisConf{}, 0
	return c, c.read(path, &files)
}

func (c *RedisConf) read(path string, files *int) error {
	if *files++; *files > includesMax {
		return fmt.Errorf("%s: more than %d files are included", path, includesMax)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > fileBytesMax {
		return fmt.Errorf("%s is larger than %d bytes", path, fileBytesMax)
	}
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return err
	}
	number := 0
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		number++
		line = bytes.Trim(line, " \t\r\n")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		place := fmt.Sprintf("%s:%d", path, number)
		words, ok := resp.SplitArgs(bytes.Clone(line), nil)
		if !ok || len(words) == 0 {
			return fmt.Errorf("%s: unbalanced quotes", place)
		}
		d := directive{name: strings.ToLower(string(words[0])), place: place}
		for _, word := range words[1:] {
			d.args = append(d.args, string(word))
		}
		if d.name == "include" && len(d.args) == 1 {
			if err := c.include(d.args[0], files); err != nil {
				return fmt.Errorf("%s: include: %w", place, err)
			}
			continue
		}
		c.directives = append(c.directives, d)
	}
	return nil
}

func (c *RedisConf) include(pattern string, files *int) error {
	if !strings.ContainsAny(pattern, "*?[") {
		return c.read(pattern, files)
	}
	paths, err := filepath.Glob(pattern) // in order; none is none
	for _, path := range paths {
		if err == nil {
			err = c.read(path, files)
		}
	}
	return err
}

// Value is what the file says under a name of Redis', the last time that it does; preset if
// it says nothing.
func (c *RedisConf) Value(name, preset string) string {
	for _, d := range c.directives {
		if k := Lookup(d.name); d.name == name || k != nil && k == Lookup(name) {
			preset = strings.Join(d.args, " ")
		}
	}
	return preset
}

// repeated are the settings of which a file gives several lines that add up.
var repeated = map[string]bool{"save": true, "client_output_buffer_limit": true}

// YAML is what the file says as a configuration of HyperKV. The notes name, with their
// places, what has no counterpart, and what would be refused; a setting that would be refused
// is in the YAML as a comment.
func (c *RedisConf) YAML() (text string, notes []string) {
	texts, places := map[*Key]string{}, map[*Key]string{}
	for _, d := range c.directives {
		k := Lookup(d.name)
		if k == nil || k.ours() {
			notes = append(notes, fmt.Sprintf("%s: %s has no counterpart", d.place, d.name))
			continue
		}
		value := strings.Join(d.args, " ")
		if before, again := texts[k]; again && repeated[k.Name] && value != "" {
			value = strings.TrimSpace(before + " " + value)
		}
		texts[k], places[k] = value, d.place
	}
	var out strings.Builder
	section := ""
	for _, k := range allKeys().keys {
		value, given := texts[k]
		if !given {
			continue
		}
		line, note := k.yaml(value)
		if note != "" {
			notes = append(notes, fmt.Sprintf("%s: %s", places[k], note))
		}
		if line == "" {
			continue
		}
		if k.Section != section {
			if section != "" {
				out.WriteByte('\n')
			}
			section = k.Section
			fmt.Fprintf(&out, "# %s\n", section)
		}
		out.WriteString(line + "\n")
	}
	return out.String(), notes
}

// yaml is a line of a configuration file that gives the key a value, and what is to be said
// of it. There is no line for what makes no difference.
func (k *Key) yaml(text string) (line, note string) {
	l := loader{Options: Options{Memory: TotalMemory}}
	v, err := l.parse(k, text)
	preset, presetErr := k.preset()
	err = errors.Join(err, presetErr)
	if err == nil {
		text = v.text
	}
	scalar, scalarErr := yamlScalar(text)
	line = k.Name + ": " + scalar
	switch {
	case scalarErr != nil:
		return "", fmt.Sprintf("%s: %v", k.Name, scalarErr)
	case err != nil:
		return "#! " + line, fmt.Sprintf("%s: %s", k.Name, complaint(k, text, err))
	case k.Name == "data_dir":
		return "#! " + line, "data_dir: the directory of Redis is left to Redis; choose another for HyperKV"
	case v.text == preset.text && k.Effect != Acts:
		return "", ""
	case k.Effect == Unavailable:
		return "#! " + line, fmt.Sprintf("%s: %s", k.Name, k.Missing)
	case k.Effect == Stored:
		return line + " # has no effect in this version", ""
	}
	return line, ""
}
