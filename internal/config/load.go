package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Options are the sources of a configuration. All of them are optional, and
// nothing else is looked at.
type Options struct {
	// File is the path of a YAML file; it must exist.
	File string
	// Environ is the environment, as os.Environ gives it: HYPERKV_* variables,
	// and what ${VAR} in the file stands for.
	Environ []string
	// Flags is a parsed set that AddFlags has filled. Only flags that were given
	// count.
	Flags *pflag.FlagSet
	// Settings win over everything else.
	Settings map[string]string
	// Memory is what percentages are taken of; nil is TotalMemory.
	Memory func() (int64, error)
}

// fileBytesMax bounds the configuration file and the files that hold secrets.
const fileBytesMax = 1 << 20

// keyDelimiter separates levels of koanf's keys. There is only one level here,
// so it is a character that no key contains.
const keyDelimiter = "\x00"

// Load merges the sources, default < file < environment < flags < settings. Its
// error is Mistakes: all of them.
func Load(o Options) (*Config, error) {
	if o.Memory == nil {
		o.Memory = TotalMemory
	}
	l := &loader{Options: o, merged: koanf.New(keyDelimiter), origins: map[*Key]Origin{}, lookup: environment(o.Environ)}
	c := &Config{settings: map[*Key]setting{}, memory: o.Memory, lookup: l.lookup}
	if o.File != "" {
		c.File = absolute(o.File)
		l.loadFile()
	}
	l.load(LayerEnvironment, env.Provider(keyDelimiter, env.Opt{
		Prefix: EnvPrefix, TransformFunc: l.variable,
		// An empty list must not fall back to the environment of the process.
		EnvironFunc: func() []string { return o.Environ },
	}))
	if o.Flags != nil {
		l.load(LayerFlag, posflag.ProviderWithFlag(o.Flags, keyDelimiter, l.merged, l.flag))
	}
	l.load(LayerSettings, given{l})
	l.decide(c)
	if len(l.mistakes) > 0 {
		l.mistakes.sort()
		return nil, l.mistakes
	}
	return c, nil
}

// loader is one run of Load. Each source hands its settings to take, which
// checks them; koanf keeps the texts that won, origins where they came from.
type loader struct {
	Options
	merged   *koanf.Koanf
	origins  map[*Key]Origin
	seen     map[*Key]Origin // in the layer being read
	mistakes Mistakes
	lookup   func(string) (string, bool)
}

func (l *loader) mistake(o Origin, key, format string, args ...any) {
	l.mistakes = append(l.mistakes, Mistake{o, key, oneLine(fmt.Sprintf(format, args...))})
}

func (l *loader) load(layer Layer, provider koanf.Provider) {
	l.seen = map[*Key]Origin{}
	if err := l.merged.Load(provider, nil); err != nil {
		l.mistake(Origin{Layer: layer}, "", "%v", err)
	}
}

func (l *loader) loadFile() {
	l.seen = map[*Key]Origin{}
	whole := Origin{Layer: LayerFile, Where: l.File}
	info, err := os.Stat(l.File)
	switch {
	case errors.Is(err, os.ErrNotExist):
		l.mistake(whole, "", "the configuration file does not exist")
	case err != nil:
		l.mistake(whole, "", "%v", err)
	case info.IsDir():
		l.mistake(whole, "", "the configuration file is a directory")
	case info.Size() > fileBytesMax:
		l.mistake(whole, "", "the configuration file is larger than %d bytes", fileBytesMax)
	default:
		if err := l.merged.Load(file.Provider(l.File), yamlFile{l}); err != nil {
			l.mistake(whole, "", "%v", err)
		}
	}
}

// take checks one setting of a source. It answers the key and the text for
// koanf; a key of "" means that there was a mistake, which has been noted.
func (l *loader) take(name, text string, o Origin) (string, string) {
	k, fromFile := lookupSource(name)
	if k == nil {
		hint := ""
		if near := Suggest(name); near != "" {
			switch o.Layer {
			case LayerEnvironment:
				near = EnvPrefix + strings.ToUpper(near)
			case LayerFlag:
				near = "--" + dashed(near)
			}
			hint = "; did you mean " + near + "?"
		}
		l.mistake(o, name, "unknown setting%s", hint)
		return "", ""
	}
	if before, twice := l.seen[k]; twice {
		l.mistake(o, name, "given twice, first as %s", before)
		return "", ""
	}
	l.seen[k] = o
	if fromFile {
		secret, err := readSecret(text)
		if err != nil {
			l.mistake(o, name, "%v", err)
			return "", ""
		}
		text = secret
	}
	if _, err := l.parse(k, text); err != nil {
		l.mistake(o, name, "%s", complaint(k, text, err))
		return "", ""
	}
	l.origins[k] = o
	return k.Name, text
}

func (l *loader) parse(k *Key, text string) (value, error) {
	preset, err := k.preset()
	if err != nil {
		return value{}, err
	}
	return k.syntax.parse(input{text: text, old: preset, memory: l.Memory})
}

// preset is the default of the key, parsed.
func (k *Key) preset() (value, error) {
	return k.syntax.parse(input{text: k.Default})
}

// complaint is what a person is told about a value.
func complaint(k *Key, text string, err error) string {
	var known plainError
	if errors.As(err, &known) {
		return known.Error()
	}
	if k.Secret {
		return "want " + k.syntax.describe()
	}
	if len(text) > 80 {
		text = text[:80] + "..."
	}
	return fmt.Sprintf("want %s, not %q", k.syntax.describe(), text)
}

// decide parses what won, refuses what this version does not have, and fills
// the configuration.
func (l *loader) decide(c *Config) {
	for _, k := range allKeys().keys {
		preset, err := k.preset()
		if err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", k.Name, err))
		}
		o, given := l.origins[k]
		if !given {
			c.set(k, setting{preset, Origin{}})
			continue
		}
		v, err := l.parse(k, l.merged.String(k.Name))
		if err != nil { // take has parsed the same text
			l.mistake(o, k.Name, "%v", err)
			continue
		}
		if v.text != preset.text {
			switch k.Effect {
			case Unavailable:
				l.mistake(o, k.Name, "%s; %s", k.Missing, remedy(k, preset))
			case Stored:
				c.Warnings = append(c.Warnings, fmt.Sprintf("%s (%s) has no effect in this version", k.Name, o))
			}
		}
		c.set(k, setting{v, o})
	}
}

func remedy(k *Key, preset value) string {
	switch preset.text {
	case "":
		return "remove the setting"
	case "no":
		return "remove the setting or set it to no"
	}
	return "remove the setting or set it to " + preset.text
}

// readSecret reads a file that holds nothing but a secret. The newline that
// editors put at the end is not part of it.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > fileBytesMax {
		return "", fmt.Errorf("%s is too large for a secret", path)
	}
	data, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return "", err
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}

// serviceLink matches the variables that Kubernetes sets in every container
// when a Service is called hyperkv. They are not meant for us.
var serviceLink = regexp.MustCompile(`^HYPERKV_(SERVICE_(HOST|PORT)|PORT_[0-9]+_(TCP|UDP))`)

// testVariable matches what steers the tests of this repository, which start
// the server with the environment they have themselves.
var testVariable = regexp.MustCompile(`^HYPERKV_(FUZZ|REQUIRE|TEST)_`)

// variable is the environment's way into take.
func (l *loader) variable(name, text string) (string, any) {
	if name == EnvFile || serviceLink.MatchString(name) || testVariable.MatchString(name) ||
		name == EnvPrefix+"PORT" && (strings.HasPrefix(text, "tcp://") || strings.HasPrefix(text, "udp://")) {
		return "", nil
	}
	key, text := l.take(strings.TrimPrefix(name, EnvPrefix), text, Origin{Layer: LayerEnvironment, Where: name})
	return key, text
}

// EnvFile is the variable that names the configuration file. Load leaves it to
// its caller.
const EnvFile = EnvPrefix + "CONFIG"

// given is the Settings as a koanf provider.
type given struct{ l *loader }

func (g given) ReadBytes() ([]byte, error) { return nil, errors.ErrUnsupported }

func (g given) Read() (map[string]any, error) {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(g.l.Settings)) {
		if key, text := g.l.take(name, g.l.Settings[name], Origin{Layer: LayerSettings, Where: name}); key != "" {
			out[key] = text
		}
	}
	return out, nil
}

// oneLine keeps what a user wrote from breaking a line in two.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, text)
}
