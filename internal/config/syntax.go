package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is a parsed value: the text CONFIG GET answers, and the number behind
// it where there is one.
type value struct {
	text string
	num  int64
}

// input is what a syntax reads.
type input struct {
	text string
	// old is the value in force, for settings that are given in part.
	old value
	// strict allows only the forms that Redis' CONFIG SET allows, so that both
	// accept and refuse the same arguments. Files, variables and flags may also
	// write 2GiB, 80%, 300ms and on/off.
	strict bool
	// memory is what percentages of memory are taken of.
	memory func() (int64, error)
}

// words are the parts of a setting that has several. Redis splits at every
// single space, so that two in a row make an empty part.
func (in input) words() []string {
	if in.strict && in.text != "" {
		return strings.Split(in.text, " ")
	}
	return strings.Fields(in.text)
}

// A syntax says which values a setting takes. The error of parse is Redis'
// text, made for CONFIG SET; describe completes the sentence "want ...".
type syntax interface {
	parse(in input) (value, error)
	describe() string
}

// plainError is an error whose text is good enough for a file too, so that it
// is shown instead of "want <describe>".
type plainError struct{ error }

func plain(format string, args ...any) error { return plainError{fmt.Errorf(format, args...)} }

var (
	errYesNo   = errors.New("argument must be 'yes' or 'no'")
	errInteger = errors.New("argument couldn't be parsed into an integer")
	errMemory  = errors.New("argument must be a memory value")
	errPercent = errors.New("argument must be a memory or percent value")
	errOctal   = errors.New("argument couldn't be parsed as an octal number")
)

func errBetween(low, high string) error {
	return fmt.Errorf("argument must be between %s and %s inclusive", low, high)
}

// yesNo is a boolean; num is 1 for yes.
type yesNo struct{}

func (yesNo) describe() string { return "yes or no" }

func (yesNo) parse(in input) (value, error) {
	switch text := strings.ToLower(in.text); {
	case text == "yes", !in.strict && (text == "true" || text == "on" || text == "1"):
		return value{"yes", 1}, nil
	case text == "no", !in.strict && (text == "false" || text == "off" || text == "0"):
		return value{"no", 0}, nil
	}
	return value{}, errYesNo
}

// integer is a whole number.
type integer struct {
	min, max int64
	// clamp moves a number that is allowed but senseless to the nearest sensible
	// one, as Redis does with hz.
	clampMin, clampMax int64
}

func (s integer) describe() string {
	switch {
	case s.max >= math.MaxInt32 && s.min == math.MinInt32:
		return "a whole number"
	case s.max >= math.MaxInt32:
		return fmt.Sprintf("a whole number, at least %d", s.min)
	}
	return fmt.Sprintf("a whole number from %d to %d", s.min, s.max)
}

func (s integer) parse(in input) (value, error) {
	n, ok := parseInteger(in.text)
	if !ok {
		return value{}, errInteger
	}
	if n < s.min || n > s.max {
		return value{}, errBetween(strconv.FormatInt(s.min, 10), strconv.FormatInt(s.max, 10))
	}
	if s.clampMax != 0 {
		n = min(max(n, s.clampMin), s.clampMax)
	}
	return number(n), nil
}

func number(n int64) value { return value{strconv.FormatInt(n, 10), n} }

// parseInteger reads the one canonical spelling of a number, as Redis does: no
// plus sign, no leading zeros, no spaces.
func parseInteger(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == text
}

// octal is a file mode.
type octal struct{ max int64 }

func (s octal) describe() string { return "an octal file mode such as 700" }

func (s octal) parse(in input) (value, error) {
	n, err := strconv.ParseInt(in.text, 8, 64)
	if err != nil {
		return value{}, errOctal
	}
	if n < 0 || n > s.max {
		return value{}, errBetween("0", strconv.FormatInt(s.max, 8))
	}
	return value{strconv.FormatInt(n, 8), n}, nil
}

// size is a number of bytes.
type size struct {
	min, max int64
	// clampMin raises a size that is allowed but too small to be of use.
	clampMin int64
	// share allows a percentage that stays one: num is then negative, the way
	// Redis keeps maxmemory-clients.
	share bool
}

func (s size) describe() string {
	text := "a size such as 64mb or 2GiB"
	if s.share {
		return text + ", or a percentage of max_memory"
	}
	return text + ", or a percentage of the machine's memory"
}

func (s size) parse(in input) (value, error) {
	failed := errMemory
	if s.share {
		failed = errPercent
	}
	if digits, ok := strings.CutSuffix(in.text, "%"); ok && (s.share || !in.strict) {
		return s.parsePercent(digits, in, failed)
	}
	n, ok := parseBytes(in.text)
	if !ok && !in.strict {
		n, ok = parseBytesLoosely(in.text)
	}
	if !ok {
		return value{}, failed
	}
	if n < s.min || n > s.max {
		return value{}, errBetween(strconv.FormatInt(s.min, 10), strconv.FormatInt(s.max, 10))
	}
	return number(max(n, s.clampMin)), nil
}

func (s size) parsePercent(digits string, in input, failed error) (value, error) {
	if s.share {
		n, ok := parseInteger(digits)
		switch {
		case !ok || n < 0:
			return value{}, failed
		case n > 100:
			return value{}, errors.New("percentage argument must be less or equal to 100")
		case n == 0:
			return value{"0", 0}, nil
		}
		return value{digits + "%", -n}, nil
	}
	percent, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(percent > 0 && percent <= 100) {
		return value{}, failed
	}
	total, err := in.memory()
	if err != nil {
		return value{}, plain("the machine's memory is unknown (%v): give a size instead of a percentage", err)
	}
	n := int64(float64(total) / 100 * percent)
	if n < s.min || n > s.max {
		return value{}, errBetween(strconv.FormatInt(s.min, 10), strconv.FormatInt(s.max, 10))
	}
	return number(n), nil
}

// byteUnits are Redis' units: k is 1000, kb is 1024. The longer names that end
// in iB are what the rest of the world writes.
var byteUnits = map[string]int64{
	"": 1, "b": 1,
	"k": 1000, "kb": 1 << 10, "kib": 1 << 10,
	"m": 1000_000, "mb": 1 << 20, "mib": 1 << 20,
	"g": 1000_000_000, "gb": 1 << 30, "gib": 1 << 30,
	"t": 1000_000_000_000, "tb": 1 << 40, "tib": 1 << 40,
}

// parseBytes reads a size as Redis does. Where Redis lets a product wrap around
// it is refused instead.
func parseBytes(text string) (int64, bool) {
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	unit, ok := byteUnits[strings.ToLower(text[digits:])]
	if !ok || len(text)-digits > 2 || unit >= byteUnits["t"] {
		return 0, false
	}
	if digits == 0 {
		return 0, true // an empty number reads as zero, as in Redis
	}
	n, err := strconv.ParseInt(text[:digits], 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, false
	}
	return n * unit, true
}

// parseBytesLoosely also reads 1.5GB, 2 GiB and 1TB.
func parseBytesLoosely(text string) (int64, bool) {
	cut := strings.LastIndexAny(text, "0123456789.") + 1
	unit, ok := byteUnits[strings.ToLower(strings.TrimSpace(text[cut:]))]
	if !ok {
		return 0, false
	}
	if n, err := strconv.ParseInt(strings.ReplaceAll(text[:cut], "_", ""), 10, 64); err == nil {
		return n * unit, n >= 0 && n <= math.MaxInt64/unit
	}
	n, err := strconv.ParseFloat(text[:cut], 64)
	if err != nil || strings.Trim(text[:cut], "0123456789.") != "" || n*float64(unit) >= math.MaxInt64 {
		return 0, false
	}
	return int64(n * float64(unit)), true
}

// duration is a span of time; num counts grains. A bare number counts units.
type duration struct {
	unit, grain time.Duration
	min, max    int64 // in grains
}

var unitNames = map[time.Duration]string{time.Second: "seconds", time.Millisecond: "milliseconds", time.Microsecond: "microseconds"}

func (s duration) describe() string {
	example := map[time.Duration]string{time.Second: "90s or 5m", time.Millisecond: "1.5s or 300ms", time.Microsecond: "1.5ms or 300us"}
	text := "a duration such as " + example[s.grain] + "; a bare number counts " + unitNames[s.unit]
	if s.min < 0 {
		text += "; -1 turns it off"
	}
	return text
}

func (s duration) parse(in input) (value, error) {
	ratio := int64(s.unit / s.grain)
	grains, ok := int64(0), false
	if n, whole := parseInteger(in.text); whole {
		if ratio > 1 && (n > math.MaxInt64/ratio || n < math.MinInt64/ratio) {
			return value{}, errBetween(s.format(s.min), s.format(s.max))
		}
		grains, ok = n*ratio, true
	} else if f, err := strconv.ParseFloat(in.text, 64); err == nil && !in.strict {
		grains = int64(math.Round(f * float64(ratio)))
		ok = math.Abs(f) < 1e15 && (ratio > 1 || f == math.Trunc(f))
	} else if d, err := time.ParseDuration(in.text); err == nil && !in.strict {
		if d%s.grain != 0 {
			return value{}, plain("want whole %s, not %q", unitNames[s.grain], in.text)
		}
		grains, ok = int64(d/s.grain), true
	}
	if !ok {
		return value{}, errInteger
	}
	if grains < s.min || grains > s.max {
		return value{}, errBetween(s.format(s.min), s.format(s.max))
	}
	return value{s.format(grains), grains}, nil
}

func (s duration) format(grains int64) string {
	ratio := int64(s.unit / s.grain)
	if grains%ratio == 0 {
		return strconv.FormatInt(grains/ratio, 10)
	}
	return strconv.FormatFloat(float64(grains)/float64(ratio), 'f', -1, 64)
}

// span is the value as a time.Duration, cut off where that type ends.
func (s duration) span(grains int64) time.Duration {
	if grains > math.MaxInt64/int64(s.grain) {
		return math.MaxInt64
	}
	return time.Duration(grains) * s.grain
}

// fraction is a part of one; num counts millionths.
type fraction struct{}

func (fraction) describe() string { return "a number from 0 to 1, or a percentage" }

func (fraction) parse(in input) (value, error) {
	digits, percent := strings.CutSuffix(in.text, "%")
	f, err := strconv.ParseFloat(digits, 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f >= 0 && f <= 1) {
		return value{}, errBetween("0", "1")
	}
	millionths := int64(math.Round(f * 1e6))
	return value{strconv.FormatFloat(float64(millionths)/1e6, 'f', -1, 64), millionths}, nil
}

// text is any string that passes check.
type text struct {
	what  string
	check func(string) error
}

func (s text) describe() string {
	if s.what == "" {
		return "text"
	}
	return s.what
}

func (s text) parse(in input) (value, error) {
	if strings.ContainsRune(in.text, 0) {
		return value{}, plain("must not contain a NUL byte")
	}
	if s.check != nil {
		if err := s.check(in.text); err != nil {
			return value{}, plainError{err}
		}
	}
	return value{in.text, 0}, nil
}

// choice is one of a list of words; num is its place in the list.
type choice struct {
	words []string
	// same maps other words that mean one of the list; loose ones are understood
	// everywhere but in CONFIG SET.
	same, loose map[string]string
	// silent words are accepted and left out of Redis' error text, because Redis
	// does not have them.
	silent []string
}

func (s choice) describe() string {
	return "one of " + strings.Join(append(slices.Clone(s.words), s.silent...), ", ")
}

func (s choice) parse(in input) (value, error) {
	word := strings.ToLower(in.text)
	if to, ok := s.same[word]; ok {
		word = to
	} else if to, ok := s.loose[word]; ok && !in.strict {
		word = to
	}
	if i := slices.Index(s.words, word); i >= 0 {
		return value{word, int64(i)}, nil
	}
	if i := slices.Index(s.silent, word); i >= 0 {
		return value{word, int64(len(s.words) + i)}, nil
	}
	return value{}, errOneOf(s.words)
}

func errOneOf(words []string) error {
	return errors.New("argument(s) must be one of the following: " + strings.Join(words, ", "))
}

// choices is a set of words, listed back in the order of the list.
type choices struct {
	words []string
	// none is the word for the empty set.
	none  string
	check func(chosen []string) error
}

func (s choices) describe() string {
	return fmt.Sprintf("%s, or words out of %s", s.none, strings.Join(s.words, ", "))
}

func (s choices) parse(in input) (value, error) {
	var given []string
	for _, word := range in.words() {
		word = strings.ToLower(word)
		if word != s.none && !slices.Contains(s.words, word) {
			given = nil
			break
		}
		given = append(given, word)
	}
	if given == nil {
		return value{}, errOneOf(append([]string{s.none}, s.words...))
	}
	var chosen []string
	for _, word := range s.words {
		if slices.Contains(given, word) {
			chosen = append(chosen, word)
		}
	}
	if s.check != nil {
		if err := s.check(chosen); err != nil {
			return value{}, plainError{err}
		}
	}
	if len(chosen) == 0 {
		return value{s.none, 0}, nil
	}
	return value{strings.Join(chosen, " "), 0}, nil
}
