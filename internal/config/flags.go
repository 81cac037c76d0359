package config

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// flagKey marks the flags that AddFlags made; its value is the name of the
// setting.
const flagKey = "hyperkv-setting"

// flagText is a flag that keeps the text it was given: one syntax reads all
// sources.
type flagText struct {
	text, kind string
	// turnOff is set for --disable-...: the text is the opposite of what the
	// setting will be.
	turnOff bool
}

func (f *flagText) String() string        { return f.text }
func (f *flagText) Set(text string) error { f.text = text; return nil }
func (f *flagText) Type() string          { return f.kind }
func (f *flagText) IsBoolFlag() bool      { return f.kind == "" }

// AddFlags adds a flag for every name of every setting. Those of settings that
// do nothing, and second names, are left out of the help.
func AddFlags(fs *pflag.FlagSet) {
	for _, k := range allKeys().keys {
		names := k.spellings()
		if k.Secret {
			names = append(names, k.Name+"_file")
		}
		for i, name := range names {
			v := &flagText{kind: flagKind(k)}
			f := &pflag.Flag{
				Name: dashed(name), Usage: flagUsage(k), Value: v, Hidden: i > 0 || k.Effect == Stored || k.Hidden,
				Annotations: map[string][]string{flagKey: {name}},
			}
			if k.Secret && name == k.Name+"_file" {
				f.Usage, f.Hidden, v.kind = "File that holds "+k.Flag()+".", k.Effect == Stored, "path"
			} else if isSwitch(k) {
				f.NoOptDefVal = "yes"
			}
			switch name {
			case "port":
				f.Shorthand = "p"
			}
			fs.AddFlag(f)
		}
	}
	for flag, setting := range map[string]string{"disable-aof": "aof_enabled", "disable-snapshots": "snapshot_enabled"} {
		fs.AddFlag(&pflag.Flag{
			Name: flag, Usage: "Same as --" + dashed(setting) + "=no.", Value: &flagText{turnOff: true},
			NoOptDefVal: "yes", Annotations: map[string][]string{flagKey: {setting}},
		})
	}
	fs.SortFlags = true
}

// flag is the flags' way into take.
func (l *loader) flag(f *pflag.Flag) (string, any) {
	setting := f.Annotations[flagKey]
	if !f.Changed || len(setting) == 0 {
		return "", nil
	}
	text, at := f.Value.String(), Origin{Layer: LayerFlag, Where: "--" + f.Name}
	if v, ok := f.Value.(*flagText); ok && v.turnOff {
		parsed, err := yesNo{}.parse(input{text: text})
		if err != nil {
			l.mistake(at, "", "want yes or no, not %q", text)
			return "", nil
		}
		text = [...]string{"yes", "no"}[parsed.num]
	}
	key, text := l.take(setting[0], text, at)
	return key, text
}

// isSwitch says that the flag may stand alone and then means yes.
func isSwitch(k *Key) bool {
	if c, ok := k.syntax.(choice); ok {
		return slices.Equal(c.words, guard.words)
	}
	return k.syntax == syntax(yesNo{})
}

func flagKind(k *Key) string {
	switch s := k.syntax.(type) {
	case yesNo:
		return ""
	case integer:
		return "int"
	case size:
		return "size"
	case duration:
		return "duration"
	case choice:
		if words := strings.Join(s.words, "|"); len(words) < 24 {
			return words
		}
		return "word"
	case octal:
		return "mode"
	case fraction:
		return "number"
	}
	return "text"
}

func flagUsage(k *Key) string {
	usage := k.Meaning
	if flagKind(k) == "word" {
		usage += " " + strings.ToUpper(k.Type()[:1]) + k.Type()[1:] + "."
	}
	if k.Default != "" && k.Default != "no" {
		usage += " Default: " + k.Default + "."
	}
	if k.Effect == Unavailable && k.Name != "daemonize" {
		usage += " Not available in this version."
	}
	return strings.ReplaceAll(usage, "`", "")
}

// JoinSwitches lets a switch take its value as the next argument, the way Redis
// reads its command line: "--appendonly no" becomes "--appendonly=no". Flags
// that can stand alone would otherwise leave the word behind.
func JoinSwitches(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(out, args[i:]...)
		}
		name, isFlag := strings.CutPrefix(args[i], "--")
		if isFlag && i+1 < len(args) {
			k, fromFile := lookupSource(name)
			if k != nil && !fromFile && isSwitch(k) {
				if _, err := k.syntax.parse(input{text: args[i+1]}); err == nil {
					out = append(out, args[i]+"="+args[i+1])
					i++
					continue
				}
			}
		}
		out = append(out, args[i])
	}
	return out
}
