package config

import (
	"math"
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	s := size{max: math.MaxInt64}
	f := func(text string, strict bool, want int64) {
		t.Helper()
		v, err := s.parse(input{text: text, strict: strict, memory: func() (int64, error) { return 1000, nil }})
		if err != nil {
			v.num = -1
		}
		if v.num != want {
			t.Errorf("%q strict %v: %d, %v", text, strict, v.num, err)
		}
	}
	for _, strict := range []bool{true, false} { // Redis' forms, everywhere
		f("0", strict, 0)
		f("010", strict, 10)
		f("1k", strict, 1000)
		f("1kb", strict, 1024)
		f("5gb", strict, 5<<30)
		f("2M", strict, 2_000_000)
		f("1GB", strict, 1<<30)
		f("512MB", strict, 512<<20)
		f("", strict, 0)
		f("-1", strict, -1)
		f("1x", strict, -1)
		f("x", strict, -1)
		f("99999999999999999999", strict, -1)
		f("9223372036854775807k", strict, -1)
		f("1 000", strict, -1)
	}
	f("2GiB", false, 2<<30)
	f("2GiB", true, -1)
	f("1.5kb", false, 1536)
	f("1.5kb", true, -1)
	f("1 GiB", false, 1<<30)
	f("1tb", false, 1<<40)
	f("1_000", false, 1000)
	f("80%", false, 800)
	f("12.5%", false, 125)
	f("80%", true, -1)
	f("101%", false, -1)
	f("0%", false, -1)
	f("%", false, -1)
	f("NaN%", false, -1)
	f("inf", false, -1)
	f("1e3", false, -1)
	f(".", false, -1)
	f("9e300gb", false, -1)
}

func TestDurations(t *testing.T) {
	f := func(s duration, text string, strict bool, want string, span time.Duration) {
		t.Helper()
		v, err := s.parse(input{text: text, strict: strict})
		if v.text != want || err == nil && s.span(v.num) != span || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v %v", text, v.text, s.span(v.num), err)
		}
	}
	f(seconds, "300", true, "300", 300*time.Second)
	f(seconds, "5m", false, "300", 300*time.Second)
	f(seconds, "5m", true, "", 0)
	f(seconds, "2.0", false, "2", 2*time.Second)
	f(seconds, "1.5", false, "", 0)
	f(seconds, "-1", false, "", 0)
	f(seconds, "99999999999", false, "", 0)
	f(milliseconds, "1.5s", false, "1500", 1500*time.Millisecond)
	f(milliseconds, "5000", true, "5000", 5*time.Second)
	f(milliseconds, "9223372036854775807", true, "9223372036854775807", math.MaxInt64)
	f(fineSeconds, "0.25", false, "0.25", 250*time.Millisecond)
	f(fineSeconds, "1.0", false, "1", time.Second)
	f(fineSeconds, "300ms", false, "0.3", 300*time.Millisecond)
	f(fineSeconds, "9223372036854775807", false, "", 0)
	f(fineSeconds, "-9223372036854775808", false, "", 0)
	f(fineSeconds, "NaN", false, "", 0)
	f(fineSeconds, "1e300", false, "", 0)
	f(fineSeconds, "", false, "", 0)
	slow := duration{unit: time.Microsecond, grain: time.Microsecond, min: -1, max: math.MaxInt64}
	f(slow, "-1", true, "-1", -time.Microsecond)
	f(slow, "10ms", false, "10000", 10*time.Millisecond)
	f(slow, "-2", true, "", 0)
}

func TestBooleans(t *testing.T) {
	f := func(text string, strict bool, want string) {
		t.Helper()
		if v, _ := (yesNo{}).parse(input{text: text, strict: strict}); v.text != want {
			t.Errorf("%q strict %v: %q", text, strict, v.text)
		}
	}
	for _, word := range []string{"yes", "YES", "true", "True", "on", "1"} {
		f(word, false, "yes")
	}
	for _, word := range []string{"no", "No", "false", "off", "0"} {
		f(word, false, "no")
	}
	f("Yes", true, "yes")
	f("true", true, "")
	f("1", true, "")
	f("", false, "")
	f("y", false, "")
}

func TestFractions(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if v, _ := (fraction{}).parse(input{text: text}); v.text != want {
			t.Errorf("%q: %q", text, v.text)
		}
	}
	f("0.85", "0.85")
	f("85%", "0.85")
	f("1", "1")
	f("0", "0")
	f("1.1", "")
	f("-0.1", "")
	f("NaN", "")
	f("x", "")
}

// Every default is a value that its own syntax takes, in the strict form too:
// CONFIG SET of what CONFIG GET answers must work.
func TestValuesReadTheirOwnText(t *testing.T) {
	for _, k := range Keys() {
		v, err := k.preset()
		if err != nil {
			t.Errorf("%s: %v", k.Name, err)
			continue
		}
		if k.Name == "data_dir" { // must exist for CONFIG SET
			continue
		}
		again, err := k.syntax.parse(input{text: v.text, old: v, strict: true})
		if err != nil || again != v {
			t.Errorf("%s: %q becomes %q, %v", k.Name, v.text, again.text, err)
		}
		if k.Meaning == "" || k.Section == "" || k.Type() == "" || k.Effect == Unavailable && k.Missing == "" {
			t.Errorf("%s is not described", k.Name)
		}
	}
}
