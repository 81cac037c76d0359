package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// OutputLimit bounds the replies waiting for one client: at Hard bytes it is
// disconnected at once, at Soft bytes when it stays above for SoftFor. Zero
// means no bound.
type OutputLimit struct {
	Hard, Soft int64
	SoftFor    time.Duration
}

// OutputLimits are the limits of the three classes of clients.
type OutputLimits struct {
	Normal, Replica, PubSub OutputLimit
}

func (l OutputLimits) String() string {
	class := func(name string, l OutputLimit) string {
		return fmt.Sprintf("%s %d %d %d", name, l.Hard, l.Soft, int64(l.SoftFor/time.Second))
	}
	return class("normal", l.Normal) + " " + class("slave", l.Replica) + " " + class("pubsub", l.PubSub)
}

// ParseOutputLimits reads "class hard soft seconds ..." and changes the classes
// that are named.
func ParseOutputLimits(text string, old OutputLimits) (OutputLimits, error) {
	words := strings.Fields(text)
	if len(words)%4 != 0 {
		return old, plain("Wrong number of arguments in buffer limit configuration.")
	}
	limits := old
	for ; len(words) > 0; words = words[4:] {
		var class *OutputLimit
		switch strings.ToLower(words[0]) {
		case "normal":
			class = &limits.Normal
		case "slave", "replica":
			class = &limits.Replica
		case "pubsub":
			class = &limits.PubSub
		default:
			return old, plain("Invalid client class specified in buffer limit configuration.")
		}
		hard, ok1 := parseBytes(words[1])
		soft, ok2 := parseBytes(words[2])
		seconds, err := strconv.ParseInt(words[3], 10, 32)
		if !ok1 || !ok2 || err != nil || seconds < 0 {
			return old, plain("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
		}
		*class = OutputLimit{hard, soft, time.Duration(seconds) * time.Second}
	}
	return limits, nil
}

type outputLimits struct{}

func (outputLimits) describe() string { return "class, hard limit, soft limit and seconds, repeated" }

func (outputLimits) parse(in input) (value, error) {
	old, err := ParseOutputLimits(in.old.text, OutputLimits{})
	if err != nil {
		return value{}, err
	}
	limits, err := ParseOutputLimits(in.text, old)
	return value{text: limits.String()}, err
}

// percentiles are what INFO latencystats reports.
type percentiles struct{}

func (percentiles) describe() string { return "numbers from 0 to 100" }

func (percentiles) parse(in input) (value, error) {
	var out []string
	for _, word := range in.words() {
		p, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return value{}, plain("Invalid latency-tracking-info-percentiles parameters")
		}
		if !(p >= 0 && p <= 100) {
			return value{}, plain("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
		}
		digits := strconv.FormatFloat(p, 'f', 6, 64)
		out = append(out, strings.TrimSuffix(strings.TrimRight(digits, "0"), "."))
	}
	return value{text: strings.Join(out, " ")}, nil
}

func parsePercentiles(text string) []float64 {
	out := []float64{}
	for _, word := range strings.Fields(text) {
		if p, err := strconv.ParseFloat(word, 64); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// addresses are the interfaces to listen on.
type addresses struct{}

const addressesMax = 16

func (addresses) describe() string { return "addresses to listen on, * for all" }

func (addresses) parse(in input) (value, error) {
	list := strings.Fields(in.text)
	if len(list) > addressesMax {
		return value{}, plain("Too many bind addresses specified.")
	}
	return value{text: strings.Join(list, " ")}, nil
}

// savePoints are Redis' snapshot schedule: pairs of seconds and changes.
type savePoints struct{}

func (savePoints) describe() string { return "pairs of seconds and changes" }

func (savePoints) parse(in input) (value, error) {
	words := in.words()
	if len(words)%2 != 0 {
		return value{}, plain("Invalid save parameters")
	}
	for i, word := range words {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n < 0 || i%2 == 0 && n == 0 {
			return value{}, plain("Invalid save parameters")
		}
		words[i] = strconv.FormatInt(n, 10)
	}
	return value{text: strings.Join(words, " ")}, nil
}

// oomScores are three numbers: for a primary, a replica and a child process.
type oomScores struct{}

func (oomScores) describe() string { return "three numbers from -2000 to 2000" }

func (oomScores) parse(in input) (value, error) {
	words := in.words()
	if len(words) != 3 {
		return value{}, plain("wrong number of arguments")
	}
	for i, word := range words {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n < -2000 || n > 2000 {
			return value{}, plain("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
		}
		words[i] = strconv.FormatInt(n, 10)
	}
	return value{text: strings.Join(words, " ")}, nil
}

// eventClasses selects keyspace events; num is the set as bits, in the order of
// eventLetters.
type eventClasses struct{}

// eventLetters: first the classes that A stands for, then what A leaves out.
const (
	eventLetters    = "g$lshzxetdn" + "KEm"
	eventLettersInA = 10
)

func (eventClasses) describe() string { return "letters out of Ag$lshzxeKEtmdn" }

func (eventClasses) parse(in input) (value, error) {
	var set int64
	for _, letter := range in.text {
		if letter == 'A' {
			set |= 1<<eventLettersInA - 1
			continue
		}
		i := strings.IndexRune(eventLetters, letter)
		if i < 0 {
			return value{}, plain("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
		}
		set |= 1 << i
	}
	var out strings.Builder
	all := set&(1<<eventLettersInA-1) == 1<<eventLettersInA-1
	if all {
		out.WriteByte('A')
	}
	for i, letter := range eventLetters {
		listed := set&(1<<i) != 0
		if all && i <= eventLettersInA { // Redis leaves n out beside A
			listed = false
		}
		if listed {
			out.WriteRune(letter)
		}
	}
	return value{out.String(), set}, nil
}

// upstream is replicaof: empty, "no one", or a host and a port.
type upstream struct{}

func (upstream) describe() string { return "a host and a port" }

func (upstream) parse(in input) (value, error) {
	words := strings.Fields(in.text)
	if len(words) == 0 || len(words) == 2 && strings.EqualFold(words[0], "no") && strings.EqualFold(words[1], "one") {
		return value{}, nil
	}
	if len(words) != 2 {
		return value{}, plain("wrong number of arguments")
	}
	if port, err := strconv.Atoi(words[1]); err != nil || port < 0 || port > 65535 {
		return value{}, plain("Invalid master port")
	}
	return value{text: words[0] + " " + words[1]}, nil
}

// directory is where files are kept. CONFIG SET wants it to exist; at the start
// it may still have to be made.
type directory struct{}

func (directory) describe() string { return "a directory" }

func (directory) parse(in input) (value, error) {
	if in.text == "" {
		return value{}, plain("dir can't be empty")
	}
	if strings.ContainsRune(in.text, 0) {
		return value{}, plain("must not contain a NUL byte")
	}
	if in.strict {
		info, err := os.Stat(in.text)
		if err == nil && !info.IsDir() {
			err = syscall.ENOTDIR
		}
		if err != nil {
			return value{}, errors.New(reason(err))
		}
	}
	return value{text: in.text}, nil
}

// reason is an error in few words: a system error in those of strerror, which
// begin with a capital.
func reason(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// The checks below carry Redis' texts.

func baseName(param, what string) func(string) error {
	return func(s string) error {
		switch {
		case s == "":
			return fmt.Errorf("%s can't be empty", param)
		case strings.ContainsAny(s, `/\`):
			return fmt.Errorf("%s can't be a path, just a %s", param, what)
		}
		return nil
	}
}

func notEmpty(param string) func(string) error {
	return func(s string) error {
		if s == "" {
			return fmt.Errorf("%s can't be empty", param)
		}
		return nil
	}
}

func hostname(s string) error {
	if len(s) >= 256 {
		return errors.New("Hostnames must be less than 256 characters")
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' {
			return errors.New("Hostnames may only contain alphanumeric characters, hyphens or dots")
		}
	}
	return nil
}

func nodeName(s string) error {
	if strings.ContainsAny(s, "!#$%&()*+:;<>?@[]^{|}~") {
		return errors.New("Announced human node name contained invalid character")
	}
	return nil
}

func ipVersion(version string, is func(netip.Addr) bool) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		if addr, err := netip.ParseAddr(s); err != nil || addr.Zone() != "" || !is(addr) {
			return fmt.Errorf("Invalid %s address", version)
		}
		return nil
	}
}

// titleTemplate checks proc-title-template: known variables in braces, and more
// than the title itself, which Redis tries it with while it is empty.
func titleTemplate(s string) error {
	if strings.TrimSpace(strings.ReplaceAll(s, "{title}", "")) == "" {
		return errTitleTemplate
	}
	for rest := s; ; {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			return nil
		}
		rest = rest[open+1:]
		name, after, ok := strings.Cut(rest, "}")
		switch name {
		case "title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file":
		default:
			ok = false
		}
		if !ok {
			return errTitleTemplate
		}
		rest = after
	}
}

var errTitleTemplate = errors.New("template format is invalid or contains unknown variables")

// absolute is how a path is reported, whatever it was written relative to.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}
