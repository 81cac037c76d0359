package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlFile is the parser of the configuration file. It works on nodes instead of
// values, because a node knows its line and still has the text that was
// written: 0700 stays 0700, and yes stays yes.
type yamlFile struct{ l *loader }

var yamlErrorLine = regexp.MustCompile(`^yaml: (?:unmarshal errors:\s+)?(?:line ([0-9]+): )?`)

// Unmarshal never fails: what is wrong goes to the loader's list.
func (f yamlFile) Unmarshal(data []byte) (map[string]any, error) {
	out := map[string]any{}
	at := Origin{Layer: LayerFile, Where: f.l.File}
	root, err := yamlRoot(data)
	if err != nil {
		text := err.Error()
		if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
			at.Line, _ = strconv.Atoi(m[1])
			text = text[len(m[0]):]
		}
		f.l.mistake(at, "", "%s", text)
		return out, nil
	}
	if root == nil {
		return out, nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, node := root.Content[i], root.Content[i+1]
		at.Line = key.Line
		if key.Kind != yaml.ScalarNode {
			f.l.mistake(at, "", "a setting has a name; this is a %s", kindName(key))
			continue
		}
		text, err := yamlText(node)
		if err == nil {
			text, err = expand(text, f.l.lookup)
		}
		if err != nil {
			if k, _ := lookupSource(key.Value); k != nil {
				f.l.seen[k] = at
				f.l.mistake(at, key.Value, "%v", err)
				continue
			}
		}
		if name, text := f.l.take(key.Value, text, at); name != "" {
			out[name] = text
		}
	}
	return out, nil
}

func (yamlFile) Marshal(map[string]any) ([]byte, error) { return nil, errors.ErrUnsupported }

// yamlRoot is the mapping at the top of a file, nil when the file says nothing.
func yamlRoot(data []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	root := doc.Content[0]
	switch {
	case root.Kind == yaml.MappingNode:
		return root, nil
	case root.Kind == yaml.ScalarNode && root.Tag == "!!null":
		return nil, nil
	}
	return nil, fmt.Errorf("yaml: line %d: the file must consist of lines \"name: value\"", root.Line)
}

// yamlText is the text of a value. A list is its elements with spaces between,
// which is how settings with several parts are written.
func yamlText(node *yaml.Node) (string, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return "", nil
		}
		return node.Value, nil
	case yaml.SequenceNode:
		words := make([]string, len(node.Content))
		for i, element := range node.Content {
			if element.Kind != yaml.ScalarNode {
				return "", errors.New("want a list of plain values")
			}
			words[i] = element.Value
		}
		return strings.Join(words, " "), nil
	}
	return "", fmt.Errorf("want a value, not a %s", kindName(node))
}

func kindName(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "group of settings"
	case yaml.SequenceNode:
		return "list"
	}
	return "value"
}
