package glob

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestMatch(t *testing.T) {
	f := func(pattern, s string, want bool) {
		t.Helper()
		if got := Match([]byte(pattern), []byte(s)); got != want {
			t.Errorf("Match(%q, %q) = %v", pattern, s, got)
		}
	}
	f("", "", true)
	f("", "a", false)
	f("a", "", false)
	f("*", "", false) // the caller's business, see the package comment
	f("*", "a", true)
	f("**", "a", true)
	f("a*", "a", true)
	f("a**", "a", true)
	f("a*b", "ab", true)
	f("a*b", "axxb", true)
	f("a*b", "axxbc", false)
	f("*ab", "aab", true)
	f("*ab*cd", "xabyabzcdcd", true)
	f("user:?", "user:1", true)
	f("user:?", "user:", false)
	f("?", "ab", false)
	f("*?", "a", true)
	f("h[ae]llo", "hallo", true)
	f("h[ae]llo", "hillo", false)
	f("h[^e]llo", "hallo", true)
	f("h[^e]llo", "hello", false)
	f("[a-c]x", "bx", true)
	f("[c-a]x", "bx", true)
	f("[a-c]x", "dx", false)
	f("[a-]", "a", true) // the range a to ] and an open class
	f("[a-]", "^", true)
	f("[a-", "-", true)
	f("[]a]", "a", false) // an empty class, and more behind it
	f("[^]", "a", true)
	f("[^", "a", true)
	f("[", "[", false)
	f("[abc", "b", true)
	f("[abc", "bd", false)
	f(`[\]]`, "]", true)
	f(`[\`, `\`, true)
	f(`\*`, "*", true)
	f(`\*`, "a", false)
	f(`a\`, `a\`, true)
	f(`\a`, "a", true)
	f("[a-\xff]", "\xff", true) // signed: from -1 to 'a'
	f("[a-\xff]", "A", true)
	f("[a-\xff]", "b", false)
	f("A", "a", false)
}

func TestMatchFold(t *testing.T) {
	f := func(pattern, s string, want bool) {
		t.Helper()
		if got := MatchFold([]byte(pattern), []byte(s)); got != want {
			t.Errorf("MatchFold(%q, %q) = %v", pattern, s, got)
		}
	}
	f("Max*", "maxMemory", true)
	f("*MEMORY", "maxmemory", true)
	f("[A-C]", "b", true)
	f("[abc]", "B", true)
	f(`[\b]`, "B", false)
	f(`\b`, "B", true)
	f("[Z-_]", "z", false) // in order before folding: from z to _, which is nothing
	f("\xc4", "\xe4", false)
}

func TestIsLiteral(t *testing.T) {
	f := func(pattern string, want bool) {
		t.Helper()
		if got := IsLiteral([]byte(pattern)); got != want {
			t.Errorf("IsLiteral(%q) = %v", pattern, got)
		}
	}
	f("", true)
	f("user:1]", true)
	f("a^b-c", true)
	f("*", false)
	f("a?", false)
	f("[a", false)
	f(`a\`, false)
}

// Patterns that take forever when every star is tried with every other one.
func TestHardPatterns(t *testing.T) {
	start := time.Now()
	long := bytes.Repeat([]byte("a"), 50_000)
	if !Match(bytes.Repeat([]byte("*?"), starsMax), long) {
		t.Error("*? as often as a pattern may have it must match")
	}
	if Match(bytes.Repeat([]byte("*?"), 50_000), long) {
		t.Error("a pattern with too many stars must match nothing")
	}
	if Match(append(bytes.Repeat([]byte("a*"), 1000), 'b'), long) {
		t.Error("no b in s")
	}
	if Match(append(bytes.Repeat([]byte("*a"), 25_000), "*b"...), long) {
		t.Error("no b in s")
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestMatchAllocates(t *testing.T) {
	pattern, s := []byte("u*r:[0-9]*:\\name"), []byte("user:1000:name")
	if n := testing.AllocsPerRun(100, func() { Match(pattern, s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// model is the matcher one would write down first: every star tries everything.
func model(p, s string, fold bool) bool {
	if p == "" || s == "" {
		return p == "" && s == ""
	}
	same := func(a, b byte) bool {
		return a == b || fold && strings.EqualFold(string(rune(a)), string(rune(b))) && a < 0x80 && b < 0x80
	}
	// after continues behind one matched byte; at the end of s stars may remain.
	after := func(p string) bool {
		if s[1:] == "" {
			return strings.Trim(p, "*") == ""
		}
		return model(p, s[1:], fold)
	}
	switch p[0] {
	case '*':
		if strings.Trim(p, "*") == "" {
			return true
		}
		for i := 0; i < len(s); i++ {
			if model(p[1:], s[i:], fold) {
				return true
			}
		}
		return false
	case '?':
		return after(p[1:])
	case '[':
		i, not, hit := 1, false, false
		if i < len(p) && p[i] == '^' {
			i, not = i+1, true
		}
		for i < len(p) && p[i] != ']' {
			if p[i] == '\\' && i+1 < len(p) {
				hit = hit || p[i+1] == s[0]
				i += 2
			} else if i+2 < len(p) && p[i+1] == '-' {
				a, b, c := int8(p[i]), int8(p[i+2]), int8(s[0])
				if a > b {
					a, b = b, a
				}
				up := func(x int8) int8 {
					if fold && x >= 'A' && x <= 'Z' {
						return x + 32
					}
					return x
				}
				hit = hit || up(a) <= up(c) && up(c) <= up(b)
				i += 3
			} else {
				hit = hit || same(p[i], s[0])
				i++
			}
		}
		if i < len(p) {
			i++
		}
		return hit != not && after(p[i:])
	case '\\':
		if len(p) > 1 {
			p = p[1:]
		}
	}
	return same(p[0], s[0]) && after(p[1:])
}

func TestModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(alphabet string, bytesMax int) string {
		b := make([]byte, random.IntN(bytesMax+1))
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	for range 300_000 {
		p, s := pick(`aabB*?[]^-\`, 10), pick("aabB]-\\^", 8)
		check(t, p, s)
	}
}

func check(t *testing.T, p, s string) {
	t.Helper()
	if got, want := Match([]byte(p), []byte(s)), model(p, s, false); got != want {
		t.Fatalf("Match(%q, %q) = %v", p, s, got)
	}
	if got, want := MatchFold([]byte(p), []byte(s)), model(p, s, true); got != want {
		t.Fatalf("MatchFold(%q, %q) = %v", p, s, got)
	}
	if IsLiteral([]byte(p)) && Match([]byte(p), []byte(s)) != (p == s) {
		t.Fatalf("IsLiteral(%q), but %q", p, s)
	}
}

func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"a*b", "[^a-c]*\\*", "*?*[", "\\", "**a**"} {
		f.Add(seed, "abcabc")
	}
	f.Fuzz(func(t *testing.T, p, s string) {
		if len(s) > 24 || strings.Count(p, "*") > 6 {
			return // the model would not come to an end
		}
		check(t, p, s)
	})
}

func BenchmarkMatch(b *testing.B) {
	s := []byte("session:1234567890:profile")
	for _, pattern := range []string{"session:*", "*profile", "s*:*:pro?ile", "user:*"} {
		p := []byte(pattern)
		b.Run(pattern, func(b *testing.B) {
			for b.Loop() {
				Match(p, s)
			}
		})
	}
}
