package glob

import "bytes"

// Match says whether all of s fits the pattern.
func Match(pattern, s []byte) bool { return match(pattern, s, false) }

// MatchFold is Match without regard to the case of ASCII letters. A byte that is
// escaped inside a class keeps its case, as in Redis.
func MatchFold(pattern, s []byte) bool { return match(pattern, s, true) }

// IsLiteral says that a pattern has no special byte, so that only itself fits it
// (except that it is compared without regard to case by MatchFold).
func IsLiteral(pattern []byte) bool {
	for _, c := range pattern {
		if special(c) {
			return false
		}
	}
	return true
}

// special says that a byte is not simply itself outside a class.
func special(c byte) bool { return c == '*' || c == '?' || c == '[' || c == '\\' }

// IsAll says that a pattern is the lone star that stands for everything, the
// empty string included.
func IsAll(pattern []byte) bool { return len(pattern) == 1 && pattern[0] == '*' }

// starsMax is how many stars with something behind them a pattern may have; one
// with more matches nothing. Redis recurses at a star and stops there. Nothing
// here needs the bound, but a pattern must select the same keys on both.
const starsMax = 1000

func match(p, s []byte, fold bool) bool {
	if len(s) == 0 {
		return len(p) == 0
	}
	// rest is the pattern behind the last star seen, from is where in s it was
	// last tried; there is none while rest is nil.
	var rest, from []byte
	stars := 0
	for len(s) > 0 {
		if len(p) > 0 && p[0] == '*' {
			for len(p) > 0 && p[0] == '*' {
				p = p[1:]
			}
			if len(p) == 0 {
				return true
			}
			rest = p
			if stars++; stars > starsMax {
				return false
			}
			if s = skip(p, s, fold); s == nil {
				return false
			}
			from = s
			continue
		}
		if len(p) > 0 {
			if c := p[0]; c == s[0] && !special(c) {
				p, s = p[1:], s[1:]
				continue
			}
			if after, ok := one(p, s[0], fold); ok {
				p, s = after, s[1:]
				continue
			}
		}
		// s does not go on as the pattern does: try the last piece one byte later.
		if rest == nil {
			return false
		}
		if from = skip(rest, from[1:], fold); from == nil {
			return false
		}
		p, s = rest, from
	}
	for len(p) > 0 && p[0] == '*' {
		p = p[1:]
	}
	return len(p) == 0
}

// skip returns the rest of s from where a match of p can first begin, nil when
// there is no such place. p is not empty and does not begin with a star.
func skip(p, s []byte, fold bool) []byte {
	switch c := p[0]; {
	case len(s) == 0:
		return nil
	case fold || special(c):
		return s
	case c == s[0]:
		return s
	default:
		if at := bytes.IndexByte(s, c); at >= 0 {
			return s[at:]
		}
		return nil
	}
}

// one matches the first element of p, which is not a star, against c and
// returns the pattern behind the element.
func one(p []byte, c byte, fold bool) (after []byte, ok bool) {
	switch p[0] {
	case '?':
		return p[1:], true
	case '[':
		return class(p[1:], c, fold)
	case '\\':
		if len(p) > 1 {
			p = p[1:]
		}
	}
	return p[1:], p[0] == c || fold && lower(p[0]) == lower(c)
}

// class matches a class, given the pattern behind its opening bracket.
func class(p []byte, c byte, fold bool) (after []byte, ok bool) {
	not := len(p) > 0 && p[0] == '^'
	if not {
		p = p[1:]
	}
	for len(p) > 0 && p[0] != ']' {
		switch {
		case p[0] == '\\' && len(p) >= 2:
			ok = ok || p[1] == c
			p = p[2:]
		case len(p) >= 3 && p[1] == '-':
			ok = ok || inRange(int8(p[0]), int8(p[2]), int8(c), fold)
			p = p[3:]
		default:
			ok = ok || p[0] == c || fold && lower(p[0]) == lower(c)
			p = p[1:]
		}
	}
	if len(p) > 0 {
		p = p[1:]
	}
	return p, ok != not
}

// inRange puts the ends in order before it folds them, as Redis does.
func inRange(low, high, c int8, fold bool) bool {
	if low > high {
		low, high = high, low
	}
	if fold {
		low, high, c = int8(lower(byte(low))), int8(lower(byte(high))), int8(lower(byte(c)))
	}
	return low <= c && c <= high
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
