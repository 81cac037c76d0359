package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// errNoFile is Redis' text.
var errNoFile = errors.New("ERR The server is running without a config file")

// Rewrite answers CONFIG REWRITE: it writes what CONFIG SET has changed into the
// file the server was started with. Everything else in the file stays as it is,
// comments and ${VAR} included; in particular, values that came from the
// environment or from flags are not copied into it.
func (p *Params) Rewrite() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.config.File == "" {
		return errNoFile
	}
	if err := p.rewrite(); err != nil {
		return errors.New("ERR Rewriting config file: " + oneLine(reason(err)))
	}
	return nil
}

func (p *Params) rewrite() error {
	// A link stays a link: what it points to is replaced.
	path, err := filepath.EvalSymlinks(p.config.File)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	inFile, err := p.valuesOf(old)
	if err != nil {
		return err
	}
	changes := map[*Key]string{}
	for k, e := range p.entries {
		if text := *e.text.Load(); e.changed && inFile(k) != text {
			changes[k] = text
		}
	}
	if len(changes) == 0 {
		return nil
	}
	data, err := editYAML(old, changes)
	if err != nil {
		return err
	}
	now, err := p.valuesOf(data)
	for k, text := range changes {
		if err != nil || now(k) != text { // an anchor, say, that others refer to
			return fmt.Errorf("%s cannot be written into this file: set it by hand", k.Name)
		}
	}
	return replaceFile(path, data, info.Mode().Perm())
}

// valuesOf reads the text of a configuration file the way Load would, without
// minding mistakes in it.
func (p *Params) valuesOf(data []byte) (func(*Key) string, error) {
	if _, err := yamlRoot(data); err != nil {
		return nil, err
	}
	l := &loader{Options: Options{Memory: p.config.memory}, origins: map[*Key]Origin{}, seen: map[*Key]Origin{}, lookup: p.config.lookup}
	texts, err := yamlFile{l}.Unmarshal(data)
	return func(k *Key) string {
		text, ok := texts[k.Name].(string)
		if !ok {
			text = k.Default
		}
		v, err := l.parse(k, text)
		if err != nil {
			return ""
		}
		return v.text
	}, err
}

// edit replaces bytes of a file.
type edit struct {
	from, to int
	text     string
}

// editYAML puts values into the text of a YAML file and touches nothing else.
func editYAML(data []byte, changes map[*Key]string) ([]byte, error) {
	root, err := yamlRoot(data)
	if err != nil {
		return nil, err
	}
	lines := lineStarts(data)
	var edits []edit
	written := map[*Key]bool{}
	for i := 0; root != nil && i+1 < len(root.Content); i += 2 {
		key, node := root.Content[i], root.Content[i+1]
		k, fromFile := lookupSource(key.Value)
		text, ok := changes[k]
		if !ok || written[k] {
			continue
		}
		written[k] = true
		quoted, err := yamlScalar(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.Name, err)
		}
		e := edit{from: lines.offset(data, node.Line, node.Column), text: quoted}
		if length, simple := scalarLength(data[e.from:], node); simple && !fromFile && node.Kind == yaml.ScalarNode {
			e.to = e.from + length
			if length == 0 && e.from > 0 && data[e.from-1] == ':' {
				e.text = " " + e.text
			}
		} else if root.Style&yaml.FlowStyle != 0 {
			return nil, fmt.Errorf("%s cannot be replaced in a file of this form: set it by hand", k.Name)
		} else {
			// A value over several lines, or another key: the whole entry goes, up to
			// the comments in front of the next one.
			e.from = lines.offset(data, key.Line, key.Column)
			e.to = len(data)
			if i+2 < len(root.Content) {
				e.to = lines.offset(data, root.Content[i+2].Line, 1)
			}
			e.to = e.from + entryLength(data[e.from:e.to])
			e.text = k.Name + ": " + quoted
		}
		edits = append(edits, e)
	}
	var out bytes.Buffer
	at := 0
	for _, e := range edits { // in the order of the file
		out.Write(data[at:e.from])
		out.WriteString(e.text)
		at = e.to
	}
	out.Write(data[at:])
	return appendSettings(out.Bytes(), root, changes, written)
}

// appendSettings adds what the file did not mention, in the table's order.
func appendSettings(data []byte, root *yaml.Node, changes map[*Key]string, written map[*Key]bool) ([]byte, error) {
	first := true
	for _, k := range allKeys().keys {
		text, ok := changes[k]
		if !ok || written[k] {
			continue
		}
		if root != nil && root.Style&yaml.FlowStyle != 0 {
			return nil, fmt.Errorf("%s cannot be added to a file of this form: set it by hand", k.Name)
		}
		quoted, err := yamlScalar(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.Name, err)
		}
		if len(data) > 0 && data[len(data)-1] != '\n' {
			data = append(data, '\n')
		}
		if first && !bytes.Contains(data, []byte(rewriteMark)) {
			data = append(data, "\n"+rewriteMark+"\n"...)
		}
		first = false
		data = append(data, k.Name+": "+quoted+"\n"...)
	}
	return data, nil
}

const rewriteMark = "# Written by CONFIG REWRITE"

// lineIndex is where each line begins.
type lineIndex []int

func lineStarts(data []byte) lineIndex {
	starts := lineIndex{0}
	for i, b := range data {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// offset is the byte that a node's line and column mean; columns count characters.
func (starts lineIndex) offset(data []byte, line, column int) int {
	if line < 1 || line > len(starts) {
		return len(data)
	}
	at := starts[line-1]
	for ; column > 1 && at < len(data) && data[at] != '\n'; column-- {
		_, width := utf8.DecodeRune(data[at:])
		at += width
	}
	return at
}

// scalarLength is how many bytes a value of one line takes.
func scalarLength(data []byte, node *yaml.Node) (length int, simple bool) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimRight(line, "\r")
	if node.Anchor != "" || node.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0 {
		return 0, false
	}
	switch {
	case node.Style&yaml.DoubleQuotedStyle != 0:
		for i := 1; i < len(line); i++ {
			switch line[i] {
			case '\\':
				i++
			case '"':
				return i + 1, true
			}
		}
		return 0, false
	case node.Style&yaml.SingleQuotedStyle != 0:
		for i := 1; i < len(line); i++ {
			if line[i] == '\'' {
				if i+1 < len(line) && line[i+1] == '\'' {
					i++
					continue
				}
				return i + 1, true
			}
		}
		return 0, false
	}
	if node.Tag == "!!null" && node.Value == "" {
		return 0, true
	}
	// A plain value is in the text as it is; one that goes over lines is not.
	return len(node.Value), bytes.HasPrefix(line, []byte(node.Value))
}

// entryLength is the length of an entry without the blank lines and comments
// after it.
func entryLength(data []byte) int {
	lines := bytes.SplitAfter(data, []byte("\n"))
	n := len(lines)
	for n > 1 {
		line := bytes.TrimSpace(lines[n-1])
		if len(line) > 0 && lines[n-1][0] != '#' {
			break
		}
		n--
	}
	return len(bytes.TrimRight(bytes.Join(lines[:n], nil), "\r\n"))
}

// plainScalar matches what YAML takes as it is, in any place.
var plainScalar = regexp.MustCompile(`^[A-Za-z0-9./][A-Za-z0-9._/%-]*( [A-Za-z0-9._/%-]+)*$`)

// yamlScalar writes a value so that Load reads the same text again.
func yamlScalar(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errors.New("the value is not valid UTF-8")
	}
	text = strings.ReplaceAll(text, "${", "$${")
	if plainScalar.MatchString(text) && text != "null" {
		return text, nil
	}
	out, err := yaml.Marshal(&yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Tag: "!!str", Value: text})
	return strings.TrimSuffix(string(out), "\n"), err
}

// replaceFile puts data in the place of a file at one moment: whoever reads it,
// even after a crash, sees the old text or the new one.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // gone already when all went well
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
