package resp

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestParseInt(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 9, 10, -10, 1234567890, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, math.MinInt64 + 1} {
		text := AppendInt(nil, n)
		if got, ok := ParseInt(text); !ok || got != n {
			t.Errorf("%s: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "-", "+1", "01", "00", "-0", "-01", " 1", "1 ", "1a", "a", "0x1", "1.0", "1e3", "--1", "1-",
		"9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999", "100000000000000000000", "1\x00",
	} {
		if n, ok := ParseInt([]byte(text)); ok {
			t.Errorf("%q read as %d", text, n)
		}
	}
}

func FuzzParseInt(f *testing.F) {
	f.Add([]byte("-9223372036854775808"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := ParseInt(b)
		want, err := strconv.ParseInt(string(b), 10, 64)
		canonical := err == nil && strconv.FormatInt(want, 10) == string(b)
		if ok != canonical || ok && got != want {
			t.Fatalf("%q: %d, %v", b, got, ok)
		}
	})
}

// Texts that strtod and strtold treat alike.
var (
	goodFloats = map[string]float64{
		"0": 0, "-0": 0, "1": 1, "+1": 1, "01": 1, "1.": 1, ".5": .5, "-.5e1": -5, "5.0e3": 5000, "1E+2": 100, "1e-2": 0.01,
		"0x10": 16, "0X.8": 0.5, "0x1p4": 16, "-0x1.8p1": -3, "0xAp-1": 5, "0e99999999999": 0, "0x0p99999999999": 0,
		"inf": math.Inf(1), "+INF": math.Inf(1), "-Infinity": math.Inf(-1),
		"1" + strings.Repeat("0", 300): 1e300, "0." + strings.Repeat("0", 299) + "1": 1e-300,
		"3.14159265358979323846264338327950288": math.Pi,
	}
	badFloats = []string{
		"", " ", " 1", "1 ", "1\n", "+", "-", ".", "e1", "1e", "1e+", "1e1.5", "1.2.3", "--1", "1_000", "0x", "0x.", "0xg", "0x1p", "0x_1p0", "1p1",
		"nan", "-nan", "NaN", "nan(1)", "in", "infin", "infinityx", "1e99999", "1e-99999", "-1e999999999999999999999", "0x1p99999", "0x1p-99999",
		"0b1", "0o7", "1,5", "1f", "\x001", "1\x00",
	}
)

func TestParseFloat(t *testing.T) {
	for text, want := range goodFloats {
		if got, ok := ParseFloat([]byte(text)); !ok || got != want {
			t.Errorf("%.40q: %v, %v", text, got, ok)
		}
	}
	for _, text := range append([]string{"1e309", "1e-330"}, badFloats...) {
		if got, ok := ParseFloat([]byte(text)); ok {
			t.Errorf("%q read as %v", text, got)
		}
	}
	if got, ok := ParseFloat([]byte("4.9e-324")); !ok || got != math.SmallestNonzeroFloat64 {
		t.Error(got, ok)
	}
}

// ParseFloat takes nothing that Go would read differently.
func FuzzParseFloat(f *testing.F) {
	for text := range goodFloats {
		f.Add(text)
	}
	for _, text := range badFloats {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := ParseFloat([]byte(text))
		if _, err := AddFloatHuman([]byte(text), []byte("1")); ok && err == ErrNotFloat && len(text) <= extendedTextMax {
			t.Fatalf("%q is a float but not a long double", text)
		}
		if !ok {
			return
		}
		hex := strings.ContainsAny(text, "xX")
		if hex && !strings.ContainsAny(text, "pP") {
			text += "p0"
		}
		if want, err := strconv.ParseFloat(text, 64); err != nil || got != want {
			t.Fatalf("%q: %v, Go has %v, %v", text, got, want, err)
		}
	})
}

func TestFormatDouble(t *testing.T) {
	f := func(x float64, want string) {
		t.Helper()
		if got := string(FormatDouble([]byte("x"), x)); got != "x"+want {
			t.Errorf("%v: %s, want %s", x, got[1:], want)
		}
	}
	f(0, "0")
	f(math.Copysign(0, -1), "-0")
	f(math.NaN(), "nan")
	f(math.Inf(1), "inf")
	f(math.Inf(-1), "-inf")
	f(1, "1")
	f(-12, "-12")
	f(3.3, "3.3")
	f(-0.1, "-0.1")
	f(1e15, "1000000000000000")
	f(1<<53, "9007199254740992")
	f(1<<62, "4611686018427387904")
	f(1<<63, "9223372036854776000") // the shortest digits, filled up with zeros
	f(1e18, "1000000000000000000")
	f(1e19, "1e+19")
	f(1.5e19, "1.5e+19")
	f(1e21, "1e+21")
	f(1.2345678901234568e22, "12345678901234568000000")
	f(1.2345678901234568e24, "1.2345678901234568e+24")
	f(0.5, "0.5")
	f(0.000001, "0.000001")
	f(0.0000001, "1e-7")
	f(0.00012345, "1.2345e-4")
	f(0.0012345, "0.0012345")
	f(0.001234567890123, "0.001234567890123")
	f(0.0001234567890123, "1.234567890123e-4")
	f(1e100, "1e+100")
	f(-1.7976931348623157e308, "-1.7976931348623157e+308")
	f(5e-324, "5e-324")
	f(1.1, "1.1")
	f(123456.789, "123456.789")

	// Whatever the digits, they read back as the same number.
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		x := math.Float64frombits(rng.Uint64())
		if x != x {
			continue
		}
		if text := FormatDouble(nil, x); len(text) > 32 {
			t.Fatalf("%v: %s", x, text)
		} else if back, ok := ParseFloat(text); !ok || back != x {
			t.Fatalf("%v: %s reads back as %v", x, text, back)
		}
	}
}

func TestAddFloatHuman(t *testing.T) {
	f := func(a, b, want string) {
		t.Helper()
		got, err := AddFloatHuman([]byte(a), []byte(b))
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != want {
			t.Errorf("%.30q + %.30q = %s, want %s", a, b, got, want)
		}
	}
	f("3.0", "1.1", "4.1")
	f("10.5", "0.1", "10.6")
	f("5.0e3", "2.0e2", "5200")
	f("1", "1e17", "100000000000000001")
	f("0", "1e20", "100000000000000000000")
	f("0", "3.0e-5", "0.00003")
	f("0", "1e-17", "0.00000000000000001")
	f("0", "1e-18", "0")
	f("0", "-1e-18", "0")
	f("-0", "-0", "0")
	f("1", "-1", "0")
	f("0x10", "0x.8p0", "16.5")
	f("9223372036854775807", "1", "9223372036854775808")
	f("18446744073709551615", "2", "18446744073709551616") // 64 bits of mantissa
	f("18446744073709551616", "3", "18446744073709551620")
	f("1e4932", "1.1897314953572317650e4932", "ERR increment would produce NaN or Infinity")
	f("inf", "1", "ERR increment would produce NaN or Infinity")
	f("1", "-inf", "ERR increment would produce NaN or Infinity")
	f("inf", "-inf", "ERR increment would produce NaN or Infinity")
	f("1e4933", "0", "ERR value is not a valid float")
	f("1e-4960", "0", "ERR value is not a valid float")
	f("1e-4945", "0", "0")
	f("1e-4000", "1e-4000", "0")
	f("0"+strings.Repeat("0", extendedTextMax-1), "1", "1")
	f("0"+strings.Repeat("0", extendedTextMax), "1", "ERR value is not a valid float")
	for _, bad := range badFloats {
		f(bad, "1", "ERR value is not a valid float")
		f("1", bad, "ERR value is not a valid float")
	}
}

// Parsing rounds once: it agrees with exact arithmetic on any digits.
func TestExtendedParse(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		text := randomFloat(rng)
		var x extended
		if !x.parse([]byte(text)) {
			t.Fatal(text)
		}
		exact, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatal(text)
		}
		want := new(big.Float).SetPrec(extendedPrec).SetRat(exact)
		if x.Cmp(want) != 0 {
			t.Fatalf("%s: %s, want %s", text, x.Text('p', 0), want.Text('p', 0))
		}
	}
}

// randomFloat is a decimal text, from tame to wild.
func randomFloat(rng *rand.Rand) string {
	var s strings.Builder
	if rng.IntN(3) == 0 {
		s.WriteByte('-')
	}
	digits := func(n int) {
		for range n {
			s.WriteByte(byte('0' + rng.IntN(10)))
		}
	}
	switch rng.IntN(4) {
	case 0:
		digits(1 + rng.IntN(4))
		s.WriteByte('.')
		digits(1 + rng.IntN(3))
	case 1:
		digits(1 + rng.IntN(20))
		s.WriteByte('.')
		digits(1 + rng.IntN(20))
	case 2:
		digits(1 + rng.IntN(25))
	default:
		digits(1 + rng.IntN(3))
		s.WriteByte('.')
		digits(1 + rng.IntN(30))
		s.WriteString("e" + strconv.Itoa(rng.IntN(80)-40))
	}
	return s.String()
}

func BenchmarkNumbers(b *testing.B) {
	b.Run("ParseInt", func(b *testing.B) {
		text := []byte("1234567890")
		b.ReportAllocs()
		for b.Loop() {
			ParseInt(text)
		}
	})
	b.Run("ParseFloat", func(b *testing.B) {
		text := []byte("12345.678")
		b.ReportAllocs()
		for b.Loop() {
			ParseFloat(text)
		}
	})
	b.Run("FormatDouble", func(b *testing.B) {
		var space [32]byte
		b.ReportAllocs()
		for b.Loop() {
			FormatDouble(space[:0], 12345.678)
		}
	})
	b.Run("AddFloatHuman", func(b *testing.B) {
		x, y := []byte("12345.678"), []byte("0.1")
		b.ReportAllocs()
		for b.Loop() {
			AddFloatHuman(x, y)
		}
	})
}
